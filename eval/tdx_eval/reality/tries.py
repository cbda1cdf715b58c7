"""Rows about what a busy try takes, and about twenty of them against the kernel's tolerances."""

import functools

import numpy as np

from tdx_env.host.discipline import DEFAULT
from tdx_env.state.discipline import ASK, Action
from tdx_env.state.features import Feature
from tdx_env.state.setup import PAGES_PER_2M
from tdx_eval.reality.conversion import FIRST_BUSY, SPINNING, page_times
from tdx_eval.reality.criteria import below, reaches
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import MERGED, Floats, Host, World, microseconds, run_world

_SEAN = "S. Christopherson, 10 September 2024"
_TRIES = 20
_EPOCH, _TREE, _ENTRY = "the epoch", "the tree", "an entry"
_WORLDS = {
    _EPOCH: World("s06-conversion/test"),
    _TREE: World("s03-zero-step/test"),
    _ENTRY: World("s08-accept-2m/train"),
}
_FLOOR = 2_000  # [cycles]
_US, _S = 1e-3, 1e3  # [ms]


def _try_twenty_times(features: np.ndarray) -> int:
    """Issue a call again until it was busy twenty times; leave that moment to whoever looks."""
    if features[Feature.ISSUES] >= _TRIES:
        return ASK
    return Action.RETRY


_TWENTY = Host(_try_twenty_times, DEFAULT)


def _one_try(world: World, n_draws: int) -> Floats:
    """Return what the first busy reply of each draw took [cycles]."""
    batch = run_world(world, FIRST_BUSY, n_draws)
    asked = np.flatnonzero(batch.waiting)
    return batch.features[asked, Feature.TRY_CYCLES].astype(float)


def _failed_call(n_draws: int) -> Sample:
    """Measure failed calls at the three locks that vCPUs hold."""
    tries = {lock: _one_try(world, n_draws) for lock, world in _WORLDS.items()}
    values = np.concatenate(list(tries.values()))
    medians = ", ".join(f"{np.median(some):,.0f} at {lock}" for lock, some in tries.items())
    note = f"Medians: {medians}. {np.mean(values < _FLOOR):.0%} of the draws are below {_FLOOR:,}."
    return Sample(values, note)


@functools.cache
def _twenty_tries(n_draws: int) -> Floats:
    """Return what twenty busy issues of one call in a row take [ms]."""
    world = _WORLDS[_ENTRY]
    batch = run_world(world, _TWENTY, n_draws)
    asked = np.flatnonzero(batch.waiting)
    return microseconds(world, batch.features[asked, Feature.CALL_CYCLES]) * _US


def _twenty(n_draws: int) -> Sample:
    """Measure twenty tries against the shortest tolerance of a scheduler."""
    values = _twenty_tries(n_draws)
    each = np.median(values) / _TRIES / _US
    note = (
        f"BLOCK of a page that the guest accepts as 2M: {each:.2f} µs a try. A tick of HZ=1000 is "
        f"{1 / np.median(values):.0f} times as long as twenty of them."
    )
    return Sample(values, note)


def _against_limit(note: str, n_draws: int) -> Sample:
    """Measure twenty tries against one limit."""
    return Sample(_twenty_tries(n_draws), note)


def _lag(n_draws: int) -> Sample:
    """Measure the longest hold of mmu_lock while 64 pages are converted and others wait."""
    world = World("lag.toml")
    batch = run_world(world, MERGED, n_draws)
    whole = run_world(world.with_(host__break_on_contention=False), MERGED, n_draws)
    longest = float(np.median(microseconds(world, whole.run["longest_stretch"]))) * _US
    note = (
        "32 vCPUs, 27 of them spinning, 64 pages, four vCPUs faulting meanwhile: the lock is "
        f"dropped after a page if somebody waits. A chunk in one go holds it for {longest:.1f} ms "
        "(median)."
    )
    return Sample(microseconds(world, batch.run["longest_stretch"]) * _US, note)


def _chunk(n_draws: int) -> Sample:
    """Measure how long MapGPA's chunk of 2 MiB keeps the vCPU that asked from its tick."""
    values = page_times(SPINNING, n_draws) * (PAGES_PER_2M * _US)
    note = (
        "512 pages one after the other, each with a stop of 247 vCPUs: the requesting vCPU is "
        "outside of the guest for many of its ticks. KVM looks for its interrupts only between "
        "chunks."
    )
    return Sample(values, note)


def _chunk_against_lockup(n_draws: int) -> Sample:
    """Measure the same against the guest's soft lockup."""
    return Sample(page_times(SPINNING, n_draws) * (PAGES_PER_2M * _US), "As guest-tick.")


def _limit(row_id: str, observed: str, source: str, ms: float, note: str = "") -> Row:
    """Return the row that holds twenty tries against a limit."""
    measure = functools.partial(_against_limit, note or "Twenty busy tries, as in twenty-tries.")
    return Row(row_id, Kind.LIMIT, observed, source, "ms", below(ms), measure)


ROWS = (
    Row(
        "failed-call", Kind.STATED,
        "A failed SEAMCALL would hardly take less than 2,000 cycles (not measured).",
        _SEAN + " (ZuBsTlbrlD6NHyv1)", "cycles", reaches(_FLOOR), _failed_call, rests_on="bare",
    ),
    Row(
        "twenty-tries", Kind.STATED,
        "Even some 20 tries could exceed scheduling and RCU tolerances; the shortest of those is a "
        "tick of HZ=1000.",
        _SEAN + " (ZuBQYvY6Ib4ZYBgx)", "ms", reaches(1), _twenty,
    ),
    _limit(
        "rcu-stall", "Twenty tries stay below RCU's stall warning, 21 s.",
        "Kconfig RCU_CPU_STALL_TIMEOUT", 21 * _S,
    ),
    _limit(
        "rcu-expedited", "Twenty tries stay below the expedited stall warning of some Android "
        "configurations, 20 ms.", "Kconfig RCU_EXP_CPU_STALL_TIMEOUT", 20,
    ),
    _limit(
        "lockup", "Twenty tries stay below the hard lockup, 10 s (soft lockup: 20 s).",
        "watchdog_thresh = 10", 10 * _S,
    ),
    _limit(
        "slice", "Twenty tries stay below the scheduler's base slice, 2.8 ms.",
        "EEVDF's default on 8 CPUs or more", 2.8,
    ),
    _limit(
        "tick", "Twenty tries stay below a tick, 1 ms at HZ=1000.", "Kconfig HZ", 1,
    ),
    _limit(
        "realtime", "Twenty tries stay below what low-latency hosts bear, 50 µs at the strictest.",
        "M. Tosatti, 2024: 50 to 150 µs", 0.05,
        "Twenty busy tries, as in twenty-tries: the one limit that they come near to.",
    ),
    Row(
        "lag", Kind.LIMIT,
        "A lag of several milliseconds by a zap was too long for KVM's maintainers; zapping in 4K "
        "steps ended it (6.9). Two milliseconds are the least that is several.",
        'pull request "KVM x86 MMU changes for 6.9"', "ms", below(2), _lag,
    ),
    Row(
        "guest-tick", Kind.LIMIT,
        "MapGPA is cut into chunks of 2 MiB so that interrupts get in; a guest ticks every 1 to "
        "4 ms.", "Linux 6.16, tdx.c", "ms", below(4), _chunk,
    ),
    Row(
        "guest-lockup", Kind.LIMIT,
        "A guest's soft lockup warns after 20 s; a chunk of MapGPA stays below it.",
        "watchdog_thresh = 10", "ms", below(20_000), _chunk_against_lockup,
    ),
)  # fmt: skip
