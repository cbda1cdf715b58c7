"""What keeps an actor from going on: waits that somebody else ends, and loops that nobody does."""

from collections.abc import Iterable
from enum import StrEnum

import numpy as np

from tdx_env.engine.scene import IN_SEAMCALL, IN_TDCALL, LOCK_NAMES, Scene
from tdx_env.host.mmu_lock import READ
from tdx_env.module.names import short_name
from tdx_env.module.sept import is_acceptable
from tdx_env.module.zero_step import still_faults
from tdx_env.state.actors import CallPath, Kick, Purge, Purpose, Spte, State, Task
from tdx_env.state.calls import LAST_SEAMCALL, NONE, EntryState, Leaf, Outcome
from tdx_env.state.discipline import HostLock


class Cause(StrEnum):
    """What keeps an actor from going on."""

    MMU_LOCK = "mmu_lock"
    HOST_LOCK = "a lock round SEAMCALLs"
    PAMT_LOCK = "Dynamic PAMT's lock"
    FILE = "the guest_memfd file's lock"
    GUARD = "slots_lock or the build guard"
    SRCU = "SRCU's readers"
    GATE = "the gate"
    KICK = "a kick's acknowledgement"
    CPU = "a CPU"
    TRIGGER = "a vCPU's progress"
    ZERO_STEP = "zero-step"
    DYING_SLOT = "a memslot that is being deleted"
    FOREIGN_PAGE = "a page that isn't private"
    FROZEN = "a FROZEN SPTE"
    IRQS_OFF = "VP.ENTER with interrupts off"
    INTERRUPTED = "a SEAMCALL that interrupts end"
    BUSY = "a busy SEAMCALL"
    REFUSED = "a busy TDCALL"
    NOTHING = ""


Found = tuple[Cause, Iterable[int], str]
_IN_FAULT = IN_SEAMCALL | {State.FAULT_SOFTWARE, State.FAULT_LOCKED, State.UNWIND, State.USER_EXIT}
_BEFORE_REISSUE = frozenset({State.KICK_SEND, State.RESCHED, State.MMU_GRANTED})
_REFUSED = (Outcome.OPERAND_BUSY, Outcome.OPERAND_BUSY_HOST_PRIORITY)


_HOST_LOCKS = {
    HostLock.SEAMCALL: (Cause.HOST_LOCK, "the SEAMCALL lock"),
    HostLock.TRACK: (Cause.HOST_LOCK, "the lock round TRACK"),
    HostLock.PAMT: (Cause.PAMT_LOCK, "Dynamic PAMT's lock"),
    HostLock.FILE: (Cause.FILE, "the lock of the guest_memfd file"),
}


def _holding(scene: Scene, actors: list[int], mode: str = "held") -> str:
    """Say who holds a lock, and what a single holder is in."""
    text = f"{mode} by {scene.all_of(actors)}"
    return f"{text} ({scene.doing(actors[0])})" if len(actors) == 1 else text


def _before(scene: Scene, actor: int, first: int) -> str:
    """Say who is before an actor in a queue."""
    ahead = list(scene.queue(first))
    ahead = ahead[: ahead.index(actor)]
    return f", behind {scene.all_of(ahead)} in the queue" if ahead else ""


def _for_mmu_lock(scene: Scene, actor: int) -> Found:
    """Explain MMU_WAIT."""
    holders = scene.having("has_mmu_lock")
    is_read = bool(holders) and scene.rows[holders[0]]["has_mmu_lock"] == READ
    mode = "for write" if scene.rows[actor]["queue_write"] else "for read"
    held = _holding(scene, holders, "held for read" if is_read else "held for write")
    ahead = _before(scene, actor, scene.run["mmu_first"])
    return Cause.MMU_LOCK, holders, f"waits for mmu_lock {mode}, {held}{ahead}"


def _for_host_lock(scene: Scene, actor: int) -> Found:
    """Explain SEAMCALL_LOCK_WAIT, PAMT_WAIT and FILE_WAIT."""
    queues = scene.run["lock_first"]
    lock = next((lock for lock in HostLock if actor in scene.queue(queues[lock])), None)
    if lock is None:
        return Cause.NOTHING, (), "was just handed the lock that it waited for"
    holders = [a for a in range(scene.n_actors) if scene.rows[a]["has_lock"][lock]]
    cause, name = _HOST_LOCKS[lock]
    ahead = _before(scene, actor, queues[lock])
    return cause, holders, f"waits for {name}, {_holding(scene, holders)}{ahead}"


