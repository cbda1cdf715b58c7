"""Rows about zero-step: what arms it, what does not, and what it can lead to."""

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch
from tdx_env.module.zero_step import EPF_THRESHOLD
from tdx_env.state.accounting import Category
from tdx_env.state.actors import State
from tdx_env.state.world import End
from tdx_eval.reality.criteria import Always, Sometimes
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import MERGED, OLD_LOCKS, TODAY, World, booked, run_world

_YAN_SELFTEST = "Y. Zhao, 25 September 2024, selftest"
_SELFTEST = World("selftest.toml")
_INVALIDATION = World("s03-zero-step/train").with_(module__version=OLD_LOCKS)
_DYING_SLOT = World("s04-zero-step-livelock/train").with_(module__version=OLD_LOCKS)
MERGED_6_18 = "p19-merged-6.18"
_N_TRACED = 4_096
_NEWCOMERS = World("newcomers.toml").with_(module__version=OLD_LOCKS)
_N_NEWCOMERS = 4
_IGNORED = 5  # exits that user space ignores in the selftest


def _count_states(batch: Batch, state: State, actor: int = 0) -> NDArray[np.int64]:
    """Return how often an actor was in a state, in each world."""
    counts = []
    for index in range(batch.n_worlds):
        world = batch.world(index)
        events = world.trace["event"][: world.run["n_traced"]]
        counts.append(int(((events["actor"] == actor) & (events["state"] == state)).sum()))
    return np.array(counts)


