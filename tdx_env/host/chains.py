"""How KVM's call chains go on: after a SEAMCALL, after a kick, with mmu_lock in hand."""

import numpy as np

from tdx_env.guest.interrupts import pass_interrupts
from tdx_env.guest.run import continue_guest
from tdx_env.host.enter import enter_run_loop, is_repeat, pass_gate
from tdx_env.host.fault import begin_fault_pass, resolve, start_walk, walk
from tdx_env.host.kick import begin_kick, leave_guest_mode, note_kick_over, release_gate
from tdx_env.host.mmu_lock import release_mmu, release_seamcall_lock
from tdx_env.host.seamcalls import is_sept_call, issue, lock_and_issue, new_call, release
from tdx_env.host.zap import (
    block_for_a_while,
    build_on,
    clear_page,
    is_vcpu,
    keep_blocked,
    restored,
    zap_with_lock,
)
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, Kick, Path, Purpose, Spte, State, Task
from tdx_env.state.booking import begin_operation, book, charge_cell
from tdx_env.state.calls import NONE, Leaf, Lock, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import GateScope, SeamcallLock
from tdx_env.state.features import EWMA_SHIFT, TRIES_UNIT
from tdx_env.state.world import End, World

EXTENDS_PER_PAGE = 16  # MR.EXTEND measures 256 bytes
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
            issue(world, actor)
            return
        me["state"] = State.RUN_LOOP
        me["category"] = Category.SEAMCALL_BUSY
        world.actors["due"][actor] = run["now"] + run["costs"][Cost.IRQ_WINDOW]
    elif rules["seamcall_lock"] != SeamcallLock.NEVER and is_sept_call(me["leaf"]):
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
    elif purpose == Purpose.REMOVE:
        new_call(world, actor, Leaf.MEM_PAGE_REMOVE, me["entry"])
    elif purpose == Purpose.BLOCK:
        new_call(world, actor, Leaf.MEM_RANGE_BLOCK, me["entry"])
    elif purpose == Purpose.AUG:
        new_call(world, actor, Leaf.MEM_PAGE_AUG, me["entry"])
    elif purpose == Purpose.UNBLOCK:
        keep_blocked(world, actor)


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
    """Handle RUN_LOOP and GATED: check the gate, issue VP.ENTER."""
    book(world, vcpu, world.actors["row"][vcpu]["category"])
    if not pass_gate(world, vcpu):
        return
    if is_repeat(world, vcpu):
        issue(world, vcpu)
    else:
        new_call(world, vcpu, Leaf.VP_ENTER, NONE)


@inner
def _after_track(world: World, actor: int) -> None:
    """TRACK has succeeded: kick every vCPU, whatever the discipline.

    Source: Linux 6.16, tdx.c, tdx_track.
    """
    me = world.actors["row"][actor]
    purpose = Purpose.REMOVE
    if not is_vcpu(me) and world.setup["tasks"][me["group"]]["kind"] == Task.BLOCK_RESTORE:
        purpose = Purpose.UNBLOCK
    begin_kick(world, actor, purpose, Kick.TRACK, 0)


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
    elif leaf == Leaf.MEM_PAGE_AUG:
        world.entries["row"][me["entry"]]["spte"] = Spte.PRESENT
        resolve(world, actor)
    elif leaf == Leaf.MEM_RANGE_BLOCK:
        new_call(world, actor, Leaf.MEM_TRACK, me["entry"])
    elif leaf == Leaf.MEM_TRACK:
        _after_track(world, actor)
    elif leaf == Leaf.MEM_PAGE_REMOVE:
        world.entries["row"][me["entry"]]["spte"] = Spte.ABSENT
        new_call(world, actor, Leaf.PHYMEM_PAGE_WBINVD, me["entry"])
    elif leaf == Leaf.PHYMEM_PAGE_WBINVD:
        clear_page(world, actor)
    elif leaf == Leaf.MEM_RANGE_UNBLOCK:
        restored(world, actor)
    elif leaf == Leaf.MEM_PAGE_ADD:
        me["extends"] = EXTENDS_PER_PAGE
        new_call(world, actor, Leaf.MR_EXTEND, me["entry"])
    elif leaf == Leaf.MR_EXTEND:
        build_on(world, actor)


@inner
def _keeps_gate(world: World, me: np.void) -> bool:
    """Say whether the actor's gate outlasts the call it was taken for."""
    rules = world.discipline
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
    release_seamcall_lock(world, actor)
    if me["kicks"] > 0 and not _keeps_gate(world, me):
        release_gate(world, actor)
    go_on(world, actor)


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
        me["state"] = State.HOST_IRQ
        me["category"] = Category.HOST_IRQ
        if reason == Exit.KICK:
            me["category"] = me["trip"]
        world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.IRQ_HANDLER]
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
    elif reason == Exit.MAP_GPA:
        me["state"] = State.USER_EXIT
        me["category"] = Category.HOST_WORK
        world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.USER_EXIT]
    else:
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
    release_gate(world, vcpu)
    begin_operation(world, vcpu)
    begin_fault_pass(world, vcpu)
