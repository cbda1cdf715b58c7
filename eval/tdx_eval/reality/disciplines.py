"""Rows about what locks, re-entry and a gate of the host's own cost or save."""

import numpy as np

from tdx_agents.merged import kick_zap_else_yield, merged_6_16
from tdx_agents.retry import always_retry, doubling_cap, optimistic_lock
from tdx_env.engine.batch import Batch
from tdx_env.state.accounting import Category
from tdx_env.state.calls import Leaf
from tdx_env.state.costs import Cost
from tdx_eval.reality.criteria import Always, mostly_reaches
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import MERGED, Floats, Host, World, booked, busy, run_world

_REGION = World("s01-boot-storm-region/train")
_SPREAD = World("s02-boot-storm-spread/train")
_LOCK = doubling_cap()
_NO_LOCK = Host(always_retry, _LOCK.discipline.with_(seamcall_lock="never"))
_REENTER = Host(kick_zap_else_yield, merged_6_16().discipline.with_(on_frozen="reenter"))
_FAR = 2.0  # ours: nobody put a number to "far more"
_ZAPS = (
    World("s06-conversion/train").with_(groups__converter__items=12),
    World("s08-accept-2m/train"),
    World("s09-accept-4k/train"),
)


def _spinlock(n_draws: int) -> Sample:
    """Compare a boot storm with and without a spinlock round the SEAMCALLs."""
    with_lock, without = (run_world(_SPREAD, host, n_draws) for host in (_LOCK.name, _NO_LOCK))
    ratio = with_lock.run["now"] / without.run["now"]
    note = (
        f"Each vCPU faults in a 2M region of its own (s02): the storm takes {np.median(ratio):.1f} "
        "times as long (median) with one lock round AUG and SEPT.ADD."
    )
    return Sample((ratio > 1).astype(float), note)


def _optimistic(n_draws: int) -> Sample:
    """Look whether a lock taken after the first busy reply is free of cost."""
    batch = run_world(_SPREAD, optimistic_lock().name, n_draws)
    other = run_world(_SPREAD, _NO_LOCK, n_draws)
    waited = booked(batch, Category.SEAMCALL_LOCK_WAIT)
    is_same = (batch.run["now"] == other.run["now"]) & (waited == 0)
    return Sample(is_same.astype(float), "The boot storm of spinlock-serialises, to the cycle.")


def _per_repeat(batch: Batch) -> Floats:
    """Return what a repeated fault took, for each pass given up; NaN without any [cycles]."""
    n_passes = booked(batch, Category.UNWIND) / batch.run["costs"][:, Cost.UNWIND]
    with np.errstate(invalid="ignore"):
        ratio: Floats = booked(batch, Category.REFAULT) / n_passes
    return ratio


def _refault(n_draws: int) -> Sample:
    """Compare re-entry with a local retry after a FROZEN SPTE."""
    local, again = (_per_repeat(run_world(_REGION, host, n_draws)) for host in (MERGED, _REENTER))
    ratio = again / local
    note = (
        "A pass that met a FROZEN SPTE and what follows it, in the guest or in KVM "
        f"(s01-boot-storm-region). “Far more” is taken as {_FAR:.0f} times."
    )
    return Sample(ratio[np.isfinite(ratio)], note)


def _gate_first(n_draws: int) -> Sample:
    """Look whether no zap is busy behind a gate that was closed before it began."""
    calls = (Leaf.MEM_RANGE_BLOCK, Leaf.MEM_TRACK, Leaf.MEM_PAGE_REMOVE)
    met = np.zeros(n_draws)
    for world in _ZAPS:
        batch = run_world(world, "p13-gate-first", n_draws)
        met = np.maximum(met, sum(busy(batch, leaf) for leaf in calls) > 0)
    return Sample(1 - met, f"BLOCK, TRACK and REMOVE under P13 in {len(_ZAPS)} scenarios.")


ROWS = (
    Row(
        "spinlock-serialises", Kind.STATED,
        "A spinlock round the SEAMCALLs spoils the TDP MMU's reader-writer lock: parallel faults "
        "wait for each other.",
        "series v10, October 2022; S. Christopherson, 10 September 2024", "", Always(), _spinlock,
    ),
    Row(
        "optimistic-lock", Kind.STATED,
        "A lock taken only after the first busy reply leaves the fast path unchanged.",
        "P. Bonzini, 10 September 2024", "", Always(), _optimistic,
    ),
    Row(
        "refault-dear", Kind.STATED,
        "Going back to the guest to fault again costs far more than retrying inside KVM.",
        "S. Christopherson, 13 September 2024 (ZuR09EqzU1WbQYGd)", "times as much",
        mostly_reaches(_FAR), _refault,
    ),
    Row(
        "gate-first", Kind.STATED,
        "With the gate closed before BLOCK no vCPU can make one of the zap's calls busy.",
        "Y. Zhao, 13 September 2024", "", Always(), _gate_first,
    ),
)  # fmt: skip
