"""What vCPUs do in the guest: work items, touches, TDCALLs (model, sections 3.1 to 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, Phase, Program, Spte, State
from tdx_env.state.calls import Leaf, Outcome
from tdx_env.state.costs import Cost

from . import exits, tasks
from .actors import Actor, book, end_fault, go, own_jitter, think
from .locks import Result
from .sept import ACCEPTABLE, ACCESSIBLE, NEXT, NON_LEAF, NOT_READABLE, WRITABLE, E, Entry, is_leaf

if TYPE_CHECKING:
    from .world import OracleWorld

FOREVER = 1 << 60
HANDLER_RIP = -2
BUSY = (Outcome.OPERAND_BUSY, Outcome.OPERAND_BUSY_HOST_PRIORITY)
REFUSED = (*BUSY, Outcome.PAGE_SIZE_MISMATCH)  # as Linux sees it
PAGES_PER_2M = 512


# Work items


def begin_item(w: OracleWorld, v: Actor, is_start: bool = False) -> None:
    """Begin the vCPU's current item."""
    v.attempt = 0
    v.small = None
    v.phase = Phase.THINK
    v.remaining = think(w, v) if v.has_items_left else FOREVER
    if not is_start:
        tasks.wake(w)


def finish_item(w: OracleWorld, v: Actor) -> None:
    """Count the item and begin the next."""
    w.guest_items += 1
    w.work_done += 1
    w.last_progress = w.now
    end_fault(w, v)
    v.refault = v.repeats = 0
    v.item += 1
    begin_item(w, v)


def item_entry(w: OracleWorld, v: Actor) -> Entry:
    """Return the entry of the first page or region of the item."""
    spec = v.group.spec
    step = spec.step or v.group.count
    area, unit = w.setup.areas[spec.area], v.member * spec.stride + v.item * step
    if v.small is not None:
        return w.table.unit(area, 0, unit * 2**w.setup.page_shift + v.small)
    return w.table.unit(area, spec.level, unit)


# Running


def continue_guest(w: OracleWorld, v: Actor) -> None:
    """Go on in the guest."""
    if v.exit_at <= w.now:
        exits.exit_for_interrupt(w, v)
    elif v.phase == Phase.THINK and v.remaining > 0:
        v.rip = 2 * v.item
        v.started = w.now
        run_until(w, v, State.COMPUTE)
    else:
        if v.phase == Phase.THINK:
            v.phase = Phase.INSTRUCTION
            v.remaining = w.costs[Cost.TOUCH]
        v.rip = 1 if v.group.spec.same_rip else 2 * v.item + 1
        instruction(w, v)


def run_until(w: OracleWorld, v: Actor, state: State) -> None:
    """Compute or touch until it is done or an interrupt comes."""
    v.started = w.now
    go(w, v, state, Category.GUEST_COMPUTE, min(w.now + v.remaining, v.exit_at) - w.now)


def instruction(w: OracleWorld, v: Actor) -> None:
    """Execute the item's instruction."""
    match v.program:
        case Program.TOUCH:
            touch(w, v)
        case Program.ACCEPT:
            start_tdcall(w, v, Leaf.ACCEPT, item_entry(w, v))
        case Program.CONVERT:
            exits.begin_exit(w, v, Exit.MAP_GPA)
        case Program.IDLE:
            exits.begin_exit(w, v, Exit.HLT)
        case Program.HAMMER if w.target is None:
            v.phase = Phase.THINK
            v.remaining = max(1, think(w, v))
            continue_guest(w, v)
        case Program.HAMMER:
            start_tdcall(w, v, Leaf(v.group.spec.leaf), w.target)
        case other:
            raise AssertionError(other)


def touch(w: OracleWorld, v: Actor) -> None:
    """Write to the item's page."""
    end = w.table.walk(item_entry(w, v))
    if end.state in WRITABLE:
        run_until(w, v, State.TOUCH)
    elif end.state in ACCEPTABLE and not w.setup.sept_ve_disable:
        exits.vm_exit_filter(w, v)
        go(w, v, State.VE, Category.GUEST_COMPUTE, w.costs[Cost.VE])
    else:
        v.is_fatal = end.state in ACCEPTABLE
        exits.begin_exit(w, v, Exit.EPT_VIOLATION)


def touched_leaf(w: OracleWorld, v: Actor) -> Entry:
    """Return the entry that maps, or should map, the item's page."""
    entry = item_entry(w, v)
    end = w.table.walk(entry)
    return end if end.level == 1 and is_leaf(end.state) else entry


