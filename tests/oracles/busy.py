"""Busy replies: features, decisions, exhaustion and what each action does (section 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.module.operands import Operand
from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Kick, Purpose, State
from tdx_env.state.calls import Leaf, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import Action, Asks, EnterYield, Exhaustion, FaultYield
from tdx_env.state.features import N_FEATURES, Feature
from tdx_env.state.streams import Draw

from . import exits, faults, flush, guard, interrupts, kick, mmu, seamcalls, zap
from .actors import Actor, book, go, is_vp_enter, own
from .draws import moved

if TYPE_CHECKING:
    from .world import OracleWorld

CLASSES = {Operand.SEPT_TREE: 0, Operand.RCX: 1, Operand.TD_EPOCH: 2}  # places of the averages


def operand_class(a: Actor) -> int | None:
    """Return 0 tree, 1 entry, 2 epoch for the call's last busy operand, or None."""
    operand = a.call.busy_operand
    if operand is None or (operand == Operand.RCX and a.call.leaf == Leaf.MEM_TRACK):
        return None
    return CLASSES.get(operand)


def on_busy(w: OracleWorld, a: Actor) -> None:
    """The call came back busy."""
    call = a.call
    a.busies += 1
    call.busy_cycles += w.now - call.issued
    kind = operand_class(a)
    if kind is not None:
        w.try_cycles[kind] = moved(w.try_cycles[kind], w.now - call.issued)
    if is_vp_enter(a) and call.operand == Operand.SEPT_TREE:
        a.is_flagged = True
    is_foreign = w.discipline.tree_only[call.leaf] and call.operand != Operand.SEPT_TREE
    if is_foreign:
        exhausted(w, a, Exhaustion(w.discipline.on_foreign[call.leaf]))
        return
    limit = w.discipline.max_issues[call.leaf]
    end = Exhaustion(w.discipline.on_exhaustion[call.leaf])
    rounds = 2 if end == Exhaustion.GATED_KICK_ONCE else 1
    if call.issues == limit or call.issues >= rounds * limit:
        exhausted(w, a, end)
    else:
        ask_or_retry(w, a, a.path, mask_of(w, a))


def ask_or_retry(w: OracleWorld, a: Actor, path: CallPath, mask: list[int]) -> None:
    """Ask for a decision, unless busy calls are issued again unasked."""
    if w.discipline.asks == Asks.FLUSH:
        a.question, a.action = path, Action.RETRY
        carry_out(w, a)
    else:
        ask(w, a, path, mask)


def ask(w: OracleWorld, a: Actor, path: CallPath, mask: list[int]) -> None:
    """Ask for a decision."""
    w.n_decisions += 1
    w.meet(path)
    a.question = path
    action = w.decide(features_of(w, a, mask), mask)
    a.action = action if mask[action] else Action.RETRY
    number = a.call.entry.number if a.call.entry else -1
    w.decisions.append(
        (
            w.now,
            a.number,
            int(path),
            int(a.call.leaf),
            a.call.operand,
            number,
            a.call.issues,
            int(a.action),
        )
    )
    go(w, a, State.DECIDED, Category.DECISION, w.discipline.decision_cycles)


def mask_of(w: OracleWorld, a: Actor) -> list[int]:
    """Return which actions are allowed."""
    can_yield = a.path != CallPath.ZAP or bool(w.discipline.zap_yield)
    return [1, int(a.path != CallPath.BUILD), int(can_yield)]


def features_of(w: OracleWorld, a: Actor, mask: list[int]) -> list[int]:
    """Return the features of a decision."""
    call, entry = a.call, a.call.entry
    vector = [0] * N_FEATURES
    pages_left = a.cursor_end - a.cursor if a.path in (CallPath.ZAP, CallPath.BUILD) else 0
    opened = a.operation_started
    values = {
        Feature.PATH: a.question,
        Feature.LEAF: call.leaf,
        Feature.OPERAND: call.operand,
        Feature.LEVEL: entry.level if entry else 0,
        Feature.ENTRY_STATE: entry.state if entry else -1,
        Feature.ISSUES: call.issues,
        Feature.KICKS: call.kicks,
        Feature.TRY_CYCLES: w.now - call.issued,
        Feature.BUSY_CYCLES: call.busy_cycles,
        Feature.CALL_CYCLES: w.now - call.started,
        Feature.OPERATION_CYCLES: 0 if opened is None else w.now - opened,
        Feature.OPERATION_BUSIES: a.busies,
        Feature.N_VCPUS: len(w.vcpus),
        Feature.N_IN_GUEST: sum(v.mode for v in w.vcpus if v is not a),
        Feature.GATES: w.n_gates,
        Feature.MMU_CONTENDED: w.mmu.is_held_by(a.number) and bool(w.mmu.queue),
        Feature.HAS_EVENTS: a.is_vcpu and interrupts.has_event(w, a),
        Feature.ACCEPT_FAULT: a.accept_fault,
        Feature.REPEATS: a.repeats,
        Feature.PAGES_LEFT: pages_left,
        Feature.TRY_TREE: w.try_cycles[0],
        Feature.TRY_ENTRY: w.try_cycles[1],
        Feature.TRY_EPOCH: w.try_cycles[2],
        Feature.TRIES_TREE: w.tries[0],
        Feature.TRIES_ENTRY: w.tries[1],
        Feature.TRIES_EPOCH: w.tries[2],
        Feature.KICK_SEND_TARGET: w.kick_send_target,
        Feature.KICK_WAIT: w.kick_wait,
        Feature.KICK_TARGET: w.kick_target,
        Feature.MASK: sum(bit << i for i, bit in enumerate(mask)),
    }
    if a.question == CallPath.FLUSH:
        values |= flush.features_of(w, a)
    else:
        values[Feature.LOTTERY] = own(w, a, Draw.LOTTERY) >> 33
    for feature, value in values.items():
        vector[feature] = int(value)
    return vector