def _for_guard(scene: Scene, actor: int) -> Found:
    """Explain GUARD_WAIT."""
    owner = int(scene.run["guard_owner"])
    is_slot = scene.rows[actor]["kind"] == Task.SLOT_DELETE
    if owner == actor:
        return Cause.NOTHING, (), "was just handed slots_lock or the build guard"
    name = "slots_lock" if is_slot else "the guard of ioctls that build the TD"
    ahead = _before(scene, actor, scene.run["guard_first"])
    return Cause.GUARD, (owner,), f"waits for {name}, {_holding(scene, [owner])}{ahead}"


def _for_srcu(scene: Scene, actor: int) -> Found:
    """Explain SRCU_WAIT."""
    if scene.run["srcu_actor"] != actor:
        return Cause.SRCU, (), "deletes a memslot, waits for SRCU to turn its index"
    readers = scene.having("srcu_waited")
    who = scene.all_of(readers)
    return Cause.SRCU, readers, f"deletes a memslot, waits by SRCU for {who} to leave the handler"


def _at_gate(scene: Scene, actor: int) -> Found:
    """Explain GATED."""
    closers = scene.having("has_gate")
    return Cause.GATE, closers, f"waits at the gate that {scene.all_of(closers)} closed"


def _for_kick(scene: Scene, actor: int) -> Found:
    """Explain KICK_WAIT."""
    me = scene.rows[actor]
    targets = [
        v for v in scene.having("kick_seq") if scene.rows[v]["kick_seq"] <= me["kick_number"]
    ]
    targets = [v for v in targets if v != actor]
    if not targets:
        return Cause.NOTHING, (), "reads the answers to its kick"
    kick = "TRACK's kick"
    if me["kick_kind"] == Kick.FLUSH:
        kick = "its flush of remote TLBs"
    elif me["kick_kind"] == Kick.DECISION:
        purpose = Purpose(int(me["purpose"]))
        what = scene.call(actor) if purpose == Purpose.REISSUE else purpose.name
        kick = f"its kick before {what}"
    return Cause.KICK, targets, f"waits for {scene.all_of(targets)} to answer {kick}"


def _for_cpu(scene: Scene, actor: int) -> Found:
    """Explain RUNNABLE."""
    threads = scene.run["cpu_thread"][: int(scene.run["n_pcpus"])]
    running = [int(vcpu) for vcpu in threads if vcpu != NONE]
    return Cause.CPU, running, f"waits for a CPU, which {scene.all_of(running)} have"


def _for_trigger(scene: Scene, actor: int) -> Found:
    """Explain WAIT_TRIGGER."""
    me = scene.rows[actor]
    row = scene.world.setup["tasks"][me["group"]]
    drawn = scene.run["group_drawn"][row["trigger_group"]]
    vcpu = int(drawn["first"] + me["member"] % drawn["count"])
    wanted, reached = int(me["item"] * row["trigger_period"]), int(scene.rows[vcpu]["item"])
    text = f"waits until {scene.who(vcpu)} begins item {wanted}; it is at {reached}"
    return Cause.TRIGGER, (vcpu,), text


_BY_STATE = {
    State.MMU_WAIT: _for_mmu_lock,
    State.SEAMCALL_LOCK_WAIT: _for_host_lock,
    State.PAMT_WAIT: _for_host_lock,
    State.FILE_WAIT: _for_host_lock,
    State.GUARD_WAIT: _for_guard,
    State.SRCU_WAIT: _for_srcu,
    State.GATED: _at_gate,
    State.KICK_WAIT: _for_kick,
    State.RUNNABLE: _for_cpu,
    State.WAIT_TRIGGER: _for_trigger,
}


def _by_zero_step(scene: Scene, actor: int) -> Found | None:
    """Explain an armed vCPU, of whose listed pages one still faults."""
    me = scene.rows[actor]
    for entry in me["gpas"][: me["zs_listed"]].tolist():
        state = int(scene.entry(entry)["state"])
        if not still_faults(state, scene.acceptable_is_fine):
            continue
        text = f"armed by zero-step: {scene.page(entry)} is {EntryState(state).name}, which sends "
        text += "VP.ENTER back as a fault"
        if is_acceptable(state):
            text += ", for ever unless another vCPU accepts it"
        return Cause.ZERO_STEP, (), text
    return None