def _faults(n_draws: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the hardware faults of the selftest's page in each draw, and whether they armed."""
    batch = run_world(_SELFTEST, MERGED, n_draws, _N_TRACED)
    # Each hardware or synthetic violation is one pass of the fault path; there are no others.
    faults = _count_states(batch, State.FAULT_SOFTWARE) - batch.run["n_synthetic"]
    return faults, batch.run["n_armed"] > 0


def _seventh(n_draws: int) -> Sample:
    """Look whether seven faults arm and six don't."""
    faults, is_armed = _faults(n_draws)
    agrees = is_armed == (faults > EPF_THRESHOLD)
    note = f"From {faults.min()} to {faults.max()} faults at one RIP; {is_armed.sum()} draws armed."
    return Sample(agrees.astype(float), note)


def _selftest(n_draws: int) -> Sample:
    """Look whether five ignored exits arm."""
    faults, is_armed = _faults(n_draws)
    values = is_armed[faults == _IGNORED + 1].astype(float)
    note = (
        "Five ignored exits and the fault that is then resolved are six violations at one RIP; by "
        "the module's source (td_exit_epf_stepping_log) six only count and the seventh is listed. "
        "One more violation of that instruction in the selftest would arm: an inference."
    )
    return Sample(values, note)


def _invalidated(n_draws: int) -> Sample:
    """Look whether a well-behaved system arms while an invalidation runs."""
    batch = run_world(_INVALIDATION, MERGED, n_draws)
    note = (
        f"{batch.run['n_armed'].mean():.0f} VP.ENTERs an episode took the tree, "
        f"{batch.run['n_synthetic'].mean():.0f} ended in a synthetic exit (means). User space that "
        "answers a fault by entering again stands for the invalidation; RET_PF_RETRY of an MMU "
        "notifier inside KVM is modelled for memslots alone."
    )
    return Sample((batch.run["n_armed"] > 0).astype(float), note)


def _slot(n_draws: int) -> Sample:
    """Look whether leaving a dying memslot for the guest arms."""
    batch = run_world(_DYING_SLOT, MERGED_6_18, n_draws)
    merged = run_world(_DYING_SLOT, MERGED, n_draws)
    note = (
        "Touches in a memslot that is being deleted. Under 6.16, which retries inside KVM, "
        f"{np.mean(merged.run['n_armed'] > 0):.0%} of the draws arm."
    )
    return Sample((batch.run["n_armed"] > 0).astype(float), note)


def _livelock(n_draws: int) -> Sample:
    """Look for vCPUs that get the synthetic exit for ever."""
    batch = run_world(_DYING_SLOT, MERGED_6_18, n_draws)
    rows = [batch.world(index).actors["row"] for index in range(n_draws)]
    is_listed = np.array([bool(row["zs_listed"].any()) for row in rows])
    is_hung = batch.run["end"] == End.HUNG
    newer = run_world(_DYING_SLOT.with_(module__version=TODAY), MERGED_6_18, n_draws)
    note = (
        f"Reported as a hang: “zero-step list of 1”, {np.median(batch.run['n_synthetic']):,.0f} "
        "synthetic exits (median) until 25 ms had passed without progress. It takes a guest that "
        "accepts in its #VE handler and no other vCPU that accepts the page; Linux accepts first. "
        f"On {TODAY}, where such a page counts as present, "
        f"{np.mean(newer.run['end'] == End.HUNG):.0%} hang."
    )
    return Sample((is_hung & is_listed).astype(float), note)


def _accepts(n_draws: int) -> Sample:
    """Look whether violations by ACCEPT are not counted."""
    batch = run_world(World("ignored.toml"), MERGED, n_draws, _N_TRACED)
    faults = _count_states(batch, State.USER_EXIT)
    note = f"{np.median(faults):.0f} violations by one ACCEPT (median)."
    return Sample((batch.run["n_armed"] == 0).astype(float), note)


def _loop(n_draws: int) -> Sample:
    """Look whether a loop at one RIP arms though each of its faults is resolved."""
    batch = run_world(World("loop.toml"), MERGED, n_draws)
    handler = run_world(World("handler.toml"), MERGED, n_draws)
    note = (
        f"Nothing is wrong: each fault is resolved at once, {int(batch.run['n_synthetic'].sum())} "
        "exits were synthetic. But it takes pages that a live migration has blocked for writing, "
        "which is out of tree: a guest that accepts new pages in its #VE handler arms in "
        f"{np.mean(handler.run['n_armed'] > 0):.0%} of the draws, since that TDCALL's RIP resets "
        "the count, and Linux accepts before it touches."
    )
    return Sample((batch.run["n_armed"] > 0).astype(float), note)


def _barrier(n_draws: int) -> Sample:
    """Look whether synthetic exits go on under the mmu_lock barrier."""
    batch = run_world(_INVALIDATION, "p12-write-barrier-1024", n_draws)
    other = run_world(_INVALIDATION, "p4-doubling-cap-1024", n_draws)
    note = (
        f"{batch.run['n_synthetic'].mean():.0f} synthetic exits an episode with the barrier, "
        f"{other.run['n_synthetic'].mean():.0f} without (means)."
    )
    return Sample((batch.run["n_synthetic"] > 0).astype(float), note)


def _frozen_only(n_draws: int) -> Sample:
    """Look whether vCPUs whose AUG was busy are armed, if KVM retries only FROZEN SPTEs."""
    shares = {}
    for policy in ("p15-frozen-loop", MERGED):
        batch = run_world(_NEWCOMERS, policy, n_draws)
        exits = [booked(batch, Category.SYNTHETIC_EXIT, vcpu) > 0 for vcpu in range(_N_NEWCOMERS)]
        shares[policy] = np.any(exits, axis=0)
    hung = np.mean(run_world(_NEWCOMERS, "p15-frozen-loop", n_draws).run["end"] == End.HUNG)
    note = (
        "First touches while 12 other vCPUs are armed and keep the tree busy: draws in which such "
        f"a vCPU was armed too; {hung:.0%} of them end in the livelock of zero-step-livelock. With "
        f"busy replies retried inside KVM, as merged: {np.mean(shares[MERGED]):.0%}. Module "
        f"{OLD_LOCKS}; from 1.5.28 on armed vCPUs share the tree and make no AUG busy."
    )
    return Sample(shares["p15-frozen-loop"].astype(float), note)


ROWS = (
    Row(
        "zero-step-seventh", Kind.STATED,
        "The threshold is 6: six violations at one RIP only count, the seventh is listed and arms.",
        "module team, November 2024; TDX module 1.5, td_exit_stepping.c", "", Always(), _seventh,
    ),
    Row(
        "zero-step-selftest", Kind.STATED,
        "Zero-step arms if user space ignores KVM_EXIT_MEMORY_FAULT five times on one page.",
        _YAN_SELFTEST, "", Always(), _selftest,
    ),
    Row(
        "zero-step-accept", Kind.STATED,
        "EPT violations caused by ACCEPT don't count for zero-step.",
        "module team, November 2024", "", Always(), _accepts,
    ),
    Row(
        "zero-step-loop", Kind.STATED,
        "A guest that loops over memory at one RIP arms zero-step legitimately.",
        "PUCK call, reported 17 December 2024", "", Sometimes(), _loop,
    ),
    Row(
        "zero-step-barrier", Kind.STATED,
        "An mmu_lock barrier doesn't resolve the vCPU's own fault: synthetic exits go on.",
        "S. Christopherson, 10 September 2024, about P. Bonzini's barrier", "", Always(), _barrier,
    ),
    Row(
        "zero-step-frozen-only", Kind.STATED,
        "Retrying FROZEN SPTEs alone inside KVM is not enough against zero-step: busy replies of "
        "AUG and SEPT.ADD must be retried there too.",
        "Y. Zhao, 14 to 25 September 2024", "", Sometimes(), _frozen_only,
    ),
    Row(
        "zero-step-slot", Kind.STATED,
        "Going back to the guest from a dying memslot (6.18) may arm zero-step; that was accepted.",
        "Linux 6.18, commit 2bc2694fe20b", "", Sometimes(), _slot,
    ),
    Row(
        "zero-step-livelock", Kind.STATED,
        "An armed vCPU whose listed page stays PENDING gets the synthetic exit for ever.",
        "TDX module 1.5, td_exit_stepping.c, is_epf_expected; not tested publicly", "", Always(),
        _livelock,
    ),
    Row(
        "B13", Kind.BUG,
        "A well-behaved system arms zero-step while an invalidation is in progress.",
        "Y. Zhao, 16 October 2024 (Zw/KElXSOf1xqLE7)", "", Always(), _invalidated,
    ),
)  # fmt: skip
