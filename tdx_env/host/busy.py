"""A SEAMCALL came back: busy replies, decisions, exhaustion."""

import numpy as np

from tdx_env.guest.interrupts import next_interrupt, pass_interrupts
from tdx_env.guest.walk import level_of
from tdx_env.host.build import return_to_user
from tdx_env.host.chains import (
    OTHER,
    after_synthetic_exit,
    kill,
    operand_class,
    reissue,
    succeed,
    yield_to_run_loop,
)
from tdx_env.host.fault import give_up
from tdx_env.host.kick import begin_kick, leave_guest_mode, release_gate
from tdx_env.host.mmu_lock import release_mmu, request_mmu
from tdx_env.host.seamcall_lock import release_lock
from tdx_env.host.tasks import is_vcpu
from tdx_env.host.zap import flushes_remote_tlbs, yield_lock
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Kick, Path, Purpose, State
from tdx_env.state.agenda import wake_at
from tdx_env.state.booking import book
from tdx_env.state.calls import NONE, Leaf, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import N_ACTIONS, Action, EnterYield, Exhaustion, FaultYield, HostLock
from tdx_env.state.draws import own
from tdx_env.state.features import EWMA_SHIFT, Feature
from tdx_env.state.streams import Draw
from tdx_env.state.world import World

_SEPT_TREE = 146
_LOTTERY_SHIFT = np.uint64(33)


@inner
def seamcall_returned(world: World, actor: int) -> None:
    """Handle SEAM_RETURN: the caller looks at the status of a call that failed."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    outcome = me["outcome"]
    is_enter = me["leaf"] == Leaf.VP_ENTER
    is_busy = outcome == Outcome.OPERAND_BUSY
    if is_enter and not (is_busy and world.discipline["enter_irqs_off"]):
        leave_guest_mode(world, actor)
    if is_busy:
        _on_busy(world, actor)
    elif is_enter and outcome == Outcome.EPT_VIOLATION:
        after_synthetic_exit(world, actor)
    elif outcome == Outcome.GPA_RANGE_ALREADY_BLOCKED:
        succeed(world, actor)
    elif _was_interrupted(outcome):
        _on_interrupted(world, actor)
    else:
        kill(world, actor, me["leaf"], outcome)


@inner
def _on_busy(world: World, actor: int) -> None:
    """Learn from a busy reply; ask for a decision, or run the discipline's exhaustion."""
    run = world.run
    me = world.actors["row"][actor]
    rules = world.discipline
    cycles = run["now"] - me["issued"]
    me["busies"] += 1
    me["busy_cycles"] += cycles
    me["busy_operand"] = me["operand"]
    column = operand_class(me["leaf"], me["operand"])
    if column != OTHER:
        run["try_cycles"][column] += (cycles - run["try_cycles"][column]) >> EWMA_SHIFT
    if me["leaf"] == Leaf.VP_ENTER and me["operand"] == _SEPT_TREE:
        me["flagged"] = 1
    leaf = me["leaf"]
    if rules["tree_only"][leaf] and me["operand"] != _SEPT_TREE:
        _exhaust(world, actor, rules["on_foreign"][leaf])
    elif me["issues"] >= rules["max_issues"][leaf]:
        _exhaust(world, actor, rules["on_exhaustion"][leaf])
    else:
        _ask(world, actor, me["path"])


@inner
def _was_interrupted(outcome: int) -> bool:
    """Say whether a call came back because an interrupt was pending."""
    return bool(outcome == Outcome.INTERRUPTED or outcome == Outcome.INTERRUPTED_RESUMABLE)


@inner
def _on_interrupted(world: World, actor: int) -> None:
    """Ask how to go on with a call that an interrupt has ended, or give up on it."""
    me = world.actors["row"][actor]
    world.run["n_interrupted"] += 1
    me["interrupts"] += 1
    if me["interrupts"] > world.discipline["max_interrupted"]:
        kill(world, actor, me["leaf"], me["outcome"])
    else:
        _ask(world, actor, Path.INTERRUPTED)


