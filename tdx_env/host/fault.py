"""The fault path: a private page is missing, KVM walks its mirror and asks the module to add it.

A prefault ioctl (KVM_PRE_FAULT_MEMORY) goes the same way on a host task's thread, page by page.

Source: Linux arch/x86/kvm/vmx/tdx.c, tdx_handle_ept_violation; arch/x86/kvm/mmu/tdp_mmu.c,
kvm_tdp_mmu_map (6.16).
"""

from tdx_env.guest.interrupts import next_guest_interrupt
from tdx_env.guest.walk import ancestor, is_leaf_state, level_of
from tdx_env.host.enter import enter_run_loop
from tdx_env.host.file_lock import is_file_free, lock_file
from tdx_env.host.kick import begin_kick, release_gate
from tdx_env.host.lazy import set_target
from tdx_env.host.mmu_lock import release_mmu, request_mmu
from tdx_env.host.pamt import add_page, is_counted, put_page
from tdx_env.host.seamcall_lock import release_lock
from tdx_env.host.seamcalls import new_call
from tdx_env.host.split import begin_split, is_frozen, is_split_needed
from tdx_env.host.srcu import srcu_quiescent
from tdx_env.host.tasks import entry_at, fault_category, finish_task_item, is_vcpu
from tdx_env.jit import inner
from tdx_env.module.sept import is_write_blocked
from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Exit, Kick, Purge, Purpose, Spte, State
from tdx_env.state.booking import begin_operation, book, end_fault, end_operation
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import FaultYield, HostLock, KickFlagged, OnFrozen, SplitCheck
from tdx_env.state.kernels import LEAVES_DYING_SLOT
from tdx_env.state.world import Operation, World


@inner
def begin_fault_pass(world: World, vcpu: int) -> None:
    """Start a pass of KVM's fault handler."""
    run = world.run
    me = world.actors["row"][vcpu]
    me["path"] = CallPath.FAULT
    me["walks"] = 0
    me["state"] = State.FAULT_SOFTWARE
    me["category"] = fault_category(me)
    world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.FAULT_SOFTWARE]


@inner
def _exit_to_user(world: World, vcpu: int) -> None:
    """The page is not private: user space ignores the exit, as in KVM's zero-step selftest."""
    run = world.run
    me = world.actors["row"][vcpu]
    srcu_quiescent(world, vcpu)
    me["refault"] = 1
    me["repeats"] += 1
    me["exit"] = Exit.EPT_VIOLATION
    me["trip"] = Category.REFAULT
    me["state"] = State.USER_EXIT
    me["category"] = Category.REFAULT
    world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.USER_EXIT]


@inner
def _ask_user_to_call_again(world: World, task: int) -> None:
    """Return -EAGAIN from a prefault ioctl; user space calls again."""
    run = world.run
    me = world.actors["row"][task]
    srcu_quiescent(world, task)
    me["state"] = State.USER_EXIT
    me["category"] = Category.YIELD
    world.actors["due"][task] = run["now"] + run["costs"][Cost.USER_EXIT]


@inner
def try_again(world: World, actor: int, reenters: int) -> None:
    """After RET_PF_RETRY: another pass inside KVM, or back to whoever asked for the page.

    Source: Linux 6.16, tdx_handle_ept_violation: kvm_vcpu_has_events() ends the local retry.
    """
    me = world.actors["row"][actor]
    me["refault"] = 1
    me["repeats"] += 1
    if not is_vcpu(me):
        if reenters:
            _ask_user_to_call_again(world, actor)
        else:
            begin_fault_pass(world, actor)
    elif reenters or next_guest_interrupt(me) <= world.run["now"]:
        # MODEL: every interrupt of the CPU is an event of the vCPU; the host's own are not in KVM.
        me["trip"] = Category.REFAULT
        enter_run_loop(world, actor)
    else:
        begin_fault_pass(world, actor)


@inner
def prefault_next(world: World, task: int) -> None:
    """Ask for the next page of a prefault ioctl, or end its item."""
    me = world.actors["row"][task]
    if me["cursor"] >= me["cursor_end"]:
        srcu_quiescent(world, task)
        finish_task_item(world, task)
        return
    me["fault_entry"] = entry_at(world, task, me["cursor"])
    me["refault"] = 0
    me["repeats"] = 0
    begin_operation(world, task)
    begin_fault_pass(world, task)


