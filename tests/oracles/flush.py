"""Flush points: batches, what is learnt from them, and the rules that end them (7.2)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import Action, Asks, Waiting
from tdx_env.state.features import Feature
from tdx_env.state.setup import Resched
from tdx_env.state.streams import Draw

from . import busy, zap
from .actors import Actor
from .draws import draw, moved
from .sept import Entry

if TYPE_CHECKING:
    from .world import OracleWorld

MAX_PAGES = 512
LARGEST_PRICE = 2**28
LARGEST_GAP = 2**32


def open_batch(w: OracleWorld, a: Actor) -> None:
    """The page at the cursor is the first of a batch."""
    a.batch_first, a.batch_size, a.batch_end = a.cursor, 1, None
    a.batch_number += 1
    a.batch_opened = w.now
    a.seen_waiting_at = None
    a.waited_before = waited(w)
    a.frozen_before = w.n_frozen_met


def waited(w: OracleWorld) -> int:
    """Return what all threads have waited for mmu_lock until now."""
    return w.mmu_waited + sum(w.now - w.mmu_since[number] for number, _ in w.mmu.queue)


def blocked(w: OracleWorld, a: Actor) -> None:
    """A page of the batch is blocked: another one, a question, or the end."""
    if w.mmu.queue and a.seen_waiting_at is None:
        a.seen_waiting_at = w.now
    rule = w.discipline.flush
    if following(w, a) is None:
        end(w, a)
    elif rule.is_decided and w.discipline.asks in (Asks.FLUSH, Asks.ALL):
        a.call.operand = 0
        busy.ask(w, a, CallPath.FLUSH, [1, 1, 1])
    elif is_due(w, a):
        end(w, a)
    else:
        take_in(w, a)


def following(w: OracleWorld, a: Actor) -> Entry | None:
    """Return the page that the batch could take in next."""
    entry = zap.find(w, a, a.cursor + 1)
    if entry is None or a.batch_size >= MAX_PAGES or not zap.is_plain(w, entry):
        return None
    return entry


def take_in(w: OracleWorld, a: Actor) -> None:
    """Go on with the batch's next page; without one the batch ends."""
    entry = following(w, a)
    if entry is None:
        end(w, a)
        return
    a.batch_size += 1
    a.cursor = entry.number
    zap.freeze(w, a, entry)


def end(w: OracleWorld, a: Actor) -> None:
    """Stop the vCPUs; learn how soon somebody was seen waiting."""
    is_seen = a.seen_waiting_at is not None
    calm = (a.seen_waiting_at if is_seen else w.now) - a.batch_opened
    w.calm_cycles = moved(w.calm_cycles, calm)
    w.calm_hits = moved(w.calm_hits, 1024 * is_seen)
    zap.flush_batch(w, a)


def decided(w: OracleWorld, a: Actor) -> None:
    """Somebody has decided about the batch."""
    if a.action == Action.RETRY:
        take_in(w, a)
    else:
        a.makes_way = a.action == Action.YIELD
        end(w, a)


# The rules


