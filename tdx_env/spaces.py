"""What the agent sees and does: observations made of features, and one table of actions.

A decision is described by a vector of integers (`Feature`). Compiled policies read it as it is;
networks read the observation made from it here: 32-bit floats from 0 to 1.
"""

import math
from collections.abc import Sequence
from enum import IntEnum

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tdx_env.feature_rows import (
    FEATURES,
    FLUSH_FEATURES,
    START,
    EntryClass,
    FeatureRow,
    Scale,
)
from tdx_env.jit import kernel
from tdx_env.module.operand_classes import OperandClass, operand_class
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import LAST_SEAMCALL, N_ENTRY_STATES, EntryState, Leaf
from tdx_env.state.discipline import N_ACTIONS, Action, Asks
from tdx_env.state.features import N_FEATURES, Feature
from tdx_env.state.objectives import LARGEST_WEIGHT

__all__ = [
    "ACTIONS",
    "ASKS",
    "FEATURES",
    "FLUSH_FEATURES",
    "START",
    "EntryClass",
    "FeatureRow",
    "Scale",
    "action_space",
    "action_table",
    "columns_of",
    "feature_table",
    "observation_names",
    "observation_size",
    "observation_space",
    "observe",
    "observe_one",
    "reading_table",
    "text_table",
]

_HOST_LEAVES = tuple(leaf for leaf in Leaf if leaf <= LAST_SEAMCALL)
_NO_ENTRY = int(EntryClass.NO_ENTRY)
_LONGEST_NUMBER = 1023  # larger ones are shown as powers of two

ACTIONS = (
    (Action.RETRY, "fault, zap, build, export", "the same SEAMCALL again, at once"),
    (Action.RETRY, "enter", "open an interrupt window, then VP.ENTER again"),
    (Action.RETRY, "interrupted", "serve the interrupt, then the same again"),
    (Action.RETRY, "flush", "block the next page, no kick yet"),
    (Action.KICK, "fault, zap, export", "kick the vCPUs, gate (discipline), then again"),
    (Action.KICK, "enter", "kick the other vCPUs, then VP.ENTER again"),
    (Action.KICK, "build, interrupted", "masked"),
    (Action.KICK, "flush", "TRACK, its kick, remove what is blocked"),
    (Action.YIELD, "fault", "unwind; local retry or re-entry (discipline)"),
    (Action.YIELD, "zap", "drop mmu_lock, come back, again (zap_yield)"),
    (Action.YIELD, "enter", "leave the fast path, or barrier (discipline)"),
    (Action.YIELD, "build", "-EAGAIN to user space, which calls again"),
    (Action.YIELD, "export", "reschedule, then again"),
    (Action.YIELD, "interrupted", "open an interrupt window, then again"),
    (Action.YIELD, "flush", "as KICK, then drop mmu_lock and reschedule"),
)

ASKS = tuple(asks.name.lower() for asks in Asks)
"""What `decisions` may be: where somebody is asked."""
_FLUSH_COLUMN = f"path={CallPath.FLUSH.name}"
_CATEGORIES: dict[Feature, tuple[IntEnum, ...]] = {
    Feature.PATH: tuple(path for path in CallPath if path != CallPath.FLUSH),
    Feature.LEAF: _HOST_LEAVES,
    Feature.OPERAND: tuple(OperandClass),
    Feature.ENTRY_STATE: tuple(EntryClass),
}


def columns_of(row: FeatureRow) -> list[str]:
    """Return the names of a feature's columns in the observation."""
    if row.scale == Scale.ONE_HOT:
        return [f"{row.name}={value.name}" for value in _CATEGORIES[row.feature]]
    return [row.name]


def observation_names(decisions: str = "busy") -> list[str]:
    """Return the name of every column of the observation, in order.

    Args:
        decisions: Where somebody is asked, one of `ASKS`. Without flush points the columns that
            speak of them are left out; they are the last ones.
    """
    names = ["is_start", *(name for row in FEATURES for name in columns_of(row))]
    if decisions != "busy":
        names += [_FLUSH_COLUMN, *(name for row in FLUSH_FEATURES for name in columns_of(row))]
    return names


def observation_size(decisions: str = "busy") -> int:
    """Return the number of columns of the observation; see `observation_names`."""
    return len(observation_names(decisions))


def observation_space(decisions: str = "busy", n_weights: int = 0) -> gymnasium.spaces.Box:
    """Return the space of one observation: float32, 0 to 1, and weights of an objective behind it.

    Args:
        decisions: Where somebody is asked, one of `ASKS`.
        n_weights: Weights, from 0 to LARGEST_WEIGHT.
    """
    n_columns = observation_size(decisions)
    high = np.ones(n_columns + n_weights, np.float32)
    high[n_columns:] = LARGEST_WEIGHT
    return gymnasium.spaces.Box(np.zeros_like(high), high, dtype=np.float32)


def action_space() -> gymnasium.spaces.Discrete:
    """Return the space of one action: RETRY 0, KICK 1, YIELD 2."""
    return gymnasium.spaces.Discrete(N_ACTIONS)


def _first_columns() -> NDArray[np.int64]:
    """Return the first column of each feature; column 0 is the start flag."""
    first = np.zeros(N_FEATURES, np.int64)
    column = 1
    for row in FEATURES:
        first[row.feature] = column
        column += len(columns_of(row))
    column += 1  # of the path FLUSH
    for row in FLUSH_FEATURES:
        first[row.feature] = column
        column += len(columns_of(row))
    return first


