"""How KVM's call chains go on: after a SEAMCALL, after a kick, with mmu_lock in hand."""

import numpy as np

from tdx_env.guest.interrupts import pass_interrupts
from tdx_env.guest.run import continue_guest
from tdx_env.host.build import (
    begin_ioctl,
    build_with_guard,
    call_with_guard,
    page_added,
    page_measured,
    vcpu_built_on,
)
from tdx_env.host.cpus import give_cpu_on
from tdx_env.host.enter import enter_run_loop, is_repeat, pass_gate, waits_at_gate
from tdx_env.host.export import (
    begin_export,
    list_exported,
    track_list,
    writes_blocked,
)
from tdx_env.host.fault import (
    begin_fault_pass,
    prefault_next,
    resolve,
    split_with_lock,
    start_walk,
    walk,
)
from tdx_env.host.guard import request_guard
from tdx_env.host.kick import leave_guest_mode, note_kick_over, release_gate
from tdx_env.host.lock_words import release
from tdx_env.host.mmu_lock import release_mmu
from tdx_env.host.restore import begin_restore, block_for_a_while, restored
from tdx_env.host.run_loop import flushes_tlb, leaves_run_loop
from tdx_env.host.seamcall_lock import release_lock
from tdx_env.host.seamcalls import issue, lock_and_issue, new_call
from tdx_env.host.slots import delete_with_lock
from tdx_env.host.srcu import srcu_quiescent
from tdx_env.host.tasks import set_cursor
from tdx_env.host.track import after_block, after_demote, after_track, go_on_tracked
from tdx_env.host.zap import (
    begin_chunk,
    clear_page,
    next_page,
    yield_lock,
    zap_with_lock,
)
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, Path, Purpose, Spte, State, Task
from tdx_env.state.booking import begin_operation, book, charge_cell
from tdx_env.state.calls import NONE, Leaf, Lock, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import GateScope, HostLock, KickFlagged, SeamcallLock
from tdx_env.state.features import EWMA_SHIFT, TRIES_UNIT
from tdx_env.state.world import End, World

TREE, ENTRY, EPOCH, OTHER = 0, 1, 2, -1  # operand classes of the averages
_SEPT_TREE = 146
_TD_EPOCH = 169
_RCX = 1


@inner
def operand_class(leaf: int, operand: int) -> int:
    """Return which average a busy operand belongs to: TREE, ENTRY, EPOCH or OTHER."""
    if operand == _SEPT_TREE:
        return TREE
    if operand == _TD_EPOCH:
        return EPOCH
    if operand == _RCX and leaf != Leaf.MEM_TRACK:
        return ENTRY
    return OTHER


@inner
def kill(world: World, actor: int, leaf: int, outcome: int) -> None:
    """KVM_BUG_ON: the TD is dead, the episode over."""
    run = world.run
    run["end"] = End.KILLED
    run["kill_actor"] = actor
    run["kill_leaf"] = leaf
    run["kill_outcome"] = outcome


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


@inner
def with_guard(world: World, task: int) -> None:
    """Handle GUARD_WAIT: go on with slots_lock or the build guard in hand."""
    me = world.actors["row"][task]
    book(world, task, me["category"])
    if me["purpose"] == Purpose.CALL_AGAIN:
        call_with_guard(world, task)
    elif me["kind"] == Task.SLOT_DELETE:
        delete_with_lock(world, task)
    else:
        build_with_guard(world, task)


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
    else:
        begin_ioctl(world, task)


@inner
def yield_to_run_loop(world: World, vcpu: int) -> None:
    """Leave the fast path after a busy VP.ENTER: the next one is a new call."""
    enter_run_loop(world, vcpu)
    world.actors["row"][vcpu]["category"] = Category.YIELD


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
        new_call(world, actor, Leaf.MEM_PAGE_AUG, me["entry"])
    elif purpose == Purpose.TRACK:
        new_call(world, actor, Leaf.MEM_TRACK, me["entry"])
    elif purpose == Purpose.NEXT_PAGE:
        next_page(world, actor)
    elif purpose == Purpose.YIELD:
        yield_lock(world, actor)
    else:
        go_on_tracked(world, actor, purpose)


@inner
def enter_guest(world: World, vcpu: int) -> None:
    """VP.ENTER has succeeded: the vCPU runs TD code."""
    run = world.run
    me = world.actors["row"][vcpu]
    release_gate(world, vcpu)
    if me["trip"] == Category.KICK_TARGET:
        trip = run["now"] - me["exit_started"]
        run["kick_target"] += (trip - run["kick_target"]) >> EWMA_SHIFT
    # MODEL: interrupts that came while the vCPU was out are posted, and served for free.
    pass_interrupts(world, vcpu)
    continue_guest(world, vcpu)


