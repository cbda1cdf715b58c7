"""Rows about Dynamic PAMT's lock: what a page pays for it, with one TD and with several.

The costs of its parts were measured elsewhere (a page counted without contention, PAMT.ADD alone);
nothing here was fitted to the rows: what isn't in the parts is what the queue makes of them.
"""

import functools

import numpy as np

from tdx_env.state.accounting import Category
from tdx_env.state.world import End
from tdx_eval.reality.criteria import Within
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import Floats, World, booked, finished, microseconds, run_world

POLICY = "p20-merged-6.19"
ALONE = World("boot.toml")
BESIDE = World("boots.toml")
FOUR = BESIDE.with_(tasks__others__count=24)
FAST = {"host__dynamic_pamt": "fast"}
ZHAO_JULY = "Y. Zhao, 1 July 2026 (akSnk+cZ+/gN9WYc), SPR, TDs of 8 vCPUs and 8 GB, no huge pages"
ZHAO_4_TDS = "Y. Zhao, February 2026, SPR, 4 TDs, calls that did a SEAMCALL"
_GETS = 3.43e6  # of five TDs


@functools.cache
def mean_gets(world: World, n_draws: int) -> Floats:
    """Return the mean of tdx_pamt_get in each draw [µs]."""
    run = finished(run_world(world, POLICY, n_draws)).run
    return microseconds(world, run["pamt_get_cycles"] / run["n_pamt_gets"])


@functools.cache
def mean_waits(world: World, n_draws: int) -> Floats:
    """Return what a page waits for the lock, in each draw [µs]."""
    batch = finished(run_world(world, POLICY, n_draws))
    return microseconds(world, booked(batch, Category.PAMT_LOCK_WAIT) / batch.run["n_pamt_gets"])


def _get(world: World, n_draws: int) -> Sample:
    """Ask for the mean of tdx_pamt_get."""
    gets, waits = mean_gets(world, n_draws), mean_waits(world, n_draws)
    assert (run_world(world, POLICY, n_draws).run["end"] == End.FINISHED).all()
    note = (
        f"Of {np.median(gets):.2g} µs (median) the queue makes {np.median(waits):.2g}; the rest is "
        "two pages taken and given back, a counter, and a PAMT.ADD for each 512 pages. Most of a "
        "queue is handing the lock over, 0.08 to 0.8 µs each time (costs.mmu_handoff)."
    )
    if world.scenario().host.dynamic_pamt == "fast":
        note += (
            " One cost, pamt_count, stands for a count under the lock (184 ns were measured) and "
            "by an atomic (48 ns): its range is too dear for the fast path."
        )
    return Sample(gets, note)


def _total(n_draws: int) -> Sample:
    """Ask what all gets of five TDs take together."""
    seconds = mean_gets(BESIDE, n_draws) * _GETS / 1e6
    note = "The mean times the 3.43 million gets that were counted. "
    note += "How fast pages come isn't published: each vCPU of the others has one every 9 to 16 µs."
    return Sample(seconds, note)


def _gain(n_draws: int) -> Sample:
    """Ask how many times less the fast path takes, draw by draw."""
    slow, fast = mean_gets(BESIDE, n_draws), mean_gets(BESIDE.with_(**FAST), n_draws)
    note = (
        f"{np.median(slow):.2g} against {np.median(fast):.2g} µs (medians). The lock's queue is "
        "gone but for each block's first page, behind whose PAMT.ADD the others wait."
    )
    return Sample(slow / fast, note)


def _wait(n_draws: int) -> Sample:
    """Ask what the lock's queue makes a page wait with four TDs."""
    return Sample(mean_waits(FOUR, n_draws), "Three other TDs, all pages, not only first ones.")


ROWS = (
    Row(
        "pamt-1-td", Kind.MEASURED,
        "tdx_pamt_get takes 2 µs on average when one TD boots.",
        ZHAO_JULY, "µs", Within(2), functools.partial(_get, ALONE),
    ),
    Row(
        "pamt-5-tds", Kind.MEASURED,
        "tdx_pamt_get takes 15 µs on average when five TDs boot at once.",
        ZHAO_JULY, "µs", Within(15), functools.partial(_get, BESIDE),
    ),
    Row(
        "pamt-total", Kind.MEASURED,
        "All tdx_pamt_get of five TDs that boot at once take 55.5 s.",
        ZHAO_JULY, "s", Within(55.5, 0.1), _total,
    ),
    Row(
        "pamt-fast-1-td", Kind.MEASURED,
        "With the fast path tdx_pamt_get takes 72 ns on average when one TD boots.",
        ZHAO_JULY, "µs", Within(0.072, 0.001), functools.partial(_get, ALONE.with_(**FAST)),
    ),
    Row(
        "pamt-fast-5-tds", Kind.MEASURED,
        "With the fast path it takes 96 ns on average when five TDs boot at once (0.33 s in all).",
        ZHAO_JULY, "µs", Within(0.096, 0.001), functools.partial(_get, BESIDE.with_(**FAST)),
    ),
    Row(
        "pamt-gain", Kind.MEASURED,
        "The fast path takes 166 times less in all when five TDs boot at once.",
        ZHAO_JULY, "times less", Within(166), _gain,
    ),
    Row(
        "pamt-wait", Kind.MEASURED,
        "With four TDs a page waits 4 µs for the lock on average.",
        ZHAO_4_TDS, "µs", Within(4), _wait,
    ),
)  # fmt: skip
