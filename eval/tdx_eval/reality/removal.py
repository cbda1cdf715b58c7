"""Rows about removing private memory while no vCPU runs, and about the shutdown of a large TD."""

import functools

import numpy as np

from tdx_env.state.accounting import Category
from tdx_eval.reality.conversion import EACH_VCPU, PAGE_STEPS
from tdx_eval.reality.criteria import Overlaps, Within
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import (
    MERGED,
    Floats,
    World,
    booked,
    finished,
    microseconds,
    per_unit,
    ranges_sum,
    run_world,
)

_HUNTER = "A. Hunter, KVM_TDX_TERMINATE_VM, v2 to v4, March to June 2025"
_CHUNK = "tasks.closer.chunk"
_PAGES = (8, 24)
_REMOVAL = World("removal.toml")
_LARGE_TD_PAGES = (400 << 30) // 4096
_US_PER_MINUTE = 60e6


@functools.cache
def _page(n_vcpus: int, n_draws: int) -> Floats:
    """Return the time of one page with so many vCPUs outside of the guest [µs]."""
    return per_unit(_REMOVAL.with_(host__n_vcpus=n_vcpus), MERGED, _CHUNK, _PAGES, n_draws)


def _why(n_vcpus: int, n_draws: int) -> str:
    """Say what a page is made of, and what the number of vCPUs changes."""
    low, high = ranges_sum(_REMOVAL.with_(host__n_vcpus=n_vcpus), PAGE_STEPS, EACH_VCPU)
    grown = float(np.median(_page(n_vcpus, n_draws)) - np.median(_page(4, n_draws)))
    text = (
        f"The ranges of its steps add up to {low:.1f} to {high:.1f} µs: too little, or nearly all "
        "of them would have to be at their upper ends at once."
    )
    if n_vcpus > 4:
        text += (
            f" {n_vcpus} vCPUs instead of 4 change the median by {grown:+.2f} µs, since TRACK's "
            "kick looks at each of them. What else grew with vCPUs or memory in the measurement "
            "is not known (remote memory)."
        )
    return text


def _with(n_vcpus: int, n_draws: int) -> Sample:
    """Measure a page with so many vCPUs."""
    return Sample(_page(n_vcpus, n_draws), _why(n_vcpus, n_draws))


def _four_calls(n_draws: int) -> Sample:
    """Measure BLOCK, TRACK, REMOVE and WBINVD of one page together."""
    cycles = []
    for pages in _PAGES:
        batch = finished(run_world(_REMOVAL.with_(tasks__closer__chunk=pages), MERGED, n_draws))
        closer = int(batch.run["n_vcpus"][0])
        cycles.append(booked(batch, Category.SEAMCALL, closer))
    values = microseconds(_REMOVAL, cycles[1] - cycles[0]) / (_PAGES[1] - _PAGES[0])
    low, high = ranges_sum(_REMOVAL, ("range_block", "track", "page_remove", "wbinvd"))
    note = (
        f"The ranges of the four add up to {low:.1f} to {high:.1f} µs: those of TRACK and WBINVD "
        "were guessed below the average call of 2.5 to 3.3 µs that this observation gives."
    )
    return Sample(values, note)


def _shutdown(n_draws: int) -> Sample:
    """Measure the removal of all pages of a 400 GiB TD with 64 vCPUs."""
    minutes = _page(64, n_draws) * _LARGE_TD_PAGES / _US_PER_MINUTE
    note = f"{_LARGE_TD_PAGES:,} pages, one after the other; see removal-64."
    return Sample(minutes, note)


ROWS = tuple(
    Row(
        f"removal-{n_vcpus}", Kind.MEASURED,
        f"Removing {size} of private memory at VM close, {n_vcpus} vCPUs not running, takes "
        f"{seconds:,} s.",
        _HUNTER, "µs a page", Within(us, 0.1), functools.partial(_with, n_vcpus),
    )
    for n_vcpus, size, seconds, us in (
        (4, "18 GB", 72, 15.3), (32, "107 GB", 517, 18.4), (64, "400 GB", 5539, 52.8),
    )
) + (
    Row(
        "four-calls", Kind.MEASURED,
        "BLOCK, TRACK, REMOVE and WBINVD of a page take 10 to 13 µs together, nobody being there.",
        "derived from " + _HUNTER, "µs a page", Overlaps(10, 13), _four_calls,
        rests_on="range_block, track, page_remove",
    ),
    Row(
        "reclaim", Kind.MEASURED,
        "Reclaiming a page after the key was released takes 5.1, 4.8, 4.5 µs (the same TDs).",
        _HUNTER,
        reason="TEARDOWN is not in the event loop: no vCPU can run any more and each page is "
        "reclaimed once, so PHYMEM.PAGE.RECLAIM meets nobody and there is nothing to decide. "
        "Its cost would be that of the table: it has none.",
    ),
    Row(
        "B10", Kind.BUG,
        "The shutdown of a 400 GB TD takes 92 minutes: pages are removed one by one.",
        "A. Hunter, 2025", "minutes", Within(92), _shutdown,
    ),
)  # fmt: skip