def _units() -> NDArray[np.float64]:
    """Return what the scaled value of each feature is divided by."""
    units = np.ones(N_FEATURES)
    for row in (*FEATURES, *FLUSH_FEATURES):
        is_log = row.scale == Scale.LOG2
        units[row.feature] = math.log2(1 + row.high) if is_log else row.high - row.low
    return units


def _of_rows(name: str) -> NDArray[np.int64]:
    """Return one whole number of each row, shape (N_FEATURES,); 0 for hidden features."""
    values = np.zeros(N_FEATURES, np.int64)
    for row in (*FEATURES, *FLUSH_FEATURES):
        values[row.feature] = getattr(row, name)
    return values


def _entry_classes() -> NDArray[np.int64]:
    """Return the class of each entry state, shape (N_ENTRY_STATES,)."""
    classes = np.full(N_ENTRY_STATES, EntryClass.OTHER, np.int64)
    classes[[EntryState.FREE, EntryState.REMOVED]] = EntryClass.FREE
    classes[EntryState.PENDING] = EntryClass.PENDING
    classes[EntryState.MAPPED] = EntryClass.MAPPED
    classes[[EntryState.BLOCKED, EntryState.PENDING_BLOCKED]] = EntryClass.BLOCKED
    classes[[EntryState.NL_MAPPED, EntryState.NL_BLOCKED]] = EntryClass.TABLE
    return classes


_SIZE = observation_size()
_COLUMN = _first_columns()
_SCALE = _of_rows("scale")
_LOW = _of_rows("low")
_HIGH = _of_rows("high")
_UNIT = _units()
_ENTRY_CLASS = _entry_classes()


@kernel
def _entry_class(state: int) -> int:
    """Return the `EntryClass` of an entry state, or of none."""
    if state < 0:
        return _NO_ENTRY
    return int(_ENTRY_CLASS[min(state, N_ENTRY_STATES - 1)])


@kernel
def _category(features: NDArray[np.int64], feature: int) -> int:
    """Return which of its columns a one-hot feature sets."""
    if feature == Feature.OPERAND:
        return operand_class(features[Feature.LEAF], features[Feature.OPERAND])
    if feature == Feature.ENTRY_STATE:
        return _entry_class(features[Feature.ENTRY_STATE])
    return int(features[feature])


@kernel
def observe_one(features: NDArray[np.int64], out: NDArray[np.float32], has_flush: bool) -> None:
    """Write the observation of one vector of features; see `observe`.

    Args:
        features: The integers, shape (N_FEATURES,).
        out: Is filled, shape (n_columns,).
        has_flush: Whether it has the columns for flush points, which are the last ones.
    """
    out[:] = 0
    is_start = features[Feature.PATH] < 0
    out[0] = is_start
    is_flush = features[Feature.PATH] == CallPath.FLUSH
    if is_flush and has_flush:
        out[_SIZE] = 1
    for feature in range(N_FEATURES):
        scale, column = _SCALE[feature], _COLUMN[feature]
        if scale == Scale.HIDDEN or (column > _SIZE and not has_flush):
            continue
        if scale == Scale.ONE_HOT:
            if not is_start and not (is_flush and feature == Feature.PATH):
                out[column + _category(features, feature)] = 1
            continue
        value = min(max(features[feature], _LOW[feature]), _HIGH[feature])
        if scale == Scale.LOG2:
            out[column] = math.log2(1 + value) / _UNIT[feature]
        else:
            out[column] = (value - _LOW[feature]) / _UNIT[feature]


@kernel
def observe(features: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    """Write the observations of a batch of decisions.

    Args:
        features: The integers, shape (n, N_FEATURES). PATH, LEAF are members of their enums; at
            the start observation PATH is START, and all others but N_VCPUS are 0.
        out: Is filled, shape (n, observation_size(decisions)), float32, 0 to 1; has the columns for
            flush points if it has room for them. The start observation has ``is_start`` set and no
            category.
    """
    has_flush = out.shape[1] > _SIZE
    for index in range(len(features)):
        observe_one(features[index], out[index], has_flush)


def _columns_text(row: FeatureRow) -> str:
    """Return the observation's columns of a feature, as numbers."""
    first = int(_COLUMN[row.feature])
    last = first + len(columns_of(row)) - 1
    return str(first) if first == last else f"{first}-{last}"


def text_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table as text, columns padded."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = tuple("-" * width for width in widths)
    padded = [
        "| "
        + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in (head, rule, *rows)
    ]
    return "\n".join(padded)


def _limit_text(value: int) -> str:
    """Return a bound as a table shows it."""
    return f"2^{value.bit_length()}-1" if value > _LONGEST_NUMBER else str(value)


def feature_table() -> str:
    """Return the table of features as text, at most 96 columns wide, for docstrings."""
    rows = [("0", "is_start", "1: nothing was busy yet", "flag", "0", "1")]
    for row in (*FEATURES, *FLUSH_FEATURES):
        bounds = (_limit_text(row.low), _limit_text(row.high))
        rows.append((_columns_text(row), row.name, row.meaning, row.unit, *bounds))
    return text_table(("number", "name", "meaning", "unit", "low", "high"), rows)


def action_table() -> str:
    """Return the table of actions as text, at most 96 columns wide, for docstrings."""
    rows = [(f"{action:d}", action.name, path, meaning) for action, path, meaning in ACTIONS]
    return text_table(("number", "name", "path", "meaning"), rows)


def reading_table() -> str:
    """Return where KVM would read each feature, and at which cost, as text."""
    rows = [(row.name, row.read_from, row.read_cost) for row in (*FEATURES, *FLUSH_FEATURES)]
    return text_table(("name", "read from", "cost"), rows)