@inner
def _meet_foreign_page(world: World, actor: int) -> None:
    """The page is shared, or user space works on it."""
    me = world.actors["row"][actor]
    if is_vcpu(me):
        _exit_to_user(world, actor)
        return
    me["operation_started"] = NONE
    me["cursor"] += 1
    prefault_next(world, actor)


@inner
def yields_to_guest(world: World, actor: int) -> bool:
    """Say whether YIELD in the fault path lets the guest fault again."""
    way = world.discipline["fault_yield"]
    if way != FaultYield.LOCAL_RETRY and way != FaultYield.REENTER:
        break_off(world, actor, Place.YIELD_FAULT, way)
    return bool(way == FaultYield.REENTER)


@inner
def _may_split(world: World, actor: int) -> bool:
    """Say whether a fault takes mmu_lock to look for a 2M mapping that it has to split."""
    me = world.actors["row"][actor]
    entry, when = me["fault_entry"], world.discipline["split_check"]
    if not me["accept_fault"] or level_of(world.run, entry) != 0:
        return False
    if when == SplitCheck.LOCKED:
        return True
    if when != SplitCheck.FLAG:
        break_off(world, actor, Place.SPLIT_CHECK, when)
    return is_split_needed(world, entry)


@inner
def look_up_page(world: World, actor: int) -> None:
    """Handle FAULT_SOFTWARE: what KVM's attributes say of the page, then mmu_lock."""
    me = world.actors["row"][actor]
    rules = world.discipline
    book(world, actor, me["category"])
    purge = world.entries["row"][me["fault_entry"]]["purge"]
    if purge == Purge.USER:
        _meet_foreign_page(world, actor)
    elif purge == Purge.DYING:
        leaves = LEAVES_DYING_SLOT[world.run["kernel"]] or yields_to_guest(world, actor)
        try_again(world, actor, leaves)
    elif purge != Purge.PRIVATE:
        break_off(world, actor, Place.PAGE_ATTRIBUTE, purge)
    elif not is_file_free(world):
        # A conversion in place: the pass is stale when the lock is had.
        lock_file(world, actor, 0, Purpose.FAULT)
    elif _may_split(world, actor):
        if request_mmu(world, actor, rules["split_read"] == 0, Purpose.SPLIT):
            split_with_lock(world, actor)
    else:
        walk_with_lock(world, actor)


@inner
def walk_with_lock(world: World, actor: int) -> None:
    """Ask for mmu_lock for read; with it, walk."""
    if request_mmu(world, actor, 0, Purpose.FAULT):
        start_walk(world, actor)


@inner
def split_with_lock(world: World, vcpu: int) -> None:
    """Hold mmu_lock: split the 2M mapping, if it is still in the way."""
    me = world.actors["row"][vcpu]
    entry = me["fault_entry"]
    if is_split_needed(world, entry) and not is_frozen(world, entry):
        me["path"] = CallPath.ZAP
        begin_split(world, vcpu, entry)
        return
    release_mmu(world, vcpu)
    walk_with_lock(world, vcpu)


@inner
def start_walk(world: World, vcpu: int) -> None:
    """Hold mmu_lock for read: walk the mirror."""
    run = world.run
    me = world.actors["row"][vcpu]
    me["state"] = State.FAULT_LOCKED
    me["category"] = fault_category(me)
    world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.FAULT_LOCKED]


@inner
def _kicks_first(world: World, actor: int) -> bool:
    """Say whether the fault kicks before AUG: the vCPU was flagged, and that is the discipline."""
    when = world.discipline["kick_flagged"]
    if when == KickFlagged.NEVER:
        return False
    if when != KickFlagged.BUSY and when != KickFlagged.ZERO_STEP:
        break_off(world, actor, Place.KICK_FLAGGED, when)
    return bool(world.actors["row"][actor]["flagged"])


