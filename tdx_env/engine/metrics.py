"""What an episode came to, as plain Python values."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch
from tdx_env.engine.waiting import waiting_actors
from tdx_env.module.versions import MODULE_VERSIONS
from tdx_env.state.accounting import Category
from tdx_env.state.calls import NONE, Leaf, Outcome
from tdx_env.state.owners import Owner
from tdx_env.state.world import (
    CELL_LOCKS,
    N_CALLS,
    N_HOLDERS,
    RUN,
    RUN_FIELDS,
    SUB_BINS,
    End,
    Operation,
)

_CATEGORY_NAMES = [category.name.lower() for category in Category]
COUNTERS = (
    "n_events",
    "n_decisions",
    "n_seamcalls",
    "n_busy",
    "n_ipis",
    "n_kicks",
    "n_guest_busy",
    "n_abandoned",
    "n_synthetic",
    "n_armed",
    "n_write_locks",
    "n_chunks",
    "n_pages",
    "guest_items",
    "task_items",
)

METRIC_NAMES = (
    "elapsed_cycles",
    "n_threads",
    "n_cpus",
    "n_vcpus",
    *(f"cycles_{name}" for name in _CATEGORY_NAMES),
    "wasted_cycles",
    "overhead_cycles",
    "preempt_penalty_cycles",
    "tail_cost_cycles",
    "total_cost",
    "host_cycles",
    "stolen_cycles",
    "hostile_cycles",
    "host_track_cycles",
    "stolen_track_cycles",
    "latency_cycles",
    "preempt_1ms_cycles",
    "preempt_50us_cycles",
    "chunk_cycles",
    "hold_max_cycles",
    "zap_max_cycles",
    "fault_max_cycles",
    "longest_nonpreemptible_cycles",
    "n_masked_actions",
    *COUNTERS,
    "fault_p99_cycles",
    "n_faults",
    "zap_p99_cycles",
    "n_zaps",
    "hold_p99_cycles",
    "kill_actor",
    "kill_leaf",
    "kill_outcome",
    "module_version",
)
"""Places of `metric_values`. The three of kill are NONE unless the TD was killed: who did it, a
`Leaf` (NONE: the guest itself) and its `Outcome`. The last, the version of the module that the
episode has drawn, is a place in `MODULE_VERSIONS`."""

_PAMT = ("n_pamt_gets", "n_pamt_adds", "pamt_get_cycles", "pamt_get_max")
_SCALARS = [str(name) for name, kind, *shape in RUN_FIELDS if kind is np.int64 and not shape]
# All of them are read at once: from a record each takes as long as ten of them do so.
_SCALARS_OF_RUN = RUN[_SCALARS]


def scalars(batch: Batch, index: int) -> dict[str, int]:
    """Return the whole numbers in the record of a run, by name."""
    values = batch.run.view(_SCALARS_OF_RUN)[index].item()
    return dict(zip(_SCALARS, values, strict=True))


def upper_edge(place: int) -> int:
    """Return the largest latency of a histogram bin [cycles]; bins are at most 6.25 % wide."""
    octave = max(0, (place - SUB_BINS) // SUB_BINS)
    return ((place - octave * SUB_BINS + 1) << octave) - 1


def percentile(counts: NDArray[np.integer], share: float, most: int) -> int:
    """Return the latency that a share of the operations did not exceed [cycles].

    Args:
        counts: Histogram, shape (N_BINS,).
        share: 0 to 1.
        most: The largest latency seen.

    Returns:
        The upper edge of the bin, at most 6.25 % too long, and never beyond the largest; 0 if
        there were no operations.
    """
    so_far = np.cumsum(counts)
    total = int(so_far[-1])
    if total == 0:
        return 0
    place = int(np.searchsorted(so_far, math.ceil(share * total)))
    return min(upper_edge(place), most)


def busy_cells(batch: Batch, index: int) -> list[dict[str, Any]]:
    """Return who found what busy: call, holder's call, lock, busy replies, cycles lost.

    Cycles lost are the caller's own, from each busy issue to the next issue or the end of the wait.
    """
    cells = batch.run[index]["cells"].reshape(N_CALLS, N_HOLDERS, len(CELL_LOCKS), 2)
    found = []
    for call, holder, column in np.argwhere(cells[..., 0] > 0):
        is_known = holder < N_HOLDERS - 1
        count, cycles = (int(value) for value in cells[call, holder, column])
        found.append(
            {
                "call": Leaf(call).name,
                "holder": Leaf(holder).name if is_known else "none known",
                "lock": CELL_LOCKS[column].name,
                "n_busy": count,
                "cycles_lost": cycles,
            }
        )
    return found


def _owned_cycles(run: np.void) -> dict[str, int]:
    """Return whose the overhead is, and what of it TRACK's kicks and the shared flush are."""
    owned, track = run["owned"].tolist(), run["track"].tolist()
    return {
        "host_cycles": owned[Owner.HOST],
        "stolen_cycles": owned[Owner.STOLEN],
        "hostile_cycles": owned[Owner.HOSTILE],
        "host_track_cycles": track[Owner.HOST],
        "stolen_track_cycles": track[Owner.STOLEN],
    }


