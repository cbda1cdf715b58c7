"""Rows about conversions from private to shared on a TD with 248 vCPUs, and their stops."""

import functools

import numpy as np

from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios.values import Range
from tdx_env.state.accounting import Category
from tdx_env.state.discipline import ASK
from tdx_env.state.features import Feature
from tdx_eval.reality.criteria import Within, below, mostly_reaches, reaches
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import (
    MERGED,
    Floats,
    Host,
    World,
    booked,
    finished,
    microseconds,
    n_zaps,
    per_unit,
    ranges_sum,
    run_world,
)

_DSTACK = "dstack, kernel patches 0009 and 0010 and PR 1220, September 2026; kernel 7.0"
_CHUNK = "groups.converter.chunk"
_PAGES = (4, 12)
N_TARGETS = 247
_STOP_US = 236  # 259 - 23 a page
_NEAR = 0.25
_S06 = World("s06-conversion-248/test")
# What the removal of one page is made of when nobody is in the guest.
PAGE_STEPS = (
    "zap_software", "range_block", "track", "kick_fixed", "page_remove", "wbinvd", "clear",
)  # fmt: skip
EACH_VCPU = ("kick_scan",)  # a kick looks at each of them

SPINNING = World("conversion.toml").with_(groups__others__tick_us=Range(low=1_000, high=4_000))
HALTED = World("conversion.toml").with_(groups__others__program="idle")
# HZ=1000; the guest's tick and its way back to HLT take what s07-conversion-idle-ticks has.
TICKING = HALTED.with_(
    groups__others__tick_us=1_000, groups__others__think_cycles=Range(low=5_000, high=50_000)
)


def _ask_always(features: np.ndarray) -> int:
    """Leave the first busy reply to whoever looks."""
    return ASK


FIRST_BUSY = Host(_ask_always, DEFAULT)


@functools.cache
def page_times(world: World, n_draws: int) -> Floats:
    """Return the time of one page in each draw [µs]."""
    return per_unit(world, MERGED, _CHUNK, _PAGES, n_draws)


def _spinning(n_draws: int) -> Sample:
    """Measure a page with 247 vCPUs spinning in the guest."""
    values = page_times(SPINNING, n_draws)
    stop = np.median(_stops(n_draws)) / np.median(values)
    return Sample(values, f"TRACK's kick of all vCPUs is {stop:.0%} of it.")


def _halted(n_draws: int) -> Sample:
    """Measure a page with all other vCPUs in HLT."""
    low, high = ranges_sum(HALTED, PAGE_STEPS, EACH_VCPU)
    note = (
        "Nobody is in the guest: a page is KVM's zap path, four SEAMCALLs, a kick that looks at "
        f"{N_TARGETS + 1} vCPUs, and the clearing, whose ranges add up to {low:.1f} to "
        f"{high:.1f} µs. Not in the model: user space's part of a chunk, the shared attribute and "
        "guest_memfd's punched page."
    )
    return Sample(page_times(HALTED, n_draws), note)


def _ticking(n_draws: int) -> Sample:
    """Measure a page while idle vCPUs tick."""
    batch = run_world(
        World(TICKING.name, (*TICKING.overrides, (_CHUNK, _PAGES[1]))), MERGED, n_draws
    )
    hit = batch.run["n_ipis"].sum() / n_zaps(batch).sum()
    note = (
        f"A tick keeps a vCPU in the guest for some 10 µs of each millisecond, so a stop "
        f"sends {hit:.1f} IPIs on average, not {N_TARGETS}. More than 700 µs a page can't come "
        f"from stopping vCPUs that are in the guest: at 0.95 µs each that is more than all of "
        "them three times over. Timers, wake-ups and run queues of the host are free in the model."
    )
    return Sample(page_times(TICKING, n_draws), note)


@functools.cache
def _stops(n_draws: int) -> Floats:
    """Return the converter's time in one of TRACK's kicks, in each draw [µs].

    The difference of two lengths of a chunk, so that the flush at its end cancels.
    """
    spent = []
    for pages in _PAGES:
        world = World(SPINNING.name, (*SPINNING.overrides, (_CHUNK, pages)))
        spent.append(booked(finished(run_world(world, MERGED, n_draws)), Category.TRACK_KICK, 0))
    return microseconds(SPINNING, spent[1] - spent[0]) / (_PAGES[1] - _PAGES[0])


