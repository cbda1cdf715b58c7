"""TD exits, zero-step and the way back into the guest (model, sections 3.4 and 3.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Exit, Phase, Program, State
from tdx_env.state.calls import NONE, Leaf, Outcome
from tdx_env.state.costs import Cost

from . import cpus, faults, guest, interrupts, kick, seamcalls, slots
from .actors import NEVER, Actor, begin_fault, begin_operation, book, go
from .draws import moved
from .sept import ACCEPTABLE, WRITABLE, Entry

if TYPE_CHECKING:
    from .world import OracleWorld


def vm_exit_filter(w: OracleWorld, v: Actor) -> None:
    """Zero-step: forget everything if the guest made progress."""
    is_thinking = v.phase == Phase.THINK
    if v.rip != v.entry_rip or (is_thinking and v.remaining != v.entry_remaining):
        v.zs_counter = 0
        v.zs_list.clear()


def log_ept_violation(w: OracleWorld, v: Actor, leaf_entry: Entry) -> None:
    """Zero-step: count a hardware EPT violation, or list its page."""
    if v.zs_counter < w.setup.zero_step_threshold:
        v.zs_counter += 1
    elif leaf_entry not in v.zs_list and len(v.zs_list) < w.setup.zero_step_capacity:
        v.zs_list.append(leaf_entry)


def still_faults(w: OracleWorld, entry: Entry) -> bool:
    """Return whether a listed page can't be read and written yet, nor be accepted with a #VE."""
    state = w.table.walk(entry).state
    is_fine = w.rules.pending_is_fine and not w.setup.sept_ve_disable and state in ACCEPTABLE
    return state not in WRITABLE and not is_fine


def exit_for_interrupt(w: OracleWorld, v: Actor) -> None:
    """Leave the guest for whatever interrupt is due, or to arm the timer."""
    if v.irq_at <= w.now:
        begin_exit(w, v, Exit.KICK if v.ipi_at <= w.now else Exit.TICK)
        return
    v.is_arming = False
    v.arm_at = NEVER
    v.rip = guest.HANDLER_RIP
    begin_exit(w, v, Exit.ARM_TIMER)


def begin_exit(w: OracleWorld, v: Actor, reason: Exit, accept_fault: int = 0) -> None:
    """Begin a TD exit."""
    is_repeat = reason == Exit.EPT_VIOLATION and v.refault
    book(w, v, Category.REFAULT if is_repeat else None)
    vm_exit_filter(w, v)
    v.exit = reason
    w.meet(reason)
    v.exit_started = w.now
    v.trip = Category.EXIT_ENTRY
    if reason == Exit.KICK:
        v.trip = kick.category_of(v.ipi_kind, Category.KICK_TARGET)
    elif reason == Exit.HOST_PRIORITY_TIMEOUT:
        v.trip = Category.GUEST_PRIORITY_STALL
    elif reason == Exit.EPT_VIOLATION:
        if v.refault:
            v.trip = Category.REFAULT
        v.synthetic = 0
        v.accept_fault = accept_fault
        v.fault_entry = fault_leaf(w, v)
        if not accept_fault:
            log_ept_violation(w, v, v.fault_entry)
        begin_operation(w, v)
        begin_fault(w, v)
    go(w, v, State.TD_EXIT, v.trip, w.costs[Cost.TD_EXIT])


def fault_leaf(w: OracleWorld, v: Actor) -> Entry:
    """Return the leaf entry that an EPT violation is about."""
    if v.program == Program.HAMMER:
        assert v.asked is not None
        return v.asked
    return guest.touched_leaf(w, v) if v.program == Program.TOUCH else guest.item_entry(w, v)


def on_td_exit(w: OracleWorld, v: Actor) -> None:
    """The vCPU is back in KVM."""
    book(w, v)
    w.epochs.in_guest[v.vcpu_epoch & 1] -= 1
    w.tdr.drop(v.number)
    leave_guest_mode(w, v)
    match v.exit:
        case Exit.TICK:
            go(w, v, State.HOST_IRQ, Category.HOST_IRQ, w.costs[Cost.IRQ_HANDLER])
        case Exit.ARM_TIMER:
            go(w, v, State.HOST_IRQ, Category.EXIT_ENTRY, w.costs[Cost.IRQ_HANDLER])
        case Exit.KICK:
            go(w, v, State.HOST_IRQ, v.trip, w.costs[Cost.KICK_HANDLER])
        case Exit.EPT_VIOLATION if v.is_fatal:
            w.kill(v, NONE, Outcome.EPT_VIOLATION)
        case Exit.EPT_VIOLATION:
            faults.begin_fault_pass(w, v)
        case Exit.HLT:
            halt(w, v)
        case Exit.MAP_GPA:
            to_user_space(w, v, Category.HOST_WORK)
        case Exit.HOST_PRIORITY_TIMEOUT if w.setup.stops_on_timeout:
            w.kill(v, Leaf.VP_ENTER, Outcome.HOST_PRIORITY_BUSY_TIMEOUT)
        case Exit.HOST_PRIORITY_TIMEOUT:
            enter_run_loop(w, v)


