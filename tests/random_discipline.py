"""Builder of random disciplines."""

import numpy as np

from tdx_env.state.calls import N_LEAVES, Leaf
from tdx_env.state.discipline import (
    DISCIPLINE,
    UNLIMITED,
    Asks,
    EnterYield,
    Exhaustion,
    FaultYield,
    GateScope,
    KickFlagged,
    OnFrozen,
    SeamcallLock,
    SplitCheck,
    TrackKick,
    Waiting,
)
from tdx_env.state.kernels import KERNELS, OF_SCENARIO
from tdx_env.state.setup import PAGES_PER_2M
from tests.random_ranges import WILD_SHARE, Record, Rng, apart, pick

FAULT_LEAVES = (Leaf.MEM_SEPT_ADD, Leaf.MEM_PAGE_AUG, Leaf.EXPORT_UNBLOCKW)
BUILD_LEAVES = (Leaf.MEM_PAGE_ADD, Leaf.MR_EXTEND, Leaf.VP_CREATE, Leaf.VP_ADDCX, Leaf.VP_INIT)


def _exhaustions(leaf: Leaf, is_wild: bool) -> list[Exhaustion]:
    """Return what may follow on an exhausted call, likely ones more than once."""
    kinds = [Exhaustion.GATED_KICK, Exhaustion.REENTER, Exhaustion.LOCAL_RETRY] * 4
    kinds += [Exhaustion.KILL]
    kinds += [Exhaustion.USER_ERROR] * (4 if leaf in FAULT_LEAVES or leaf in BUILD_LEAVES else 1)
    if leaf != Leaf.VP_ENTER:
        kinds += [Exhaustion.SWALLOW] * (12 if is_wild else 3)
    return kinds


def random_discipline(rng: Rng, is_batching: bool = False) -> Record:
    """Return a random discipline, a DISCIPLINE record.

    Args:
        rng: Draws.
        is_batching: Flushes are decided or have a rule, most often.
    """
    d = np.zeros((), DISCIPLINE)
    is_wild = rng.random() < WILD_SHARE
    for leaf in range(N_LEAVES):
        d["max_issues"][leaf] = pick(rng, (1, 2, 3, 5, int(rng.integers(1, 21)), UNLIMITED))
        d["on_exhaustion"][leaf] = pick(rng, _exhaustions(Leaf(leaf), is_wild))
        d["tree_only"][leaf] = rng.random() < 0.1
        d["on_foreign"][leaf] = pick(rng, _exhaustions(Leaf(leaf), is_wild))
    d["seamcall_lock"] = pick(rng, list(SeamcallLock))
    d["gate_scope"] = pick(rng, list(GateScope))
    d["gate_first"] = rng.random() < 0.3
    d["on_frozen"] = pick(rng, list(OnFrozen))
    d["walks_again"] = rng.integers(0, 4)
    d["fault_yield"] = pick(rng, list(FaultYield))
    d["enter_yield"] = pick(rng, list(EnterYield))
    d["zap_yield"] = rng.random() < 0.5
    d["kick_flagged"] = pick(rng, list(KickFlagged))
    d["enter_irqs_off"] = rng.random() < 0.15
    d["decision_cycles"] = pick(rng, (0, 1, 10, 50, 3000))
    _structure(rng, d)
    _bound(apart(rng), d)
    _flush(apart(rng), d, (0.4, 0.95) if is_batching else (0.35, 0.7))
    return d[()]


def _bound(rng: Rng, d: Record) -> None:
    """Let half of the calls that would be kicked for without an end have one."""
    for ends in (d["on_exhaustion"], d["on_foreign"]):
        ends[(ends == Exhaustion.GATED_KICK) & (rng.random(N_LEAVES) < 0.5)] = (
            Exhaustion.GATED_KICK_ONCE
        )


def _flush(rng: Rng, d: Record, shares: tuple[float, float]) -> None:
    """Let some worlds decide about flushes, and some have rules of all kinds.

    Args:
        rng: Draws.
        d: Its rule is set; one that ends after so many pages stays as it is.
        shares: Worlds that decide; these and those that have rules.
    """
    rule = d["flush"]
    kind = rng.random()
    if kind < shares[0]:
        rule["is_decided"] = rule["contended"] = 1
        rule["pages"] = PAGES_PER_2M
        d["asks"] = pick(rng, (Asks.ALL, Asks.ALL, Asks.ALL, Asks.FLUSH, Asks.BUSY))
    elif kind < shares[1]:
        rule["pages"] = PAGES_PER_2M
        rule["waiting"] = pick(rng, list(Waiting))
        rule["sees_count"] = rng.random() < 0.5
        if rng.random() < 0.4:  # one condition of several
            rule["pages"] = pick(rng, (4, PAGES_PER_2M, PAGES_PER_2M))
            rule["held_us"] = pick(rng, (0, 0, 2, 20))
            rule["contended"] = rng.random() < 0.3
            rule["resched"] = rng.random() < 0.5
    rule["price_percent"] = pick(rng, (1, 5, 20, 50, 100))


def _structure(rng: Rng, d: Record) -> None:
    """Draw what is done otherwise, whatever is decided."""
    d["track_kick"] = TrackKick.BEFORE if rng.random() < 0.3 else TrackKick.AFTER
    d["flush"]["pages"] = pick(rng, (1, 1, 2, 3, 8))
    d["prepopulate"] = rng.random() < 0.1
    d["kernel"] = pick(rng, (OF_SCENARIO, OF_SCENARIO, *range(len(KERNELS))))
    d["split_check"] = pick(rng, list(SplitCheck))
    d["split_read"] = rng.random() < 0.4
    d["irqs_off"] = rng.random() < 0.2
    d["max_interrupted"] = pick(rng, (0, 1, 3, 20, UNLIMITED, UNLIMITED))
