"""Rows about the other reported bugs, and about splits."""

import numpy as np

from tdx_agents.merged import kick_zap_else_yield, merged_6_16
from tdx_env.engine.batch import Batch
from tdx_env.host.discipline import DEFAULT
from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import NONE, Leaf, Outcome
from tdx_env.state.discipline import Action
from tdx_env.state.features import Feature
from tdx_env.state.world import End, Operation
from tdx_env.status.decoder import Status, encode
from tdx_eval.reality.criteria import Always, Sometimes
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import (
    MERGED,
    OLD_LOCKS,
    TODAY,
    Floats,
    Host,
    World,
    booked,
    microseconds,
    run_world,
)

_BLIND = "p2-unlimited-loop"
_RCX = 1
_REPORTED_DEMOTE = 0xC0000B0800000001
_SWALLOWED = World("swallowed.toml")
_PENDING = World("pending.toml")
_STORM = World("storm.toml").with_(module__version=OLD_LOCKS)
_SPLIT_STORM = World("s14-split-storm/train").with_(module__version=OLD_LOCKS)
_SPLITTING = World("splitting.toml")
_N_SPLIT = 11


def _enter_again_kick_zaps(features: np.ndarray) -> int:
    """Enter again when VP.ENTER was busy; kick otherwise."""
    return Action.RETRY if features[Feature.PATH] == CallPath.ENTER else Action.KICK


_IRQS_ON = Host(_enter_again_kick_zaps, DEFAULT)
_IRQS_OFF = Host(_enter_again_kick_zaps, DEFAULT.with_(enter_irqs_off=True))
_LIMITED = Host(kick_zap_else_yield, merged_6_16().discipline.with_(max_interrupted=16))


def _ended(batch: Batch, end: End) -> Floats:
    """Return whether each episode ended so."""
    return (batch.run["end"] == end).astype(float)


def _died_of(batch: Batch, leaf: Leaf) -> Floats:
    """Return whether a call that failed, but was not busy, killed the TD, in each draw."""
    is_it = (batch.run["kill_leaf"] == leaf) & (batch.run["kill_outcome"] != Outcome.OPERAND_BUSY)
    return _ended(batch, End.KILLED) * is_it


def _outcomes(batch: Batch, leaf: Leaf) -> str:
    """Return the outcomes of such a call."""
    outcomes = batch.run["kill_outcome"][_died_of(batch, leaf) == 1]
    return ", ".join(Outcome(int(outcome)).name for outcome in np.unique(outcomes))


def _swallowed(n_draws: int) -> Sample:
    """Look for TDs that die since BLOCK's busy reply was ignored, in a split."""
    batch = run_world(_SWALLOWED, _BLIND, n_draws)
    note = (
        "P2 gives a busy BLOCK up at once; it met the armed VP.ENTER of a vCPU on the tree lock, "
        f"the split went on, and DEMOTE failed with {_outcomes(batch, Leaf.MEM_PAGE_DEMOTE)}. In a "
        "zap its callers made KVM_BUG_ON of the busy BLOCK itself."
    )
    return Sample(_died_of(batch, Leaf.MEM_PAGE_DEMOTE), note)


def _demote_status(n_draws: int) -> Sample:
    """Look whether the status of that DEMOTE is the reported one."""
    batch = run_world(_SWALLOWED, _BLIND, n_draws)
    dead = _died_of(batch, Leaf.MEM_PAGE_DEMOTE) == 1
    outcomes = batch.run["kill_outcome"][dead]
    code = encode(Status.TLB_TRACKING_NOT_DONE, _RCX)
    assert code == _REPORTED_DEMOTE
    note = (
        f"The report is {code:#x}, TLB_TRACKING_NOT_DONE: blocked, but not tracked. Module 1.5's "
        "source answers GPA_RANGE_NOT_BLOCKED for a page that was never blocked. So that module "
        "differed, or another failure came before: the report doesn't say."
    )
    return Sample((outcomes == Outcome.TLB_TRACKING_NOT_DONE).astype(float), note)


def _irqs_off(n_draws: int) -> Sample:
    """Look for kicks that never end since VP.ENTER is repeated with interrupts off."""
    on, off = (run_world(_STORM, host, n_draws) for host in (_IRQS_ON, _IRQS_OFF))
    waited = float(np.mean(microseconds(_STORM, booked(on, Category.KICK_WAIT))))
    mean = waited / max(1.0, float(on.run["n_kicks"].mean()))
    note = (
        "32 armed vCPUs, kicks with a gate. A vCPU that repeats a busy VP.ENTER with interrupts "
        "off and finds the gate closed never answers the kicker's IPI, and the kicker opens the "
        f"gate only then. With interrupts on a kick waits {mean:.1f} µs (mean), and "
        f"{np.mean(_ended(on, End.FINISHED)):.0%} of the TDs finish. From 1.5.28 on armed "
        "VP.ENTERs share the tree and aren't busy here."
    )
    return Sample(_ended(off, End.HUNG), note)


