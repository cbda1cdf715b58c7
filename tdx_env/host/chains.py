"""How KVM's call chains go on: after a SEAMCALL, after a kick, with a lock in hand."""

from tdx_env.host.build import (
    begin_ioctl,
    build_with_guard,
    call_again,
    call_with_guard,
    give_call_up,
    page_added,
    page_measured,
    vcpu_built_on,
)
from tdx_env.host.enter import enter_run_loop, waits_at_gate
from tdx_env.host.export import begin_export, list_exported, track_list, writes_blocked
from tdx_env.host.fault import (
    begin_fault_pass,
    end_pass,
    prefault_next,
    resolve,
    split_with_lock,
    start_walk,
    try_again,
    walk,
)
from tdx_env.host.file_lock import unlock_file
from tdx_env.host.guard import request_guard
from tdx_env.host.guest_mode import answers_read
from tdx_env.host.kick import note_kick_over, note_kick_sent, release_gate
from tdx_env.host.mmu_lock import release_mmu, request_mmu
from tdx_env.host.pamt import add_page, get_for_others, others_on, page_counted
from tdx_env.host.restore import begin_restore, block_for_a_while, restored
from tdx_env.host.seamcall_lock import release_lock
from tdx_env.host.seamcalls import issue, lock_and_issue, new_call
from tdx_env.host.slots import delete_with_lock
from tdx_env.host.tasks import is_vcpu, set_cursor
from tdx_env.host.track import after_block, after_demote, after_track, go_on_tracked
from tdx_env.host.vcpus import enter_guest, yield_to_run_loop
from tdx_env.host.zap import (
    begin_chunk,
    begin_zap,
    clear_page,
    next_page,
    page_gone,
    request_for_zap,
    yield_lock,
    zap_with_lock,
)
from tdx_env.jit import inner
from tdx_env.module.operand_classes import operand_class
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, CallPath, Exit, Kick, Purpose, Spte, State, Task
from tdx_env.state.booking import book, charge_cell
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import GateScope, HostLock, SeamcallLock
from tdx_env.state.features import EWMA_SHIFT, N_AVERAGES, TRIES_UNIT
from tdx_env.state.world import World


@inner
def reissue(world: World, actor: int) -> None:
    """Issue the SEAMCALL that was busy again."""
    run = world.run
    me = world.actors["row"][actor]
    rules = world.discipline
    if me["leaf"] == Leaf.VP_ENTER:
        if me["mode"]:
            # Bug B8: the fast path goes round with interrupts off, at the gate too.
            if not waits_at_gate(world, actor):
                issue(world, actor)
            return
        me["state"] = State.RUN_LOOP
        me["category"] = Category.SEAMCALL_BUSY
        world.actors["due"][actor] = run["now"] + run["costs"][Cost.IRQ_WINDOW]
    elif rules["seamcall_lock"] != SeamcallLock.NEVER:
        lock_and_issue(world, actor)
    else:
        issue(world, actor)


@inner
def with_mmu_lock(world: World, actor: int) -> None:
    """Go on with mmu_lock in hand."""
    me = world.actors["row"][actor]
    purpose = me["purpose"]
    if purpose == Purpose.FAULT:
        start_walk(world, actor)
    elif purpose == Purpose.ZAP:
        zap_with_lock(world, actor)
    elif purpose == Purpose.REISSUE:
        reissue(world, actor)
    elif purpose == Purpose.BARRIER:
        release_mmu(world, actor)
        yield_to_run_loop(world, actor)
    elif purpose == Purpose.BLOCK:
        block_for_a_while(world, actor)
    elif purpose == Purpose.UNBLOCK:
        new_call(world, actor, Leaf.MEM_RANGE_UNBLOCK, me["entry"])
    elif purpose == Purpose.SPLIT:
        split_with_lock(world, actor)
    elif purpose == Purpose.EXPORT:
        track_list(world, actor)
    elif purpose == Purpose.VP_INIT:
        new_call(world, actor, Leaf.VP_INIT, NONE)
    else:
        break_off(world, actor, Place.MMU_LOCK_HAD, purpose)


@inner
def with_guard(world: World, task: int) -> None:
    """Handle GUARD_WAIT: go on with slots_lock or the build guard in hand."""
    me = world.actors["row"][task]
    book(world, task, me["category"])
    purpose = me["purpose"]
    if purpose == Purpose.CALL_AGAIN:
        call_with_guard(world, task)
    elif purpose == Purpose.BEGIN and me["kind"] == Task.SLOT_DELETE:
        delete_with_lock(world, task)
    elif purpose == Purpose.BEGIN:
        build_with_guard(world, task)
    else:
        break_off(world, task, Place.GUARD_HAD, purpose)


