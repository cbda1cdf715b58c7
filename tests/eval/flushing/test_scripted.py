"""The theorems about flush rules, on scripted worlds with one class of waiters."""

import itertools

import numpy as np
import pytest

from tdx_eval.flushing.scripted import (
    ScriptedWorld,
    at_waiters,
    best_fixed,
    best_waiters,
    clairvoyant,
    fixed,
    greedy,
    poisson_world,
    random_world,
    square_root_pages,
    square_root_waiters,
    worst_excess,
)

STEP, N_PAGES = 100, 512


def world(*arrivals: int, n_pages: int = 4, price: int = 50) -> ScriptedWorld:
    """Return a chunk with a step of 10 cycles."""
    return ScriptedWorld(n_pages, 10, price, np.array(arrivals, np.int64))


def cost_of(chunk: ScriptedWorld, points: tuple[int, ...]) -> int:
    """Return what flushes at given flush points cost, one waiter after the other."""
    ends = [point * chunk.step for point in (*points, chunk.n_pages)]
    waits = [min(end for end in ends if end > arrival) - arrival for arrival in chunk.arrivals]
    return len(ends) * chunk.price + int(sum(waits))


def test_costs_of_a_chunk_by_hand():
    """Waiters at 5 and 12; without a flush before the end they wait 35 + 28."""
    chunk = world(5, 12)
    assert fixed(chunk, 4) == 50 + 63
    assert fixed(chunk, 2) == 2 * 50 + 15 + 8
    assert at_waiters(chunk, 1) == 3 * 50 + 5 + 8
    assert greedy(chunk) == 50 + 63  # it reaches 50 at the last page alone: 25 + 18 before
    assert clairvoyant(chunk) == 50 + 63


def test_clairvoyant_is_the_best_of_all_choices():
    rng = np.random.default_rng(1)
    for _ in range(40):
        n_pages = int(rng.integers(1, 8))
        arrivals = np.sort(rng.integers(0, 10 * n_pages, int(rng.integers(0, 9))))
        chunk = ScriptedWorld(n_pages, 10, int(rng.integers(1, 80)), arrivals)
        inner = range(1, n_pages)
        choices = (
            points for size in range(n_pages) for points in itertools.combinations(inner, size)
        )
        assert clairvoyant(chunk) == min(cost_of(chunk, points) for points in choices)


def test_greedy_costs_at_most_twice_the_clairvoyant():
    """Dooly, Goldman, Scott 2001; and one step for each waiter, as flush points are apart."""
    assert worst_excess(1500, seed=1) <= 0


def test_twice_can_be_come_near():
    """A waiter just after each flush: greedy waits as long as a flush costs, then flushes."""
    step, price = 1, 1000
    arrivals = np.arange(20) * price
    chunk = ScriptedWorld(20 * price + 1, step, price, arrivals)
    assert 1.8 < greedy(chunk) / clairvoyant(chunk) <= 2


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_until_somebody_waits_is_the_best_threshold_up_to_a_rate_of_one(rate):
    """λK ≤ 1; near 1 the last flush, which is paid for anyway, speaks for later ones."""
    rng = np.random.default_rng(7)
    price = 40 * STEP
    worlds = [poisson_world(rng, N_PAGES, STEP, price, price / rate) for _ in range(120)]
    waiters, cost = best_waiters(worlds, 12)
    one = sum(at_waiters(chunk, 1) for chunk in worlds)
    assert waiters == 1 or one <= 1.02 * cost


@pytest.mark.parametrize("rate", [2, 10, 50])
def test_square_root_of_waiters_is_within_a_tenth_of_the_best(rate):
    rng = np.random.default_rng(7)
    price = 40 * STEP
    gap = price / rate
    worlds = [poisson_world(rng, N_PAGES, STEP, price, gap) for _ in range(40)]
    law = sum(at_waiters(chunk, square_root_waiters(price, gap)) for chunk in worlds)
    assert law <= 1.1 * best_waiters(worlds, 40)[1]
    assert sum(at_waiters(chunk, 1) for chunk in worlds) > law


@pytest.mark.parametrize(("price", "gap"), [(1_000, 400), (4_000, 2_000), (20_000, 10_000)])
def test_square_root_of_pages_is_within_a_tenth_of_the_best(price, gap):
    rng = np.random.default_rng(7)
    worlds = [poisson_world(rng, N_PAGES, STEP, price, gap) for _ in range(20)]
    pages = square_root_pages(price, gap, STEP)
    law = sum(fixed(chunk, pages) for chunk in worlds)
    assert law <= 1.1 * best_fixed(worlds)[1]


def test_random_worlds_reach_from_rare_waiters_to_crowds():
    rng = np.random.default_rng(1)
    worlds = [random_world(rng) for _ in range(300)]
    assert any(len(one.arrivals) == 0 for one in worlds)
    assert any(len(one.arrivals) > 1000 for one in worlds)
    assert any(len(one.arrivals) != len(set(one.arrivals.tolist())) for one in worlds)
