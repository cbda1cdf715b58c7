"""The chain of events that lost a TD, in words; the same words for the same chain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tdx_env.engine.causes import Cause
from tdx_env.engine.scene import Scene
from tdx_env.engine.waiting import Wait
from tdx_env.state.actors import State
from tdx_env.state.calls import LAST_SEAMCALL, NONE, Leaf, Lock, Outcome
from tdx_env.state.discipline import Exhaustion
from tdx_eval.lost.replay import Replay
from tdx_eval.reporting.wording import call_name, holder_name, listing, lock_name

_LOOKED_AT = 400  # the killer's last events
_BUG = "KVM_BUG_ON"
_BY_GUEST = {
    (Leaf.ACCEPT, Outcome.OPERAND_BUSY): (
        "The guest's ACCEPT met a host call on its page, and it tries once: it panics"
    ),
    (Leaf.ACCEPT, Outcome.OPERAND_BUSY_HOST_PRIORITY): (
        "The guest's ACCEPT was refused for the mark of a busy host call, and it tries once: it "
        "panics"
    ),
    (Leaf.VP_ENTER, Outcome.HOST_PRIORITY_BUSY_TIMEOUT): (
        "The mark of a busy host call that was given up refused the guest's ACCEPT for "
        "HP_LOCK_TIMEOUT; KVM doesn't know that exit, user space stops the TD"
    ),
}
_IGNORED = "its caller ignored the failure (B1)"


@dataclass(frozen=True)
class Chain:
    """How a TD was lost: a call met somebody on a lock, and what came of it.

    Attributes:
        call: The call that was busy; empty if no busy reply began it.
        holder: Who it met.
        where: The lock.
        is_vcpu: Whether a vCPU held it, else a host thread.
        tail: What came of it; the whole story if there is no call.
    """

    call: str
    holder: str
    where: str
    is_vcpu: bool
    tail: str

    @property
    def text(self) -> str:
        """The chain as a sentence."""
        return title([self])

    @property
    def key(self) -> tuple[str, bool, str]:
        """What chains have in common that are told as one."""
        return self.where, self.is_vcpu, self.tail


def title(chains: Sequence[Chain]) -> str:
    """Return chains with one key as a sentence."""
    first = chains[0]
    if not first.call:
        return first.tail
    calls = listing(list(dict.fromkeys(chain.call for chain in chains)), "or")
    holders = listing(list(dict.fromkeys(chain.holder for chain in chains)), "or")
    return f"{calls} met {holders} on {first.where}, {first.tail}"


def _plain(text: str) -> Chain:
    """Return a chain that no busy reply began."""
    return Chain("", "", "", False, text)


@dataclass(frozen=True)
class Failure:
    """A SEAMCALL of the killer's that came back with an error.

    Attributes:
        time: When it failed [cycles].
        issued: When this issue began [cycles].
        leaf: Which call.
        outcome: With which status.
        kicks: Kicks before it, for this call.
        lock: The lock that was busy, or None.
        holder: Who held it, or NONE.
        holder_leaf: In which call, or NONE.
        entry: Its S-EPT entry, or NONE.
        level: Of that entry.
    """

    time: int
    issued: int
    leaf: Leaf
    outcome: Outcome
    kicks: int
    lock: Lock | None
    holder: int
    holder_leaf: int
    entry: int
    level: int


def _failure(scene: Scene, actor: int) -> Failure:
    """Return the failure that an actor is on its way back from."""
    me = scene.rows[actor]
    leaf, outcome = Leaf(int(me["leaf"])), Outcome(int(me["outcome"]))
    lock = scene.busy_lock(leaf, me["operand"]) if outcome == Outcome.OPERAND_BUSY else None
    holder, holder_leaf = scene.holder(actor, lock) if lock is not None else (NONE, NONE)
    return Failure(
        time=int(scene.run["now"]),
        issued=int(me["issued"]),
        leaf=leaf,
        outcome=outcome,
        kicks=int(me["kicks"]),
        lock=lock,
        holder=holder,
        holder_leaf=holder_leaf,
        entry=int(me["entry"]),
        level=scene.level(me["entry"]),
    )


def is_guests_end(run: np.void) -> bool:
    """Say whether it was no host call that ended the TD: the guest panicked, or left for good."""
    return (run["kill_leaf"], run["kill_outcome"]) in _BY_GUEST


def operation_begin(scene: Scene, actor: int) -> int:
    """Return when what killed the TD began: a fault, a page's removal, else the call [cycles]."""
    me = scene.rows[actor]
    if scene.run["kill_leaf"] == NONE:
        return int(me["exit_started"])
    begin, call = int(me["operation_started"]), int(me["call_started"])
    return call if begin == NONE or me["leaf"] == Leaf.VP_ENTER else begin


def failures(replay: Replay, actor: int, begin: int) -> Iterator[Failure]:
    """Yield the last failures of an actor from an instant to the end, in order."""
    events = replay.recorded(begin).tolist()
    times = [time for time, who, before, _ in events if who == actor and before == State.SEAMCALL]
    replay.restart()
    for time in times[-_LOOKED_AT:]:
        scene = replay.to(time)
        if scene.rows[actor]["state"] == State.SEAM_RETURN:
            yield _failure(scene, actor)