def on_decided(w: OracleWorld, a: Actor) -> None:
    """The decision has been worked out: do it."""
    book(w, a)
    carry_out(w, a)


def carry_out(w: OracleWorld, a: Actor) -> None:
    """Do what was decided."""
    if a.question == CallPath.INTERRUPTED:
        interrupts.serve(w, a)
    elif a.question == CallPath.FLUSH:
        flush.decided(w, a)
    elif a.action == Action.KICK:
        kick_now(w, a, is_forced=False)
    elif a.action == Action.YIELD:
        yield_now(w, a)
    else:
        reissue(w, a)


def reissue(w: OracleWorld, a: Actor) -> None:
    """Issue the same call again."""
    if is_vp_enter(a) and not (w.discipline.enter_irqs_off and a.mode == 1):
        go(w, a, State.RUN_LOOP, Category.SEAMCALL_BUSY, w.costs[Cost.IRQ_WINDOW])
    elif is_vp_enter(a) and exits.is_gate_closed(w, a):
        go(w, a, State.GATED, Category.GATED, None)
    else:
        seamcalls.issue_locked(w, a)


def kick_now(w: OracleWorld, a: Actor, is_forced: bool) -> None:
    """Kick the other vCPUs, then issue again."""
    if is_vp_enter(a):
        exits.leave_guest_mode(w, a)
    a.call.kicks += 1
    kick.begin_kick(w, a, Purpose.REISSUE, Kick.DECISION, is_forced)


def yield_now(w: OracleWorld, a: Actor) -> None:
    """Give way, as the path allows it."""
    match a.path:
        case CallPath.FAULT:
            faults.give_up(w, a, w.discipline.fault_yield == FaultYield.LOCAL_RETRY)
        case CallPath.ZAP | CallPath.EXPORT:
            kick.release_gate(w, a)
            seamcalls.release_lock(w, a, w.seamcall_lock)
            seamcalls.release_lock(w, a, w.track_lock)
            if not zap.flushes(w, a, Purpose.YIELD):
                yield_mmu(w, a)
        case CallPath.ENTER:
            exits.leave_guest_mode(w, a)
            a.call.leaf = -1
            if w.discipline.enter_yield == EnterYield.BARRIER:
                mmu.request(w, a, True, Purpose.BARRIER)
            else:
                back_to_run_loop(w, a)
        case CallPath.BUILD:
            guard.give_way(w, a)


def yield_mmu(w: OracleWorld, a: Actor) -> None:
    """Drop mmu_lock, if it is held, and reschedule."""
    mmu.release(w, a)
    a.purpose = Purpose.REISSUE
    go(w, a, State.RESCHED, Category.YIELD, w.costs[Cost.RESCHED])


def back_to_run_loop(w: OracleWorld, a: Actor) -> None:
    """Go round the run loop after a YIELD."""
    go(w, a, State.RUN_LOOP, Category.YIELD, w.costs[Cost.RUN_LOOP])


def exhausted(w: OracleWorld, a: Actor, what: Exhaustion) -> None:
    """The call was busy as often as the discipline allows, or on a lock it doesn't wait for."""
    w.meet(what)
    is_fault = a.path == CallPath.FAULT
    match what:
        case Exhaustion.SWALLOW if a.is_splitting:
            seamcalls.succeeded(w, a)
        case Exhaustion.KILL | Exhaustion.SWALLOW:
            w.kill(a, a.call.leaf, Outcome.OPERAND_BUSY)
        case Exhaustion.REENTER | Exhaustion.LOCAL_RETRY as kind if is_fault:
            faults.give_up(w, a, kind == Exhaustion.LOCAL_RETRY)
        case Exhaustion.USER_ERROR if is_fault:
            faults.give_up(w, a, False)
        case Exhaustion.REENTER | Exhaustion.LOCAL_RETRY | Exhaustion.USER_ERROR:
            yield_now(w, a)
        case Exhaustion.GATED_KICK_ONCE if (
            a.call.issues >= 2 * w.discipline.max_issues[a.call.leaf]
        ):
            w.kill(a, a.call.leaf, Outcome.OPERAND_BUSY)
        case Exhaustion.GATED_KICK | Exhaustion.GATED_KICK_ONCE:
            kick_now(w, a, is_forced=True)


HANDLERS = {State.DECIDED: on_decided}
