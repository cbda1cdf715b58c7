"""The zap path: pages leave the TD, in batches that share one TRACK; of one page, as KVM is.

# MODEL: a hole that is punched doesn't hold off faults in its range; conversions don't take
slots_lock.

Source: Linux arch/x86/kvm/mmu/tdp_mmu.c, tdp_mmu_zap_leafs, tdp_mmu_iter_cond_resched;
arch/x86/kvm/vmx/tdx.c, tdx_sept_remove_private_spte (6.16). Batches are in no kernel.
"""

from tdx_env.guest.items import finish_item, unit_of_item
from tdx_env.guest.walk import level_of
from tdx_env.host.cpus import give_cpu_away, needs_resched, renew_slice
from tdx_env.host.enter import enter_run_loop
from tdx_env.host.file_lock import is_in_place, lock_file, unlock_file
from tdx_env.host.flush import learn_gap, open_batch
from tdx_env.host.guard import release_guard
from tdx_env.host.kick import begin_kick, flush_remote_tlbs, release_gate
from tdx_env.host.lazy import set_target
from tdx_env.host.mmu_lock import release_mmu, request_mmu
from tdx_env.host.pamt import is_counted, put_page
from tdx_env.host.seamcalls import new_call
from tdx_env.host.split import begin_split, is_frozen, is_split_needed
from tdx_env.host.tasks import entry_at, finish_task_item, is_vcpu, set_cursor, set_purge
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Kick, Purge, Purpose, Spte, State, Task
from tdx_env.state.booking import (
    begin_chunk_time,
    begin_operation,
    book,
    end_chunk_time,
    end_operation,
)
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.setup import PAGES_PER_2M
from tdx_env.state.world import Operation, World


@inner
def begin_chunk(world: World, actor: int) -> None:
    """Start to remove the pages of the actor's item."""
    me = world.actors["row"][actor]
    if is_vcpu(me):
        group = world.setup["groups"][me["group"]]
        me["cursor"] = unit_of_item(world, actor)
        me["cursor_end"] = me["cursor"] + group["chunk"]
    else:
        set_cursor(world, actor)
    me["path"] = CallPath.ZAP
    if not is_in_place(world, actor):
        _share(world, actor)
        begin_zap(world, actor)
    elif lock_file(world, actor, 1, Purpose.ZAP):
        begin_zap(world, actor)


@inner
def _share(world: World, actor: int) -> None:
    """Make the chunk's pages shared, if that is what it is about."""
    me = world.actors["row"][actor]
    is_shared_after = world.setup["tasks"][me["group"]]["is_shared_after"]
    if is_vcpu(me):
        is_shared_after = world.setup["groups"][me["group"]]["is_shared_after"]
    if is_shared_after:
        set_purge(world, actor, Purge.USER)


@inner
def begin_zap(world: World, actor: int) -> None:
    """Ask for mmu_lock for the chunk's first page."""
    renew_slice(world, actor)
    request_for_zap(world, actor)


@inner
def request_for_zap(world: World, actor: int) -> None:
    """Ask for mmu_lock for write; with it, zap on."""
    begin_chunk_time(world, actor)
    if request_mmu(world, actor, 1, Purpose.ZAP):
        zap_with_lock(world, actor)


@inner
def zap_with_lock(world: World, actor: int) -> None:
    """Hold mmu_lock for write: zap the next page."""
    world.actors["row"][actor]["zapped"] = 0
    world.actors["row"][actor]["makes_way"] = 0
    next_page(world, actor)


@inner
def _is_there(world: World, entry: int) -> bool:
    """Say whether a zap has anything to do with a page."""
    if world.entries["row"][entry]["spte"] != Spte.ABSENT:
        return True
    return is_split_needed(world, entry) or is_frozen(world, entry)


@inner
def _next_unit(world: World, actor: int, unit: int) -> int:
    """Return the first page of the chunk from a unit on that is there, or the chunk's end."""
    end = world.actors["row"][actor]["cursor_end"]
    while unit < end and not _is_there(world, entry_at(world, actor, unit)):
        unit += 1
    return unit