@inner
def with_file(world: World, actor: int) -> None:
    """Handle FILE_WAIT: the file's lock is had; a conversion begins, a fault is stale.

    Source: Linux include/linux/kvm_host.h, mmu_invalidate_retry_gfn: a fault that slept finds that
    the invalidation's number has changed.
    """
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    purpose = me["purpose"]
    if purpose == Purpose.ZAP:
        begin_zap(world, actor)
    elif purpose == Purpose.FAULT:
        unlock_file(world, actor)
        try_again(world, actor, 0)
    else:
        break_off(world, actor, Place.FILE_HAD, purpose)


@inner
def after_count(world: World, actor: int) -> None:
    """Handle PAMT_HELD: the page is counted; what it was counted for."""
    me = world.actors["row"][actor]
    page_counted(world, actor)
    purpose = me["purpose"]
    if purpose == Purpose.ADD:
        new_call(world, actor, me["leaf"], me["entry"])
    elif purpose == Purpose.GIVEN_UP:
        end_pass(world, actor)
    elif purpose == Purpose.CLEARED:
        page_gone(world, actor)
    elif purpose == Purpose.RETURNED:
        give_call_up(world, actor)
    elif purpose == Purpose.OTHER:
        others_on(world, actor)
    else:
        break_off(world, actor, Place.PAMT_COUNTED, purpose)


@inner
def begin_task_item(world: World, task: int) -> None:
    """Handle THINK: do what the host task does."""
    me = world.actors["row"][task]
    book(world, task, me["category"])
    kind = me["kind"]
    if kind == Task.ZAP:
        begin_chunk(world, task)
    elif kind == Task.BLOCK_RESTORE:
        begin_restore(world, task)
    elif kind == Task.EXPORT:
        begin_export(world, task)
    elif kind == Task.PREFAULT:
        set_cursor(world, task)
        prefault_next(world, task)
    elif kind == Task.SLOT_DELETE:
        if request_guard(world, task, Purpose.BEGIN):
            delete_with_lock(world, task)
    elif kind == Task.BUILD or kind == Task.INIT_VCPU:
        begin_ioctl(world, task)
    elif kind == Task.OTHER_TDS:
        get_for_others(world, task)
    else:
        break_off(world, task, Place.TASK, kind)


@inner
def after_kick(world: World, actor: int) -> None:
    """Go on when every kicked vCPU has left the guest."""
    me = world.actors["row"][actor]
    note_kick_over(world, actor)
    purpose = me["purpose"]
    if purpose == Purpose.REISSUE:
        reissue(world, actor)
    elif purpose == Purpose.BLOCK:
        new_call(world, actor, Leaf.MEM_RANGE_BLOCK, me["entry"])
    elif purpose == Purpose.AUG:
        add_page(world, actor, Leaf.MEM_PAGE_AUG, me["entry"])
    elif purpose == Purpose.TRACK:
        new_call(world, actor, Leaf.MEM_TRACK, me["entry"])
    elif purpose == Purpose.NEXT_PAGE:
        next_page(world, actor)
    elif purpose == Purpose.YIELD:
        yield_lock(world, actor)
    else:
        go_on_tracked(world, actor, purpose)


@inner
def kick_sent(world: World, actor: int) -> None:
    """Handle KICK_SEND: all IPIs are out; wait for the answers and read them."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    note_kick_sent(world, actor)
    if me["targets"] == 0:
        after_kick(world, actor)
        return
    me["state"] = State.KICK_WAIT
    if me["kick_kind"] == Kick.DECISION:
        me["category"] = Category.KICK_WAIT
    world.actors["due"][actor] = answers_read(world, actor) if me["awaited"] == 0 else NEVER


@inner
def rescheduled(world: World, actor: int) -> None:
    """Handle RESCHED: take mmu_lock again, behind those who wait; lists and builds had none."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    purpose = me["purpose"]
    if purpose == Purpose.ZAP:
        request_for_zap(world, actor)
    elif purpose == Purpose.CALL_AGAIN:
        call_with_guard(world, actor)
    elif purpose != Purpose.REISSUE:
        break_off(world, actor, Place.RESCHEDULED, purpose)
    elif me["path"] == CallPath.EXPORT and me["leaf"] != Leaf.MEM_TRACK:
        reissue(world, actor)
    elif request_mmu(world, actor, 1, Purpose.REISSUE):
        with_mmu_lock(world, actor)


