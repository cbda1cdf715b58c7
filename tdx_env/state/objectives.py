"""What a cost is made of, and objectives: how much each part of it weighs."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdx_env.errors import ObjectiveError, printable, shown


class CostPart(NamedTuple):
    """One part of the cost of an episode.

    Attributes:
        name: As objectives, infos and reports have it.
        meaning: What it counts [cycles].
    """

    name: str
    meaning: str


COST_PARTS = (
    CostPart("waste", "what decisions waste on all CPUs, whoever's it is"),
    CostPart("preempt_penalty", "beyond the scenario's limit in each non-preemptible stretch"),
    CostPart("lost", "of every CPU, from the end of an unfinished episode to the cap"),
    CostPart("host", "overhead of the host's own work"),
    CostPart("stolen", "overhead that is taken from the guest"),
    CostPart("hostile", "overhead that hostile vCPUs cause themselves"),
    CostPart("latency", "of each fault, and of each chunk that is zapped"),
    CostPart("preempt_1ms", "beyond 1 ms in each non-preemptible stretch"),
    CostPart("preempt_50us", "beyond 50 us in each non-preemptible stretch"),
)
"""What objectives weigh; the first places of `info["cost"]`."""

WEIGHED = tuple(part.name for part in COST_PARTS)
N_WEIGHED = len(WEIGHED)
TRACK_PARTS = ("host_track", "stolen_track")  # TRACK's kicks and the shared EPT's flush in them
COST_NAMES = (*WEIGHED, *TRACK_PARTS)
VECTOR = ("host", "stolen", "hostile", "latency", "preempt_1ms", "preempt_50us", "lost")
"""What the multi-objective environment returns, in order."""

PRESETS: dict[str, dict[str, float]] = {
    "cpu": {"host": 1, "stolen": 1, "preempt_1ms": 1, "lost": 1},
    "guest": {"host": 0.2, "stolen": 1, "preempt_1ms": 1, "lost": 1},
    "latency": {"host": 0.2, "stolen": 0.2, "latency": 1, "preempt_1ms": 1, "lost": 1},
    "realtime": {"host": 0.2, "stolen": 0.2, "preempt_50us": 10, "lost": 1},
    "thread": {"waste": 1, "preempt_penalty": 1, "lost": 1},
}
"""Objectives that have a name; what is not there weighs nothing."""

LARGEST_WEIGHT = 100  # so that a cost fits into 64 bits
ALLOWED_OBJECTIVES = (
    f"{', '.join(PRESETS)}, or weights from 0 to {LARGEST_WEIGHT} of {', '.join(WEIGHED)}"
)
_MUST_BE = f"must be {ALLOWED_OBJECTIVES}"
THREAD = "thread"  # the cost that the first version of the environment counts
ObjectiveSpec = str | Mapping[str, float]


def _is_weight(value: object) -> bool:
    """Say whether a value can be a weight: a number within bounds, no boolean."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    return bool(0 <= value <= LARGEST_WEIGHT)


def _parsed(text: str) -> dict[str, float]:
    """Return the weights that a text like ``host=1,stolen=0.5`` means.

    Raises:
        ObjectiveError: It means none.
    """
    weights: dict[str, float] = {}
    for one in text.split(","):
        name, _, number = (part.strip() for part in one.partition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if name in weights:
            raise ObjectiveError(f"objective = {shown(text)}: {name} is there twice")
        weights[name] = value
    return weights


def checked_objective(spec: object, where: str = "objective") -> dict[str, float]:
    """Return the weights of an objective that are not 0, by the names of the parts of the cost.

    Args:
        spec: A preset's name, a text like ``host=1,stolen=0.5``, or a table of weights.
        where: What a message calls it.

    Raises:
        ObjectiveError: It is no objective.
    """
    given: object = spec
    if isinstance(spec, str):
        given = PRESETS[spec] if spec in PRESETS else _parsed(spec) if "=" in spec else None
    if not isinstance(given, Mapping):
        raise ObjectiveError(f"{where} = {shown(spec)}, {_MUST_BE}")
    for name, value in given.items():
        if name not in WEIGHED or not _is_weight(value):
            raise ObjectiveError(f"{where}.{printable(str(name))} = {shown(value)}, {_MUST_BE}")
    weights = {name: float(given[name]) for name in WEIGHED if given.get(name)}
    if not weights:
        raise ObjectiveError(f"{where} = {shown(spec)}: nothing weighs anything, {_MUST_BE}")
    return weights


def weights_of(spec: ObjectiveSpec) -> NDArray[np.float64]:
    """Return the weight of each part of the cost, shape (len(WEIGHED),).

    Raises:
        ObjectiveError: It is no objective.
    """
    given = checked_objective(spec)
    return np.array([given.get(name, 0.0) for name in WEIGHED])


def cost_of(parts: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return what parts of costs come to, added in the order in which the simulator adds them.

    Args:
        parts: One row for each of WEIGHED, shape (N_WEIGHED, n) [cycles].
        weights: Shape (N_WEIGHED,).

    Returns:
        Whole cycles, rounded down, shape (n,).
    """
    cost = np.zeros(parts.shape[1:], np.float64)
    for part, weight in zip(parts, weights, strict=True):
        cost += weight * part
    return cost.astype(np.int64)


def objective_name(spec: ObjectiveSpec) -> str:
    """Return an objective as a text that `checked_objective` takes, a preset's name if it is one.

    Raises:
        ObjectiveError: It is no objective.
    """
    given = checked_objective(spec)
    for name, weights in PRESETS.items():
        if weights == given:
            return name
    return ",".join(f"{name}={value:g}" for name, value in given.items())
