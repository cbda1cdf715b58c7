"""Where worlds live: blocks of records, and reaching them from compiled code by address.

numba takes tens of microseconds to type an array of large records at each call, and as long to
find the code of a function that it is given. Compiled functions are therefore given addresses: a
table of them, one row a world, which they turn into records themselves, and that of the policy.
"""

import functools
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from tdx_env.jit import DECISION_SIGNATURE, IS_COMPILED
from tdx_env.linking import code_address, function_at, records_at
from tdx_env.state.discipline import DISCIPLINE
from tdx_env.state.setup import SETUP
from tdx_env.state.world import ACTORS, DECISIONS, ENTRIES, PROGRAM, RUN, TRACE, World

DTYPES = (RUN, ACTORS, ENTRIES, SETUP, DISCIPLINE, PROGRAM, TRACE, DECISIONS)  # as in `World`
_ALIGNMENT = 64  # a cache line


class Block:
    """Records in one stretch of memory, each only as long as it is used.

    Args:
        dtype: The record; its last field has more room than is used.
        n_used: Bytes of a record that are used.
        n_records: Records.
    """

    def __init__(self, dtype: np.dtype[np.void], n_used: int, n_records: int) -> None:
        stride = (n_used // _ALIGNMENT + 1) * _ALIGNMENT
        # The last record needs its declared room; memory that is never touched is never used.
        memory = np.zeros(stride * n_records + dtype.itemsize, np.uint8)
        self.words = memory[: stride * n_records].view(np.int64).reshape(n_records, -1)
        self.records = np.ndarray((n_records,), dtype, memory, 0, (stride,))


def addresses_of(records: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the address of each record, shape (n_records,)."""
    return records.ctypes.data + np.arange(len(records)) * records.strides[0]


_world_at: Any = records_at(World, DTYPES) if IS_COMPILED else None


def _by_address(worlds: NDArray[np.int64], index: int) -> World:
    """Return a world from the table of addresses, shape (n_worlds, 8)."""
    row = worlds[index]
    return _world_at((row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7]))


def _by_index(worlds: list[World], index: int) -> World:
    """Return a world from the list that stands for the table when nothing is compiled."""
    return worlds[index]


# Compiled code can't return records, so this is pasted into its callers.
pick: Any = numba.njit(inline="always")(_by_address) if IS_COMPILED else _by_index


@functools.lru_cache(maxsize=256)
def address_of(policy: Any) -> Any:
    """Return where a compiled decision function's code is; without a compiler the function."""
    if not IS_COMPILED:
        return policy
    return code_address(policy, DECISION_SIGNATURE)


def _itself(policy: Any) -> Any:
    """Return what stands for an address when nothing is compiled: the function."""
    return policy


policy_at: Any = function_at(DECISION_SIGNATURE) if IS_COMPILED else _itself