@inner
def _ask(world: World, actor: int, path: int) -> None:
    """Ask for a decision."""
    run = world.run
    run["n_decisions"] += 1
    run["decision_actor"] = actor
    _fill_mask(world, path)
    _fill_features(world, actor, path)


@inner
def _fill_mask(world: World, path: int) -> None:
    """Note which actions are allowed."""
    run = world.run
    run["mask"][Action.RETRY] = 1
    run["mask"][Action.KICK] = path != Path.BUILD and path != Path.INTERRUPTED
    run["mask"][Action.YIELD] = path != Path.ZAP or world.discipline["zap_yield"] != 0


@inner
def _fill_features(world: World, actor: int, path: int) -> None:
    """Note what the host can know at this decision."""
    run = world.run
    me = world.actors["row"][actor]
    f = run["features"]
    now = run["now"]
    f[Feature.PATH] = path
    f[Feature.LEAF] = me["leaf"]
    f[Feature.OPERAND] = me["operand"]
    f[Feature.LEVEL] = 0
    f[Feature.ENTRY_STATE] = NONE
    if me["entry"] != NONE:
        f[Feature.LEVEL] = level_of(run, me["entry"])
        f[Feature.ENTRY_STATE] = world.entries["row"][me["entry"]]["state"]
    f[Feature.ISSUES] = me["issues"]
    f[Feature.KICKS] = me["kicks"]
    f[Feature.TRY_CYCLES] = now - me["issued"]
    f[Feature.BUSY_CYCLES] = me["busy_cycles"]
    f[Feature.CALL_CYCLES] = now - me["call_started"]
    f[Feature.OPERATION_CYCLES] = 0
    if me["operation_started"] != NONE:
        f[Feature.OPERATION_CYCLES] = now - me["operation_started"]
    f[Feature.OPERATION_BUSIES] = me["busies"]
    f[Feature.N_VCPUS] = run["n_vcpus"]
    f[Feature.N_IN_GUEST] = run["n_in_guest"] - me["mode"]
    f[Feature.GATES] = run["gate_count"]
    f[Feature.MMU_CONTENDED] = me["has_mmu_lock"] != 0 and run["mmu_first"] != NONE
    f[Feature.HAS_EVENTS] = is_vcpu(me) and next_interrupt(me) <= now
    f[Feature.ACCEPT_FAULT] = me["accept_fault"]
    f[Feature.REPEATS] = me["repeats"]
    has_chunk = me["path"] == Path.ZAP or me["path"] == Path.BUILD
    f[Feature.PAGES_LEFT] = me["cursor_end"] - me["cursor"] if has_chunk else 0
    for column in range(3):
        f[Feature.TRY_TREE + column] = run["try_cycles"][column]
        f[Feature.TRIES_TREE + column] = run["tries"][column]
    f[Feature.KICK_SEND_TARGET] = run["kick_send_target"]
    f[Feature.KICK_WAIT] = run["kick_wait"]
    f[Feature.KICK_TARGET] = run["kick_target"]
    mask = run["mask"]
    f[Feature.MASK] = mask[0] + 2 * mask[1] + 4 * mask[2]
    f[Feature.LOTTERY] = np.int64(own(world, actor, Draw.LOTTERY) >> _LOTTERY_SHIFT)


@inner
def decide(world: World, action: int) -> None:
    """Give the actor that waits for a decision its action; a masked one becomes RETRY."""
    run = world.run
    actor = run["decision_actor"]
    me = world.actors["row"][actor]
    run["decision_actor"] = NONE
    run["n_ended"] = 0
    run["was_masked"] = action < 0 or action >= N_ACTIONS or not run["mask"][action]
    if run["was_masked"]:
        run["n_masked"] += 1
        action = 0  # RETRY
    me["action"] = action
    me["state"] = State.DECIDED
    me["category"] = Category.DECISION
    wake_at(world, actor, run["now"] + world.discipline["decision_cycles"])
    _trace_decision(world, actor)


