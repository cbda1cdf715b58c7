"""A SEAMCALL came back: busy replies, decisions, exhaustion."""

from tdx_env.guest.interrupts import pass_interrupts
from tdx_env.host.ask import ask, asks_at
from tdx_env.host.build import give_way
from tdx_env.host.chains import reissue, succeed
from tdx_env.host.fault import give_up, yields_to_guest
from tdx_env.host.guest_mode import leave_guest_mode
from tdx_env.host.kick import begin_kick, release_gate
from tdx_env.host.kill import kill
from tdx_env.host.mmu_lock import release_mmu, request_mmu
from tdx_env.host.seamcall_lock import release_lock
from tdx_env.host.track import act_on_batch
from tdx_env.host.vcpus import after_synthetic_exit, yield_to_run_loop
from tdx_env.host.zap import flushes_remote_tlbs, yield_lock
from tdx_env.jit import inner
from tdx_env.module.operand_classes import operand_class
from tdx_env.module.operands import Operand
from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Kick, Purpose, State
from tdx_env.state.agenda import wake_at
from tdx_env.state.booking import book
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE, Leaf, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import N_ACTIONS, Action, EnterYield, Exhaustion, HostLock
from tdx_env.state.features import EWMA_SHIFT, N_AVERAGES, Feature
from tdx_env.state.world import World

_SEPT_TREE = int(Operand.SEPT_TREE)
_RETRY = int(Action.RETRY)


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
    elif _came_second(world, actor):
        give_up(world, actor, 0)
    elif _is_fatal(outcome):
        kill(world, actor, me["leaf"], outcome)
    else:
        break_off(world, actor, Place.STATUS, outcome)


@inner
def _came_second(world: World, actor: int) -> bool:
    """Say whether somebody else has added the page, which nothing but a FROZEN SPTE prevents."""
    me = world.actors["row"][actor]
    is_added = me["outcome"] == Outcome.EPT_ENTRY_STATE_INCORRECT
    return bool(is_added and me["leaf"] == Leaf.MEM_PAGE_AUG and not world.setup["freezes"])


@inner
def _is_fatal(outcome: int) -> bool:
    """Say whether KVM takes a status for its own mistake: KVM_BUG_ON."""
    return bool(
        outcome == Outcome.PREVIOUS_TLB_EPOCH_BUSY
        or outcome == Outcome.GPA_RANGE_NOT_BLOCKED
        or outcome == Outcome.TLB_TRACKING_NOT_DONE
        or outcome == Outcome.EPT_ENTRY_STATE_INCORRECT
    )


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
    if column < N_AVERAGES:
        run["try_cycles"][column] += (cycles - run["try_cycles"][column]) >> EWMA_SHIFT
    if me["leaf"] == Leaf.VP_ENTER and me["operand"] == _SEPT_TREE:
        me["flagged"] = 1
    leaf = me["leaf"]
    if rules["tree_only"][leaf] and me["operand"] != _SEPT_TREE:
        _exhaust(world, actor, rules["on_foreign"][leaf])
    elif _may_try_again(world, actor):
        _ask_or_retry(world, actor, me["path"])
    else:
        _exhaust(world, actor, rules["on_exhaustion"][leaf])


@inner
def _may_try_again(world: World, actor: int) -> bool:
    """Say whether the discipline allows the busy call another try; after one gated kick, anew."""
    me = world.actors["row"][actor]
    issues, limit = me["issues"], int(world.discipline["max_issues"][me["leaf"]])
    if issues < limit:
        return True
    is_kicked = world.discipline["on_exhaustion"][me["leaf"]] == Exhaustion.GATED_KICK_ONCE
    return bool(is_kicked and limit < issues < 2 * limit)


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
        _ask_or_retry(world, actor, CallPath.INTERRUPTED)


@inner
def _ask_or_retry(world: World, actor: int, path: int) -> None:
    """Ask for a decision, or issue the call again if nobody is asked about busy replies."""
    me = world.actors["row"][actor]
    if asks_at(world, actor, path):
        ask(world, actor, path)
        return
    me["question"] = path
    me["action"] = _RETRY
    _carry_out(world, actor)