@inner
def next_page(world: World, actor: int) -> None:
    """Zap the next present page of the chunk, make way for others, or end the chunk."""
    me = world.actors["row"][actor]
    me["cursor"] = _next_unit(world, actor, me["cursor"])
    if me["cursor"] >= me["cursor_end"]:
        if not flushes_remote_tlbs(world, actor, Purpose.NEXT_PAGE):
            release_mmu(world, actor)
            _end_chunk(world, actor)
        return
    entry = entry_at(world, actor, me["cursor"])
    if is_frozen(world, entry) or (me["zapped"] > 0 and _breaks(world, actor)):
        if not flushes_remote_tlbs(world, actor, Purpose.NEXT_PAGE):
            _make_way(world, actor)
    elif is_split_needed(world, entry):
        begin_split(world, actor, entry)
    else:
        open_batch(world, actor)
        _begin_page(world, actor, entry)


@inner
def _breaks(world: World, actor: int) -> bool:
    """Say whether mmu_lock is to be dropped between two pages.

    Source: Linux tdp_mmu.c, tdp_mmu_iter_cond_resched; rwlock_needbreak looks for waiters in
    preemptible kernels alone.
    """
    if world.actors["row"][actor]["makes_way"] or needs_resched(world, actor):
        return True
    return bool(world.setup["break_on_contention"] and world.run["mmu_first"] != NONE)


@inner
def flushes_remote_tlbs(world: World, actor: int, purpose: int) -> bool:
    """Begin to flush the shared EPT if a page went since that was done; say whether one did.

    What drops mmu_lock asks this first. Nothing is flushed while the TD is built.
    """
    me = world.actors["row"][actor]
    if not me["unflushed"]:
        return False
    me["unflushed"] = 0
    flush_remote_tlbs(world, actor, purpose)
    return True


@inner
def _reschedule(world: World, actor: int, purpose: int, category: int) -> None:
    """Drop mmu_lock and let others run; what comes after that is the purpose."""
    run = world.run
    me = world.actors["row"][actor]
    release_mmu(world, actor)
    me["state"] = State.RESCHED
    me["purpose"] = purpose
    me["category"] = category
    world.actors["due"][actor] = run["now"] + run["costs"][Cost.RESCHED]


@inner
def yield_lock(world: World, actor: int) -> None:
    """Drop mmu_lock in the middle of a page and reschedule; then the call is issued again."""
    _reschedule(world, actor, Purpose.REISSUE, Category.YIELD)


@inner
def _make_way(world: World, actor: int) -> None:
    """Drop mmu_lock between two pages and come back for it."""
    if needs_resched(world, actor):
        release_mmu(world, actor)
        give_cpu_away(world, actor)
        return
    _reschedule(world, actor, Purpose.ZAP, Category.MMU_LOCK_WAIT)


@inner
def _begin_page(world: World, actor: int, entry: int) -> None:
    """Freeze a page's SPTE; BLOCK follows."""
    run = world.run
    me = world.actors["row"][actor]
    begin_operation(world, actor)
    # MODEL: KVM sets the mirror SPTE to 0 here; under mmu_lock for write nobody can tell.
    world.entries["row"][entry]["spte"] = Spte.FROZEN
    me["entry"] = entry
    set_target(world, entry)
    me["state"] = State.ZAP_SOFTWARE
    me["category"] = Category.HOST_WORK
    world.actors["due"][actor] = run["now"] + run["costs"][Cost.ZAP_SOFTWARE]


@inner
def _end_chunk(world: World, actor: int) -> None:
    """All pages of the item are gone."""
    me = world.actors["row"][actor]
    world.run["n_chunks"] += 1
    end_chunk_time(world, actor)
    if is_in_place(world, actor):
        _end_in_place(world, actor)
    if is_vcpu(me):
        finish_item(world, actor)
        me["trip"] = Category.EXIT_ENTRY
        enter_run_loop(world, actor)
        return
    if me["kind"] == Task.SLOT_DELETE:
        set_cursor(world, actor)
        set_purge(world, actor, Purge.PRIVATE)
        release_guard(world, actor)
    finish_task_item(world, actor)


@inner
def _end_in_place(world: World, actor: int) -> None:
    """A conversion in place is over: the pages are shared from now on, faults go on."""
    me = world.actors["row"][actor]
    chunk = world.setup["tasks"][me["group"]]["chunk"]
    if is_vcpu(me):
        chunk = world.setup["groups"][me["group"]]["chunk"]
    me["cursor"] = me["cursor_end"] - chunk
    _share(world, actor)
    unlock_file(world, actor)


