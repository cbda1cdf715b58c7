"""Scripted worlds with one class of waiters: what flush rules cost, and what a clairvoyant pays.

A chunk of n pages is blocked, one in each step of b cycles; after each page is a flush point. A
flush takes no time and costs K; a waiter pays one cycle a cycle from its arrival to the next flush.
The last page is flushed by itself. Arrivals don't react to flushes: the theorems are about this.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_env.host.flush_rules import root_waiters
from tdx_env.jit import kernel


@dataclass(frozen=True)
class ScriptedWorld:
    """One chunk.

    Attributes:
        n_pages: Pages of the chunk.
        step: Cycles in which one page is blocked.
        price: What a flush costs [cycles].
        arrivals: When waiters come, sorted, from 0 to n_pages × step - 1 [cycles].
    """

    n_pages: int
    step: int
    price: int
    arrivals: NDArray[np.int64]

    @property
    def waiting(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number of waiters up to each flush point, and sum of their times, each (n_pages + 1,)."""
        points = np.arange(self.n_pages + 1) * self.step
        counts = np.searchsorted(self.arrivals, points, side="left")
        sums = np.concatenate([[0], np.cumsum(self.arrivals)])[counts]
        return counts.astype(np.int64), sums.astype(np.int64)


def random_world(rng: np.random.Generator) -> ScriptedWorld:
    """Return a world whose λK is from 0.02 to 200; waiters come alone, or in bursts."""
    n_pages, step = int(rng.integers(1, 97)), int(rng.integers(1, 2000))
    price = max(1, int(step * np.exp(rng.uniform(np.log(0.5), np.log(400)))))
    rate = np.exp(rng.uniform(np.log(0.02), np.log(200))) / price
    length = n_pages * step
    burst = int(rng.choice([1, 1, 4]))
    n_bursts = min(int(rng.poisson(rate * length / burst)), 5000)
    times = np.sort(np.repeat(rng.integers(0, length, n_bursts), burst))
    return ScriptedWorld(n_pages, step, price, times)


def poisson_world(
    rng: np.random.Generator, n_pages: int, step: int, price: int, gap: float
) -> ScriptedWorld:
    """Return a world whose waiters come at a mean gap [cycles]."""
    length = n_pages * step
    n_waiters = int(rng.poisson(length / gap))
    return ScriptedWorld(n_pages, step, price, np.sort(rng.integers(0, length, n_waiters)))


@kernel
def _waited(
    counts: NDArray[np.int64], sums: NDArray[np.int64], step: int, after: int, until: int
) -> int:
    """Return what those who come between two flush points wait up to the second."""
    n_waiters = counts[until] - counts[after]
    return int(n_waiters * until * step - (sums[until] - sums[after]))


@kernel
def _clairvoyant(counts: NDArray[np.int64], sums: NDArray[np.int64], step: int, price: int) -> int:
    """Return the least cost, by the best last flush before each flush point."""
    n_pages = len(counts) - 1
    best = np.zeros(n_pages + 1, np.int64)
    for until in range(1, n_pages + 1):
        found = -1
        for after in range(until):
            cost = best[after] + price + _waited(counts, sums, step, after, until)
            if found < 0 or cost < found:
                found = cost
        best[until] = found
    return int(best[n_pages])


@kernel
def _ruled(
    counts: NDArray[np.int64],
    sums: NDArray[np.int64],
    step: int,
    price: int,
    limits: tuple[int, int, int],
) -> int:
    """Return the cost of flushing when a limit is reached: pages, waiters or waiting (0: none)."""
    cost = after = 0
    n_pages = len(counts) - 1
    pages, waiters, waiting = limits
    for until in range(1, n_pages + 1):
        waited = _waited(counts, sums, step, after, until)
        is_due = until == n_pages or (pages > 0 and until - after >= pages)
        is_due |= waiters > 0 and counts[until] - counts[after] >= waiters
        is_due |= 0 < waiting <= waited
        if is_due:
            cost += price + waited
            after = until
    return int(cost)


def clairvoyant(world: ScriptedWorld) -> int:
    """Return the least that a chunk can cost to who knows all arrivals [cycles]."""
    return int(_clairvoyant(*world.waiting, world.step, world.price))


def fixed(world: ScriptedWorld, pages: int) -> int:
    """Return the cost of flushing after so many pages [cycles]."""
    return int(_ruled(*world.waiting, world.step, world.price, (pages, 0, 0)))


def greedy(world: ScriptedWorld) -> int:
    """Return the cost of flushing when the waiting has reached the price [cycles]."""
    return int(_ruled(*world.waiting, world.step, world.price, (0, 0, world.price)))


def at_waiters(world: ScriptedWorld, waiters: int) -> int:
    """Return the cost of flushing for so many waiters; 1: until somebody waits [cycles]."""
    return int(_ruled(*world.waiting, world.step, world.price, (0, waiters, 0)))


def excess(world: ScriptedWorld) -> int:
    """Return by how much greedy misses its bound; at most 0, by the theorem [cycles].

    The bound is twice the clairvoyant's cost and one step for each waiter: between two flush points
    nobody can flush, so that each may wait a step longer than the rule wants.
    """
    return greedy(world) - 2 * clairvoyant(world) - world.step * len(world.arrivals)


def best_fixed(worlds: Sequence[ScriptedWorld]) -> tuple[int, int]:
    """Return the pages of a batch that are best for some chunks together, and their cost."""
    longest = max(world.n_pages for world in worlds)
    costs = {pages: sum(fixed(world, pages) for world in worlds) for pages in range(1, longest + 1)}
    pages = min(costs, key=lambda one: (costs[one], one))
    return pages, costs[pages]


def square_root_pages(price: int, gap: float, step: int) -> int:
    """Return the pages of a batch by the square-root law: sqrt(2 K g / b²), at least 1."""
    return max(1, round((2 * price * gap) ** 0.5 / step))


def best_waiters(worlds: Sequence[ScriptedWorld], most: int) -> tuple[int, int]:
    """Return the number of waiters to flush for that is best for some chunks, and its cost."""
    costs = {n: sum(at_waiters(world, n) for world in worlds) for n in range(1, most + 1)}
    waiters = min(costs, key=lambda one: (costs[one], one))
    return waiters, costs[waiters]


def square_root_waiters(price: int, gap: float) -> int:
    """Return the number of waiters to flush for by the law: about sqrt(2 λK)."""
    return int(root_waiters(price, round(gap)))


def worst_excess(n_worlds: int, seed: int) -> int:
    """Return the largest `excess` of so many random worlds: at most 0, by the theorem [cycles]."""
    rng = np.random.default_rng(seed)
    return max(excess(random_world(rng)) for _ in range(n_worlds))
