"""The zap loop, which conversions and memslot deletions run too, and its batches (7.1, 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Kick, Purpose, Spte, State, Task
from tdx_env.state.calls import Leaf
from tdx_env.state.costs import Cost

from . import cpus, exits, file_lock, flush, guest, kick, mmu, pamt, seamcalls, slots, split, tasks
from .actors import Actor, begin_operation, book, drop_target, end_chunk, end_operation, go
from .sept import Entry

if TYPE_CHECKING:
    from .world import OracleWorld


def begin(w: OracleWorld, a: Actor) -> None:
    """Begin to zap the item's units."""
    a.path = CallPath.ZAP
    tasks.set_cursor(w, a)
    cpus.renew(w, a)
    mmu.request(w, a, True, Purpose.ZAP)


def find(w: OracleWorld, a: Actor, unit: int) -> Entry | None:
    """Return the first unit of the chunk from there on that is not passed over."""
    for entry in w.table.entries[unit : a.cursor_end]:
        is_absent = entry.spte == Spte.ABSENT and not split.is_frozen(w, entry)
        if not is_absent or split.is_needed(w, entry):
            return entry
    return None


def next_page(w: OracleWorld, a: Actor) -> None:
    """Zap the next unit that is there."""
    entry = find(w, a, a.cursor)
    a.cursor = a.cursor_end if entry is None else entry.number
    if entry is None:
        if not flushes(w, a, Purpose.NEXT_PAGE):
            chunk_done(w, a)
        return
    if split.is_frozen(w, entry) or flush.breaks(w, a):
        if not flushes(w, a, Purpose.NEXT_PAGE):
            make_way(w, a)
    elif split.is_needed(w, entry):
        split.begin(w, a, w.table.pd_of(entry))
    else:
        flush.open_batch(w, a)
        begin_operation(w, a)
        freeze(w, a, entry)


def make_way(w: OracleWorld, a: Actor) -> None:
    """Drop mmu_lock between two pages, and give the CPU to whoever is to have it."""
    is_over = flush.needs_resched(w, a)
    mmu.release(w, a)
    a.purpose = Purpose.ZAP
    if is_over:
        cpus.give_away(w, a)
        return
    go(w, a, State.RESCHED, Category.MMU_LOCK_WAIT, w.costs[Cost.RESCHED])


def flushes(w: OracleWorld, a: Actor, purpose: Purpose) -> bool:
    """Flush the shared EPT before mmu_lock is dropped, if pages were removed."""
    if not a.is_unflushed:
        return False
    a.is_unflushed = False
    kick.flush_remote_tlbs(w, a, purpose)
    return True


def freeze(w: OracleWorld, a: Actor, entry: Entry) -> None:
    """Begin to remove or split an entry."""
    entry.spte = Spte.FROZEN
    a.call.entry = w.target = entry
    go(w, a, State.ZAP_SOFTWARE, Category.HOST_WORK, w.costs[Cost.ZAP_SOFTWARE])


def chunk_done(w: OracleWorld, a: Actor) -> None:
    """All units of the item are gone."""
    w.n_chunks += 1
    end_chunk(w, a)
    a.serves_host = False
    mmu.release(w, a)
    if a.group.spec.in_place:
        tasks.share(w, a)
        file_lock.drop(w, a)
    if a.kind == Task.SLOT_DELETE:
        slots.deleted(w, a)
    elif not a.is_vcpu:
        tasks.finish_task_item(w, a)
    else:
        guest.finish_item(w, a)
        a.trip = Category.EXIT_ENTRY
        exits.enter_run_loop(w, a)


def on_zap_software(w: OracleWorld, a: Actor) -> None:
    """The SPTE is gone: block the entry."""
    book(w, a)
    is_first = a.batch_first is None or a.batch_size == 1
    if w.discipline.gate_first and is_first:
        kick.begin_kick(w, a, Purpose.BLOCK, Kick.DECISION, has_gate=True)
    else:
        seamcalls.new_call(w, a, Leaf.MEM_RANGE_BLOCK, a.call.entry)


def blocked(w: OracleWorld, a: Actor) -> None:
    """The entry is blocked: another one for the same TRACK, or TRACK."""
    if a.batch_first is not None:
        flush.blocked(w, a)
    else:
        kick.track(w, a)


def flush_batch(w: OracleWorld, a: Actor) -> None:
    """All pages of the batch are blocked: TRACK."""
    a.batch_end = a.cursor + 1
    kick.track(w, a)


def is_plain(w: OracleWorld, entry: Entry) -> bool:
    """Return whether a unit is there to be removed, neither split nor somebody else's."""
    return not split.is_frozen(w, entry) and not split.is_needed(w, entry)


def tracked(w: OracleWorld, a: Actor) -> None:
    """TRACK and its kick are over: remove the page, or the batch's first."""
    if a.batch_first is not None:
        a.cursor = a.batch_first
        a.call.entry = w.target = w.table.entries[a.cursor]
    seamcalls.new_call(w, a, Leaf.MEM_PAGE_REMOVE, a.call.entry)


def on_zap_clear(w: OracleWorld, a: Actor) -> None:
    """The page is removed and cleared: its PAMT goes back."""
    book(w, a)
    assert a.call.entry is not None
    if pamt.is_counted(w, a.call.leaf, a.call.entry):
        pamt.put(w, a, Purpose.CLEARED)
    else:
        page_gone(w, a)


def page_gone(w: OracleWorld, a: Actor) -> None:
    """The page is done: the batch's next one, or the chunk's."""
    following = next_of_batch(w, a)
    if following is None:
        kick.release_gate(w, a)
    w.zap_max = max(w.zap_max, end_operation(w, a))
    w.last_progress = w.now
    drop_target(w, a.call.entry)
    a.zapped += 1
    w.n_pages += 1
    a.is_unflushed = not w.is_building
    if following is not None:
        a.cursor = following.number
        begin_operation(w, a)
        a.call.entry = w.target = following
        seamcalls.new_call(w, a, Leaf.MEM_PAGE_REMOVE, following)
        return
    a.batch_first = a.batch_end = None
    a.cursor += 1
    next_page(w, a)


def next_of_batch(w: OracleWorld, a: Actor) -> Entry | None:
    """Return the next blocked page of the batch."""
    if a.batch_end is None:
        return None
    pages = w.table.entries[a.cursor + 1 : a.batch_end]
    return next((entry for entry in pages if entry.spte == Spte.FROZEN), None)


HANDLERS = {
    State.ZAP_SOFTWARE: on_zap_software,
    State.ZAP_CLEAR: on_zap_clear,
}
