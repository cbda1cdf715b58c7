"""What infos hold: the same keys at every step, numbers and arrays of fixed types and shapes."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.metrics import METRIC_NAMES
from tdx_env.engine.run import N_COST_PARTS
from tdx_env.spaces import text_table
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.features import N_FEATURES
from tdx_env.state.objectives import COST_NAMES
from tdx_env.state.world import MAX_ENDED, End

__all__ = [
    "COST_NAMES",
    "INFO_ROWS",
    "METRIC_NAMES",
    "OPERATIONS_ROW",
    "info_table",
    "named_metrics",
]


class InfoRow(NamedTuple):
    """One key of an info.

    Attributes:
        key: The key.
        dtype: Type of its numbers.
        shape: Shape of its array, () for a number; vector environments put theirs before it.
        meaning: What it says.
    """

    key: str
    dtype: type
    shape: tuple[int, ...]
    meaning: str


def _members(enum: Iterable[IntEnum]) -> str:
    """Return the members of an enum with their numbers."""
    return ", ".join(f"{member:d} {member.name}" for member in enum)


INFO_ROWS = (
    InfoRow("action_mask", np.int8, (N_ACTIONS,), "1 for each action that is allowed now"),
    InfoRow("action_was_masked", np.bool_, (), "the action given was masked: RETRY was executed"),
    InfoRow("seed", np.int64, (), "seed of the episode"),
    InfoRow("scenario", np.int64, (), "its place in `env.unwrapped.scenario_names`"),
    InfoRow("features", np.int64, (N_FEATURES,), "as policies in the kernel read them"),
    InfoRow("elapsed_cycles", np.int64, (), "since the last decision"),
    InfoRow("cost", np.int64, (N_COST_PARTS,), "cycles so far; `tdx_env.info.COST_NAMES`, rest 0"),
    InfoRow("actor", np.int64, (), "thread that asks, -1: none does"),
    InfoRow("path", np.int64, (), "its call chain (below), -1: none"),
    InfoRow("operation_id", np.int64, (), "its fault or page's zap, -1: none"),
    InfoRow("end", np.int64, (), "how the episode ended (below)"),
    InfoRow("episode_metrics", np.int64, (len(METRIC_NAMES),), "0 before the end; `METRIC_NAMES`"),
)
OPERATIONS_ROW = InfoRow(
    "cost_by_operation", np.int64, (MAX_ENDED, 2), "id, wasted cycles of those ended; rest -1, 0"
)
"""The key that is there only with the argument ``operations_in_info``."""
PATHS = _members(CallPath)
ENDS = _members(End)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, which can't be written to any more."""
    array.flags.writeable = False
    return array


def no_metrics(*shape: int) -> NDArray[np.int64]:
    """Return what `episode_metrics` is while no episode has ended; read-only.

    Args:
        shape: What comes before the shape of one, (n_envs,) or nothing.
    """
    return read_only(np.zeros((*shape, len(METRIC_NAMES)), np.int64))


def named_metrics(values: NDArray[np.int64]) -> dict[str, int]:
    """Return the metrics of one episode by name.

    Args:
        values: `info["episode_metrics"]` of one environment, shape (len(METRIC_NAMES),).
    """
    return dict(zip(METRIC_NAMES, values.tolist(), strict=True))


def info_table() -> str:
    """Return the table of an info's keys as text, at most 96 columns wide, for docstrings."""
    rows = [
        (row.key, np.dtype(row.dtype).name, str(row.shape) if row.shape else "", row.meaning)
        for row in (*INFO_ROWS, OPERATIONS_ROW)
    ]
    return text_table(("key", "type", "shape", "meaning"), rows)