def on_compute(w: OracleWorld, v: Actor) -> None:
    """Handle the end of a stretch of compute."""
    book(w, v)
    v.remaining -= w.now - v.started
    continue_guest(w, v)


def on_touch(w: OracleWorld, v: Actor) -> None:
    """Handle the end of a stretch of touching."""
    book(w, v)
    v.remaining -= w.now - v.started
    if v.remaining > 0:
        exits.exit_for_interrupt(w, v)
        return
    finish_item(w, v)
    continue_guest(w, v)


def on_ve(w: OracleWorld, v: Actor) -> None:
    """The #VE handler accepts the page."""
    book(w, v)
    v.rip = HANDLER_RIP
    start_tdcall(w, v, Leaf.ACCEPT, w.table.walk(item_entry(w, v)))


# TDCALLs


def start_tdcall(w: OracleWorld, v: Actor, leaf: Leaf, asked: Entry) -> None:
    """Begin a TDCALL on an entry."""
    exits.vm_exit_filter(w, v)
    v.asked = v.call.entry = asked
    v.call.leaf = leaf
    v.call.issued = w.now
    go(w, v, State.TDCALL, Category.GUEST_ACCEPT, own_jitter(w, v, w.costs[Cost.TDCALL] // 2))


def outcome_without_lock(w: OracleWorld, v: Actor, end: Entry) -> Outcome | None:
    """Return how a TDCALL whose walk ended there is over without a lock, None if it takes one."""
    if v.call.leaf == Leaf.ACCEPT and end is not v.asked:
        is_mapped = end.level == 1 and end.state in ACCESSIBLE
        return Outcome.PAGE_ALREADY_ACCEPTED if is_mapped else Outcome.EPT_VIOLATION
    if end.state == E.FREE and not (w.rules.locks_free and w.setup.guests_lock_free):
        return Outcome.EPT_VIOLATION
    return None


def on_tdcall(w: OracleWorld, v: Actor) -> None:
    """Handle the try of the entry lock."""
    assert v.asked is not None
    entry = v.call.entry = w.table.walk(v.asked)
    outcome = outcome_without_lock(w, v, entry)
    if outcome is not None:
        v.call.outcome = outcome
        if outcome == Outcome.EPT_VIOLATION:
            exits.begin_exit(w, v, Exit.EPT_VIOLATION, accept_fault=1)
        else:
            tdcall_over(w, v)
        return
    result = entry.lock.take_as_guest(v.call.leaf, w.rules.looks_first)
    if result == Result.TAKEN:
        begin_hold(w, v, entry)
        return
    w.n_guest_busy += 1
    if not entry.lock.is_locked and entry.spte != Spte.FROZEN:
        w.n_abandoned += 1
    is_busy = result == Result.BUSY
    v.call.outcome = Outcome.OPERAND_BUSY if is_busy else Outcome.OPERAND_BUSY_HOST_PRIORITY
    tdcall_over(w, v)


def begin_hold(w: OracleWorld, v: Actor, entry: Entry) -> None:
    """The entry lock is taken: find out what the TDCALL does with it."""
    v.started = w.now
    is_accept = v.call.leaf == Leaf.ACCEPT
    v.call.outcome = hold_outcome(is_accept, entry)
    go(w, v, State.HOLD, None, w.costs[Cost.ATTR_HOLD])
    if is_accept and v.call.outcome == Outcome.SUCCESS:
        if entry.level == 0:
            v.due = w.now + w.costs[Cost.ACCEPT_4K]
        else:
            schedule_hold(w, v)


def hold_outcome(is_accept: bool, entry: Entry) -> Outcome:
    """Return how a TDCALL that holds the lock will end."""
    if not is_accept:
        return Outcome.EPT_VIOLATION if entry.state in NOT_READABLE else Outcome.SUCCESS
    if entry.state in ACCEPTABLE:
        return Outcome.SUCCESS
    if entry.state in ACCESSIBLE:
        return Outcome.PAGE_ALREADY_ACCEPTED
    return Outcome.PAGE_SIZE_MISMATCH if entry.state in NON_LEAF else Outcome.EPT_VIOLATION


def page_cycles(w: OracleWorld) -> int:
    """Return what a 2M ACCEPT needs for one of its 512 pages."""
    return max(1, w.costs[Cost.ACCEPT_2M] // PAGES_PER_2M)


def hold_end(w: OracleWorld, v: Actor) -> int:
    """Return when the 2M ACCEPT under way would be complete."""
    assert v.call.entry is not None
    return v.started + (PAGES_PER_2M - v.call.entry.counter) * page_cycles(w)


def is_long_accept(v: Actor) -> bool:
    """Return whether the vCPU is in a 2M ACCEPT that polls for interrupts."""
    return (
        v.state == State.HOLD
        and v.call.leaf == Leaf.ACCEPT
        and v.call.outcome == Outcome.SUCCESS
        and v.call.entry is not None
        and v.call.entry.level == 1
    )


def schedule_hold(w: OracleWorld, v: Actor) -> None:
    """Find the poll at which a 2M ACCEPT ends."""
    end, step = hold_end(w, v), page_cycles(w)
    v.due = end
    if v.irq_at < end:
        pages = max(1, -(-(v.irq_at - v.started) // step))
        v.due = min(end, v.started + pages * step)


def on_hold(w: OracleWorld, v: Actor) -> None:
    """Handle the end of holding the entry lock."""
    entry = v.call.entry
    assert entry is not None
    if v.call.leaf == Leaf.ACCEPT and v.call.outcome == Outcome.SUCCESS:
        if entry.level == 1 and w.now < hold_end(w, v):
            entry.counter += (w.now - v.started) // page_cycles(w)
            v.call.outcome = Outcome.INTERRUPTED
        else:
            entry.counter = 0
            entry.state = NEXT[Leaf.ACCEPT][entry.state]
        entry.lock.store(False, w.rules.accept_keeps_mark)
    else:
        entry.lock.drop()
    if v.call.outcome == Outcome.EPT_VIOLATION:
        exits.begin_exit(w, v, Exit.EPT_VIOLATION, accept_fault=1)
    elif v.call.outcome == Outcome.INTERRUPTED:
        v.hp_since = None
        exits.exit_for_interrupt(w, v)
    else:
        tdcall_over(w, v)


def tdcall_over(w: OracleWorld, v: Actor) -> None:
    """The TDCALL's epilogue and the way back."""
    if v.call.outcome == Outcome.OPERAND_BUSY:
        v.category = Category.GUEST_BUSY
    elif v.call.outcome == Outcome.OPERAND_BUSY_HOST_PRIORITY:
        v.category = Category.GUEST_PRIORITY_STALL
    else:
        v.category = Category.GUEST_ACCEPT
    if v.call.outcome != Outcome.OPERAND_BUSY_HOST_PRIORITY:
        v.hp_since = None
    elif v.hp_since is None:
        v.hp_since = w.now
    elif w.now - v.hp_since >= w.setup.hp_timeout:
        v.hp_since = None
        exits.begin_exit(w, v, Exit.HOST_PRIORITY_TIMEOUT)
        return
    tdcall = w.costs[Cost.TDCALL]
    go(w, v, State.TDCALL_RETURN, None, tdcall - tdcall // 2)


def on_tdcall_return(w: OracleWorld, v: Actor) -> None:
    """The guest sees how its TDCALL ended."""
    book(w, v)
    if v.program == Program.HAMMER:
        v.phase = Phase.THINK
        v.remaining = think(w, v)
        continue_guest(w, v)
    elif v.program == Program.ACCEPT and v.group.spec.falls_back and v.call.outcome in REFUSED:
        fall_back(w, v)
    elif v.call.outcome in BUSY:
        go(w, v, State.RETRY_WAIT, None, own_jitter(w, v, w.costs[Cost.GUEST_RETRY]))
    else:
        if v.program == Program.ACCEPT and not has_more_small_pages(w, v):
            finish_item(w, v)
        continue_guest(w, v)


def fall_back(w: OracleWorld, v: Actor) -> None:
    """The guest tries the 4K pages of the 2M page it was refused; refused one of these, it dies."""
    assert v.asked is not None
    if v.asked.level == 0:
        w.kill(v, Leaf.ACCEPT, v.call.outcome)
        return
    v.small = 0
    continue_guest(w, v)


def has_more_small_pages(w: OracleWorld, v: Actor) -> bool:
    """Go on to the next 4K page, if that is how the guest goes through its 2M page."""
    if v.small is None:
        return False
    v.small += 1
    return bool(v.small < 2**w.setup.page_shift)


def on_retry_wait(w: OracleWorld, v: Actor) -> None:
    """The guest's pause is over."""
    book(w, v)
    continue_guest(w, v)


HANDLERS = {
    State.COMPUTE: on_compute,
    State.TOUCH: on_touch,
    State.VE: on_ve,
    State.TDCALL: on_tdcall,
    State.HOLD: on_hold,
    State.TDCALL_RETURN: on_tdcall_return,
    State.RETRY_WAIT: on_retry_wait,
}