@inner
def _install_leaf(world: World, vcpu: int) -> None:
    """Freeze the leaf's SPTE and ask the module for the page."""
    me = world.actors["row"][vcpu]
    entry = me["fault_entry"]
    if world.setup["freezes"]:
        world.entries["row"][entry]["spte"] = Spte.FROZEN
    set_target(world, entry)
    if _kicks_first(world, vcpu):
        me["flagged"] = 0
        me["entry"] = entry
        begin_kick(world, vcpu, Purpose.AUG, Kick.DECISION, 0)
    else:
        add_page(world, vcpu, Leaf.MEM_PAGE_AUG, entry)


@inner
def _unblock_writes(world: World, vcpu: int, entry: int) -> None:
    """A write met a page that live migration has blocked for writing: ask for UNBLOCKW."""
    world.entries["row"][entry]["spte"] = Spte.FROZEN
    new_call(world, vcpu, Leaf.EXPORT_UNBLOCKW, entry)


@inner
def walk(world: World, vcpu: int) -> None:
    """Walk the mirror from the root: add a missing table or the leaf, or let writes through."""
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
                add_page(world, vcpu, Leaf.MEM_SEPT_ADD, entry)
            return
        if spte != Spte.PRESENT:
            break_off(world, vcpu, Place.MIRROR, spte)
            return
        state = world.entries["row"][entry]["state"]
        if entry == leaf or (level == 1 and is_leaf_state(state)):
            if is_write_blocked(state):
                _unblock_writes(world, vcpu, entry)
            else:
                resolve(world, vcpu)
            return


@inner
def resolve(world: World, actor: int) -> None:
    """The page is there: end the fault; back to the guest, or on to the next page to prefault."""
    run = world.run
    me = world.actors["row"][actor]
    release_gate(world, actor)
    release_mmu(world, actor)
    end_operation(world, actor, Operation.FAULT)
    end_fault(world, actor)
    me["refault"] = 0
    me["repeats"] = 0
    me["synthetic"] = 0
    if run["target"] == me["fault_entry"]:
        run["target"] = NONE
    if is_vcpu(me):
        me["trip"] = Category.EXIT_ENTRY
        enter_run_loop(world, actor)
        return
    run["last_progress"] = run["now"]
    me["cursor"] += 1
    prefault_next(world, actor)


@inner
def _meet_frozen(world: World, vcpu: int) -> None:
    """Another thread is inside a SEAMCALL on an entry of the walk."""
    run = world.run
    me = world.actors["row"][vcpu]
    rules = world.discipline
    me["entry"] = NONE
    run["n_frozen_met"] += 1
    way = rules["on_frozen"]
    if way == OnFrozen.LOCAL_RETRY or way == OnFrozen.REENTER:
        give_up(world, vcpu, way == OnFrozen.REENTER)
    elif way != OnFrozen.WALK_AGAIN:
        break_off(world, vcpu, Place.FROZEN, way)
    elif me["walks"] < rules["walks_again"]:
        me["walks"] += 1
        me["state"] = State.FAULT_LOCKED
        me["category"] = Category.REFAULT
        world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.FAULT_LOCKED]
    else:
        give_up(world, vcpu, yields_to_guest(world, vcpu))


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
def unwound(world: World, actor: int) -> None:
    """Handle UNWIND: give the PAMT back of a page that didn't come, then end the pass."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    leaf, entry = me["leaf"], me["entry"]
    is_add = leaf == Leaf.MEM_PAGE_AUG or leaf == Leaf.MEM_SEPT_ADD
    if entry != NONE and is_add and is_counted(world, actor, leaf, entry):
        put_page(world, actor, Purpose.GIVEN_UP)
    else:
        end_pass(world, actor)


@inner
def end_pass(world: World, actor: int) -> None:
    """Unfreeze, drop the locks, start the next pass or leave."""
    run = world.run
    me = world.actors["row"][actor]
    entry = me["entry"]
    if entry != NONE:
        is_there = me["leaf"] == Leaf.EXPORT_UNBLOCKW
        if me["leaf"] != Leaf.MEM_PAGE_AUG or world.setup["freezes"]:
            world.entries["row"][entry]["spte"] = Spte.PRESENT if is_there else Spte.ABSENT
        if run["target"] == entry:
            run["target"] = NONE
    release_lock(world, actor, HostLock.SEAMCALL)
    release_gate(world, actor)
    release_mmu(world, actor)
    try_again(world, actor, me["reenters"])
