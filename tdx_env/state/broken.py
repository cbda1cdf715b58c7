"""Where a case that nobody handles ends the episode, and what is noted about it.

Every dispatcher of the simulator ends in an else that calls `break_off`: a forgotten case must not
run as another one. The Python layer raises (`tdx_env.engine.broken`).
"""

from enum import IntEnum
from typing import NamedTuple

from tdx_env.jit import inner
from tdx_env.state.actors import (
    CallPath,
    Exit,
    Kick,
    Phase,
    Program,
    Purge,
    Purpose,
    Spte,
    State,
    Task,
)
from tdx_env.state.calls import NONE, Leaf, Lock, Mode, Op, Outcome
from tdx_env.state.discipline import (
    Action,
    Asks,
    EnterYield,
    Exhaustion,
    FaultYield,
    GateScope,
    KickFlagged,
    OnFrozen,
    SeamcallLock,
    SplitCheck,
    TrackKick,
    Waiting,
)
from tdx_env.state.setup import Initial, Pamt, Resched
from tdx_env.state.world import End, Operation, World


class Place(IntEnum):
    """A dispatcher."""

    NONE = 0
    EVENT = 1
    ACTION_GIVEN = 2
    ACTION = 3
    STATUS = 4
    YIELD_PATH = 5
    YIELD_ENTER = 6
    YIELD_FAULT = 7
    EXHAUSTION = 8
    AFTER_CALL = 9
    ISSUE = 10
    STEP = 11
    CHECK = 12
    COMMIT = 13
    LOCK = 14
    LOCK_MODE = 15
    MMU_LOCK_HAD = 16
    GUARD_HAD = 17
    TRACKED = 18
    TRACK_FOR = 19
    TRACK_KICK = 20
    KICK = 21
    KICK_TRIP = 22
    GATE_SCOPE = 23
    SEAMCALL_LOCK = 24
    TASK = 25
    USER_EXIT_TASK = 26
    USER_EXIT = 27
    TD_EXIT = 28
    EXIT_TRIP = 29
    KICK_FLAGGED = 30
    PAGE_ATTRIBUTE = 31
    FROZEN = 32
    SPLIT_CHECK = 33
    MIRROR = 34
    PHASE = 35
    INSTRUCTION = 36
    TDCALL = 37
    TDCALL_OVER = 38
    TDCALL_RETURN = 39
    OPERATION = 40
    VCPU_START = 41
    AREA = 42
    RESCHEDULED = 43
    PAMT = 44
    PAMT_COUNTED = 45
    FILE_HAD = 46
    BATCH_ACTION = 47
    WAITING = 48
    ASKS = 49
    RESCHED = 50
    OWNER = 51
    APART = 52


class Dispatcher(NamedTuple):
    """What one dispatcher tells apart, and where it stands."""

    cases: type[IntEnum]
    where: str