def _met(failure: Failure, tail: str) -> Chain:
    """Return the chain that a busy reply began; sizes and zero-step spelt out."""
    assert failure.lock is not None
    where = lock_name(failure.lock.name)
    if failure.lock == Lock.ENTRY:
        where = f"a {'4K' if failure.level == 0 else '2M'} S-EPT entry"
    who, leaf = "nobody known", failure.holder_leaf
    if leaf != NONE:
        who = holder_name(Leaf(leaf).name)
    if leaf == Leaf.VP_ENTER and failure.lock == Lock.TREE:
        who = "an armed vCPU's VP.ENTER"
    is_vcpu = leaf == Leaf.VP_ENTER or leaf > LAST_SEAMCALL
    return Chain(call_name(failure.leaf.name), who, where, is_vcpu, tail)


def _how_often(replay: Replay, failure: Failure) -> str:
    """Say how a busy reply became the last one."""
    rules = replay.discipline.record()[0]
    is_foreign = rules["tree_only"][failure.leaf] and failure.lock != Lock.TREE
    if is_foreign:
        return "not the tree lock, so not repeated"
    if rules["max_issues"][failure.leaf] == 1:
        return "at its only try"
    if failure.kicks == 0:
        return "at each of its tries"
    gate = {0: "no gate behind it", 1: "a gate for the call", 2: "a gate for the page"}
    return f"again after its kick, {gate[int(rules['gate_scope'])]}"


def kill_chain(replay: Replay, found: Sequence[Failure], leaf: int, outcome: int) -> Chain:
    """Return the chain that ended in KVM_BUG_ON.

    Args:
        replay: The episode.
        found: The killer's failures.
        leaf: The call that killed, or NONE.
        outcome: Its status.
    """
    if leaf == NONE:
        return _plain("The guest touched a PENDING page with SEPT_VE_DISABLE set: KVM ends the TD")
    if (leaf, outcome) in _BY_GUEST:
        return _plain(_BY_GUEST[Leaf(leaf), Outcome(outcome)])
    call = call_name(Leaf(leaf).name)
    if outcome == Outcome.OPERAND_BUSY:
        return _met(found[-1], f"{_how_often(replay, found[-1])}: {_BUG}")
    if outcome in (Outcome.INTERRUPTED, Outcome.INTERRUPTED_RESUMABLE):
        return _plain(f"Interrupts ended {call} more often than the limit allows: {_BUG}")
    failed = f"{call} failed with {Outcome(outcome).name}"
    ignored = _ignored(replay, found)
    if ignored is None:
        return _plain(f"{failed}: {_BUG}")
    return _met(ignored, f"{_IGNORED}, and {failed}: {_BUG}")


def _ignored(replay: Replay, found: Sequence[Failure]) -> Failure | None:
    """Return the last busy reply that the caller ignored, for the page that killed."""
    swallows = replay.discipline.record()[0]["on_exhaustion"]
    for one in reversed(found[:-1]):
        is_swallowed = swallows[one.leaf] == Exhaustion.SWALLOW
        if one.lock is not None and is_swallowed and one.entry == found[-1].entry:
            return one
    return None


def told_failure(replay: Replay, found: Sequence[Failure]) -> Failure | None:
    """Return the busy reply that a chain is about: one that was ignored, else the last one."""
    ignored = _ignored(replay, found)
    return ignored if ignored is not None else next(reversed(found), None)


def killers_failures(replay: Replay) -> list[Failure]:
    """Return what failed for the actor that killed the TD, during its operation.

    If a call failed there that was not busy, and the caller's mistake is older (a page that was
    never blocked is unblocked), from that one on.
    """
    scene = replay.to_the_end()
    run = scene.run
    killer = int(run["kill_actor"])
    if run["kill_leaf"] == NONE or is_guests_end(run):
        return []
    found = list(failures(replay, killer, operation_begin(scene, killer)))
    if run["kill_outcome"] == Outcome.OPERAND_BUSY or _ignored(replay, found) is not None:
        return found
    older = list(failures(replay, killer, 0))
    ignored = _ignored(replay, older)
    return found if ignored is None else older[older.index(ignored) :]


def chain_of_kill(replay: Replay) -> Chain:
    """Return the chain of an episode whose TD was killed."""
    found = killers_failures(replay)
    run = replay.to_the_end().run
    return kill_chain(replay, found, int(run["kill_leaf"]), int(run["kill_outcome"]))


_HANGS = {
    Cause.DYING_SLOT: (
        "A fault in a memslot that is being deleted is retried inside KVM, and the deletion waits "
        "by SRCU for that handler to end (B7)"
    ),
    Cause.ZERO_STEP: (
        "Zero-step stays armed on a page that KVM has added and nobody accepts: each VP.ENTER ends "
        "in a synthetic EPT violation"
    ),
    Cause.INTERRUPTED: (
        "Interrupts end each try of DEMOTE before it is done, while mmu_lock is held for write"
    ),
    Cause.IRQS_OFF: "VP.ENTER is repeated with interrupts off, and a kick waits for it (B8)",
    Cause.BUSY: "A call stays busy for ever",
}
"""Roots of a hang, the one that explains the others first."""


def hang_root(found: Sequence[Wait]) -> Wait:
    """Return the wait that explains a hang: a loop that nothing ends, else whoever waits first."""
    for cause in _HANGS:
        for wait in found:
            if wait.cause == cause:
                return wait
    return next((wait for wait in found if wait.cause != Cause.NOTHING), found[0])


def hang_chain(found: Sequence[Wait]) -> Chain:
    """Return why an episode did not end."""
    root = hang_root(found)
    if root.cause in _HANGS:
        return _plain(_HANGS[root.cause])
    return _plain(f"Somebody waits for {root.cause or 'nothing that is known'}")
