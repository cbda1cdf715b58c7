"""Rows about bugs of ioctls that build a TD at the same time, and of memslot deletion."""

import functools

import numpy as np

from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import waiting_actors
from tdx_env.state.calls import Leaf, Lock, Outcome
from tdx_env.state.world import CELL_LOCKS, End
from tdx_env.status.decoder import Status, encode
from tdx_eval.reality.criteria import Always, Sometimes
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import MERGED, Floats, World, cells, run_world
from tdx_eval.reality.zero_step import MERGED_6_18

_BEFORE_6_19 = MERGED_6_18
_SINCE_6_19 = "p20-merged-6.19"
_CREATION = World("creation.toml")
_CREATION_V1 = _CREATION.with_(module__version="hypothetical-vp-init-v1")
_BUILDING = World("building.toml")
_PUNCHING_V1 = World("punching.toml").with_(module__version="hypothetical-vp-init-v1")
_SLOT = World("slot.toml")
_ZAP_CALLS = (Leaf.MEM_RANGE_BLOCK, Leaf.MEM_TRACK, Leaf.MEM_PAGE_REMOVE)
_TDR = CELL_LOCKS.index(Lock.TDR)
_OPERAND_TDR = 128
_REPORTED = 0x8000020000000080


def _killed_by(batch: Batch, leaves: tuple[Leaf, ...]) -> Floats:
    """Return whether a busy reply to one of the calls killed the TD, in each draw."""
    is_killed = (batch.run["end"] == End.KILLED) & np.isin(batch.run["kill_leaf"], leaves)
    is_busy = batch.run["kill_outcome"] == Outcome.OPERAND_BUSY
    return (is_killed & is_busy).astype(float)


def _share(batch: Batch) -> str:
    """Say how many TDs died."""
    return f"{np.mean(batch.run['end'] == End.KILLED):.0%}"


def _vp_init(n_draws: int) -> Sample:
    """Look for TDs that a busy VP.INIT killed."""
    old = run_world(_CREATION_V1, _BEFORE_6_19, n_draws)
    new = run_world(_CREATION_V1, _SINCE_6_19, n_draws)
    shared = run_world(_CREATION, _BEFORE_6_19, n_draws)
    code = encode(Status.OPERAND_BUSY, _OPERAND_TDR)
    assert code == _REPORTED
    note = (
        f"Four threads create eight vCPUs each; TDs killed: {_share(old)}, with 6.19's guard "
        f"{_share(new)}, with a module whose VP.INIT shares the TDR {_share(shared)}. The status "
        f"is {code:#x}, as reported."
    )
    return Sample(_killed_by(old, (Leaf.VP_INIT,)), note)


def _build(n_draws: int) -> Sample:
    """Look for TDs that PAGE.ADD or MR.EXTEND beside vCPU creation killed."""
    old = run_world(_BUILDING, _BEFORE_6_19, n_draws)
    new = run_world(_BUILDING, _SINCE_6_19, n_draws)
    found = cells(old)[..., _TDR].sum(axis=0)
    met = ", ".join(
        f"{Leaf(call).name} met {Leaf(holder).name}" for call, holder in np.argwhere(found)
    )
    note = f"{met}. TDs killed with 6.19's guard: {_share(new)}."
    return Sample((old.run["end"] == End.KILLED).astype(float), note)


def _punch(n_draws: int) -> Sample:
    """Look for zaps that VP.INIT makes busy on the TDR, guard or not."""
    batch = run_world(_PUNCHING_V1, _BEFORE_6_19, n_draws)
    met = cells(batch)[:, list(_ZAP_CALLS)][:, :, Leaf.VP_INIT, _TDR].sum(axis=1) > 0
    killed = _killed_by(batch, _ZAP_CALLS)
    ipis = int(batch.run["n_ipis"].sum())
    note = (
        f"Until 6.18. The kick reaches nobody ({ipis} "
        f"IPIs), the holder is a host thread: in {np.mean(killed):.0%} of the draws the second try "
        "was busy too and KVM_BUG_ON killed the TD."
    )
    return Sample(met.astype(float), note)


def _punch_fixed(n_draws: int) -> Sample:
    """Look whether 6.19 keeps VP.INIT and a punched hole apart."""
    batch = run_world(_PUNCHING_V1, _SINCE_6_19, n_draws)
    n_met = cells(batch)[:, list(_ZAP_CALLS)][:, :, Leaf.VP_INIT].sum(axis=(1, 2))
    note = "VP.INIT waits for mmu_lock, which the zap holds for write."
    return Sample((n_met == 0).astype(float), note)


def _slot(policy: str, hangs: bool, n_draws: int) -> Sample:
    """Look whether memslot deletions hang, or never do."""
    batch = run_world(_SLOT, policy, n_draws)
    hung = np.flatnonzero(batch.run["end"] == End.HUNG)
    note = "The vCPU has no ticks and no signals."
    if len(hung):
        note += f" Who waits: {'; '.join(waiting_actors(batch, int(hung[0])))}."
    return Sample(((batch.run["end"] == End.HUNG) == hangs).astype(float), note)


ROWS = (
    Row(
        "B4", Kind.BUG,
        "TDH_VP_INIT fails with 0x8000020000000080 (busy, TDR implicit), which is KVM_BUG_ON, when "
        "vCPUs are created in parallel and VP.INIT takes the TDR exclusively.",
        "Y. Zhao, selftest, September 2025; fixed in Linux 6.19", "", Sometimes(), _vp_init,
    ),
    Row(
        "B5", Kind.BUG,
        "PAGE.ADD and MR.EXTEND race with VP.CREATE and its like: KVM_BUG_ON.",
        "Y. Zhao, January and August 2025; fixed in Linux 6.19", "", Sometimes(), _build,
    ),
    Row(
        "B6", Kind.BUG,
        "VP.INIT makes BLOCK, TRACK or REMOVE of a punched hole busy on the TDR; a kick doesn't "
        "help.",
        "Y. Zhao, S. Christopherson, October 2025; fixed in Linux 6.19", "", Sometimes(), _punch,
    ),
    Row(
        "B6-fixed", Kind.BUG,
        "VP.INIT can't meet BLOCK, TRACK or REMOVE of a hole since 6.19: it holds mmu_lock for "
        "write.",
        "R. Edgecombe, 28 October 2025; Linux 6.19, commit 9a89894f30d5", "", Always(),
        _punch_fixed,
    ),
    Row(
        "B7", Kind.BUG,
        "Deleting a memslot hangs while a vCPU faults there (6.16, 6.17).",
        "R. Chatre, 2025", "", Sometimes(), functools.partial(_slot, MERGED, True),
    ),
    Row(
        "B7-fixed", Kind.BUG,
        "It doesn't hang since 6.18, whose local retry leaves a dying memslot.",
        "Linux 6.18, commits 2bc2694fe20b and 3ccbf6f47098", "", Always(),
        functools.partial(_slot, MERGED_6_18, False),
    ),
)  # fmt: skip