@inner
def try_enter(world: World, vcpu: int) -> None:
    """Handle RUN_LOOP, FLUSH_TLB and GATED: serve requests, check the gate, issue VP.ENTER."""
    me = world.actors["row"][vcpu]
    book(world, vcpu, me["category"])
    if me["state"] == State.RUN_LOOP and leaves_run_loop(world, vcpu):
        return
    if flushes_tlb(world, vcpu) or not pass_gate(world, vcpu):
        return
    if is_repeat(world, vcpu):
        issue(world, vcpu)
    else:
        new_call(world, vcpu, Leaf.VP_ENTER, NONE)


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
    else:
        vcpu_built_on(world, task)


@inner
def _keeps_gate(world: World, me: np.void) -> bool:
    """Say whether the actor's gate outlasts the call it was taken for."""
    rules = world.discipline
    if me["path"] == Path.EXPORT:
        return False
    is_first = rules["gate_first"] != 0 and me["path"] == Path.ZAP
    return bool(is_first or rules["gate_scope"] == GateScope.PAGE)


@inner
def succeed(world: World, actor: int) -> None:
    """The SEAMCALL is over for the caller: learn from it, let its locks go, go on."""
    run = world.run
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    charge_cell(world, actor)
    if me["issues"] > 1:
        column = operand_class(me["leaf"], me["busy_operand"])
        if column != OTHER:
            tries = TRIES_UNIT * int(me["issues"])
            run["tries"][column] += (tries - run["tries"][column]) >> EWMA_SHIFT
    release_lock(world, actor, HostLock.SEAMCALL)
    if me["kicks"] > 0 and not _keeps_gate(world, me):
        release_gate(world, actor)
    go_on(world, actor)


@inner
def _serve_interrupt(world: World, vcpu: int) -> None:
    """Run the handler of what ended the guest's turn: an IPI's, or a tick's or device's."""
    run = world.run
    me = world.actors["row"][vcpu]
    me["state"] = State.HOST_IRQ
    if me["exit"] == Exit.KICK:
        me["category"] = me["trip"]
        world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.KICK_HANDLER]
    else:
        me["category"] = Category.HOST_IRQ
        world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.IRQ_HANDLER]


@inner
def leave_guest(world: World, vcpu: int) -> None:
    """Handle TD_EXIT: outside the guest; serve the exit."""
    run = world.run
    me = world.actors["row"][vcpu]
    book(world, vcpu, me["category"])
    run["refcount"][me["vcpu_epoch"] & 1] -= 1
    me["counted"] = 0
    release(world, vcpu, Leaf.VP_ENTER, Lock.TDR)
    leave_guest_mode(world, vcpu)
    reason = me["exit"]
    if reason == Exit.TICK or reason == Exit.KICK:
        _serve_interrupt(world, vcpu)
    elif reason == Exit.EPT_VIOLATION:
        if me["pending"] and not me["accept_fault"]:
            kill(world, vcpu, NONE, Outcome.EPT_VIOLATION)
        else:
            begin_fault_pass(world, vcpu)
    elif reason == Exit.HLT:
        pass_interrupts(world, vcpu)
        me["state"] = State.HALTED
        me["category"] = Category.IDLE
        world.actors["due"][vcpu] = min(me["tick_at"], me["device_at"])
        srcu_quiescent(world, vcpu)
        if run["n_pcpus"] > 0:
            give_cpu_on(world, me["cpu"])
    elif reason == Exit.MAP_GPA:
        srcu_quiescent(world, vcpu)
        me["state"] = State.USER_EXIT
        me["category"] = Category.HOST_WORK
        world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.USER_EXIT]
    else:
        # MODEL: HOST_PRIORITY_BUSY_TIMEOUT; Linux 6.16 ends in KVM_EXIT_INTERNAL_ERROR.
        enter_run_loop(world, vcpu)


@inner
def after_synthetic_exit(world: World, vcpu: int) -> None:
    """VP.ENTER of an armed vCPU came back with a made-up EPT violation."""
    run = world.run
    me = world.actors["row"][vcpu]
    run["n_synthetic"] += 1
    me["synthetic"] = 1
    me["accept_fault"] = 0
    me["exit"] = Exit.EPT_VIOLATION
    if world.discipline["kick_flagged"] == KickFlagged.ZERO_STEP:
        me["flagged"] = 1
    release_gate(world, vcpu)
    begin_operation(world, vcpu)
    begin_fault_pass(world, vcpu)
