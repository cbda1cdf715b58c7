"""What a tree may look at: whole numbers that a kernel has for nothing, or nearly.

Most are features as they are. The others are flags (which path, which lock), and differences that
say how far one number is beyond another: 0 if it is not, so that all are numbers from 0 on and no
sign is ever needed. One shift or multiplication is allowed in them, but for `past_root`.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Features
from tdx_env.host.flush_rules import flush_price
from tdx_env.jit import kernel
from tdx_env.module.operand_classes import OperandClass, operand_class
from tdx_env.spaces import FEATURES, FLUSH_FEATURES
from tdx_env.state.actors import CallPath
from tdx_env.state.features import Feature

_WHOLE = 100  # percent
_ROOT_LIMIT = (1 << 28) - 1  # what `past_root` takes larger numbers for: its squares fit 64 bits
_LARGEST_CYCLES = (1 << 28) - 1
_MOST_VCPUS = 1 << 12


class InputKind(IntEnum):
    """How an input is made of the features."""

    FEATURE = 0  # the feature as it is
    PATH = 1  # 1: the decision belongs to this path
    LOCK = 2  # 1: a lock of this class was busy
    FLUSH_PRICE = 3  # what a flush costs all CPUs
    KICK_PRICE = 4  # what a kick costs all CPUs
    WAIT_BEYOND_PRICE = 5  # waiting, beyond so many quarters of a flush's price
    GAP_BEYOND_PRICE = 6  # gap between waiters, beyond a flush's price
    WAIT_BEYOND_GAP = 7  # waiting, beyond the gap between waiters
    BUSY_BEYOND_PRICE = 8  # own busy cycles, beyond a kick's price
    PAST_ROOT = 9  # 1: the waiting is beyond what the square root law says


@dataclass(frozen=True)
class Input:
    """One number that a tree may test.

    Attributes:
        name: As tree files have it.
        kind: How it is made.
        argument: A Feature, a CallPath, an OperandClass, or quarters of a price, by the kind.
        meaning: What it says.
        unit: Its unit.
        cost: What it costs a kernel.
    """

    name: str
    kind: InputKind
    argument: int
    meaning: str
    unit: str
    cost: str

    @property
    def is_flag(self) -> bool:
        """Whether it is 0 or 1."""
        return self.unit == "flag"


_ROWS = {row.feature: row for row in (*FEATURES, *FLUSH_FEATURES)}
_RAW = (
    Feature.LEVEL,
    Feature.ISSUES,
    Feature.KICKS,
    Feature.BUSY_CYCLES,
    Feature.CALL_CYCLES,
    Feature.OPERATION_BUSIES,
    Feature.N_IN_GUEST,
    Feature.MMU_CONTENDED,
    Feature.HAS_EVENTS,
    Feature.REPEATS,
    Feature.PAGES_LEFT,
    Feature.BLOCKED,
    Feature.BATCH_CYCLES,
    Feature.HELD_CYCLES,
    Feature.CONTENDED_CYCLES,
    Feature.NEED_RESCHED,
    Feature.FROZEN_FAULTS,
    Feature.WAIT_GAP,
)
"""Features that a tree may test as they are. Left out: what is an identifier and no amount (LEAF,
OPERAND, ENTRY_STATE: flags stand for them), averages that only prices need, and what KVM can't know
(how many wait, the draws)."""


def _raw(feature: Feature) -> Input:
    """Return a feature as an input."""
    row = _ROWS[feature]
    return Input(row.name, InputKind.FEATURE, feature, row.meaning, row.unit, row.read_cost)


_PATHS = {
    "is_fault": CallPath.FAULT,
    "is_zap": CallPath.ZAP,
    "is_enter": CallPath.ENTER,
    "is_flush": CallPath.FLUSH,
}
_LOCKS = {
    "on_tree": OperandClass.TREE,
    "on_entry": OperandClass.ENTRY,
    "on_epoch": OperandClass.EPOCH,
}
_ONE_MULTIPLICATION = "one multiplication"
_WAITS = {"quarter": 1, "half": 2, "": 4, "double": 8}


def _wait_beyond(word: str, quarters: int) -> Input:
    """Return how far the waiting is beyond some quarters of a flush's price."""
    of_price = f"{word} a flush's price" if word else "a flush's price"
    name = f"wait_beyond_{word}_price" if word else "wait_beyond_price"
    meaning = f"since a waiter was seen, beyond {of_price}"
    cost = f"{_ONE_MULTIPLICATION}, one shift"
    return Input(name, InputKind.WAIT_BEYOND_PRICE, quarters, meaning, "cycles", cost)


