"""What the builders of random worlds have in common."""

from typing import Any

import numpy as np

Record = Any  # a structured scalar of numpy
Rng = np.random.Generator

WILD_SHARE = 0.06  # worlds whose levels, areas and SWALLOWs may contradict each other


def apart(rng: Rng) -> Rng:
    """Return a generator whose draws shift no others."""
    return np.random.default_rng(rng.bit_generator.seed_seq.spawn(1)[0])  # type: ignore[attr-defined]


def pick(rng: Rng, values: Any) -> int:
    """Return one of the values."""
    return int(values[int(rng.integers(len(values)))])


def random_range(rng: Rng, low: int, high: int) -> tuple[int, int]:
    """Return a random subrange, often a single value."""
    first, second = sorted(int(x) for x in rng.integers(low, high, size=2, endpoint=True))
    return (first, first) if rng.random() < 0.3 else (first, second)


def set_range(rng: Rng, record: Record, name: str, low: int, high: int) -> None:
    """Set the two fields of a range to a random subrange."""
    record[f"{name}_low"], record[f"{name}_high"] = random_range(rng, low, high)
