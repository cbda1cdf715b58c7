"""Rows about the second try after a kick, with and without a gate."""

import numpy as np

from tdx_env.host.discipline import DEFAULT
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.discipline import ASK, Action
from tdx_env.state.features import Feature
from tdx_eval.reality.criteria import Always, Sometimes
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import Host, World, run

_WORLDS = (
    World("s06-conversion/train").with_(groups__converter__items=12),
    World("s08-accept-2m/train"),
    World("s09-accept-4k/train"),
    World("s10-hostile/train").with_(tasks__zapper__items=80, groups__honest__items=50),
    World("s03-zero-step/train"),
)
_RACE = World("s08-accept-2m/train")


def _kick_zaps_once(features: np.ndarray) -> int:
    """Kick at a zap's first busy reply, leave the second to whoever looks; retry elsewhere."""
    if features[Feature.PATH] != CallPath.ZAP:
        return Action.RETRY
    if features[Feature.KICKS] > 0:
        return ASK
    return Action.KICK


def _kick_faults_once(features: np.ndarray) -> int:
    """Kick at a fault's first busy reply, leave the second to whoever looks; retry elsewhere."""
    if features[Feature.PATH] != CallPath.FAULT:
        return Action.RETRY
    if features[Feature.KICKS] > 0:
        return ASK
    return Action.KICK


_NO_GATE = DEFAULT.with_(gate_scope="nothing")
GATED = Host(_kick_zaps_once, DEFAULT)
UNGATED = Host(_kick_zaps_once, _NO_GATE)
_FAULT_GATED = Host(_kick_faults_once, DEFAULT)


def _second_busies(host: Host, worlds: tuple[World, ...], n_draws: int) -> np.ndarray:
    """Return for each draw whether some call was busy again after its kick, in any world."""
    again = np.zeros(n_draws)
    for world in worlds:
        again = np.maximum(again, run(world, host, n_draws).waiting)
    return again


def _gated(n_draws: int) -> Sample:
    """Look whether the second try behind a gate always succeeds, in zaps."""
    kicks = sum(int(run(world, GATED, n_draws).run["n_kicks"].sum()) for world in _WORLDS)
    note = f"{kicks:,} kicks of zaps in {len(_WORLDS)} scenarios, {n_draws} episodes of each."
    return Sample(1 - _second_busies(GATED, _WORLDS, n_draws), note)


def _fault_gated(n_draws: int) -> Sample:
    """Look whether the second try behind a gate always succeeds, in faults."""
    world = World("s03-zero-step/train")
    batch = run(world, _FAULT_GATED, n_draws)
    note = (
        "The faulting thread holds mmu_lock for read, its SPTE is FROZEN, the gate is closed; "
        f"{int(batch.run['n_kicks'].sum()):,} kicks in s03-zero-step."
    )
    return Sample((~batch.waiting).astype(float), note)


def _ungated(n_draws: int) -> Sample:
    """Look for second busy replies without a gate."""
    shares = [
        f"{np.mean(run(world, UNGATED, n_draws).waiting):.0%} of {world.name.split('/')[0]}"
        for world in _WORLDS
    ]
    note = f"Episodes in which it lost at least once: {', '.join(shares)}."
    return Sample(_second_busies(UNGATED, _WORLDS, n_draws), note)


def _retaken(n_draws: int) -> np.ndarray:
    """Return, for second busy replies of BLOCK on an entry, whether an ACCEPT took it anew."""
    batch = run(_RACE, UNGATED, n_draws)
    found = []
    for index in np.flatnonzero(batch.waiting):
        world = batch.world(int(index))
        me = world.actors["row"][world.run["decision_actor"]]
        if me["leaf"] != Leaf.MEM_RANGE_BLOCK or me["entry"] == NONE:
            continue
        row = world.entries["row"][me["entry"]]
        holder = world.actors["row"][row["holder"]]
        is_anew = row["holder_leaf"] == Leaf.ACCEPT and holder["started"] > me["call_started"]
        found.append(float(is_anew))
    return np.array(found)


def _erased(n_draws: int) -> Sample:
    """Look whether ACCEPT took an entry again that a failed BLOCK had marked."""
    note = (
        "BLOCK's first busy reply marks the entry, which refuses guests. The kick interrupts the "
        "2M ACCEPT, whose plain store of the entry erases the mark; when BLOCK is busy again the "
        "holder is an ACCEPT that began after the mark was set."
    )
    return Sample(_retaken(n_draws), note)


ROWS = (
    Row(
        "gate-second-try", Kind.STATED,
        "After kick and gate a zap's second try succeeds.",
        "Linux 6.16, which makes its failure KVM_BUG_ON; R. Edgecombe, S. Christopherson, December "
        "2024", "", Always(), _gated,
    ),
    Row(
        "kick-without-gate", Kind.STATED,
        "A kicked vCPU can enter again and repeat its TDCALL before KVM's second try.",
        "P. Bonzini, 10 September 2024", "", Sometimes(), _ungated,
    ),
    Row(
        "gate-second-try-fault", Kind.STATED,
        "After a kick with the SPTE frozen a fault's second try succeeds (never merged).",
        "S. Christopherson, 10 September 2024", "", Always(), _fault_gated,
    ),
    Row(
        "accept-erases-mark", Kind.STATED,
        "ACCEPT's plain store erases the host-priority mark that a failed host call left.",
        "TDX module 1.5, tdg_mem_page_accept.c; never mentioned in the discussion", "", Always(),
        _erased,
    ),
)  # fmt: skip
