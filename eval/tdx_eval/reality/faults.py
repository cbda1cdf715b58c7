"""Rows about private faults with their ACCEPT, and about boots made of them."""

import functools

import numpy as np

from tdx_env.scenarios.values import Range
from tdx_eval.reality.criteria import Overlaps, Within, below, reaches
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import (
    MERGED,
    Floats,
    World,
    finished,
    microseconds,
    per_unit,
    run_world,
    shares,
)

_DSTACK = "dstack, PR 1220, September 2026"
_KATA = "kata-containers issue 13535"
_ITEMS = "groups.accepter.items"
_PAGES = (8, 24)
_GIB_PAGES = (1 << 30) // 4096
_SECOND = 1e6  # [µs]

QUIET = World("accept.toml")
LARGE = QUIET.with_(
    host__n_vcpus=248,
    groups__others__tick_us=1_000,
    groups__others__think_cycles=Range(low=5_000, high=50_000),
    groups__accepter__tick_us=1_000,
)
_HLT_RATE = 670  # HLT exits a second of each vCPU: 1.66 million in 10 s of 248
REPLAYED = LARGE.with_(groups__others__tick_us=1_000_000 // _HLT_RATE)
# A few milliseconds of idle vCPUs that tick at HZ=1000, as the guest's kernel was built.
_IDLE = LARGE.with_(
    host__n_vcpus=16,
    groups__accepter__think_cycles=2_500_000,
    groups__accepter__items=20,
)


@functools.cache
def fault_times(world: World, n_draws: int) -> Floats:
    """Return the time of one page, from the first TDCALL to the end of the second one [µs]."""
    return per_unit(world, MERGED, _ITEMS, _PAGES, n_draws)


def _parts(world: World, n_draws: int) -> str:
    """Say where the accepting vCPU's time goes."""
    batch = run_world(World(world.name, (*world.overrides, (_ITEMS, _PAGES[1]))), MERGED, n_draws)
    parts = [f"{name.replace('_', ' ')} {share:.0%}" for name, share in shares(batch, 0).items()]
    shown = [part for part in parts if "spin" not in part and not part.startswith("guest compute")]
    return ", ".join(shown)


def _quiet(n_draws: int) -> Sample:
    """Measure a fault of a TD that does nothing else."""
    note = f"Where the vCPU's time goes: {_parts(QUIET, n_draws)}."
    return Sample(fault_times(QUIET, n_draws), note)


def _ticked(n_draws: int) -> Sample:
    """Measure a fault while 247 other vCPUs leave for HLT as often as they were seen to."""
    values = fault_times(REPLAYED, n_draws)
    slower = np.median(values) / np.median(fault_times(QUIET, n_draws))
    world = World(REPLAYED.name, (*REPLAYED.overrides, (_ITEMS, _PAGES[1])))
    n_busy = int(run_world(world, MERGED, n_draws).run["n_busy"].sum())
    note = (
        f"Played with {_HLT_RATE} HLT exits a second of each vCPU. {slower:.2f} times the quiet "
        f"fault (with HZ=1000 {np.median(fault_times(LARGE, n_draws)):.2f} µs, median): AUG shares "
        f"the tree lock, VP.ENTER of the others takes none that a fault needs; {n_busy} calls were "
        "busy. Not in the model: cache lines that 248 CPUs write to (TDR, OP_STATE, mmu_lock), the "
        "host's timers and run queues, and the guest's own lock round unaccepted memory."
    )
    return Sample(values, note)


def _hlt_rate(n_draws: int) -> Sample:
    """Measure how often an idle vCPU executes HLT if its guest ticks at HZ=1000."""
    batch = finished(run_world(_IDLE, MERGED, n_draws))
    waking = batch.actors["row"][:, 1 : int(batch.run["n_vcpus"][0])]["item"].mean(axis=1)
    values = waking / (microseconds(_IDLE, batch.run["now"]) / _SECOND)
    note = (
        "A vCPU that ticks at HZ=1000 and does nothing else halts once a tick. 248 of them made "
        "two thirds of that: the ten seconds were late in the boot, when not all were up and idle. "
        "fault-ticking replays the rate that was seen."
    )
    return Sample(values, note)


def _per_page(n_draws: int) -> Sample:
    """Measure an accepted page against a guest's published boot."""
    note = (
        "The published time is that of the guest's whole pass over its memory: the host's "
        "allocation and zeroing of each page, and the guest's own loop, are in it and not here."
    )
    return Sample(fault_times(QUIET, n_draws), note)


def _eager(n_draws: int) -> Sample:
    """Measure an accepted page against a firmware's published time."""
    return Sample(fault_times(QUIET, n_draws), "The published number is a lower bound.")


def boot_seconds(gib: int, times: Floats) -> Floats:
    """Return the time in which so much memory is accepted, from that of a page [s]."""
    return times * gib * _GIB_PAGES / _SECOND


def _large_boot(n_draws: int) -> Sample:
    """Measure the accept part of a boot with 248 vCPUs."""
    note = (
        "13 GiB accepted page by page, one vCPU after the other, as in fault-ticking: as long as "
        "a fault under ticks costs what a quiet one does, accepting is a small part of that boot."
    )
    return Sample(boot_seconds(13, fault_times(REPLAYED, n_draws)), note)


def _middle_boot(n_draws: int) -> Sample:
    """Measure the accept part of a boot with 64 vCPUs."""
    world = LARGE.with_(host__n_vcpus=64)
    note = "13 GiB as in the larger TD, which nobody said of this one: a part of the boot."
    return Sample(boot_seconds(13, fault_times(world, n_draws)), note)


def _kata(n_draws: int) -> Sample:
    """Measure the eager accept of 64 GiB."""
    note = (
        "Accepting alone stays far below the limit. The reports don't separate it from the "
        "allocation of 64 GiB on the host, which the model has no cost for."
    )
    return Sample(boot_seconds(64, fault_times(QUIET, n_draws)), note)


ROWS = (
    Row(
        "fault-quiet", Kind.MEASURED,
        "One private 4K fault during accept (TD exit, AUG, VP.ENTER, ACCEPT), nothing else going "
        "on.", _DSTACK, "µs", Within(8), _quiet, rests_on="vp_enter, td_exit",
    ),
    Row(
        "fault-ticking", Kind.MEASURED,
        "The same late in the boot, while some 248 vCPUs take ticks (166,000 HLT exits a second).",
        _DSTACK, "µs", Within(153), _ticked,
    ),
    Row(
        "hlt-rate", Kind.MEASURED,
        "Then 248 vCPUs make 1.66 million HLT exits in 10 s.",
        _DSTACK, "HLT exits/s a vCPU", Within(_HLT_RATE, 10), _hlt_rate,
    ),
    Row(
        "boot-64", Kind.MEASURED,
        "A TD with 64 vCPUs boots in about 50 s: accepting its memory must fit into that.",
        _DSTACK, "s", below(50), _middle_boot,
    ),
    Row(
        "accept-asterinas", Kind.MEASURED,
        "Asterinas accepts 8 GiB in about 30 s.",
        "Asterinas, PR 1691", "µs a page", Within(14), _per_page,
    ),
    Row(
        "accept-ovmf", Kind.MEASURED,
        "OVMF accepts 64 GiB eagerly in more than 90 s.",
        _KATA, "µs a page", reaches(5.4), _eager,
    ),
    Row(
        "B11", Kind.BUG,
        "A TD with 248 vCPUs and 32 GiB boots in 575 to 680 s, 13 GiB accepted as 4K pages.",
        _DSTACK, "s", Overlaps(575, 680), _large_boot,
    ),
    Row(
        "B12", Kind.BUG,
        "kata pods with 64 GiB or more miss a limit of 1,200 s, accepting their memory eagerly.",
        _KATA, "s", reaches(1200), _kata,
    ),
    Row(
        "unaccepted-memory", Kind.MEASURED,
        "Accepting lazily boots 2.5 times (4 GB) and 4 times (64 GB) as fast.",
        "K. Shutemov, series of 2022",
        reason="A ratio of whole boots: what the guest does beside accepting is not in the model.",
    ),
)  # fmt: skip