INPUTS = (
    *(
        Input(name, InputKind.PATH, path, f"the decision is of the path {path.name}", "flag",
              "none: each call site knows its path")
        for name, path in _PATHS.items()
    ),
    *(
        Input(name, InputKind.LOCK, lock, f"the busy lock is of the class {lock.name}", "flag",
              "one comparison with RAX bits 31:0")
        for name, lock in _LOCKS.items()
    ),
    *map(_raw, _RAW),
    Input("flush_price", InputKind.FLUSH_PRICE, 0,
          "sender's time of a flush + vCPUs in the guest x trip", "cycles", _ONE_MULTIPLICATION),
    Input("kick_price", InputKind.KICK_PRICE, 0,
          "wait of a kick + vCPUs in the guest x (IPI + trip)", "cycles", _ONE_MULTIPLICATION),
    *(_wait_beyond(word, quarters) for word, quarters in _WAITS.items()),
    Input("gap_beyond_price", InputKind.GAP_BEYOND_PRICE, 0,
          "estimated gap between waiters, beyond a flush's price", "cycles", _ONE_MULTIPLICATION),
    Input("wait_beyond_gap", InputKind.WAIT_BEYOND_GAP, 0,
          "since a waiter was seen, beyond the estimated gap", "cycles", "one subtraction"),
    Input("busy_beyond_price", InputKind.BUSY_BEYOND_PRICE, 0,
          "own busy cycles of this call, beyond a kick's price", "cycles", _ONE_MULTIPLICATION),
    Input("past_root", InputKind.PAST_ROOT, 0,
          "somebody waits, for longer than the square root law says", "flag",
          "four multiplications"),
)  # fmt: skip
BY_NAME = {one.name: place for place, one in enumerate(INPUTS)}
_OF_BATCHES = (
    InputKind.FLUSH_PRICE,
    InputKind.WAIT_BEYOND_PRICE,
    InputKind.GAP_BEYOND_PRICE,
    InputKind.WAIT_BEYOND_GAP,
    InputKind.PAST_ROOT,
)
FLUSH_ONLY = tuple(
    one.name
    for one in INPUTS
    if one.kind in _OF_BATCHES
    or (one.kind == InputKind.FEATURE and one.argument >= Feature.BLOCKED)
)
"""Inputs that are 0 at busy replies."""

_KIND = np.array([one.kind for one in INPUTS], np.int64)
_ARGUMENT = np.array([one.argument for one in INPUTS], np.int64)


@kernel
def _beyond(value: int, other: int) -> int:
    """Return how far a number is beyond another, 0 if it is not."""
    return value - other if value > other else 0


@kernel
def _flush_price(features: Features) -> int:
    """Return what a flush costs all CPUs [cycles]."""
    send, target = features[Feature.FLUSH_SEND], features[Feature.FLUSH_TARGET]
    return flush_price(send, target, features[Feature.N_IN_GUEST], _WHOLE)


@kernel
def _kick_price(features: Features) -> int:
    """Return what a kick costs all CPUs [cycles]."""
    one = min(features[Feature.KICK_SEND_TARGET] + features[Feature.KICK_TARGET], _LARGEST_CYCLES)
    n_targets = min(features[Feature.N_IN_GUEST], _MOST_VCPUS)
    return int(min(features[Feature.KICK_WAIT], _LARGEST_CYCLES) + n_targets * one)


@kernel
def _is_past_root(features: Features) -> bool:
    """Say whether w >= sqrt(2 K g - g²) - g, for a wait w, a price K and a gap g, without a root.

    The same as w² + 2 w g + 2 g² >= 2 K g; and at once, as soon as somebody waits, if K <= g.
    Busy replies, where nothing is blocked in a batch, are never beyond it.
    """
    wait = min(features[Feature.CONTENDED_CYCLES], _ROOT_LIMIT)
    gap = min(features[Feature.WAIT_GAP], _ROOT_LIMIT)
    price = min(_flush_price(features), _ROOT_LIMIT)
    enough = (wait + 2 * gap) * wait + 2 * gap * gap >= 2 * price * gap
    waits = features[Feature.BLOCKED] != 0 and features[Feature.MMU_CONTENDED] != 0
    return waits and enough


@kernel
def input_value(features: Features, place: int) -> int:
    """Return the value of an input; -1 for a kind that is none.

    Args:
        features: Of a decision, shape (N_FEATURES,).
        place: Of the input in INPUTS.
    """
    kind, argument = _KIND[place], _ARGUMENT[place]
    is_flush = features[Feature.PATH] == CallPath.FLUSH
    value = -1
    if kind == InputKind.FEATURE:
        value = features[argument]
    elif kind == InputKind.PATH:
        value = int(features[Feature.PATH] == argument)
    elif kind == InputKind.LOCK:
        busy = operand_class(features[Feature.LEAF], features[Feature.OPERAND])
        value = int(busy == argument and not is_flush)
    elif kind == InputKind.FLUSH_PRICE:
        value = _flush_price(features)
    elif kind == InputKind.KICK_PRICE:
        value = _kick_price(features)
    elif kind == InputKind.WAIT_BEYOND_PRICE:
        limit = _flush_price(features) * argument >> 2
        value = _beyond(features[Feature.CONTENDED_CYCLES], limit)
    elif kind == InputKind.GAP_BEYOND_PRICE:
        value = _beyond(features[Feature.WAIT_GAP], _flush_price(features))
    elif kind == InputKind.WAIT_BEYOND_GAP:
        value = _beyond(features[Feature.CONTENDED_CYCLES], features[Feature.WAIT_GAP])
    elif kind == InputKind.BUSY_BEYOND_PRICE:
        value = _beyond(features[Feature.BUSY_CYCLES], _kick_price(features))
    elif kind == InputKind.PAST_ROOT:
        value = int(_is_past_root(features))
    return value


@kernel
def _fill(features: NDArray[np.int64], values: NDArray[np.int64]) -> None:
    """Write the inputs of many decisions."""
    for row in range(len(features)):
        for place in range(values.shape[1]):
            values[row, place] = input_value(features[row], place)


def input_values(features: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the inputs of decisions, shape (n, len(INPUTS)); features: (n, N_FEATURES)."""
    values = np.empty((len(features), len(INPUTS)), np.int64)
    _fill(np.ascontiguousarray(features, np.int64), values)
    return values
