"""The fault path: a private page is missing, KVM walks its mirror and asks the module to add it.

Source: Linux arch/x86/kvm/vmx/tdx.c, tdx_handle_ept_violation; arch/x86/kvm/mmu/tdp_mmu.c,
kvm_tdp_mmu_map (6.16).
"""

import numpy as np

from tdx_env.guest.interrupts import next_interrupt
from tdx_env.guest.walk import ancestor, level_of
from tdx_env.host.enter import enter_run_loop
from tdx_env.host.kick import begin_kick, release_gate
from tdx_env.host.mmu_lock import release_mmu, release_seamcall_lock, request_mmu
from tdx_env.host.seamcalls import new_call
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, Kick, Path, Purge, Purpose, Spte, State
from tdx_env.state.booking import book, end_operation
from tdx_env.state.calls import NONE, EntryState, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import FaultYield, OnFrozen
from tdx_env.state.world import Operation, World


@inner
def _fault_category(me: np.void) -> int:
    """Return what a pass over the actor's fault is booked to."""
    if me["synthetic"]:
        return Category.SYNTHETIC_EXIT
    return Category.REFAULT if me["refault"] else Category.HOST_WORK


@inner
def begin_fault_pass(world: World, vcpu: int) -> None:
    """Start a pass of KVM's fault handler."""
    run = world.run
    me = world.actors["row"][vcpu]
    me["path"] = Path.FAULT
    me["walks"] = 0
    me["state"] = State.FAULT_SOFTWARE
    me["category"] = _fault_category(me)
    world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.FAULT_SOFTWARE]


@inner
def look_up_page(world: World, vcpu: int) -> None:
    """Handle FAULT_SOFTWARE: exit to user space if the page is not private, else mmu_lock."""
    run = world.run
    me = world.actors["row"][vcpu]
    book(world, vcpu, me["category"])
    if world.entries["row"][me["fault_entry"]]["purge"] == Purge.USER:
        # User space ignores the exit and runs the vCPU again, as in KVM's zero-step selftest.
        me["refault"] = 1
        me["repeats"] += 1
        me["exit"] = Exit.EPT_VIOLATION
        me["trip"] = Category.REFAULT
        me["state"] = State.USER_EXIT
        me["category"] = Category.REFAULT
        world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.USER_EXIT]
    elif request_mmu(world, vcpu, 0, Purpose.FAULT):
        start_walk(world, vcpu)


@inner
def start_walk(world: World, vcpu: int) -> None:
    """Hold mmu_lock for read: walk the mirror."""
    run = world.run
    me = world.actors["row"][vcpu]
    me["state"] = State.FAULT_LOCKED
    me["category"] = _fault_category(me)
    world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.FAULT_LOCKED]


@inner
def _is_leaf(state: int) -> bool:
    """Say whether an upper level entry maps a page itself."""
    return bool(
        state != EntryState.FREE
        and state != EntryState.NL_MAPPED
        and state != EntryState.NL_BLOCKED
    )


@inner
def _install_leaf(world: World, vcpu: int) -> None:
    """Freeze the leaf's SPTE and ask the module for the page."""
    run = world.run
    me = world.actors["row"][vcpu]
    entry = me["fault_entry"]
    world.entries["row"][entry]["spte"] = Spte.FROZEN
    run["target"] = entry
    if me["flagged"] and world.discipline["kick_flagged"]:
        me["flagged"] = 0
        me["entry"] = entry
        begin_kick(world, vcpu, Purpose.AUG, Kick.DECISION, 0)
    else:
        new_call(world, vcpu, Leaf.MEM_PAGE_AUG, entry)


@inner
def walk(world: World, vcpu: int) -> None:
    """Walk the mirror from the root: add a missing table, or the leaf."""
    run = world.run
    me = world.actors["row"][vcpu]
    leaf = me["fault_entry"]
    for level in range(3, level_of(run, leaf) - 1, -1):
        entry = ancestor(run, leaf, level)
        spte = world.entries["row"][entry]["spte"]
        if spte == Spte.FROZEN:
            _meet_frozen(world, vcpu)
            return
        if spte == Spte.ABSENT:
            if entry == leaf:
                _install_leaf(world, vcpu)
            else:
                world.entries["row"][entry]["spte"] = Spte.FROZEN
                new_call(world, vcpu, Leaf.MEM_SEPT_ADD, entry)
            return
        if entry == leaf or (level == 1 and _is_leaf(world.entries["row"][entry]["state"])):
            resolve(world, vcpu)
            return


@inner
def resolve(world: World, vcpu: int) -> None:
    """The page is there: end the fault and go back to the guest."""
    run = world.run
    me = world.actors["row"][vcpu]
    release_gate(world, vcpu)
    release_mmu(world, vcpu)
    end_operation(world, vcpu, Operation.FAULT)
    me["refault"] = 0
    me["repeats"] = 0
    me["synthetic"] = 0
    if run["target"] == me["fault_entry"]:
        run["target"] = NONE
    me["trip"] = Category.EXIT_ENTRY
    enter_run_loop(world, vcpu)


@inner
def _meet_frozen(world: World, vcpu: int) -> None:
    """Another thread is inside a SEAMCALL on an entry of the walk."""
    run = world.run
    me = world.actors["row"][vcpu]
    rules = world.discipline
    me["entry"] = NONE
    if rules["on_frozen"] != OnFrozen.WALK_AGAIN:
        give_up(world, vcpu, rules["on_frozen"] == OnFrozen.REENTER)
    elif me["walks"] < rules["walks_again"]:
        me["walks"] += 1
        me["state"] = State.FAULT_LOCKED
        me["category"] = Category.REFAULT
        world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.FAULT_LOCKED]
    else:
        give_up(world, vcpu, rules["fault_yield"] == FaultYield.REENTER)


@inner
def give_up(world: World, vcpu: int, reenters: int) -> None:
    """Unwind this pass; afterwards retry inside KVM, or let the guest fault again."""
    run = world.run
    me = world.actors["row"][vcpu]
    me["reenters"] = reenters
    me["state"] = State.UNWIND
    me["category"] = Category.UNWIND
    world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.UNWIND]


@inner
def end_pass(world: World, vcpu: int) -> None:
    """Handle UNWIND: unfreeze, drop the locks, start the next pass or leave for the guest."""
    run = world.run
    me = world.actors["row"][vcpu]
    book(world, vcpu, me["category"])
    if me["entry"] != NONE:
        world.entries["row"][me["entry"]]["spte"] = Spte.ABSENT
        if run["target"] == me["entry"]:
            run["target"] = NONE
    release_seamcall_lock(world, vcpu)
    release_gate(world, vcpu)
    release_mmu(world, vcpu)
    me["refault"] = 1
    me["repeats"] += 1
    if not me["reenters"] and next_interrupt(me) > run["now"]:
        begin_fault_pass(world, vcpu)
    else:
        # Source: Linux 6.16, tdx_handle_ept_violation: kvm_vcpu_has_events() ends the local retry.
        me["trip"] = Category.REFAULT
        enter_run_loop(world, vcpu)