def halt(w: OracleWorld, v: Actor) -> None:
    """The vCPU sleeps until an interrupt; its CPU is free for others."""
    interrupts.pass_due(w, v)
    go(w, v, State.HALTED, Category.IDLE, None)
    v.due = min(v.tick_at, v.device_at)
    slots.quiescent(w, v)
    cpus.leave(w, v)


def to_user_space(w: OracleWorld, a: Actor, category: Category) -> None:
    """Leave KVM for a round trip to user space."""
    slots.quiescent(w, a)
    go(w, a, State.USER_EXIT, category, w.costs[Cost.USER_EXIT])


def on_host_irq(w: OracleWorld, v: Actor) -> None:
    """The interrupt handler is done."""
    book(w, v)
    interrupts.pass_due(w, v)
    enter_run_loop(w, v)


def on_halted(w: OracleWorld, v: Actor) -> None:
    """An interrupt wakes the halted vCPU."""
    book(w, v)
    interrupts.pass_due(w, v)
    v.item += 1
    guest.begin_item(w, v)
    v.trip = Category.EXIT_ENTRY
    enter_run_loop(w, v)
    cpus.wake(w, v)


def leave_guest_mode(w: OracleWorld, v: Actor) -> None:
    """The vCPU's mode is OUTSIDE_GUEST_MODE; that answers every kick."""
    if v.mode == 1:
        v.mode = 0
        if v.is_ipi_pending:
            kick.acknowledge(w, v)


# Entries


def enter_run_loop(w: OracleWorld, v: Actor) -> None:
    """Go round KVM's run loop to a new VP.ENTER."""
    v.call.leaf = NONE
    v.call.outcome = Outcome.SUCCESS
    go(w, v, State.RUN_LOOP, v.trip, w.costs[Cost.RUN_LOOP])


def on_run_loop(w: OracleWorld, v: Actor) -> None:
    """Before the entry: another thread's turn, another CPU, or a signal."""
    book(w, v)
    if cpus.is_preempted(w, v):
        cpus.preempt(w, v)
    elif v.is_moved:
        cpus.load(w, v)
    elif is_signalled(w, v):
        v.has_signal = False
        v.exit = Exit.SIGNAL
        w.meet(Exit.SIGNAL)
        to_user_space(w, v, Category.HOST_WORK)
    else:
        try_enter(w, v)


def is_signalled(w: OracleWorld, v: Actor) -> bool:
    """Return whether KVM has to return to user space for a signal."""
    if v.group.spec.signal_every > 0:
        interrupts.pass_due(w, v)
    return v.has_signal


def on_gated(w: OracleWorld, v: Actor) -> None:
    """Look at the gate again."""
    book(w, v)
    try_enter(w, v)


def on_flush_tlb(w: OracleWorld, v: Actor) -> None:
    """The shared EPT is flushed: on to the gate."""
    book(w, v)
    try_enter(w, v)


def is_gate_closed(w: OracleWorld, v: Actor) -> bool:
    """Return whether somebody else keeps the vCPU out."""
    return w.n_gates > 0 and not v.has_gate


def try_enter(w: OracleWorld, v: Actor) -> None:
    """Try to enter the guest, unless the shared EPT is to be flushed or a gate is closed."""
    if v.must_flush_shared and v.mode == 0:
        v.must_flush_shared = False
        go(w, v, State.FLUSH_TLB, Category.TRACK_KICK, w.costs[Cost.INVEPT])
        return
    slots.quiescent(w, v)
    if is_gate_closed(w, v):
        go(w, v, State.GATED, Category.GATED, None)
        return
    v.mode = 1
    v.path = CallPath.ENTER
    v.entry_rip = v.rip
    v.entry_remaining = v.remaining
    if v.call.leaf == Leaf.VP_ENTER:
        seamcalls.issue(w, v)
    else:
        seamcalls.new_call(w, v, Leaf.VP_ENTER, None)


def entered(w: OracleWorld, v: Actor) -> None:
    """VP.ENTER succeeded: the guest runs."""
    kick.release_gate(w, v)
    if v.trip == Category.KICK_TARGET:
        w.kick_target = moved(w.kick_target, w.now - v.exit_started)
    if v.trip == Category.TRACK_KICK:
        w.flush_target = moved(w.flush_target, w.now - v.exit_started)
    interrupts.pass_due(w, v)
    if v.is_arming:
        v.arm_at = w.now + v.group.spec.arm_cycles
    guest.continue_guest(w, v)


HANDLERS = {
    State.TD_EXIT: on_td_exit,
    State.HOST_IRQ: on_host_irq,
    State.HALTED: on_halted,
    State.RUN_LOOP: on_run_loop,
    State.GATED: on_gated,
    State.FLUSH_TLB: on_flush_tlb,
}