def _by_fault(scene: Scene, actor: int) -> Found | None:
    """Explain a fault that can't be resolved for now."""
    me = scene.rows[actor]
    entry = int(me["fault_entry"])
    if me["path"] != CallPath.FAULT or entry == NONE or State(int(me["state"])) not in _IN_FAULT:
        return None
    page, purge = scene.page(entry), scene.entry(entry)["purge"]
    if purge == Purge.DYING:
        return _by_dying_slot(scene, actor, page)
    if purge == Purge.USER:
        text = f"faults on {page}, which isn't private now: user space has to act"
        return Cause.FOREIGN_PAGE, (), text
    if scene.entry(entry)["spte"] == Spte.FROZEN and me["entry"] != entry:
        owners = [
            a for a in range(scene.n_actors) if a != actor and scene.rows[a]["entry"] == entry
        ]
        text = f"faults on {page}, FROZEN by {scene.all_of(owners)}"
        return Cause.FROZEN, owners, text
    return None


def _by_dying_slot(scene: Scene, actor: int, page: str) -> Found:
    """Explain a fault in a memslot that is being deleted."""
    deleters = [int(scene.run["guard_owner"])] if scene.run["guard_owner"] != NONE else []
    text = f"faults on {page} in a memslot that {scene.all_of(deleters)} deletes"
    if scene.rows[actor]["srcu_waited"]:
        text += ", which waits by SRCU for this very handler to end"
    return Cause.DYING_SLOT, deleters, text


def _with_irqs_off(scene: Scene, actor: int) -> Found | None:
    """Explain a VP.ENTER that is repeated with interrupts off (bug B8)."""
    me = scene.rows[actor]
    is_off = scene.world.discipline["enter_irqs_off"] and me["mode"]
    if not is_off or me["leaf"] != Leaf.VP_ENTER or me["issues"] < 2:
        return None
    lock = scene.met(actor)
    text = f"{scene.call(actor)}, with interrupts off: answers no IPI; busy on {LOCK_NAMES[lock]}"
    return Cause.IRQS_OFF, (), f"{text}, last held by {scene.holder_text(actor, lock)}"


def _is_in_seamcall(me: np.void) -> bool:
    """Say whether an actor has a SEAMCALL under way, or is about to issue one again."""
    state = State(int(me["state"]))
    if me["leaf"] == NONE or me["leaf"] > LAST_SEAMCALL:
        return False
    if state in _BEFORE_REISSUE:
        return bool(me["purpose"] == Purpose.REISSUE)
    return state in IN_SEAMCALL or state == State.RUN_LOOP


def _by_call(scene: Scene, actor: int) -> Found | None:
    """Explain a SEAMCALL that was interrupted or busy and is under way again."""
    me = scene.rows[actor]
    if not _is_in_seamcall(me):
        return None
    if me["interrupts"] > 0:
        text = f"{scene.call(actor)}: each ended by an interrupt"
        return Cause.INTERRUPTED, (), text
    if me["busy_operand"] == NONE:
        return None
    lock = scene.met(actor)
    holder, _ = scene.holder(actor, lock)
    if holder == actor:
        return Cause.NOTHING, (), f"{scene.call(actor)}: was busy, has {LOCK_NAMES[lock]} now"
    on = () if holder == NONE else (holder,)
    text = f"{scene.call(actor)}: busy on {LOCK_NAMES[lock]}"
    return Cause.BUSY, on, f"{text}, last held by {scene.holder_text(actor, lock)}"


def _by_tdcall(scene: Scene, actor: int) -> Found | None:
    """Explain a TDCALL that the guest repeats because it was busy."""
    me = scene.rows[actor]
    if State(int(me["state"])) not in IN_TDCALL or me["outcome"] not in _REFUSED:
        return None
    call, page = short_name(Leaf(int(me["leaf"]))), scene.page(me["entry"])
    if me["outcome"] == Outcome.OPERAND_BUSY_HOST_PRIORITY:
        text = f"repeats {call} on {page}, which host priority refuses"
        return Cause.REFUSED, (), text
    row = scene.entry(me["entry"])
    text = f"repeats {call} on {page}, locked by {scene.who(int(row['holder']))}"
    return Cause.REFUSED, (int(row["holder"]),), text


_BY_LOOP = (_by_zero_step, _with_irqs_off, _by_fault, _by_call, _by_tdcall)


def explain(scene: Scene, actor: int) -> Found:
    """Return what an actor waits for."""
    state = State(int(scene.rows[actor]["state"]))
    if state in _BY_STATE:
        return _BY_STATE[state](scene, actor)
    for loop in _BY_LOOP:
        found = loop(scene, actor)
        if found is not None:
            return found
    return Cause.NOTHING, (), ""