@inner
def _trace_decision(world: World, actor: int) -> None:
    """Keep the decision, if decisions are traced and there is room."""
    run = world.run
    me = world.actors["row"][actor]
    place = run["n_decisions_traced"]
    if place >= run["decision_capacity"]:
        return
    row = world.decisions["decision"][place]
    row[0] = run["now"]
    row[1] = actor
    row[2] = run["features"][Feature.PATH]
    row[3] = me["leaf"]
    row[4] = me["operand"]
    row[5] = me["entry"]
    row[6] = me["issues"]
    row[7] = me["action"]
    run["n_decisions_traced"] += 1


@inner
def act(world: World, actor: int) -> None:
    """Handle DECIDED: carry out the decision."""
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    if _was_interrupted(me["outcome"]):
        _serve_interrupts(world, actor)
    elif me["action"] == Action.RETRY:
        reissue(world, actor)
    elif me["action"] == Action.KICK:
        _kick(world, actor, 0)
    else:
        _yield(world, actor)


@inner
def _serve_interrupts(world: World, actor: int) -> None:
    """Let the interrupts be served that ended the call; YIELD opens a window for more."""
    run = world.run
    me = world.actors["row"][actor]
    cycles = run["costs"][Cost.IRQ_HANDLER]
    me["state"] = State.IRQ_SERVE
    me["category"] = Category.HOST_IRQ
    if me["action"] == Action.YIELD:
        me["category"] = Category.YIELD
        cycles += run["costs"][Cost.IRQ_WINDOW]
    world.actors["due"][actor] = run["now"] + cycles


@inner
def interrupts_served(world: World, actor: int) -> None:
    """Handle IRQ_SERVE: issue the call again."""
    book(world, actor, world.actors["row"][actor]["category"])
    pass_interrupts(world, actor)
    reissue(world, actor)


@inner
def _kick(world: World, actor: int, force_gate: int) -> None:
    """Kick all vCPUs, then issue the call again."""
    me = world.actors["row"][actor]
    if me["leaf"] == Leaf.VP_ENTER:
        leave_guest_mode(world, actor)
    me["kicks"] += 1
    begin_kick(world, actor, Purpose.REISSUE, Kick.DECISION, force_gate)


@inner
def _yield(world: World, actor: int) -> None:
    """Give up for now and come back, in the way of the path."""
    me = world.actors["row"][actor]
    rules = world.discipline
    if me["path"] == Path.FAULT:
        give_up(world, actor, rules["fault_yield"] == FaultYield.REENTER)
    elif me["path"] == Path.ZAP or me["path"] == Path.EXPORT:
        _yield_locks(world, actor)
    elif me["path"] == Path.BUILD:
        return_to_user(world, actor)
    else:
        leave_guest_mode(world, actor)
        me["leaf"] = NONE
        if rules["enter_yield"] == EnterYield.FASTPATH:
            yield_to_run_loop(world, actor)
        elif request_mmu(world, actor, 1, Purpose.BARRIER):
            release_mmu(world, actor)
            yield_to_run_loop(world, actor)


@inner
def _yield_locks(world: World, actor: int) -> None:
    """Drop every lock in the middle of a zap or an export and reschedule.

    # MODEL: a zap's SPTE stays FROZEN meanwhile; KVM as it is can't give up here.
    """
    release_gate(world, actor)
    release_lock(world, actor, HostLock.SEAMCALL)
    release_lock(world, actor, HostLock.TRACK)
    if not flushes_remote_tlbs(world, actor, Purpose.YIELD):
        yield_lock(world, actor)


@inner
def _exhaust(world: World, actor: int, what: int) -> None:
    """The call was busy as often as the discipline allows, or on a lock it doesn't wait for."""
    me = world.actors["row"][actor]
    is_fault = me["path"] == Path.FAULT
    if what == Exhaustion.KILL or (what == Exhaustion.SWALLOW and not me["is_splitting"]):
        kill(world, actor, me["leaf"], Outcome.OPERAND_BUSY)
    elif what == Exhaustion.GATED_KICK:
        _kick(world, actor, 1)
    elif what == Exhaustion.SWALLOW:
        # The split ignores that its call failed: canonical/tdx issues 100 and 213 (bug B1).
        succeed(world, actor)
    elif not is_fault:
        _yield(world, actor)
    else:
        give_up(world, actor, what != Exhaustion.LOCAL_RETRY)