@inner
def back_from_user(world: World, actor: int) -> None:
    """Handle USER_EXIT: a conversion begins, a fault is tried again, an ioctl repeated."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    kind = me["kind"]
    if is_vcpu(me):
        _run_again(world, actor)
    elif kind == Task.PREFAULT:
        begin_fault_pass(world, actor)
    elif kind == Task.BUILD or kind == Task.INIT_VCPU:
        call_again(world, actor)
    else:
        break_off(world, actor, Place.USER_EXIT_TASK, kind)


@inner
def _run_again(world: World, vcpu: int) -> None:
    """User space has served a vCPU's exit: the conversion that it asked for, or KVM_RUN."""
    reason = world.actors["row"][vcpu]["exit"]
    if reason == Exit.MAP_GPA:
        begin_chunk(world, vcpu)
    elif reason == Exit.EPT_VIOLATION or reason == Exit.SIGNAL:
        enter_run_loop(world, vcpu)
    else:
        break_off(world, vcpu, Place.USER_EXIT, reason)


@inner
def go_on(world: World, actor: int) -> None:
    """Go on in the chain that the actor's SEAMCALL was part of."""
    me = world.actors["row"][actor]
    leaf = me["leaf"]
    if leaf == Leaf.VP_ENTER:
        enter_guest(world, actor)
    elif leaf == Leaf.MEM_SEPT_ADD:
        world.entries["row"][me["entry"]]["spte"] = Spte.PRESENT
        walk(world, actor)
    elif leaf == Leaf.MEM_PAGE_AUG or leaf == Leaf.EXPORT_UNBLOCKW:
        world.entries["row"][me["entry"]]["spte"] = Spte.PRESENT
        resolve(world, actor)
    elif leaf == Leaf.MEM_RANGE_BLOCK:
        after_block(world, actor)
    elif leaf == Leaf.MEM_TRACK:
        after_track(world, actor)
    elif leaf == Leaf.MEM_PAGE_REMOVE:
        world.entries["row"][me["entry"]]["spte"] = Spte.ABSENT
        new_call(world, actor, Leaf.PHYMEM_PAGE_WBINVD, me["entry"])
    elif leaf == Leaf.PHYMEM_PAGE_WBINVD:
        clear_page(world, actor)
    elif leaf == Leaf.MEM_RANGE_UNBLOCK:
        restored(world, actor)
    elif leaf == Leaf.MEM_PAGE_DEMOTE:
        after_demote(world, actor)
    elif leaf == Leaf.VP_FLUSH:
        enter_run_loop(world, actor)
    else:
        _go_on_task(world, actor, leaf)


@inner
def _go_on_task(world: World, task: int, leaf: int) -> None:
    """Go on in the chain of an export or a build."""
    if leaf == Leaf.EXPORT_BLOCKW:
        writes_blocked(world, task)
    elif leaf == Leaf.EXPORT_MEM:
        list_exported(world, task)
    elif leaf == Leaf.MEM_PAGE_ADD:
        page_added(world, task)
    elif leaf == Leaf.MR_EXTEND:
        page_measured(world, task)
    elif leaf == Leaf.VP_CREATE or leaf == Leaf.VP_ADDCX or leaf == Leaf.VP_INIT:
        vcpu_built_on(world, task)
    else:
        break_off(world, task, Place.AFTER_CALL, leaf)


@inner
def _keeps_gate(world: World, actor: int) -> bool:
    """Say whether the actor's gate outlasts the call it was taken for."""
    rules = world.discipline
    path, scope = world.actors["row"][actor]["path"], rules["gate_scope"]
    if path == CallPath.EXPORT:
        return False
    if scope == GateScope.PAGE or (rules["gate_first"] != 0 and path == CallPath.ZAP):
        return True
    if scope != GateScope.NOTHING and scope != GateScope.CALL:
        break_off(world, actor, Place.GATE_SCOPE, scope)
    return False


@inner
def succeed(world: World, actor: int) -> None:
    """The SEAMCALL is over for the caller: learn from it, let its locks go, go on."""
    run = world.run
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    charge_cell(world, actor)
    if me["issues"] > 1:
        column = operand_class(me["leaf"], me["busy_operand"])
        if column < N_AVERAGES:
            tries = TRIES_UNIT * int(me["issues"])
            run["tries"][column] += (tries - run["tries"][column]) >> EWMA_SHIFT
    release_lock(world, actor, HostLock.SEAMCALL)
    if me["kicks"] > 0 and not _keeps_gate(world, actor):
        release_gate(world, actor)
    go_on(world, actor)
