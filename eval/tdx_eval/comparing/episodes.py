"""What the episodes of a batch came to, as records: all episodes at once, and as tables.

`tdx_env.engine.metrics` says the same of one episode, as a dict; a test compares the two.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import COUNTERS
from tdx_env.module.versions import MODULE_VERSIONS
from tdx_env.state.accounting import Category
from tdx_env.state.calls import NONE, Leaf, Outcome
from tdx_env.state.objectives import WEIGHED
from tdx_env.state.owners import Owner
from tdx_env.state.world import CELL_LOCKS, N_CALLS, N_CELLS, N_HOLDERS, SUB_BINS, End, Operation

if TYPE_CHECKING:
    import pandas as pd

CATEGORY = "cycles_"  # prefix of the columns of cycles by category
CELL_KEY = ["call", "holder", "lock"]
_TAIL = 0.99  # share of the operations that the latency columns are about
_CATEGORIES = [CATEGORY + category.name.lower() for category in Category]
_LOST = {"killed": End.KILLED, "hung": End.HUNG, "capped": End.CAPPED}
_NO_CALL = "guest access before accept"

# Column and the field of a run that it is, in the order of the results.
_BEGINNING = {
    "end": "end",  # an End
    "module_version": "module_version",  # place in MODULE_VERSIONS
    "elapsed_cycles": "now",
    "n_threads": "n_actors",
    "n_cpus": "n_cpus",
    "n_vcpus": "n_vcpus",
    "wasted_cycles": "waste",
    "overhead_cycles": "overhead",
    "preempt_penalty_cycles": "preempt_penalty",
    "tail_cost_cycles": "tail_cost",
}
_COMPONENTS = {
    "latency_cycles": "latency",
    "preempt_1ms_cycles": "preempt_1ms",
    "preempt_50us_cycles": "preempt_50us",
    "chunk_cycles": "chunk_cycles",
    "hold_max_cycles": "hold_max",
}
_OWNED = {"host_cycles": Owner.HOST, "stolen_cycles": Owner.STOLEN, "hostile_cycles": Owner.HOSTILE}
_TRACK = {"host_track_cycles": Owner.HOST, "stolen_track_cycles": Owner.STOLEN}
COST_COLUMNS = {name: f"{name}_cycles" for name in WEIGHED} | {
    "waste": "wasted_cycles",
    "lost": "tail_cost_cycles",
}
"""The column of each part of the cost, by its name in objectives."""
_COUNTS = {
    "zap_max_cycles": "zap_max",
    "fault_max_cycles": "fault_max",
    "longest_nonpreemptible_cycles": "longest_stretch",
    "n_masked_actions": "n_masked",
    **{name: name for name in COUNTERS},
}
_KILL = ("kill_leaf", "kill_outcome")  # become the text `killed_by`
_OPERATIONS = [
    column.format(kind.name.lower()) for kind in Operation for column in ("{}_p99_cycles", "n_{}s")
]

EPISODE_FIELDS = [
    ("seed", np.int64),
    *((name, np.int64) for name in (*_BEGINNING, "total_cost")),
    *((name, np.bool_) for name in _LOST),
    *((name, np.int64) for name in (*_COMPONENTS, "hold_p99_cycles", *_COUNTS)),
    *((name, np.int64) for name in (*_OWNED, *_TRACK, *_OPERATIONS)),
    *((name, np.int64) for name in (*_CATEGORIES, *_KILL)),
]
EPISODE = np.dtype(EPISODE_FIELDS)

CELL_FIELDS = [
    ("cell", np.int64),  # index into a run's `cells`
    ("n_busy", np.int64),
    ("cycles_lost", np.int64),  # the callers' own, from each busy issue to the next one [cycles]
]
CELL = np.dtype(CELL_FIELDS)


def _tails(counts: NDArray[np.integer], longest: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the latency that `_TAIL` of the operations of each episode did not exceed [cycles].

    Args:
        counts: Histogram of each episode, shape (n, N_BINS).
        longest: Largest latency of each, shape (n,) [cycles].
    """
    so_far = np.cumsum(counts, axis=1, dtype=np.int64)
    total = so_far[:, -1]
    place = (so_far < np.ceil(_TAIL * total)[:, None]).sum(axis=1)
    octave = np.maximum(0, (place - SUB_BINS) // SUB_BINS)
    edges = ((place - octave * SUB_BINS + 1) << octave) - 1
    return np.where(total == 0, 0, np.minimum(edges, longest))


def episodes_of(batch: Batch, seeds: range) -> NDArray[np.void]:
    """Return a record of each episode of a batch, all of which have ended.

    Args:
        batch: The episodes.
        seeds: The seed of each.

    Returns:
        dtype EPISODE, shape (n_worlds,).
    """
    run = batch.run
    found = np.zeros(batch.n_worlds, EPISODE)
    found["seed"] = np.arange(seeds.start, seeds.stop)
    for column, name in (*_BEGINNING.items(), *_COMPONENTS.items(), *_COUNTS.items()):
        found[column] = run[name]
    for field, columns in (("owned", _OWNED), ("track", _TRACK)):
        for column, owner in columns.items():
            found[column] = run[field][:, owner]
    found["total_cost"] = batch.costs
    for column, end in _LOST.items():
        found[column] = run["end"] == end
    for kind in Operation:
        name = kind.name.lower()
        found[f"{name}_p99_cycles"] = _tails(run["histogram"][:, kind], run[f"{name}_max"])
        found[f"n_{name}s"] = run["n_operations"][:, kind]
    found["hold_p99_cycles"] = _tails(run["holds"], run["hold_max"])
    n_rows = int(run["n_actors"].max())  # a world's unused ones are zero
    booked = batch.actors["row"][:, :n_rows]["booked"].sum(axis=1)
    for category, column in enumerate(_CATEGORIES):
        found[column] = booked[:, category]
    for column in _KILL:
        found[column] = run[column]
    return found


def cells_of(batch: Batch) -> NDArray[np.void]:
    """Return who found what busy, summed over the episodes of a batch: dtype CELL, shape (n,)."""
    sums = batch.run["cells"].sum(axis=0)
    met = np.flatnonzero(sums[:, 0])
    found = np.zeros(len(met), CELL)
    found["cell"], found["n_busy"], found["cycles_lost"] = met, sums[met, 0], sums[met, 1]
    return found


def _killers(episodes: NDArray[np.void]) -> NDArray[np.object_]:
    """Return the call and the status that killed each episode's TD, or "", shape (n,)."""
    texts = np.full(len(episodes), "", object)
    killed = episodes["killed"]
    for leaf, outcome in np.unique(episodes[list(_KILL)][killed]).tolist():
        same = killed & (episodes["kill_leaf"] == leaf) & (episodes["kill_outcome"] == outcome)
        call = Leaf(leaf).name if leaf != NONE else _NO_CALL
        texts[same] = f"{call}: {Outcome(outcome).name}"
    return texts


def _key_columns(
    keys: Sequence[tuple[str, str]], parts: Sequence[NDArray[np.void]]
) -> dict[str, NDArray[Any]]:
    """Return the columns that say which policy and scenario each row of the parts is of."""
    lengths = [len(part) for part in parts]
    names = np.array([*keys], object).reshape(-1, 2)
    return {
        "policy": np.repeat(names[:, 0], lengths),
        "scenario": np.repeat(names[:, 1], lengths),
    }


def episodes_table(
    keys: Sequence[tuple[str, str]],
    parts: Sequence[NDArray[np.void]],
    costs: Sequence[NDArray[np.int64]],
) -> "pd.DataFrame":
    """Return episodes as a table, one a row.

    Args:
        keys: Policy and scenario of each part.
        parts: dtype EPISODE each.
        costs: What each episode of each part costs [cycles].
    """
    import pandas as pd

    episodes = np.concatenate([np.zeros(0, EPISODE), *parts])
    columns = _key_columns(keys, parts)
    columns |= {name: episodes[name] for name in EPISODE.names or () if name not in _KILL}
    ends = np.array([end.name.lower() for end in End], object)
    columns["end"] = ends[episodes["end"]]
    columns["module_version"] = np.array([*MODULE_VERSIONS], object)[episodes["module_version"]]
    columns["total_cost"] = np.concatenate([np.zeros(0, np.int64), *costs])
    columns["killed_by"] = _killers(episodes)
    return pd.DataFrame(columns)


def _summed(cells: NDArray[np.void]) -> NDArray[np.void]:
    """Return cells, each once, with the sums of their numbers, by the names of their places."""
    places, row = np.unique(cells["cell"], return_inverse=True)
    found = np.zeros(len(places), CELL)
    found["cell"] = places
    for name in ("n_busy", "cycles_lost"):
        np.add.at(found[name], row, cells[name])
    order = sorted(range(len(places)), key=lambda place: cell_names(int(places[place])))
    return found[order]


def cell_names(cell: int) -> tuple[str, str, str]:
    """Return the call, the holder's call and the lock of a cell."""
    call, holder, lock = np.unravel_index(cell, (N_CALLS, N_HOLDERS, len(CELL_LOCKS)))
    is_known = holder < N_HOLDERS - 1
    name = Leaf(int(holder)).name if is_known else "none known"
    return Leaf(int(call)).name, name, CELL_LOCKS[int(lock)].name


def cells_table(
    keys: Sequence[tuple[str, str]], parts: Sequence[NDArray[np.void]]
) -> "pd.DataFrame":
    """Return cells as a table: one row for each policy, scenario and cell, summed.

    Args:
        keys: Policy and scenario of each part, each once.
        parts: dtype CELL each.
    """
    import pandas as pd

    summed = [_summed(part) for part in parts]
    cells = np.concatenate([np.zeros(0, CELL), *summed])
    names = [cell_names(cell) for cell in range(N_CELLS)]
    shown = np.array(names, object)[cells["cell"]]
    columns = _key_columns(keys, summed)
    columns |= {name: shown[:, place] for place, name in enumerate(CELL_KEY)}
    columns |= {name: cells[name] for name in ("n_busy", "cycles_lost")}
    return pd.DataFrame(columns)