@inner
def decide(world: World, action: int) -> None:
    """Give the actor that waits for a decision its action; a masked one becomes RETRY.

    What is no Action at all ends the episode: whoever decides has made a mistake.
    """
    run = world.run
    actor = run["decision_actor"]
    me = world.actors["row"][actor]
    run["decision_actor"] = NONE
    run["n_ended"] = 0
    if action < 0 or action >= N_ACTIONS:
        break_off(world, actor, Place.ACTION_GIVEN, action)
        return
    run["was_masked"] = not run["mask"][action]
    if run["was_masked"]:
        run["n_masked"] += 1
        action = _RETRY
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
    row["time"] = run["now"]
    row["actor"] = actor
    row["path"] = run["features"][Feature.PATH]
    row["leaf"] = me["leaf"]
    row["operand"] = me["operand"]
    row["entry"] = me["entry"]
    row["issues"] = me["issues"]
    row["action"] = me["action"]
    run["n_decisions_traced"] += 1


@inner
def act(world: World, actor: int) -> None:
    """Handle DECIDED: carry out the decision."""
    book(world, actor, world.actors["row"][actor]["category"])
    _carry_out(world, actor)


@inner
def _carry_out(world: World, actor: int) -> None:
    """Do what was decided."""
    me = world.actors["row"][actor]
    if me["question"] == CallPath.INTERRUPTED:
        _serve_interrupts(world, actor)
    elif me["question"] == CallPath.FLUSH:
        act_on_batch(world, actor)
    elif me["action"] == Action.RETRY:
        reissue(world, actor)
    elif me["action"] == Action.KICK:
        _kick(world, actor, 0)
    elif me["action"] == Action.YIELD:
        _yield(world, actor)
    else:
        break_off(world, actor, Place.ACTION, me["action"])


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
    path = world.actors["row"][actor]["path"]
    if path == CallPath.FAULT:
        give_up(world, actor, yields_to_guest(world, actor))
    elif path == CallPath.ZAP or path == CallPath.EXPORT:
        _yield_locks(world, actor)
    elif path == CallPath.BUILD:
        give_way(world, actor)
    elif path == CallPath.ENTER:
        _yield_enter(world, actor)
    else:
        break_off(world, actor, Place.YIELD_PATH, path)


@inner
def _yield_enter(world: World, vcpu: int) -> None:
    """Leave the fast path after a busy VP.ENTER, behind whoever has mmu_lock if so ruled."""
    way = world.discipline["enter_yield"]
    leave_guest_mode(world, vcpu)
    world.actors["row"][vcpu]["leaf"] = NONE
    if way == EnterYield.FASTPATH:
        yield_to_run_loop(world, vcpu)
    elif way != EnterYield.BARRIER:
        break_off(world, vcpu, Place.YIELD_ENTER, way)
    elif request_mmu(world, vcpu, 1, Purpose.BARRIER):
        release_mmu(world, vcpu)
        yield_to_run_loop(world, vcpu)


@inner
def _yield_locks(world: World, actor: int) -> None:
    """Drop the spinning locks in the middle of a zap or an export and reschedule.

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
    is_local = what == Exhaustion.LOCAL_RETRY
    if what == Exhaustion.KILL or (what == Exhaustion.SWALLOW and not me["is_splitting"]):
        kill(world, actor, me["leaf"], Outcome.OPERAND_BUSY)
    elif what == Exhaustion.GATED_KICK:
        _kick(world, actor, 1)
    elif what == Exhaustion.GATED_KICK_ONCE:
        if me["issues"] < 2 * int(world.discipline["max_issues"][me["leaf"]]):
            _kick(world, actor, 1)
        else:
            kill(world, actor, me["leaf"], Outcome.OPERAND_BUSY)
    elif what == Exhaustion.SWALLOW:
        # The split ignores that its call failed: canonical/tdx issues 100 and 213 (bug B1).
        succeed(world, actor)
    elif not is_local and what != Exhaustion.REENTER and what != Exhaustion.USER_ERROR:
        break_off(world, actor, Place.EXHAUSTION, what)
    elif me["path"] == CallPath.FAULT:
        give_up(world, actor, not is_local)
    else:
        _yield(world, actor)
