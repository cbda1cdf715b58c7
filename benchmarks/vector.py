"""`gymnasium.make_vec`: steps per second of many environments, beside CartPole's in other ways."""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import VectorizeMode

from benchmarks.others import LIBRARIES
from benchmarks.rounds import Effort, in_rounds
from benchmarks.single import OURS, SCENARIOS, THEIRS, skipping
from benchmarks.tables import short, spread, table
from tdx_env.vector import SeamcallRetryVectorEnv

SIZES = (1, 64, 1024, 8192)
THREADS = (1, 2)
_N_ACTIONS = 32
_OTHERS = Path(__file__).resolve().with_name("others.py")
_NOT_HERE = "not installed"
_TEXT = """
## Many environments

`gymnasium.make_vec`, one step of n environments counted as n steps. *Own* is what a step of all
environments takes beside the events, none of them ending. All environments start together: with
thousands of them the loop sees the first part of their episodes alone.

{ours}
CartPole in other libraries, in turn with these; it has no events to go through, so that its
figures are what a vector environment's own share can come to. Gymnasium's is its numpy version,
EnvPool has a thread for each CPU. gymnax and PufferLib are not measured: the one runs inside JAX's
compiled code alone, the other's source loads files from the network when it is built.

{others}"""


class Loop:
    """Random steps in a vector environment; one step counts once for each environment."""

    def __init__(self, seconds: float, name: str, n_envs: int, **arguments: Any) -> None:
        self.n_envs = n_envs
        mode = VectorizeMode.VECTOR_ENTRY_POINT
        self.env: Any = gymnasium.make_vec(name, n_envs, mode, **arguments)
        space: Any = self.env.single_action_space
        shape = (_N_ACTIONS, n_envs)
        self._seconds = seconds
        self._actions = np.random.default_rng(0).integers(0, space.n, shape)
        self.env.reset(seed=0)

    def steps_per_second(self, number: int) -> float:
        """Step for a while; ended episodes are restarted by the environment."""
        env, n_batches, start = self.env, 0, time.perf_counter()
        while time.perf_counter() - start < self._seconds:
            env.step(self._actions[n_batches % _N_ACTIONS])
            n_batches += 1
        return n_batches * self.n_envs / (time.perf_counter() - start)

    def events_per_step(self, n_batches: int = 40) -> float:
        """Return how many events of the simulator a step takes."""
        counts = self.env.unwrapped._batch.run["n_events"]
        n_events = 0
        for place in range(n_batches):
            before = counts.copy()
            self.env.step(self._actions[place % _N_ACTIONS])
            began_anew = counts < before
            n_events += int(np.where(began_anew, counts, counts - before).sum())
        return n_events / (n_batches * self.n_envs)


def microseconds_outside_the_loop(n_envs: int, seconds: float) -> float:
    """Return what a step of all environments takes beside the simulator's events [us].

    The simulator is called, but skips every world, so that nothing happens in it.
    """
    env = SeamcallRetryVectorEnv(n_envs, SCENARIOS[0], n_threads=1)
    env.reset(seed=0)
    actions = np.zeros(n_envs, np.int64)
    env.step(actions)
    with skipping(env._batch):
        n_batches, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            env.step(actions)
            n_batches += 1
        return (time.perf_counter() - start) / n_batches * 1e6


def python_with(library: str) -> str | None:
    """Return the Python that has a library: this one, or that of TDX_BENCH_<LIBRARY>; or None."""
    if importlib.util.find_spec(library) is not None:
        return sys.executable
    return os.environ.get(f"TDX_BENCH_{library.upper()}")


def _other(python: str, library: str, n_envs: int, seconds: float) -> Callable[[int], float]:
    """Return what measures another library in a process of its own."""
    command = [python, str(_OTHERS), library, str(n_envs), str(seconds)]

    def steps_per_second(number: int) -> float:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return float(done.stdout.split()[-1])

    return steps_per_second


def _others(n_envs: int, effort: Effort) -> dict[str, Callable[[int], float]]:
    """Return what measures CartPole in each way that is there."""
    found: dict[str, Callable[[int], float]] = {
        THEIRS: Loop(effort.seconds, THEIRS, n_envs).steps_per_second
    }
    for library in LIBRARIES:
        python = python_with(library)
        if python is not None:
            found[library] = _other(python, library, n_envs, effort.seconds)
    return found


def _row(n_envs: int, scenario: str, effort: Effort) -> dict[str, Any]:
    """Return the row of one number of environments."""
    loops = {}
    for n_threads in THREADS[: 1 if n_envs == 1 else None]:
        name = f"{n_threads} thread" + ("s" if n_threads > 1 else "")
        loops[name] = Loop(effort.seconds, OURS, n_envs, scenario=scenario, n_threads=n_threads)
    measurements: dict[str, Callable[[int], float]] = {
        name: loop.steps_per_second for name, loop in loops.items()
    }
    if scenario == SCENARIOS[0]:
        measurements |= _others(n_envs, effort)
    rates = in_rounds(measurements, effort)
    return {
        "case": scenario,
        "n_envs": n_envs,
        "steps_per_second": {name: rate._asdict() for name, rate in rates.items()},
        "events_per_step": loops["1 thread"].events_per_step(),
        "own_us_per_batch": microseconds_outside_the_loop(n_envs, effort.seconds),
    }


def measure(effort: Effort) -> list[dict[str, Any]]:
    """Return a row for each scenario and number of environments."""
    sizes = SIZES[:2] if effort.is_quick else SIZES
    return [_row(n_envs, scenario, effort) for scenario in SCENARIOS for n_envs in sizes]


def _ours_table(rows: list[dict[str, Any]]) -> str:
    """Return the table of our scenarios."""
    lines = []
    for row in rows:
        rates = row["steps_per_second"]
        one, two = rates["1 thread"], rates.get("2 threads")
        lines.append(
            (
                row["case"],
                f"{row['n_envs']:,}",
                spread(one),
                spread(two) if two else "",
                f"{two['median'] / one['median']:.2f}" if two else "",
                f"{row['events_per_step']:,.0f}",
                f"{row['own_us_per_batch']:.0f}",
            )
        )
    head = ("scenario", "n", "1 thread, steps/s", "2 threads, steps/s", "2 to 1 thread")
    return table((*head, "events/step", "own us/step of all"), lines)


def _others_table(rows: list[dict[str, Any]]) -> str:
    """Return the table of CartPole in other ways, with our first scenario beside it."""
    lines = []
    for row in rows:
        rates = row["steps_per_second"]
        if THEIRS in rates:
            ours = max(rates[name]["median"] for name in rates if "thread" in name)
            cells = [
                spread(rates[name]) if name in rates else _NOT_HERE for name in (THEIRS, *LIBRARIES)
            ]
            share = f"{ours / rates[THEIRS]['median']:.2f}"
            lines.append((f"{row['n_envs']:,}", *cells, short(ours), share))
    return table(("n", "Gymnasium", "EnvPool", SCENARIOS[0], "to Gymnasium's"), lines)


def text(rows: list[dict[str, Any]]) -> str:
    """Return what the page says about it."""
    return _TEXT.format(ours=_ours_table(rows), others=_others_table(rows))
