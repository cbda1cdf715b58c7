"""Compiling the simulator ahead of its first use, with a sign of life."""

import functools

import numba
import numpy as np

from tdx_env.engine.run import N_NUMBERS, Shown, compiled_run, start_some
from tdx_env.jit import IS_COMPILED, cache_folder, count_compiled, n_marked
from tdx_env.spaces import observation_size, observe
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.features import N_FEATURES
from tdx_env.state.world import World

_FILES = ("_run_range", "start_some", "observe")  # of the functions that Python calls


@functools.cache
def warm_up() -> None:
    """Compile the simulator, or load it from the cache; say so on stderr where it takes time.

    Whoever makes a batch waits for it; commands call it where nothing else is shown. The count is
    for terminals; elsewhere nothing is printed.
    """
    if not IS_COMPILED:
        return
    folder = cache_folder()
    if folder is not None and all(any(folder.rglob(f"*{name}*.nbc")) for name in _FILES):
        _compile()
        return
    from rich.console import Console  # 0.1 s, which an environment need not wait for

    status = Console(stderr=True).status(_text(0))
    with status, count_compiled(lambda n: status.update(_text(n))):
        _compile()


def _text(n_compiled: int) -> str:
    """Return what is said while functions are compiled."""
    return (
        f"compiling the simulator, once for each version: {n_compiled} of some {n_marked()} "
        "functions"
    )


def _compile() -> None:
    """Compile what Python calls of the simulator, or load it from the cache."""
    compiled_run()
    shown = _nothing()
    table, numbers = np.zeros((0, len(World._fields)), np.int64), np.zeros(0, np.int64)
    memory = (table, table)
    start = (table, numbers, numbers.astype(np.uint64), numbers, memory, shown)
    start_some.compile(tuple(map(numba.typeof, start)))  # type: ignore[attr-defined]
    observations = np.zeros((0, observation_size()), np.float32)
    observe.compile(tuple(map(numba.typeof, (shown.features, observations))))  # type: ignore[attr-defined]


def _nothing() -> Shown:
    """Return what callers see of no world at all."""
    return Shown(
        np.zeros((0, N_FEATURES), np.int64),
        np.zeros((0, N_ACTIONS), np.int8),
        np.zeros((N_NUMBERS, 0), np.int64),
    )
