"""One world, played on with each answer from the same snapshot: the draws are the same."""

from dataclasses import dataclass

from tdx_env.engine.scene import LOCK_NAMES, Scene
from tdx_env.module.names import short_name
from tdx_env.scenarios import Scenario
from tdx_env.state.accounting import IS_WASTE, Category
from tdx_env.state.actors import State
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.discipline import Action
from tdx_eval.comparing.yardsticks import RETRY, load_policy
from tdx_eval.forking.conflicts import BusyCall
from tdx_eval.tracing.record import Record, Recorder, Slice
from tdx_eval.tracing.steps import SteppedBatch, play_on

_LEAST_US, _MOST_US = 40, 400  # of the window after the busy reply
_VCPU_NS = 750  # so much longer for each vCPU, since a kick takes longer
_LENGTHS = 2.2  # of the conflict that the window is long, if that is between the two
_BEFORE = 0.1  # share of the window that lies before the busy reply
_MOST_EVENTS = 40_000  # of one branch
_SWIFT = 1 << 17  # events a call, where nobody looks


class _Enough(Exception):  # noqa: N818 (not an error: the window is over)
    """The window is over."""


@dataclass(frozen=True)
class Branch:
    """What followed one answer.

    Attributes:
        action: The answer.
        record: What happened from the busy reply to the end of the window.
        n_busy: Busy replies of the same caller within the window, the first included.
    """

    action: Action
    record: Record
    n_busy: int

    def waste(self, begin: int, end: int) -> int:
        """Return what was wasted on all CPUs between two instants [cycles]."""
        wasted = (one for one in self.record.slices if IS_WASTE[one.category])
        return sum(max(0, min(one.end, end) - max(one.begin, begin)) for one in wasted)


@dataclass(frozen=True)
class Fork:
    """One busy reply, and what followed each answer.

    Attributes:
        call: Who called whom busy, in words.
        seed: The episode's.
        caller, holder: Actors; the holder is NONE if nobody is known.
        time: Of the busy reply [cycles].
        begin, end: The window [cycles].
        branches: One for each answer that is allowed.
    """

    call: str
    seed: int
    caller: int
    holder: int
    time: int
    begin: int
    end: int
    branches: list[Branch]


def _window(call: BusyCall, n_vcpus: int, clock_khz: int) -> int:
    """Return how long the window after the busy reply is [cycles]."""
    least = (_LEAST_US * 1000 + _VCPU_NS * n_vcpus) * clock_khz // 1_000_000
    most = _MOST_US * clock_khz // 1000
    return min(max(round(_LENGTHS * call.cycles), least), most)


def _add_open(record: Record, batch: SteppedBatch) -> None:
    """Add what the actors are doing when the record ends."""
    for actor, me in enumerate(batch.rows):
        since = int(me["since"])
        if since < batch.now:
            record.slices.append(
                Slice(
                    actor, actor, since, batch.now, Category(int(me["category"])),
                    State(int(me["state"])), int(me["leaf"]),
                )
            )  # fmt: skip


def _watched(batch: SteppedBatch, khz: int, until: int, answers: list[Action]) -> Record:
    """Play on until an instant, with given first answers, then RETRY; keep what happens."""
    recorder = Recorder(batch, khz)
    left, n_events = list(answers), 0

    def look() -> None:
        nonlocal n_events
        recorder.look()
        n_events += 1
        if batch.now >= until or n_events > _MOST_EVENTS:
            raise _Enough

    def answer() -> int:
        action = left.pop(0) if left else Action.RETRY
        recorder.decided(action)
        return action

    batch.look = look
    try:
        play_on(batch, answer)
    except _Enough:
        pass
    finally:
        batch.look = lambda: None
    record = recorder.close()
    _add_open(record, batch)
    return record


def _to_decision(scenario: Scenario, call: BusyCall) -> SteppedBatch:
    """Return a world that waits for the first decision of a conflict."""
    batch = SteppedBatch(scenario, load_policy(RETRY))
    batch.events_a_call = _SWIFT
    batch.reset([call.seed])
    batch.advance()
    for _ in range(call.first):
        batch.advance(actions=[Action.RETRY])
    batch.events_a_call = 1
    return batch


def _called(batch: SteppedBatch) -> tuple[str, int, int]:
    """Return who called whom busy in words, the caller and the holder."""
    scene = Scene(batch, 0)
    caller = int(scene.run["decision_actor"])
    lock = scene.met(caller)
    holder, leaf = scene.holder(caller, lock)
    call = short_name(Leaf(int(scene.rows[caller]["leaf"])))
    by = f", which {scene.who(holder)}’s {short_name(Leaf(leaf))} took" if leaf != NONE else ""
    return f"{scene.who(caller)}’s {call} finds {LOCK_NAMES[lock]} busy{by}", caller, holder


def fork_at(scenario: Scenario, call: BusyCall) -> Fork:
    """Play a conflict on with each answer that is allowed; all later answers are RETRY.

    Args:
        scenario: What is played, under the default discipline.
        call: One of its conflicts.
    """
    batch = _to_decision(scenario, call)
    told, caller, holder = _called(batch)
    snapshot, time = batch.snapshot(), batch.now
    allowed = [action for action in Action if batch.masks[0][action]]
    length = _window(call, int(batch.run["n_vcpus"][0]), scenario.clock_khz)
    branches = []
    for action in allowed:
        batch.restore(snapshot)
        record = _watched(batch, scenario.clock_khz, time + length, [action])
        n_busy = sum(one.actor == caller for one in record.decisions)
        branches.append(Branch(action, record, n_busy))
    begin = time - round(_BEFORE * length)
    return Fork(told, call.seed, caller, holder, time, begin, time + length, branches)
