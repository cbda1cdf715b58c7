"""Flush points: whether a zap that has blocked a page stops the vCPUs now, or blocks another first.

A flush is TRACK, its kick, and the removal of all pages blocked so far. Whoever waits for mmu_lock
meanwhile waits for it; KVM sees that somebody does when it looks, after each BLOCK.

Source: none upstream for private pages. KVM batches flushes of its own mappings until it yields:
Linux arch/x86/kvm/mmu/tdp_mmu.c, tdp_mmu_iter_cond_resched.
"""

import numpy as np

from tdx_env.host.cpus import needs_resched
from tdx_env.host.flush_rules import (
    LOTTERY_BITS,
    flush_price,
    random_price,
    root_wait,
    root_waiters,
)
from tdx_env.host.lazy import settle
from tdx_env.host.mmu_lock import mmu_waited
from tdx_env.jit import inner
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import Waiting
from tdx_env.state.draws import draw
from tdx_env.state.features import EWMA_SHIFT, HITS_UNIT
from tdx_env.state.streams import Draw
from tdx_env.state.world import World

_LOTTERY_SHIFT = np.uint64(64 - LOTTERY_BITS)
_US_PER_MS = 1000


@inner
def open_batch(world: World, actor: int) -> None:
    """Open a batch with the page at the cursor; nothing of it is blocked yet."""
    run = world.run
    me = world.actors["row"][actor]
    me["batch_first"] = me["cursor"]
    me["batch_end"] = NONE
    me["blocked"] = 0
    me["batch"] += 1
    me["batch_opened"] = run["now"]
    me["contended_since"] = NONE
    me["waited_before"] = mmu_waited(world)
    me["frozen_before"] = run["n_frozen_met"]


@inner
def count_blocked(world: World, actor: int) -> None:
    """Count a page of the batch as blocked, and look whether somebody waits for mmu_lock."""
    me = world.actors["row"][actor]
    me["blocked"] += 1
    if me["contended_since"] == NONE and world.run["mmu_first"] != NONE:
        me["contended_since"] = world.run["now"]


@inner
def learn_gap(world: World, actor: int) -> None:
    """Learn from a batch that ends how long it took until somebody waited, if somebody did."""
    run = world.run
    me = world.actors["row"][actor]
    calm, hit = run["now"] - me["batch_opened"], 0
    if me["contended_since"] != NONE:
        calm, hit = me["contended_since"] - me["batch_opened"], HITS_UNIT
    run["calm_cycles"] += (calm - run["calm_cycles"]) >> EWMA_SHIFT
    run["calm_hits"] += (hit - run["calm_hits"]) >> EWMA_SHIFT


@inner
def wait_gap(world: World) -> int:
    """Return the estimated mean gap between threads that come to wait for mmu_lock [cycles]."""
    run = world.run
    return run["calm_cycles"] * HITS_UNIT // max(1, run["calm_hits"])


@inner
def contended_cycles(world: World, actor: int) -> int:
    """Return since when the batch has seen somebody wait; 0 if it hasn't [cycles]."""
    me = world.actors["row"][actor]
    if me["contended_since"] == NONE:
        return 0
    return world.run["now"] - me["contended_since"]


@inner
def batch_lottery(world: World, actor: int) -> int:
    """Return the batch's own draw, 31 bits."""
    bits = draw(world.run["seed"], Draw.BATCH, actor, int(world.actors["row"][actor]["batch"]), 0)
    return np.int64(bits >> _LOTTERY_SHIFT)  # type: ignore[return-value]


@inner
def _has_waited_enough(world: World, actor: int) -> bool:
    """Say whether the waiting in the batch is worth a flush, by the discipline's rule."""
    run = world.run
    me = world.actors["row"][actor]
    rule = world.discipline["flush"]
    way, counts = rule["waiting"], rule["sees_count"] != 0
    if way == Waiting.NONE or run["mmu_first"] == NONE:
        return False
    settle(world)
    n_in_guest = run["n_in_guest"] - me["mode"]
    price = flush_price(run["flush_send"], run["flush_target"], n_in_guest, rule["price_percent"])
    waited = contended_cycles(world, actor)
    if counts:
        waited = mmu_waited(world) - me["waited_before"]
    if way == Waiting.GREEDY:
        return bool(waited >= price)
    if way == Waiting.RANDOM:
        return bool(waited >= random_price(price, batch_lottery(world, actor)))
    if way != Waiting.ROOT:
        break_off(world, actor, Place.WAITING, way)
        return False
    if counts:
        return bool(run["mmu_queued"] >= root_waiters(price, wait_gap(world)) or waited >= price)
    return bool(waited >= root_wait(price, wait_gap(world)))


@inner
def is_flush_due(world: World, actor: int) -> bool:
    """Say whether the discipline's own rule ends the batch."""
    run = world.run
    me = world.actors["row"][actor]
    rule = world.discipline["flush"]
    if me["blocked"] >= rule["pages"]:
        return True
    held = rule["held_us"] * world.setup["clock_khz"] // _US_PER_MS
    if held > 0 and run["now"] - me["batch_opened"] >= held:
        return True
    if rule["contended"] and run["mmu_first"] != NONE:
        return True
    if rule["resched"] and needs_resched(world, actor):
        return True
    return _has_waited_enough(world, actor)
