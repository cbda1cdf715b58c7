"""What the agent sees and does: one table of features, one of actions.

A decision is described by a vector of integers (`Feature`). Compiled policies read it as it is;
networks read the observation made from it here: 32-bit floats from 0 to 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tdx_env.jit import kernel
from tdx_env.module.operand_classes import OperandClass, operand_class
from tdx_env.module.operands import Operand
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import (
    LAST_SEAMCALL,
    N_ENTRY_STATES,
    NONE,
    EntryState,
    Leaf,
)
from tdx_env.state.discipline import N_ACTIONS, Action, Asks
from tdx_env.state.features import N_FEATURES, TRIES_UNIT, Feature
from tdx_env.state.objectives import LARGEST_WEIGHT
from tdx_env.state.setup import PAGES_PER_2M

START = -1  # PATH of the start observation, when nothing was busy yet


class Scale(IntEnum):
    """How a feature becomes columns of the observation."""

    HIDDEN = 0  # not at all
    ONE_HOT = 1  # a column for each value of PATH and LEAF, each class of the others
    LOG2 = 2  # log2(1 + x) / log2(1 + high)
    LINEAR = 3  # (x - low) / (high - low); a flag stays as it is


class EntryClass(IntEnum):
    """What the S-EPT entry was when the call failed."""

    NO_ENTRY = 0  # the call works on none
    FREE = 1  # also REMOVED
    PENDING = 2
    MAPPED = 3
    BLOCKED = 4  # also PENDING_BLOCKED
    TABLE = 5  # points to a lower table
    OTHER = 6


@dataclass(frozen=True)
class FeatureRow:
    """One feature.

    Attributes:
        feature: Its place in the vector of integers.
        meaning: What it says about the decision that is asked for.
        unit: Unit of the integer, or what its values are.
        low: Smallest value.
        high: Largest value that the observation tells from larger ones.
        scale: How it becomes columns of the observation.
        read_from: Where KVM would read it.
        read_cost: What reading it, or keeping it up to date, costs KVM.
    """

    feature: Feature
    meaning: str
    unit: str
    low: int
    high: int
    scale: Scale
    read_from: str
    read_cost: str

    @property
    def name(self) -> str:
        """The feature's name in small letters."""
        return self.feature.name.lower()


_LONG = (1 << 32) - 1  # about 1.7 s at 2.5 GHz; times above read as this
_SHORT = (1 << 24) - 1  # about 7 ms
_MANY = (1 << 16) - 1
_VCPUS = (1 << 10) - 1
_HOST_LEAVES = tuple(leaf for leaf in Leaf if leaf <= LAST_SEAMCALL)
_NO_ENTRY = int(EntryClass.NO_ENTRY)

_HERE = "the caller's own variables"
_FREE = "none"
_TSC = "one RDTSC, 20 to 40 cycles"
_AVERAGE = "own running average"
_UPKEEP = "an add and a shift per sample, VM-wide cache line"

