"""A compiled decision function whose tree can be changed without compiling anew."""

from typing import Any, NamedTuple

import numba
import numpy as np

from tdx_agents.protocol import Decide, Features
from tdx_agents.tree import N_COLUMNS, Node, table_of, walk
from tdx_env.errors import PolicyError
from tdx_env.jit import DECISION_SIGNATURE, IS_COMPILED
from tdx_env.linking import records_at

MOST_NODES = 63
_TABLE = np.dtype([("table", np.int64, (MOST_NODES, N_COLUMNS))], align=True)


class Plugged(NamedTuple):
    """What compiled code reads the tree from."""

    tree: Any


class Socket:
    """Holds one tree at a time; a run that has begun reads the one that is there.

    Attributes:
        decide: The decision function; compiled once for each socket, and in no cache, since the
            address of the tree is part of its code.
    """

    def __init__(self) -> None:
        self._memory = np.zeros(1, _TABLE)
        self.decide: Decide = self._compiled() if IS_COMPILED else self._plain()

    def _plain(self) -> Decide:
        """Return the decision function where nothing is compiled."""

        def decide(features: Features) -> int:
            return walk(self._memory[0]["table"], features)

        return decide

    def _compiled(self) -> Decide:
        """Return the decision function, compiled."""
        address = int(self._memory.ctypes.data)
        plugged_at = records_at(Plugged, (_TABLE,))

        def decide(features: Features) -> int:
            return walk(plugged_at((address,)).tree["table"], features)

        njit: Any = numba.njit(DECISION_SIGNATURE, nogil=True, error_model="numpy")
        compiled: Decide = njit(decide)
        return compiled

    def put(self, root: Node) -> None:
        """Put a tree in.

        Raises:
            PolicyError: It is too large.
        """
        table = table_of(root)
        if len(table) > MOST_NODES:
            raise PolicyError(f"the tree has {len(table)} nodes, must have at most {MOST_NODES}")
        self._memory[0]["table"][: len(table)] = table