@inner
def block_page(world: World, actor: int) -> None:
    """Handle ZAP_SOFTWARE: issue BLOCK, or close the gate first."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    if world.discipline["gate_first"] and me["blocked"] == 0:
        begin_kick(world, actor, Purpose.BLOCK, Kick.DECISION, 1)
    else:
        new_call(world, actor, Leaf.MEM_RANGE_BLOCK, me["entry"])


@inner
def _next_to_block(world: World, actor: int) -> int:
    """Return the next page that the batch could take in, or NONE.

    A page that is to be split, or that somebody else works on, ends the batch.
    """
    me = world.actors["row"][actor]
    unit = _next_unit(world, actor, me["cursor"] + 1)
    if me["blocked"] >= PAGES_PER_2M or unit >= me["cursor_end"]:
        return NONE
    entry = entry_at(world, actor, unit)
    if is_frozen(world, entry) or is_split_needed(world, entry):
        return NONE
    return unit


@inner
def has_next_to_block(world: World, actor: int) -> bool:
    """Say whether the batch could take another page in."""
    return _next_to_block(world, actor) != NONE


@inner
def blocks_next(world: World, actor: int) -> bool:
    """Go on to the batch's next page; say whether there is one."""
    unit = _next_to_block(world, actor)
    if unit == NONE:
        return False
    world.actors["row"][actor]["cursor"] = unit
    _begin_page(world, actor, entry_at(world, actor, unit))
    return True


@inner
def close_batch(world: World, actor: int) -> None:
    """All pages of the batch are blocked: TRACK is next."""
    me = world.actors["row"][actor]
    me["batch_end"] = me["cursor"] + 1
    learn_gap(world, actor)


@inner
def remove_page(world: World, actor: int) -> None:
    """TRACK and its kick are over: remove the page, or the first one of the batch."""
    me = world.actors["row"][actor]
    if me["batch_end"] != NONE:
        me["cursor"] = me["batch_first"]
        me["entry"] = entry_at(world, actor, me["cursor"])
        set_target(world, me["entry"])
    new_call(world, actor, Leaf.MEM_PAGE_REMOVE, me["entry"])


@inner
def clear_page(world: World, actor: int) -> None:
    """The page left the TD: clear it."""
    run = world.run
    me = world.actors["row"][actor]
    pages = PAGES_PER_2M if level_of(run, me["entry"]) == 1 else 1
    me["state"] = State.ZAP_CLEAR
    me["category"] = Category.HOST_WORK
    world.actors["due"][actor] = run["now"] + pages * run["costs"][Cost.CLEAR]


@inner
def _next_of_batch(world: World, actor: int) -> int:
    """Return the place of the batch's next page, or NONE."""
    me = world.actors["row"][actor]
    if me["batch_end"] == NONE:
        return NONE
    for cursor in range(me["cursor"] + 1, me["batch_end"]):
        if world.entries["row"][entry_at(world, actor, cursor)]["spte"] == Spte.FROZEN:
            return cursor
    return NONE


@inner
def _remove_next(world: World, actor: int, cursor: int) -> None:
    """Remove the batch's next page."""
    me = world.actors["row"][actor]
    me["cursor"] = cursor
    me["entry"] = entry_at(world, actor, cursor)
    set_target(world, me["entry"])
    begin_operation(world, actor)
    new_call(world, actor, Leaf.MEM_PAGE_REMOVE, me["entry"])


@inner
def end_page(world: World, actor: int) -> None:
    """Handle ZAP_CLEAR: the page is cleared; its PAMT goes back."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    if is_counted(world, actor, me["leaf"], me["entry"]):
        put_page(world, actor, Purpose.CLEARED)
    else:
        page_gone(world, actor)


@inner
def page_gone(world: World, actor: int) -> None:
    """The page is done, on to the next."""
    run = world.run
    me = world.actors["row"][actor]
    following = _next_of_batch(world, actor)
    if following == NONE:
        release_gate(world, actor)
    end_operation(world, actor, Operation.ZAP)
    run["last_progress"] = run["now"]
    run["n_pages"] += 1
    me["zapped"] += 1
    me["unflushed"] = not run["is_building"]
    if following != NONE:
        _remove_next(world, actor, following)
        return
    me["batch_end"] = NONE
    if run["target"] == me["entry"]:
        run["target"] = NONE
    me["cursor"] += 1
    next_page(world, actor)