FEATURES = (
    FeatureRow(
        Feature.PATH, "call chain that asks", "path", START, CallPath.FLUSH, Scale.ONE_HOT,
        "the call chain; INTERRUPTED: RAX bits 63:32", _FREE,
    ),
    FeatureRow(
        Feature.LEAF, "SEAMCALL that came back", "leaf", 0, LAST_SEAMCALL, Scale.ONE_HOT,
        _HERE, _FREE,
    ),
    FeatureRow(
        Feature.OPERAND, "operand id of the status: which lock", "operand", 0, Operand.MIG,
        Scale.ONE_HOT, "RAX bits 31:0; Linux 6.16 masks them away (tdx_operand_busy)", _FREE,
    ),
    FeatureRow(
        Feature.LEVEL, "level of the S-EPT entry (0 4K, 1 2M)", "level", 0, 3, Scale.LINEAR,
        _HERE, _FREE,
    ),
    FeatureRow(
        Feature.ENTRY_STATE, "state of the S-EPT entry, -1: none", "state", NONE,
        EntryState.NL_MAPPED, Scale.ONE_HOT,
        "RDX of the failed MEM call: an unlocked snapshot, may be stale", _FREE,
    ),
    FeatureRow(
        Feature.ISSUES, "issues of this SEAMCALL so far", "issues", 0, _MANY, Scale.LOG2,
        _HERE, _FREE,
    ),
    FeatureRow(
        Feature.KICKS, "kicks during this SEAMCALL so far", "kicks", 0, _VCPUS, Scale.LOG2,
        _HERE, _FREE,
    ),
    FeatureRow(
        Feature.TRY_CYCLES, "duration of the last busy try", "cycles", 0, _SHORT, Scale.LOG2,
        "TSC before and after the SEAMCALL", _TSC,
    ),
    FeatureRow(
        Feature.BUSY_CYCLES, "own time in busy tries of this SEAMCALL", "cycles", 0, _LONG,
        Scale.LOG2, "sum of the durations", _TSC,
    ),
    FeatureRow(
        Feature.CALL_CYCLES, "since the first issue of this SEAMCALL", "cycles", 0, _LONG,
        Scale.LOG2, "TSC at the first try", _TSC,
    ),
    FeatureRow(
        Feature.OPERATION_CYCLES, "since the fault or the page's zap began", "cycles", 0,
        _LONG, Scale.LOG2, "TSC at the start of the operation", _TSC,
    ),
    FeatureRow(
        Feature.OPERATION_BUSIES, "busy replies in this operation so far", "replies", 0, _MANY,
        Scale.LOG2, _HERE, _FREE,
    ),
    FeatureRow(
        Feature.N_VCPUS, "vCPUs of the TD", "vCPUs", 0, _VCPUS, Scale.LOG2,
        "kvm->online_vcpus", "one shared cache line",
    ),
    FeatureRow(
        Feature.N_IN_GUEST, "vCPUs in guest mode, own one excluded", "vCPUs", 0, _VCPUS,
        Scale.LOG2, "vcpu->mode of every vCPU, racy",
        "one cache line per vCPU; or a VM-wide counter",
    ),
    FeatureRow(
        Feature.GATES, "threads that hold the gate now", "threads", 0, _VCPUS, Scale.LOG2,
        "wait_for_sept_zap, as a counter", "one shared cache line",
    ),
    FeatureRow(
        Feature.MMU_CONTENDED, "somebody waits for the mmu_lock held", "flag", 0, 1, Scale.LINEAR,
        "rwlock_is_contended(), rwlock_needbreak()", "one shared cache line",
    ),
    FeatureRow(
        Feature.HAS_EVENTS, "own vCPU has an interrupt pending", "flag", 0, 1, Scale.LINEAR,
        "kvm_vcpu_has_events()", "a few own cache lines",
    ),
    FeatureRow(
        Feature.ACCEPT_FAULT, "the fault came from ACCEPT or ATTR", "flag", 0, 1, Scale.LINEAR,
        "extended exit qualification of VP.ENTER", _FREE,
    ),
    FeatureRow(
        Feature.REPEATS, "unresolved faults in a row on this vCPU", "faults", 0, _MANY, Scale.LOG2,
        "own count per vCPU, by GPA", "one own cache line",
    ),
    FeatureRow(
        Feature.PAGES_LEFT, "pages left in the zap or build request", "pages", 0, (1 << 20) - 1,
        Scale.LOG2, _HERE, _FREE,
    ),
    FeatureRow(
        Feature.TRY_TREE, "average busy try on SEPT_TREE", "cycles", 0, _SHORT, Scale.LOG2,
        _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.TRY_ENTRY, "average busy try on an entry", "cycles", 0, _SHORT, Scale.LOG2,
        _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.TRY_EPOCH, "average busy try on TD_EPOCH", "cycles", 0, _SHORT, Scale.LOG2,
        _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.TRIES_TREE, "average tries to success on SEPT_TREE", f"1/{TRIES_UNIT}", 0,
        (1 << 20) - 1, Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.TRIES_ENTRY, "average tries to success on an entry", f"1/{TRIES_UNIT}", 0,
        (1 << 20) - 1, Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.TRIES_EPOCH, "average tries to success on TD_EPOCH", f"1/{TRIES_UNIT}", 0,
        (1 << 20) - 1, Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.KICK_SEND_TARGET, "average cost of one more IPI", "cycles", 0,
        _SHORT, Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.KICK_WAIT, "average wait after a kick's last IPI", "cycles", 0, _SHORT,
        Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.KICK_TARGET, "average trip of a kicked vCPU", "cycles", 0, _SHORT,
        Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
)  # fmt: skip

# What is asked at flush points has these columns behind the others. At busy replies they are 0.
FLUSH_FEATURES = (
    FeatureRow(
        Feature.BLOCKED, "pages blocked in this batch", "pages", 0, PAGES_PER_2M, Scale.LOG2,
        _HERE, _FREE,
    ),
    FeatureRow(
        Feature.BATCH_CYCLES, "since the batch's first page was begun", "cycles", 0, _LONG,
        Scale.LOG2, "TSC at the batch's start", _TSC,
    ),
    FeatureRow(
        Feature.HELD_CYCLES, "since mmu_lock was taken", "cycles", 0, _LONG, Scale.LOG2,
        "TSC when mmu_lock was taken", _TSC,
    ),
    FeatureRow(
        Feature.CONTENDED_CYCLES, "since this batch first saw a waiter", "cycles", 0, _LONG,
        Scale.LOG2, "TSC when rwlock_is_contended() was first true", _TSC,
    ),
    FeatureRow(
        Feature.NEED_RESCHED, "another thread is to have the CPU", "flag", 0, 1, Scale.LINEAR,
        "need_resched()", "one own cache line",
    ),
    FeatureRow(
        Feature.FROZEN_FAULTS, "faults that met a FROZEN SPTE meanwhile", "faults", 0, _MANY,
        Scale.LOG2, "own count, VM-wide", "one shared cache line a fault",
    ),
    FeatureRow(
        Feature.FLUSH_SEND, "average time of TRACK's kick", "cycles", 0, _SHORT, Scale.LOG2,
        _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.FLUSH_TARGET, "average trip of a vCPU it stops", "cycles", 0, _SHORT, Scale.LOG2,
        _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.WAIT_GAP, "estimated gap between waiters", "cycles", 0, _LONG, Scale.LOG2,
        "own running averages: batch up to its first waiter, share with one", _UPKEEP,
    ),
)  # fmt: skip

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
def observe_one(features: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    """Write the observation of one vector of features; see `observe`."""
    out[:] = 0
    is_start = features[Feature.PATH] < 0
    out[0] = is_start
    is_flush = features[Feature.PATH] == CallPath.FLUSH
    if is_flush and len(out) > _SIZE:
        out[_SIZE] = 1
    for feature in range(N_FEATURES):
        scale = _SCALE[feature]
        if _COLUMN[feature] >= len(out):
            break
        if scale == Scale.ONE_HOT:
            if not is_start and not (is_flush and feature == Feature.PATH):
                out[_COLUMN[feature] + _category(features, feature)] = 1
        elif scale != Scale.HIDDEN:
            value = min(max(features[feature], _LOW[feature]), _HIGH[feature])
            if scale == Scale.LOG2:
                out[_COLUMN[feature]] = math.log2(1 + value) / _UNIT[feature]
            else:
                out[_COLUMN[feature]] = (value - _LOW[feature]) / _UNIT[feature]


@kernel
def observe(features: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    """Write the observations of a batch of decisions.

    Args:
        features: The integers, shape (n, N_FEATURES). PATH, LEAF are members of their enums; at
            the start observation PATH is START, and all others but N_VCPUS are 0.
        out: Is filled, shape (n, observation_size(decisions)), float32, 0 to 1; its width says
            whether there are columns for flush points. The start observation has
            ``is_start`` set and no category.
    """
    for index in range(len(features)):
        observe_one(features[index], out[index])


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
    return f"2^{value.bit_length()}-1" if value > _VCPUS else str(value)


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