def module_drawn(batch: Batch, index: int) -> str:
    """Return which version of the module an episode has met."""
    return list(MODULE_VERSIONS)[batch.run["module_version"][index]]


def episode_numbers(batch: Batch, index: int) -> dict[str, Any]:
    """Return the metrics of an episode that has ended, without who waits for what.

    `cycles_by_category` sums to `elapsed_cycles * n_threads`: a thread without a CPU is RUNNABLE.
    `total_cost` is by the
    scenario's objective; by ``thread`` it is waste plus penalties: a cycle for each cycle of a
    non-preemptible stretch beyond the limit, and, if the episode was killed, hung or capped, every
    cycle of every CPU from then to the cap. ``host_cycles``,
    ``stolen_cycles`` and ``hostile_cycles`` sum to the overhead; ``host_track_cycles`` and
    ``stolen_track_cycles`` are what TRACK's kicks and the shared EPT's flush have of the first two.
    ``hold`` is mmu_lock's, held for write. ``dynamic_pamt`` is there if the host keeps PAMT so: how
    often tdx_pamt_get was called and what it has taken in all.
    """
    run = scalars(batch, index)
    record = batch.run[index]
    n_threads = run["n_actors"]
    booked = batch.actors[index]["row"]["booked"][:n_threads].sum(axis=0).tolist()
    end = End(run["end"])
    metrics: dict[str, Any] = {
        "end": end.name.lower(),
        "module": module_drawn(batch, index),
        "elapsed_cycles": run["now"],
        "n_threads": n_threads,
        "n_cpus": run["n_cpus"],
        "n_vcpus": run["n_vcpus"],
        "cycles_by_category": dict(zip(_CATEGORY_NAMES, booked, strict=True)),
        "wasted_cycles": run["waste"],
        "overhead_cycles": run["overhead"],
        "preempt_penalty_cycles": run["preempt_penalty"],
        "tail_cost_cycles": run["tail_cost"],
        "total_cost": int(batch.costs[index]),
        "killed": end == End.KILLED,
        "hung": end == End.HUNG,
        "capped": end == End.CAPPED,
        "latency_cycles": run["latency"],
        "preempt_1ms_cycles": run["preempt_1ms"],
        "preempt_50us_cycles": run["preempt_50us"],
        "chunk_cycles": run["chunk_cycles"],
        "hold_max_cycles": run["hold_max"],
        "hold_p99_cycles": percentile(record["holds"], 0.99, run["hold_max"]),
        "zap_max_cycles": run["zap_max"],
        "fault_max_cycles": run["fault_max"],
        "longest_nonpreemptible_cycles": run["longest_stretch"],
        "n_masked_actions": run["n_masked"],
    }
    metrics.update({name: run[name] for name in COUNTERS})
    metrics.update(_owned_cycles(record))
    if run["n_pamt_gets"] > 0:
        metrics["dynamic_pamt"] = {name: run[name] for name in _PAMT}
    for kind in Operation:
        name = kind.name.lower()
        counts = record["histogram"][kind]
        metrics[f"{name}_p99_cycles"] = percentile(counts, 0.99, run[f"{name}_max"])
        metrics[f"n_{name}s"] = int(record["n_operations"][kind])
    if end == End.KILLED:
        leaf = run["kill_leaf"]
        metrics["killed_by"] = {
            "actor": run["kill_actor"],
            "call": Leaf(leaf).name if leaf != NONE else "guest access before accept",
            "outcome": Outcome(run["kill_outcome"]).name,
        }
    return metrics


def metric_values(batch: Batch, index: int) -> NDArray[np.int64]:
    """Return the metrics of an episode that has ended as numbers, in the order of METRIC_NAMES."""
    metrics = episode_numbers(batch, index)
    run = scalars(batch, index)
    metrics["module_version"] = run["module_version"]
    was_killed = metrics["killed"]
    for name in ("kill_actor", "kill_leaf", "kill_outcome"):
        metrics[name] = run[name] if was_killed else NONE
    for name, cycles in metrics["cycles_by_category"].items():
        metrics[f"cycles_{name}"] = cycles
    return np.array([metrics[name] for name in METRIC_NAMES], np.int64)


def episode_metrics(batch: Batch, index: int) -> dict[str, Any]:
    """Return the metrics of an episode that has ended; times in cycles.

    Beside `episode_numbers`: ``waiting``, in words, if it hung or was cut off; working that out
    takes longer than all the rest.
    """
    metrics = episode_numbers(batch, index)
    if metrics["hung"] or metrics["capped"]:
        metrics["waiting"] = waiting_actors(batch, index)
    return metrics