def _pending(n_draws: int) -> Sample:
    """Look whether touching a PENDING page kills."""
    batch = run_world(_PENDING, MERGED, n_draws)
    other = run_world(_PENDING.with_(guest__sept_ve_disable=False), MERGED, n_draws)
    note = (
        f"With SEPT_VE_DISABLE clear the guest gets #VE and accepts: "
        f"{np.mean(_ended(other, End.FINISHED)):.0%} of those TDs finish."
    )
    return Sample(_ended(batch, End.KILLED) * (batch.run["kill_leaf"] == NONE), note)


def _interrupt_storm(n_draws: int) -> Sample:
    """Look for DEMOTEs that never end under an interrupt storm."""
    batch = run_world(_SPLIT_STORM, "p23-unbounded-restart", n_draws)
    limited, masked = (
        run_world(_SPLIT_STORM, host, n_draws) for host in (_LIMITED, "p23-irqs-off")
    )
    newer = run_world(_SPLIT_STORM.with_(module__version=TODAY), MERGED, n_draws)
    finished = [f"{np.mean(_ended(some, End.FINISHED)):.0%}" for some in (masked, newer)]
    note = (
        "An interrupt each 4 µs on the splitting CPU (mean), DEMOTE takes 8 to 32. With at most 16 "
        f"repeats {np.mean(_ended(limited, End.KILLED)):.0%} of the TDs die; with interrupts off "
        f"{finished[0]} finish, on {TODAY}, whose DEMOTE doesn't look for them, {finished[1]}."
    )
    return Sample(_ended(batch, End.HUNG), note)


def _write_locks(n_draws: int) -> Sample:
    """Look who takes mmu_lock for write because a fault asks for 4K."""
    flag, locked = (
        run_world(_SPLITTING, host, n_draws) for host in ("p21-split-as-zap", "p21-locked")
    )
    faults = flag.run["n_operations"][:, Operation.FAULT]
    by_flag, by_lock = flag.run["n_write_locks"], locked.run["n_write_locks"]
    note = (
        f"{np.median(faults):.0f} ACCEPT faults, {_N_SPLIT} of them on 2M mappings: mmu_lock is "
        f"taken for write {np.median(by_lock):.0f} times if each fault looks under the lock, "
        f"{np.median(by_flag):.0f} times if the flag is looked at first (medians)."
    )
    is_so = (by_flag == _N_SPLIT) & (by_lock >= faults)
    return Sample(is_so.astype(float), note)


def _none(row_id: str, observed: str, source: str, reason: str) -> Row:
    """Return the row of a bug that is not modelled."""
    return Row(row_id, Kind.BUG, observed, source, reason=reason)


ROWS = (
    Row(
        "B1", Kind.BUG,
        "BLOCK's busy reply is swallowed by a split, and DEMOTE of a page that is not blocked "
        "fails: a TD fails to boot now and then.",
        "canonical/tdx issues 100 and 213, May to September 2024, kernel 6.8-intel", "",
        Sometimes(), _swallowed,
    ),
    Row(
        "B1-status", Kind.BUG,
        "That DEMOTE comes back with 0xc0000b0800000001.",
        "canonical/tdx issues 100 and 213", "", Always(), _demote_status,
    ),
    _none(
        "B2", "PAGE.RECLAIM fails with 0xc000030000000001 in storms at poweroff.",
        "canonical/tdx issues 149 and 153",
        "TEARDOWN and the PAMT's page states are not in the event loop, and the cause was never "
        "found: pages that had leaked before.",
    ),
    _none(
        "B3", "100 parallel GetQuote requests crash a TD: DEMOTE fails with 0x8000081000000000.",
        "canonical/tdx issue 156",
        "The status says that the TD's keys are not configured: key release is not modelled, and "
        "no lock is part of it. That zap or DEMOTE raced with it is an inference.",
    ),
    Row(
        "B8", Kind.BUG,
        "Whoever requests OUTSIDE_GUEST_MODE waits for ever for a vCPU that repeats a busy "
        "VP.ENTER with interrupts off.",
        "found before the merge, December 2024 to January 2025", "", Sometimes(), _irqs_off,
    ),
    _none(
        "B9", "Other statuses are taken for busy: err & TDX_OPERAND_BUSY matches EPT_WALK_FAILED.",
        "B. Wu, January 2025",
        "Statuses are compared as a whole here, and the calls that are modelled never come back "
        "with EPT_WALK_FAILED (docs/model.md 5).",
    ),
    _none(
        "B14", "ACCEPT fails with SIZE_MISMATCH after a migration: the entry is REMOVED.",
        "intel/tdx-module issue 18",
        "State, not contention: the import side of a migration, which leaves entries REMOVED, is "
        "not in the event loop.",
    ),
    Row(
        "B15", Kind.BUG,
        "A guest that touches a PENDING page is killed (“guest access before accepting”).",
        "Linux 6.16, tdx.c", "", Always(), _pending,
    ),
    Row(
        "demote-storm", Kind.STATED,
        "Repeating an interrupted DEMOTE without bound is a denial of service by interrupts.",
        "Y. Zhao, January 2026", "", Sometimes(), _interrupt_storm,
    ),
    Row(
        "split-write-locks", Kind.MEASURED,
        "Looking at the flag first takes mmu_lock for write at boot 11 times instead of 17,626: "
        "only faults on 2M mappings still take it.",
        "Y. Zhao, 2 July 2025", "", Always(), _write_locks,
    ),
)  # fmt: skip
