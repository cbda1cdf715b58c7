"""Host tasks: their items and triggers, block and restore (section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Purge, Purpose, Spte, State, Task
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.streams import Draw

from . import export, file_lock, guard, guest, kick, mmu, pamt, prefault, seamcalls, zap
from .actors import Actor, book, go, own, think
from .draws import uniform
from .sept import ACCESSIBLE, Entry

if TYPE_CHECKING:
    from .world import OracleWorld


def start_task_item(w: OracleWorld, a: Actor) -> None:
    """Think about the next item, or wait for its trigger."""
    a.attempt = 0
    if is_reached(w, a):
        go(w, a, State.THINK, Category.IDLE, think(w, a))
    else:
        go(w, a, State.WAIT_TRIGGER, Category.IDLE, None)


def is_reached(w: OracleWorld, a: Actor) -> bool:
    """Return whether the item's trigger has been reached."""
    spec = a.group.spec
    if spec.trigger_group == NONE:
        return True
    group = w.groups[spec.trigger_group]
    if group.count == 0:
        return True
    v = w.actors[group.first + a.member % group.count]
    return v.item >= a.item * spec.trigger_period or not v.has_items_left


def wake(w: OracleWorld) -> None:
    """Wake the tasks whose item has been reached."""
    for a in w.actors[len(w.vcpus) :]:
        if a.state == State.WAIT_TRIGGER and is_reached(w, a):
            a.due = w.now


def on_wait_trigger(w: OracleWorld, a: Actor) -> None:
    """The trigger was reached."""
    book(w, a)
    go(w, a, State.THINK, Category.IDLE, think(w, a))


def item_entry(w: OracleWorld, a: Actor) -> Entry:
    """Return the first unit of the item."""
    if a.is_vcpu:
        return guest.item_entry(w, a)
    spec = a.group.spec
    place = a.item
    if spec.trigger_group != NONE:
        place = a.item * spec.trigger_period + spec.trigger_lead
    area = w.setup.areas[spec.area]
    return w.table.unit(area, spec.level, a.member * spec.stride + place * spec.step)


def on_think(w: OracleWorld, a: Actor) -> None:
    """Begin the item's work."""
    book(w, a)
    match a.kind:
        case Task.ZAP:
            begin_chunk(w, a)
        case Task.BLOCK_RESTORE:
            a.call.entry = item_entry(w, a)
            a.call.entry.purge = Purge.USER
            mmu.request(w, a, True, Purpose.BLOCK)
        case Task.BUILD | Task.INIT_VCPU:
            guard.begin_build(w, a, Purpose.BEGIN)
        case Task.SLOT_DELETE:
            guard.request(w, a, Purpose.BEGIN)
        case Task.PREFAULT:
            prefault.begin(w, a)
        case Task.EXPORT:
            export.begin(w, a)
        case Task.OTHER_TDS:
            pamt.other(w, a)


def set_cursor(w: OracleWorld, a: Actor) -> None:
    """Point at the item's units."""
    a.cursor = item_entry(w, a).number
    a.cursor_end = a.cursor + a.group.spec.chunk


def units(w: OracleWorld, a: Actor) -> list[Entry]:
    """Return the entries of the item's units."""
    first = item_entry(w, a).number
    return w.table.entries[first : first + a.group.spec.chunk]


def begin_chunk(w: OracleWorld, a: Actor) -> None:
    """Begin to zap the item's units, for good or not."""
    a.serves_host = True
    if a.group.spec.in_place:
        a.path = CallPath.ZAP
        set_cursor(w, a)
        file_lock.take(w, a, True, Purpose.ZAP)
    else:
        share(w, a)
        zap.begin(w, a)


def share(w: OracleWorld, a: Actor) -> None:
    """The item's pages are shared from now on, if that is what it is about."""
    if a.group.spec.is_shared_after:
        for entry in units(w, a):
            entry.purge = Purge.USER


def finish_task_item(w: OracleWorld, a: Actor) -> None:
    """Count the item and begin the next."""
    w.task_items += 1
    w.work_done += 1
    w.last_progress = w.now
    a.item += 1
    if a.has_items_left:
        start_task_item(w, a)
    else:
        go(w, a, State.FINISHED, Category.IDLE, None)


# Block and restore


def block(w: OracleWorld, a: Actor) -> None:
    """mmu_lock is held: block the page if it is mapped."""
    entry = item_entry(w, a)
    if entry.spte == Spte.PRESENT and entry.state in ACCESSIBLE:
        a.path = CallPath.ZAP
        seamcalls.new_call(w, a, Leaf.MEM_RANGE_BLOCK, entry)
    else:
        restored(w, a, entry)


def restored(w: OracleWorld, a: Actor, entry: Entry) -> None:
    """The item is over."""
    entry.purge = Purge.PRIVATE
    mmu.release(w, a)
    finish_task_item(w, a)


def hold_blocked(w: OracleWorld, a: Actor) -> None:
    """Keep the page blocked for a while."""
    kick.release_gate(w, a)
    mmu.release(w, a)
    spec = a.group.spec
    cycles = uniform(spec.hold_low, spec.hold_high, own(w, a, Draw.HOLD))
    go(w, a, State.HOLD_BLOCKED, Category.IDLE, cycles)


def on_hold_blocked(w: OracleWorld, a: Actor) -> None:
    """Restore the page."""
    book(w, a)
    mmu.request(w, a, True, Purpose.UNBLOCK)


def unblock(w: OracleWorld, a: Actor) -> None:
    """mmu_lock is held again."""
    seamcalls.new_call(w, a, Leaf.MEM_RANGE_UNBLOCK, a.call.entry)


def unblocked(w: OracleWorld, a: Actor, entry: Entry) -> None:
    """RANGE.UNBLOCK succeeded."""
    kick.release_gate(w, a)
    restored(w, a, entry)


HANDLERS = {
    State.WAIT_TRIGGER: on_wait_trigger,
    State.THINK: on_think,
    State.HOLD_BLOCKED: on_hold_blocked,
}
