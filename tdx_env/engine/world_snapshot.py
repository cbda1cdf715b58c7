"""The state of worlds as a value: kept, pickled, put back."""

import functools
import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.memory import DTYPES
from tdx_env.engine.run import Number
from tdx_env.errors import SnapshotError
from tdx_env.state import accounting, actors, calls, costs, discipline, features, setup, world

STATE_VERSION = 1
"""To be raised when the state means something else while no name and no type in it has changed."""

_STATE_MODULES = (accounting, actors, calls, costs, discipline, features, setup, world)
_QUICK = 1  # zlib's level: most of a state is zeros and repetition


def _enums(modules: Sequence[ModuleType]) -> Iterator[type[IntEnum]]:
    """Yield each enum whose numbers the state is made of."""
    yield Number
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, IntEnum) and value is not IntEnum:
                yield value


@functools.cache
def layout() -> str:
    """Return a digest of what a state's numbers mean: names, types and members of enums."""
    members = {
        each.__name__: [(member.name, member.value) for member in each]
        for each in _enums(_STATE_MODULES)
    }
    text = repr((STATE_VERSION, [dtype.descr for dtype in DTYPES], sorted(members.items())))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_layout(found: object, what: str) -> None:
    """Fail if a state was kept by another version of the simulator.

    Args:
        found: The `layout` it was kept under, None if it doesn't say.
        what: What was kept, for the message.

    Raises:
        SnapshotError: It was.
    """
    if found != layout():
        raise SnapshotError(
            f"{what} has layout {found}, this version of the simulator has {layout()}: play the "
            "episode again from its seed and actions, and keep it anew"
        )


def check_origin(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Fail if a snapshot is not of worlds like these.

    Args:
        given: What the snapshot's worlds have to have in common with others, by name.
        wanted: The same of these.

    Raises:
        SnapshotError: They differ.
    """
    for name, value in wanted.items():
        if given.get(name) != value:
            raise SnapshotError(
                f"snapshot is of other {name} ({given.get(name)}, here {value}): restore it in an "
                "environment that was made with the same arguments"
            )


def _unpacked(
    layout: str, origin: Mapping[str, Any], packed: Sequence[tuple[tuple[int, ...], str, bytes]]
) -> "WorldSnapshot":
    """Return the snapshot that was pickled."""
    check_layout(layout, "snapshot")
    return WorldSnapshot(
        origin,
        [
            np.frombuffer(zlib.decompress(data), dtype).reshape(shape)
            for shape, dtype, data in packed
        ],
    )


class WorldSnapshot:
    """The state of all worlds of a batch; doesn't change, and is small when pickled.

    Args:
        origin: What batches have to have in common to take each other's state, by name.
        memory: Arrays of two dimensions; of each row only what is used.
    """

    def __init__(self, origin: Mapping[str, Any], memory: Sequence[NDArray[Any]]) -> None:
        self.origin = dict(origin)
        self.memory = tuple(memory)
        for array in self.memory:
            array.flags.writeable = False

    def __deepcopy__(self, memo: dict[int, Any]) -> "WorldSnapshot":
        """Return itself: it doesn't change."""
        return self

    def __reduce__(self) -> Any:
        """Return what pickle keeps: compressed memory, and what its numbers mean."""
        packed = [
            (array.shape, array.dtype.str, zlib.compress(array.tobytes(), _QUICK))
            for array in self.memory
        ]
        return _unpacked, (layout(), self.origin, packed)
