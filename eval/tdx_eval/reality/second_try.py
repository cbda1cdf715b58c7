"""Rows about the second try after a kick, with and without a gate."""

import numpy as np

from tdx_env.host.discipline import DEFAULT
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.discipline import ASK, Action
from tdx_env.state.features import Feature
from tdx_eval.reality.criteria import Always, Sometimes
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import (
    OLD_LOCKS,
    TODAY,
    Host,
    World,
    microseconds,
    run_in_turns,
    run_world,
)

_WORLDS = (
    World("s06-conversion/train").with_(groups__converter__items=12),
    World("s08-accept-2m/train"),
    World("s09-accept-4k/train"),
    World("s10-hostile/train").with_(tasks__zapper__items=80, groups__honest__items=50),
    World("s03-zero-step/train"),
)
_OLD = tuple(world.with_(module__version=OLD_LOCKS) for world in _WORLDS)
_NEW = tuple(world.with_(module__version=TODAY) for world in _WORLDS)
_RACE = World("s08-accept-2m/train").with_(module__version=OLD_LOCKS)
_MANY = World("s08-accept-2m/test").with_(module__version=OLD_LOCKS)
_MANY_TODAY = _MANY.with_(module__version=TODAY)


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


def _kick_once(features: np.ndarray) -> int:
    """Kick at any call's first busy reply, leave the second to whoever looks."""
    if features[Feature.KICKS] > 0:
        return ASK
    return Action.KICK


_NO_GATE = DEFAULT.with_(gate_scope="nothing")
GATED = Host(_kick_zaps_once, DEFAULT)
UNGATED = Host(_kick_zaps_once, _NO_GATE)
_FAULT_GATED = Host(_kick_faults_once, DEFAULT)
_ANY_GATED = Host(_kick_once, DEFAULT.with_(gate_scope="call"))
_ANY_UNGATED = Host(_kick_once, _NO_GATE)


def _second_busies(host: Host, worlds: tuple[World, ...], n_draws: int) -> np.ndarray:
    """Return for each draw whether some call was busy again after its kick, in any world."""
    again = np.zeros(n_draws)
    for world in worlds:
        again = np.maximum(again, run_world(world, host, n_draws).waiting)
    return again


def _waits_after_kicks(world: World, host: Host, n_draws: int) -> np.ndarray:
    """Return the time from the kicked call's begin to its next busy reply in each draw [µs].

    Returns:
        Shape (n_draws,); nan where no call was busy again after its kick.
    """
    waits = []
    for batch in run_in_turns(world, host, n_draws):
        for index in range(batch.n_worlds):
            run = batch.run[index]
            me = batch.world(index).actors["row"][run["decision_actor"]]
            waits.append(run["now"] - me["call_started"] if batch.waiting[index] else np.nan)
    return microseconds(world, np.array(waits, float))


def _gate(n_draws: int) -> Sample:
    """Look whether the second try behind a gate always succeeds, whatever call was busy."""
    behind = np.ones(n_draws)
    notes = []
    for module, world in ((OLD_LOCKS, _MANY), (TODAY, _MANY_TODAY)):
        behind *= np.isnan(_waits_after_kicks(world, _ANY_GATED, n_draws))
        waits = _waits_after_kicks(world, _ANY_UNGATED, n_draws)
        n_again = int(np.count_nonzero(~np.isnan(waits)))
        note = f"module {module}: {n_again:,}"
        if n_again:
            note += f" (the soonest {np.nanmin(waits):.1f} µs after the call's begin, seed "
            note += f"{np.nanargmin(waits)})"
        notes.append(note)
    start = f"Episodes of S8 with a second busy reply without a gate, of {n_draws:,}: "
    return Sample(behind, f"{start}{'; '.join(notes)}.")


def _gated(n_draws: int) -> Sample:
    """Look whether the second try behind a gate always succeeds, in zaps."""
    kicks = sum(int(run_world(world, GATED, n_draws).run["n_kicks"].sum()) for world in _WORLDS)
    note = f"{kicks:,} kicks of zaps in {len(_WORLDS)} scenarios, {n_draws} episodes of each."
    return Sample(1 - _second_busies(GATED, _WORLDS, n_draws), note)


def _fault_gated(n_draws: int) -> Sample:
    """Look whether the second try behind a gate always succeeds, in faults."""
    world = World("s03-zero-step/train")
    batch = run_world(world, _FAULT_GATED, n_draws)
    note = (
        "The faulting thread holds mmu_lock for read, its SPTE is FROZEN, the gate is closed; "
        f"{int(batch.run['n_kicks'].sum()):,} kicks in s03-zero-step."
    )
    return Sample((~batch.waiting).astype(float), note)


def _ungated(n_draws: int) -> Sample:
    """Look for second busy replies without a gate."""
    lost = {
        module: [f"{np.mean(run_world(world, UNGATED, n_draws).waiting):.0%}" for world in worlds]
        for module, worlds in ((OLD_LOCKS, _OLD), (TODAY, _NEW))
    }
    shares = [f"{', '.join(found)} on module {module}" for module, found in lost.items()]
    names = ", ".join(world.name.split("/")[0] for world in _WORLDS)
    note = f"Episodes in which it lost at least once, of {names}: {'; '.join(shares)}."
    return Sample(_second_busies(UNGATED, _OLD, n_draws), note)


def _retaken(n_draws: int) -> np.ndarray:
    """Return, for second busy replies of BLOCK on an entry, whether an ACCEPT took it anew."""
    batch = run_world(_RACE, UNGATED, n_draws)
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
        "gate", Kind.STATED,
        "With a gate behind the kick, no call in S8 is busy at its second try.",
        "Linux 6.16, as above, for calls of every path", "", Always(), _gate,
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
