"""Snapshots of environments: what `snapshot()` returns and `restore()` takes."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.world_snapshot import WorldSnapshot, check_origin
from tdx_env.errors import SnapshotError


@dataclass(frozen=True)
class EnvSnapshot:
    """The state of an environment; can be pickled.

    Attributes:
        kind: Class of the environment.
        origin: What environments have to have in common to take each other's state, by name.
        setups: Scenarios that are played, dtype SETUP; None: those of the environment itself.
        state: The simulated machines.
        own: What the environment itself remembers, by name.
    """

    kind: str
    origin: Mapping[str, Any]
    setups: NDArray[np.void] | None
    state: WorldSnapshot
    own: Mapping[str, Any]


def remembered(env: object, names: tuple[str, ...]) -> dict[str, Any]:
    """Return copies of some of an environment's attributes."""
    return {name: deepcopy(getattr(env, name)) for name in names}


def remember(env: object, own: Mapping[str, Any]) -> None:
    """Give an environment copies of the attributes that a snapshot has."""
    for name, value in own.items():
        setattr(env, name, deepcopy(value))


def check_snapshot(snapshot: object, kind: str, origin: Mapping[str, Any]) -> EnvSnapshot:
    """Return a snapshot that an environment can take.

    Args:
        snapshot: What was given.
        kind: Class of the environment.
        origin: As of an `EnvSnapshot`.

    Raises:
        SnapshotError: It is none, or of another environment.
    """
    if not isinstance(snapshot, EnvSnapshot):
        raise SnapshotError(
            f"snapshot is a {type(snapshot).__name__}, must be what snapshot() returned"
        )
    if snapshot.kind != kind:
        raise SnapshotError(f"snapshot is of a {snapshot.kind}, this is a {kind}: restore it there")
    check_origin(snapshot.origin, origin)
    return snapshot
