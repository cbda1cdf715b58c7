"""Rows about the time that a kick takes its sender, by the number of vCPUs in the guest."""

import functools

import numpy as np

from tdx_env.state.accounting import Category
from tdx_env.state.costs import Cost
from tdx_eval.reality.criteria import Criterion, Overlaps, Within
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import (
    MERGED,
    Floats,
    World,
    booked,
    finished,
    microseconds,
    run_world,
)

KICK = World("kick.toml")
_CHUNK = "tasks.zapper.chunk"
_PAGES = (4, 12)
_IPIV = "Y. Norov's IPI benchmark in Intel's posting of IPI virtualisation, 2021 to 2022; 2 vCPUs"
_DMESG = "the same benchmark's published dmesg, another Linux machine"
_UNSEEL = "unseel.com, a rule of thumb for bare metal: 1 us + 0.2 us for each receiver"
_ONEDFRK = "newsletter.onedfrk.com, May 2026, a rule of thumb"
_LATR = "LATR, ASPLOS 2018, as remembered: about 6 of 8 us with 16 cores, 82 of 120 us with 120"
_SOCKETS_OF_LATR = 4  # eight there; the model has four at most


@functools.cache
def kick_times(world: World, n_draws: int) -> Floats:
    """Return the sender's time in one of TRACK's kicks, in each draw [µs].

    The difference of two lengths of a chunk, so that the flush at its end cancels.
    """
    spent = []
    for pages in _PAGES:
        batch = finished(
            run_world(World(world.name, (*world.overrides, (_CHUNK, pages))), MERGED, n_draws)
        )
        spent.append(booked(batch, Category.TRACK_KICK, int(batch.run["n_vcpus"][0])))
    return microseconds(world, spent[1] - spent[0]) / (_PAGES[1] - _PAGES[0])


def _exits(world: World, n_draws: int) -> Floats:
    """Return the time of a TD exit in each draw [µs]."""
    chosen = World(world.name, (*world.overrides, (_CHUNK, _PAGES[0])))
    return microseconds(world, run_world(chosen, MERGED, n_draws).run["costs"][:, Cost.TD_EXIT])


def _bare(n_targets: int, n_draws: int) -> Sample:
    """Measure a kick without the TD exit of its last target."""
    world = KICK.with_(host__n_vcpus=n_targets)
    whole = kick_times(world, n_draws)
    note = (
        f"A kick of {n_targets} vCPUs, {np.median(whole):.1f} µs (median), less the last target's "
        "TD exit: bare metal has none."
    )
    return Sample(whole - _exits(world, n_draws), note)


def _one_way(n_draws: int) -> Sample:
    """Add up what lies between the sender's first step for a target and the handler."""
    batch = run_world(KICK.with_(host__n_vcpus=1, tasks__zapper__chunk=_PAGES[0]), MERGED, n_draws)
    parts = (Cost.KICK_TARGET, Cost.KICK_ICR, Cost.IPI_DELIVERY)
    cycles = sum(batch.run["costs"][:, part] for part in parts)
    return Sample(microseconds(KICK, cycles), "Queueing, one write of the ICR, delivery.")


def _each(n_draws: int) -> Sample:
    """Measure a target's part of a kick on several sockets."""
    world = KICK.with_(host__n_vcpus=120, host__n_sockets=_SOCKETS_OF_LATR)
    note = f"{_SOCKETS_OF_LATR} sockets, the model's most; theirs were eight."
    return Sample(kick_times(world, n_draws) / 120, note)


def _published(
    row_id: str, observed: str, source: str, n_targets: int, criterion: Criterion
) -> Row:
    """Return the row of a published time for so many targets, of which none is a TD."""
    measure = functools.partial(_bare, n_targets)
    return Row(row_id, Kind.ELSEWHERE, observed, source, "µs", criterion, measure)


ROWS = (
    Row(
        "ipi-one-way", Kind.ELSEWHERE,
        "From queueing a function to its handler on another CPU: 0.81 to 1.45 µs.",
        f"ipi_lat notes, 2026, arm64: 0.81 to 1.03 µs; {_IPIV}: 1.31 to 1.45 µs", "µs",
        Overlaps(0.81, 1.45), _one_way, rests_on="ipi_delivery",
    ),
    _published(
        "kick-1", "One target, its answer included, takes 1.73 to 1.79 µs.",
        f"{_IPIV}: 1.73 to 1.75 µs; {_DMESG}: 1.79 µs", 1, Overlaps(1.73, 1.79),
    ),
    _published("kick-4", "4 receivers take 1.6 µs.", _UNSEEL, 4, Within(1.6, 0.1)),
    _published(
        "kick-16", "Shooting down the TLBs of 16 cores takes about 6 µs.", _LATR, 16, Within(6)
    ),
    _published("kick-64", "64 receivers take 14 µs.", _UNSEEL, 64, Within(14)),
    _published(
        "kick-64-cores", "64 cores take 50 to 100 µs.", _ONEDFRK, 64, Overlaps(50, 100)
    ),
    Row(
        "kick-120-each", Kind.ELSEWHERE,
        "A TLB shootdown on 120 cores of several sockets takes 0.4 to 0.7 µs for each.",
        _LATR, "µs a vCPU", Overlaps(0.4, 0.7), _each,
    ),
    _published("kick-248", "256 receivers take 50 µs.", _UNSEEL, 248, Within(50)),
    Row(
        "kick-broadcast", Kind.ELSEWHERE,
        "A broadcast takes 25.7 µs.", _DMESG,
        reason="How many CPUs it was sent to isn't said: no number of targets to compare with.",
    ),
    Row(
        "kick-pkvm", Kind.ELSEWHERE,
        "A kick of all vCPUs at each map operation adds 6,000 to 193,000 cycles to it.",
        "intel-staging/pKVM-IA, issue 83, March 2026: 6,000 on one machine, 34,000 to 54,000 and "
        "43,000 to 193,000 on two others",
        reason="How many vCPUs were in the guest isn't said, and pKVM handles their exits first.",
    ),
    Row(
        "kick-nested", Kind.ELSEWHERE,
        "A flush of all CPUs of a 32-vCPU Xen PV shim takes 220 to 348 µs under the lock.",
        "Xen, commit 5500d265a2a8",
        reason="Each write of the ICR traps to the hypervisor below: a nested host. The model's "
        "host is not nested.",
    ),
    Row(
        "kick-tail", Kind.ELSEWHERE,
        "Waits for IPIs keep preemption off for 44 to 264 µs (median of the longest in 30 s), "
        "16.7 ms at worst.",
        "C. Zhou, 3 February 2026, 16 cores of a production host",
        reason="The tail of a kick is its slowest target's irq-off section. It is drawn only where "
        "a scenario names it (S16: 10 to 200 µs); elsewhere a target runs guest code and leaves at "
        "once.",
    ),
    Row(
        "kick-tail-preemptible", Kind.ELSEWHERE,
        "If the sender may be preempted while it waits (Linux 7.3), the P99 of preemption-off "
        "times by IPIs falls from 16.7 to 1.5 ms.",
        "C. Zhou, February to June 2026, 16 cores of a production host",
        reason="KVM's kick does not profit: kvm_make_vcpus_request_mask holds get_cpu() over the "
        "wait. A host thread of the model can't be preempted in a kick either.",
    ),
)  # fmt: skip
