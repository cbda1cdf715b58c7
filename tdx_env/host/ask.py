"""Asking for a decision: which actions are allowed, and what the host can know."""

import numpy as np

from tdx_env.guest.interrupts import next_guest_interrupt
from tdx_env.guest.walk import level_of
from tdx_env.host.cpus import needs_resched
from tdx_env.host.flush import batch_lottery, contended_cycles, wait_gap
from tdx_env.host.lazy import settle
from tdx_env.host.mmu_lock import mmu_waited
from tdx_env.host.tasks import is_vcpu
from tdx_env.jit import inner
from tdx_env.state.actors import CallPath
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import N_ACTIONS, Action, Asks
from tdx_env.state.draws import draw, own
from tdx_env.state.features import N_AVERAGES, N_FEATURES, Feature
from tdx_env.state.streams import Draw
from tdx_env.state.world import World

_FIRST_OF_FLUSH = int(Feature.BLOCKED)
_LOTTERY_SHIFT = np.uint64(33)
# Whether a path allows KICK and YIELD beside RETRY; `zap_yield` allows YIELD on all.
_CHOICES = {
    CallPath.FAULT: (True, True),
    CallPath.ZAP: (True, False),
    CallPath.ENTER: (True, True),
    CallPath.BUILD: (False, True),
    CallPath.EXPORT: (True, True),
    CallPath.INTERRUPTED: (False, True),
    CallPath.FLUSH: (True, True),
}
_MAY_KICK = np.array([_CHOICES[path][0] for path in CallPath], np.int64)
_MAY_YIELD = np.array([_CHOICES[path][1] for path in CallPath], np.int64)


@inner
def asks_at(world: World, actor: int, path: int) -> bool:
    """Say whether somebody is asked at points of this path."""
    who = world.discipline["asks"]
    is_flush = path == CallPath.FLUSH
    if who == Asks.BUSY:
        return not is_flush
    if who == Asks.FLUSH:
        return is_flush
    if who != Asks.ALL:
        break_off(world, actor, Place.ASKS, who)
    return True


@inner
def ask(world: World, actor: int, path: int) -> None:
    """Ask for a decision."""
    run = world.run
    settle(world)
    run["n_decisions"] += 1
    run["decision_actor"] = actor
    world.actors["row"][actor]["question"] = path
    _fill_mask(world, path)
    _fill_features(world, actor, path)
    for feature in range(_FIRST_OF_FLUSH, N_FEATURES):
        run["features"][feature] = 0
    if path == CallPath.FLUSH:
        _fill_flush_features(world, actor)


@inner
def _fill_mask(world: World, path: int) -> None:
    """Note which actions are allowed."""
    run = world.run
    run["mask"][Action.RETRY] = 1
    run["mask"][Action.KICK] = _MAY_KICK[path]
    run["mask"][Action.YIELD] = _MAY_YIELD[path] | (world.discipline["zap_yield"] != 0)


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
    f[Feature.HAS_EVENTS] = is_vcpu(me) and next_guest_interrupt(me) <= now
    f[Feature.ACCEPT_FAULT] = me["accept_fault"]
    f[Feature.REPEATS] = me["repeats"]
    has_chunk = me["path"] == CallPath.ZAP or me["path"] == CallPath.BUILD
    f[Feature.PAGES_LEFT] = me["cursor_end"] - me["cursor"] if has_chunk else 0
    for column in range(N_AVERAGES):
        f[Feature.TRY_TREE + column] = run["try_cycles"][column]
        f[Feature.TRIES_TREE + column] = run["tries"][column]
    f[Feature.KICK_SEND_TARGET] = run["kick_send_target"]
    f[Feature.KICK_WAIT] = run["kick_wait"]
    f[Feature.KICK_TARGET] = run["kick_target"]
    f[Feature.MASK] = 0
    for action in range(N_ACTIONS):
        f[Feature.MASK] |= run["mask"][action] << action
    if path != CallPath.FLUSH:
        f[Feature.LOTTERY] = np.int64(own(world, actor, Draw.LOTTERY) >> _LOTTERY_SHIFT)


@inner
def _fill_flush_features(world: World, actor: int) -> None:
    """Note what the host can know of a batch of blocked pages, and some that it can't.

    The draws are the batch's own, so that to ask shifts nobody else's.
    """
    run = world.run
    me = world.actors["row"][actor]
    f = run["features"]
    f[Feature.BLOCKED] = me["blocked"]
    f[Feature.BATCH_CYCLES] = run["now"] - me["batch_opened"]
    f[Feature.HELD_CYCLES] = run["now"] - me["nonpreemptible_since"]
    f[Feature.CONTENDED_CYCLES] = contended_cycles(world, actor)
    f[Feature.NEED_RESCHED] = needs_resched(world, actor)
    f[Feature.FROZEN_FAULTS] = run["n_frozen_met"] - me["frozen_before"]
    f[Feature.FLUSH_SEND] = run["flush_send"]
    f[Feature.FLUSH_TARGET] = run["flush_target"]
    f[Feature.WAIT_GAP] = wait_gap(world)
    f[Feature.MMU_WAITERS] = run["mmu_queued"]
    f[Feature.MMU_WAITED] = mmu_waited(world) - me["waited_before"]
    f[Feature.BATCH_LOTTERY] = batch_lottery(world, actor)
    bits = draw(run["seed"], Draw.BATCH, actor, int(me["batch"]), int(me["blocked"]))
    f[Feature.LOTTERY] = np.int64(bits >> _LOTTERY_SHIFT)