def _stop(n_draws: int) -> Sample:
    """Measure one stop of all vCPUs."""
    note = (
        "IPIs go out side by side: what grows with the vCPUs are cache lines, not IPIs. The "
        "observed difference contains one kick at least, and whatever else is slower with vCPUs "
        "in the guest."
    )
    return Sample(_stops(n_draws), note)


def _stop_in_s06(n_draws: int) -> Sample:
    """Measure one stop of all vCPUs in the scenario that comparisons play."""
    batch = run_world(_S06, "always-retry", n_draws)
    n_stops = n_zaps(batch) + batch.run["guest_items"]  # each chunk ends with a flush
    values = microseconds(_S06, booked(batch, Category.TRACK_KICK, 0) / n_stops)
    near = np.mean(np.abs(values - _STOP_US) <= _NEAR * _STOP_US)
    return Sample(values, f"{near:.0%} of the draws are within {_NEAR:.0%} of what was measured.")


def _stop_each(n_draws: int) -> Sample:
    """Measure a stop for each vCPU in the guest."""
    note = "Mode, request queue and answer of a target are three cache lines: see stop."
    return Sample(_stops(n_draws) / N_TARGETS, note)


def _in_tries(n_draws: int) -> Sample:
    """Measure a stop in busy tries of TRACK on the same machine."""
    batch = run_world(_S06, FIRST_BUSY, n_draws)
    asked = np.flatnonzero(batch.waiting)
    tries = microseconds(_S06, batch.features[asked, Feature.TRY_CYCLES])
    # Costs depend on the seed alone: draw i has the same ones in both worlds.
    note = (
        f"A busy TRACK or VP.ENTER comes back after {np.median(tries):.2f} µs (median); the stop "
        "is the one above, with the same costs."
    )
    return Sample(_stops(n_draws)[asked] / tries, note)


ROWS = (
    Row(
        "conversion-spinning", Kind.MEASURED,
        "Converting 1 GiB of a 248-vCPU TD takes 68 s with 247 vCPUs spinning in the TD.",
        _DSTACK, "µs a page", Within(259), _spinning,
    ),
    Row(
        "conversion-halted", Kind.MEASURED,
        "The same takes 6 s with all other vCPUs in HLT.",
        _DSTACK, "µs a page", Within(23), _halted,
    ),
    Row(
        "conversion-ticking", Kind.MEASURED,
        "The same takes more than 200 s when idle vCPUs tick at HZ=1000.",
        _DSTACK, "µs a page", reaches(763), _ticking,
    ),
    Row(
        "stop", Kind.MEASURED,
        "Stopping some 247 vCPUs in the guest costs 259 - 23 µs a page.",
        "derived from " + _DSTACK, "µs", Within(_STOP_US), _stop,
    ),
    Row(
        "stop-below", Kind.MEASURED,
        "So one kick of 247 vCPUs takes less than 236 µs.",
        "derived from " + _DSTACK, "µs", below(_STOP_US), _stop,
    ),
    Row(
        "stop-s06", Kind.MEASURED,
        "The same stop, in the scenario s06-conversion-248 that policies are compared in.",
        "derived from " + _DSTACK, "µs", Within(_STOP_US), _stop_in_s06,
    ),
    Row(
        "stop-each", Kind.MEASURED,
        "That is 0.95 µs for each vCPU.",
        "derived from " + _DSTACK, "µs a vCPU", Within(0.95, 0.01), _stop_each,
    ),
    Row(
        "stop-in-tries", Kind.STATED,
        "On a large TD a kick of all vCPUs costs as much as a hundred busy tries or more.",
        "derived from " + _DSTACK + "; S. Christopherson, 10 September 2024 (2,000 cycles a try)",
        "tries", mostly_reaches(100), _in_tries,
    ),
)  # fmt: skip