def price(w: OracleWorld, a: Actor, percent: int) -> int:
    """Return what a flush is taken to cost all CPUs."""
    others = sum(v.mode for v in w.vcpus if v is not a)
    return min((w.flush_send + others * w.flush_target) * percent // 100, LARGEST_PRICE)


def gap(w: OracleWorld) -> int:
    """Return the estimated cycles between two waiters."""
    return w.calm_cycles * 1024 // max(1, w.calm_hits)


def seen_waiting(w: OracleWorld, a: Actor) -> int:
    """Return since when the batch knows of a waiter."""
    return 0 if a.seen_waiting_at is None else w.now - a.seen_waiting_at


def is_due(w: OracleWorld, a: Actor) -> bool:
    """Return whether one of the rule's conditions holds."""
    rule = w.discipline.flush
    is_old = rule.held_us and w.now - a.batch_opened >= rule.held_us * w.setup.clock_khz // 1000
    return bool(
        a.batch_size >= rule.pages
        or is_old
        or (rule.contended and w.mmu.queue)
        or (rule.resched and needs_resched(w, a))
        or (w.mmu.queue and is_worth_it(w, a))
    )


def is_worth_it(w: OracleWorld, a: Actor) -> bool:
    """Return whether the waiting has come up to the flush."""
    rule = w.discipline.flush
    cost = price(w, a, rule.price_percent)
    waiting = waited(w) - a.waited_before if rule.sees_count else seen_waiting(w, a)
    match rule.waiting:
        case Waiting.NONE:
            return False
        case Waiting.GREEDY:
            return waiting >= cost
        case Waiting.RANDOM:
            return waiting >= share(lottery(w, a)) * cost // 65536
        case Waiting.ROOT if rule.sees_count:
            return len(w.mmu.queue) >= best_number(cost, gap(w)) or waiting >= cost
        case Waiting.ROOT:
            return waiting >= best_wait(cost, gap(w))
    raise AssertionError(rule.waiting)


def share(bits: int) -> int:
    """Return the drawn share of the price in 1/65536: one of 256 of density e^x / (e - 1)."""
    quantile = ((bits >> 23) + 0.5) / 256
    return round(65536 * math.log1p(quantile * (math.e - 1)))


def best_wait(cost: int, mean_gap: int) -> int:
    """Return (sqrt(2 λK - 1) - 1) / λ, or 0 while λK is not above 1."""
    g = max(1, min(mean_gap, LARGEST_GAP))
    return 0 if cost <= g else math.isqrt(2 * cost * g - g * g) - g


def best_number(cost: int, mean_gap: int) -> int:
    """Return the smallest Q of at least 1 with Q (Q + 1) >= 2 λK."""
    wanted = Fraction(2 * cost, max(1, min(mean_gap, LARGEST_GAP)))
    number = max(1, math.isqrt(int(wanted)) - 1)
    while number * (number + 1) < wanted:
        number += 1
    return number


def lottery(w: OracleWorld, a: Actor) -> int:
    """Return the batch's own draw."""
    return draw(w.seed, Draw.BATCH, a.number, a.batch_number, 0) >> 33


def features_of(w: OracleWorld, a: Actor) -> dict[Feature, int]:
    """Return the features that only flush points have."""
    assert a.stretch_since is not None
    one = draw(w.seed, Draw.BATCH, a.number, a.batch_number, a.batch_size)
    return {
        Feature.BLOCKED: a.batch_size,
        Feature.BATCH_CYCLES: w.now - a.batch_opened,
        Feature.HELD_CYCLES: w.now - a.stretch_since,
        Feature.CONTENDED_CYCLES: seen_waiting(w, a),
        Feature.NEED_RESCHED: needs_resched(w, a),
        Feature.FROZEN_FAULTS: w.n_frozen_met - a.frozen_before,
        Feature.FLUSH_SEND: w.flush_send,
        Feature.FLUSH_TARGET: w.flush_target,
        Feature.WAIT_GAP: gap(w),
        Feature.MMU_WAITERS: len(w.mmu.queue),
        Feature.MMU_WAITED: waited(w) - a.waited_before,
        Feature.BATCH_LOTTERY: lottery(w, a),
        Feature.LOTTERY: one >> 33,
    }


# need_resched


def needs_resched(w: OracleWorld, a: Actor) -> bool:
    """Return whether another thread is to have the actor's CPU."""
    if w.setup.resched == Resched.NEVER or w.now < a.slice_end:
        return False
    return bool(w.run_queue) if a.is_vcpu else w.setup.resched == Resched.ALL


def breaks(w: OracleWorld, a: Actor) -> bool:
    """Return whether mmu_lock goes between two pages."""
    is_contended = w.setup.break_on_contention and w.mmu.queue
    return a.zapped > 0 and bool(a.makes_way or is_contended or needs_resched(w, a))