DISPATCHERS: dict[Place, Dispatcher] = {
    Place.EVENT: Dispatcher(State, "engine.loop, handle"),
    Place.ACTION_GIVEN: Dispatcher(Action, "host.busy, decide"),
    Place.ACTION: Dispatcher(Action, "host.busy, _carry_out"),
    Place.STATUS: Dispatcher(Outcome, "host.busy, seamcall_returned"),
    Place.YIELD_PATH: Dispatcher(CallPath, "host.busy, _yield"),
    Place.YIELD_ENTER: Dispatcher(EnterYield, "host.busy, _yield_enter"),
    Place.YIELD_FAULT: Dispatcher(FaultYield, "host.fault, yields_to_guest"),
    Place.EXHAUSTION: Dispatcher(Exhaustion, "host.busy, _exhaust"),
    Place.AFTER_CALL: Dispatcher(Leaf, "host.chains, go_on"),
    Place.ISSUE: Dispatcher(Leaf, "host.seamcalls, issue"),
    Place.STEP: Dispatcher(Op, "host.seamcalls, _do_step"),
    Place.CHECK: Dispatcher(Leaf, "host.effects, check"),
    Place.COMMIT: Dispatcher(Leaf, "host.effects, commit"),
    Place.LOCK: Dispatcher(Lock, "host.lock_words, acquire"),
    Place.LOCK_MODE: Dispatcher(Mode, "host.lock_words, acquire"),
    Place.MMU_LOCK_HAD: Dispatcher(Purpose, "host.chains, with_mmu_lock"),
    Place.GUARD_HAD: Dispatcher(Purpose, "host.chains, with_guard"),
    Place.TRACKED: Dispatcher(Purpose, "host.track, go_on_tracked"),
    Place.TRACK_FOR: Dispatcher(Task, "host.track, _purpose_of"),
    Place.TRACK_KICK: Dispatcher(TrackKick, "host.track, _begin_track"),
    Place.KICK: Dispatcher(Kick, "host.kick, begin_kick"),
    Place.KICK_TRIP: Dispatcher(Kick, "guest.exits, _trip_of"),
    Place.GATE_SCOPE: Dispatcher(GateScope, "host.chains, _keeps_gate"),
    Place.SEAMCALL_LOCK: Dispatcher(SeamcallLock, "host.seamcall_lock, lock_mode"),
    Place.TASK: Dispatcher(Task, "host.chains, begin_task_item"),
    Place.USER_EXIT_TASK: Dispatcher(Task, "host.chains, back_from_user"),
    Place.USER_EXIT: Dispatcher(Exit, "host.chains, _run_again"),
    Place.TD_EXIT: Dispatcher(Exit, "host.vcpus, _serve_exit"),
    Place.EXIT_TRIP: Dispatcher(Exit, "guest.exits, _trip_of"),
    Place.KICK_FLAGGED: Dispatcher(KickFlagged, "host.vcpus, after_synthetic_exit"),
    Place.PAGE_ATTRIBUTE: Dispatcher(Purge, "host.fault, look_up_page"),
    Place.FROZEN: Dispatcher(OnFrozen, "host.fault, _meet_frozen"),
    Place.SPLIT_CHECK: Dispatcher(SplitCheck, "host.fault, _may_split"),
    Place.MIRROR: Dispatcher(Spte, "host.fault, walk"),
    Place.PHASE: Dispatcher(Phase, "guest.run, continue_guest"),
    Place.INSTRUCTION: Dispatcher(Program, "guest.run, _execute"),
    Place.TDCALL: Dispatcher(Leaf, "guest.tdcalls, start_tdcall"),
    Place.TDCALL_OVER: Dispatcher(Outcome, "guest.tdcalls, tdcall_over"),
    Place.TDCALL_RETURN: Dispatcher(Outcome, "guest.run, return_to_guest"),
    Place.OPERATION: Dispatcher(Operation, "state.booking, end_operation"),
    Place.VCPU_START: Dispatcher(Program, "engine.start, _start_vcpu"),
    Place.AREA: Dispatcher(Initial, "engine.layout, _set_region"),
    Place.RESCHEDULED: Dispatcher(Purpose, "host.chains, rescheduled"),
    Place.PAMT: Dispatcher(Pamt, "host.pamt, is_counted"),
    Place.PAMT_COUNTED: Dispatcher(Purpose, "host.chains, after_count"),
    Place.FILE_HAD: Dispatcher(Purpose, "host.chains, with_file"),
    Place.BATCH_ACTION: Dispatcher(Action, "host.track, act_on_batch"),
    Place.WAITING: Dispatcher(Waiting, "host.flush, _has_waited_enough"),
    Place.ASKS: Dispatcher(Asks, "host.ask, asks_at"),
    Place.RESCHED: Dispatcher(Resched, "host.cpus, needs_resched"),
    Place.OWNER: Dispatcher(CallPath, "state.booking, book"),
    Place.APART: Dispatcher(State, "host.lazy, _step"),
}


@inner
def break_off(world: World, actor: int, place: int, case: int) -> None:
    """End the episode: a dispatcher has met a case that it doesn't handle.

    Args:
        world: The episode.
        actor: Whose event it is, or NONE while the episode is set up.
        place: A Place.
        case: The number that it has no branch for.
    """
    run = world.run
    if run["end"] == End.BROKEN:
        return
    run["end"] = End.BROKEN
    run["broken_place"] = place
    run["broken_case"] = case
    run["broken_actor"] = actor
    run["broken_state"] = NONE
    run["broken_leaf"] = NONE
    if actor != NONE:
        run["broken_state"] = world.actors["row"][actor]["state"]
        run["broken_leaf"] = world.actors["row"][actor]["leaf"]
