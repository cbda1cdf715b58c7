"""Rows about how long guests take to accept their memory, by the vCPUs that work at it."""

import functools

import numpy as np

from tdx_eval.reality.criteria import Overlaps, below
from tdx_eval.reality.faults import boot_seconds, fault_times
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import MERGED, Floats, World, per_unit

_LKVS = "Intel, lkvs, guest-test/tdx/tdx_mem_test.sh, baselines of February 2024 (PR 181)"
_ASTERINAS = "asterinas, issue 3640, 22 July 2026, 8 GB, whole boot"
_KATA = "kata-containers, issue 13535, 1 August 2026"
_ITEMS = "groups.acceptors.items"
_PAGES = (32, 96)  # of each vCPU
_SIZES = "three sizes of TD, each timed in whole seconds"
_ONE_VCPU = World("accepts.toml").with_(host__n_vcpus=1)
_MANY = World("accepts.toml")
_N_MANY = 32
_ONE_WORKER = World("accept.toml").with_(host__n_vcpus=_N_MANY)
_GIB = 8
_MISSING = (
    "Not in the model: the host's allocation and zeroing of each page, memory bandwidth, the cache "
    "lines of TDR, TDCS and mmu_lock that all CPUs write to, and the guest's own lock round its "
    "bitmap of unaccepted memory. The kernels were of 2024 and the size of the mappings isn't said."
)


@functools.cache
def _wall(world: World, n_draws: int) -> Floats:
    """Return the wall time of a page when all vCPUs accept, in each draw [µs]."""
    each = per_unit(world, MERGED, _ITEMS, _PAGES, n_draws)
    return each / world.scenario().host.n_vcpus.high


def _one_vcpu(n_draws: int) -> Sample:
    """Measure a page of a TD with one vCPU."""
    return Sample(_wall(_ONE_VCPU, n_draws), _MISSING)


def _one_worker(n_draws: int) -> Sample:
    """Measure a page of a TD with 32 vCPUs of which one accepts."""
    return Sample(fault_times(_ONE_WORKER, n_draws), "The other 31 vCPUs are in HLT.")


def _all_workers(n_draws: int) -> Sample:
    """Measure a page when 32 vCPUs accept at once."""
    values = _wall(_MANY, n_draws)
    busy = np.median(values) * _N_MANY
    note = f"Each vCPU takes {busy:.1f} µs (median) for a page of its own, alone or not. {_MISSING}"
    return Sample(values, note)


def _speed_up(n_draws: int) -> Sample:
    """Measure how much faster 32 workers are than one, draw by draw."""
    values = fault_times(_ONE_WORKER, n_draws) / _wall(_MANY, n_draws)
    note = (
        "AUG shares mmu_lock, the TDR and the tree lock: by the rules of the locks no worker waits "
        f"for another one. {_MISSING}"
    )
    return Sample(values, note)


def _boot_part(n_vcpus: int, n_draws: int) -> Sample:
    """Measure the accepting part of a boot of 8 GB on so many vCPUs."""
    seconds = boot_seconds(_GIB, _wall(_MANY.with_(host__n_vcpus=n_vcpus), n_draws))
    return Sample(seconds, "All 8 GB, page by page; the rest of a boot has to fit in beside it.")


def _parallel_part(n_draws: int) -> Sample:
    """Measure a page against what falls with the number of vCPUs in a guest's boots."""
    note = (
        "Boots of 25, 12 and 9 s with 1, 4 and 8 vCPUs, read as a + b / vCPUs: b is 17.3, 18.3 and "
        "24 s from the three pairs, which is 8.3 to 11.4 µs for each page of 8 GB."
    )
    return Sample(_wall(_ONE_VCPU, n_draws), note)


ROWS = (
    Row(
        "lkvs-1-vcpu", Kind.MEASURED,
        "One vCPU and one worker accept 8, 32, 96 GB in 24, 119, 398 s.",
        _LKVS, "µs a page", Overlaps(11.4, 15.8, _SIZES), _one_vcpu,
    ),
    Row(
        "lkvs-1-worker", Kind.MEASURED,
        "One worker of a TD with 32 vCPUs accepts 16, 32, 96 GB in 34, 80, 271 s.",
        _LKVS, "µs a page", Overlaps(8.1, 10.8, _SIZES), _one_worker,
    ),
    Row(
        "lkvs-32-workers", Kind.MEASURED,
        "32 workers of the same TDs take 6, 11, 33 s.",
        _LKVS, "µs a page, wall", Overlaps(1.31, 1.43, _SIZES), _all_workers,
    ),
    Row(
        "lkvs-speed-up", Kind.MEASURED,
        "So 32 workers are 5.7 to 8.2 times as fast as one.",
        "derived from " + _LKVS, "times", Overlaps(5.7, 8.2, _SIZES), _speed_up,
    ),
    Row(
        "lkvs-workers-1-vcpu", Kind.MEASURED,
        "On one vCPU eight workers are 1.25 times as fast as one (19, 95, 321 s).",
        _LKVS,
        reason="Threads of a guest on one vCPU are not in the model: a vCPU runs one program.",
    ),
    Row(
        "accept-asterinas-1", Kind.MEASURED,
        "A TD with one vCPU boots in 25 s: accepting its memory must fit into that.",
        _ASTERINAS, "s", below(25), functools.partial(_boot_part, 1),
    ),
    Row(
        "accept-asterinas-8", Kind.MEASURED,
        "A TD with 8 vCPUs boots in 9 s: accepting its memory must fit into that.",
        _ASTERINAS, "s", below(9), functools.partial(_boot_part, 8),
    ),
    Row(
        "accept-asterinas-part", Kind.MEASURED,
        "What falls with the vCPUs in boots of 25, 12, 9 s (1, 4, 8 vCPUs) is 17 to 24 s of one.",
        "derived from " + _ASTERINAS, "µs a page",
        Overlaps(8.3, 11.4, "the three pairs of whole seconds give that much"), _parallel_part,
    ),
    Row(
        "accept-kata-lazy", Kind.MEASURED,
        "A pod with 64 GB that accepts lazily boots in less than 15 s.",
        _KATA,
        reason="How much memory a guest touches while it boots is the guest's; an eager accept of "
        "64 GB is the row accept-ovmf.",
    ),
)  # fmt: skip
