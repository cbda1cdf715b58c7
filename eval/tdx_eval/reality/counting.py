"""Rows about the single parts of Dynamic PAMT: sums, longest waits, first pages, puts.

Some of these numbers are what the costs were taken from; those rows say so ("rests on"). The others
were not used for a cost.
"""

import functools

import numpy as np

from tdx_env.state.costs import Cost
from tdx_eval.reality.criteria import Within, reaches
from tdx_eval.reality.pamt import (
    ALONE,
    BESIDE,
    FOUR,
    POLICY,
    ZHAO_4_TDS,
    ZHAO_JULY,
    mean_gets,
    mean_waits,
)
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import Floats, World, finished, microseconds, per_unit, run_world

_GETS_1_TD = 0.706e6
_CHUNK = "tasks.closer.chunk"
_PAGES = (8, 24)
_REMOVAL = World("removal.toml").with_(host__kernel="7.4-queue", module__version="1.5.34")
_CLOSING = World("closing.toml")


def _total_1_td(n_draws: int) -> Sample:
    """Ask what all gets of one TD take together."""
    seconds = mean_gets(ALONE, n_draws) * _GETS_1_TD / 1e6
    note = (
        "The mean times the 706,000 gets that were counted. The published sum is 2.9 µs a get, the "
        "published mean “2”: it was cut, not rounded."
    )
    return Sample(seconds, note)


def _longest(world: World, n_draws: int) -> Sample:
    """Ask for the longest get of an episode."""
    run = finished(run_world(world, POLICY, n_draws)).run
    note = (
        f"The longest of some {np.median(run['n_pamt_gets']):,.0f} gets an episode, theirs of "
        "706,000 or 3.43 million. A lock whose holder can't be interrupted is never held for "
        "longer than a PAMT.ADD here; the kernel's is taken with interrupts on, so that a handler "
        "of the host lengthens the hold for all who wait."
    )
    return Sample(microseconds(world, run["pamt_get_max"]), note)


def _cost(cost: Cost, n_draws: int) -> Floats:
    """Return a cost as it was drawn [µs]."""
    return microseconds(FOUR, run_world(FOUR, POLICY, n_draws).run["costs"][:, cost])


def _single(cost: Cost, n_draws: int) -> Sample:
    """Show a cost that is the observation itself."""
    return Sample(
        _cost(cost, n_draws), "A parameter, taken from this mean: half to one and a half."
    )


def _first_get(n_draws: int) -> Sample:
    """Add up a get that does PAMT.ADD, with the mean wait of all gets."""
    parts = (Cost.PAMT_PAGES, Cost.PAMT_COUNT, Cost.PAMT_ADD)
    values = sum((_cost(part, n_draws) for part in parts), mean_waits(FOUR, n_draws))
    note = "Two pages taken, the mean wait of all gets with four TDs, counting, PAMT.ADD."
    return Sample(values, note)


def _last_put(n_draws: int) -> Sample:
    """Add up a put that does PAMT.REMOVE; nobody waited for the lock."""
    values = _cost(Cost.PAMT_COUNT, n_draws) + _cost(Cost.PAMT_REMOVE, n_draws)
    return Sample(values, "Counting and PAMT.REMOVE; freeing the two pages is free in the model.")


@functools.cache
def _put(world: World, way: str, n_draws: int) -> Floats:
    """Return the mean of tdx_pamt_put when a TD's pages go, in each draw [µs].

    What a removed page takes with Dynamic PAMT, less what it takes without: same draws.
    """
    counted = world.with_(host__dynamic_pamt=way)
    with_put, without = (
        per_unit(one, POLICY, _CHUNK, _PAGES, n_draws) for one in (counted, _REMOVAL)
    )
    return with_put - without


def _puts(world: World, way: str, n_draws: int) -> Sample:
    """Ask for the mean of tdx_pamt_put."""
    note = (
        "A removed page's time less that with static PAMT; one thread a TD removes pages, as at "
        "the end of a VM. Freeing a pair of pages is free here. When and how fast the five TDs "
        "ended isn't told, and a put of a busy AUG, as in their boots, is a put too."
    )
    if way == "fast":
        note += " One cost, pamt_count, stands for a count by lock and by atomic: too dear here."
    return Sample(_put(world, way, n_draws), note)


ROWS = (
    Row(
        "pamt-total-1-td", Kind.MEASURED,
        "All tdx_pamt_get of a TD that boots take 2.03 s (706,000 calls).",
        ZHAO_JULY, "s", Within(2.03, 0.01), _total_1_td,
    ),
    Row(
        "pamt-gets", Kind.MEASURED,
        "A TD of 8 GB makes 706,000 gets from boot to teardown.",
        "derived from " + ZHAO_JULY,
        reason="A third of 2.1 million pages: how much of its memory a guest touches is the "
        "guest's. The model makes one get for each page and each S-EPT page that is installed, "
        "and one more for each AUG that is given up (tests/host/test_pamt.py).",
    ),
    Row(
        "pamt-longest-1-td", Kind.MEASURED,
        "The longest tdx_pamt_get takes 578 µs when one TD boots.",
        ZHAO_JULY, "µs", reaches(578), functools.partial(_longest, ALONE),
    ),
    Row(
        "pamt-longest-5-tds", Kind.MEASURED,
        "The longest tdx_pamt_get takes 1,723 µs when five TDs boot at once.",
        ZHAO_JULY, "µs", reaches(1723), functools.partial(_longest, BESIDE),
    ),
    Row(
        "pamt-add", Kind.MEASURED,
        "PHYMEM.PAMT.ADD takes 4 µs on average (2 to 18).",
        ZHAO_4_TDS, "µs", Within(4), functools.partial(_single, Cost.PAMT_ADD),
        rests_on="pamt_add",
    ),
    Row(
        "pamt-remove", Kind.MEASURED,
        "PHYMEM.PAMT.REMOVE takes 2 µs on average (1 to 11).",
        ZHAO_4_TDS, "µs", Within(2), functools.partial(_single, Cost.PAMT_REMOVE),
        rests_on="pamt_remove",
    ),
    Row(
        "pamt-first-get", Kind.MEASURED,
        "A tdx_pamt_get that does PAMT.ADD takes 10 µs on average with four TDs (3 to 83).",
        ZHAO_4_TDS, "µs", Within(10), _first_get, rests_on="pamt_pages, pamt_add",
    ),
    Row(
        "pamt-last-put", Kind.MEASURED,
        "A tdx_pamt_put that does PAMT.REMOVE takes 3 µs on average (2 to 15).",
        ZHAO_4_TDS, "µs", Within(3), _last_put, rests_on="pamt_remove",
    ),
    Row(
        "pamt-put-1-td", Kind.MEASURED,
        "tdx_pamt_put takes 184 ns on average with one TD (0.13 s in all).",
        ZHAO_JULY, "µs", Within(0.184, 0.015),
        functools.partial(_puts, _REMOVAL, "locked"), rests_on="pamt_count",
    ),
    Row(
        "pamt-put-5-tds", Kind.MEASURED,
        "tdx_pamt_put takes 0.60 µs on average with five TDs (2.07 s in all, 3.43 million calls).",
        ZHAO_JULY, "µs", Within(0.60, 0.01),
        functools.partial(_puts, _CLOSING, "locked"),
    ),
    Row(
        "pamt-fast-put-5-tds", Kind.MEASURED,
        "With the fast path it takes 41 ns with five TDs (0.14 s in all).",
        ZHAO_JULY, "µs", Within(0.041, 0.003),
        functools.partial(_puts, _CLOSING, "fast"),
    ),
)  # fmt: skip
