"""`gymnasium.make_vec`: steps per second of many environments, against CartPole's vector."""

import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import VectorizeMode

from benchmarks.rounds import in_rounds
from benchmarks.single import OURS, SCENARIOS, THEIRS, skipping
from tdx_env.vector import SeamcallRetryVectorEnv

SIZES = (1, 64, 256, 1024)
THREADS = (1, 2)
_SECONDS = 0.5
_N_ACTIONS = 32


class Loop:
    """Random steps in a vector environment; one step counts once for each environment."""

    def __init__(self, name: str, n_envs: int, **arguments: Any) -> None:
        self.n_envs = n_envs
        mode = VectorizeMode.VECTOR_ENTRY_POINT
        self.env: Any = gymnasium.make_vec(name, n_envs, mode, **arguments)
        space: Any = self.env.single_action_space
        shape = (_N_ACTIONS, n_envs)
        self._actions = np.random.default_rng(0).integers(0, space.n, shape)
        self.env.reset(seed=0)

    def steps_per_second(self, number: int) -> float:
        """Step for a while; ended episodes are restarted by the environment."""
        env, n_batches, start = self.env, 0, time.perf_counter()
        while time.perf_counter() - start < _SECONDS:
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


def microseconds_outside_the_loop(n_envs: int, n_calls: int = 200) -> float:
    """Return what a step of all environments takes beside the simulator's events [us].

    The simulator is called, but skips every world, so that nothing happens in it.
    """
    env = SeamcallRetryVectorEnv(n_envs, SCENARIOS[0], n_threads=1)
    env.reset(seed=0)
    actions = np.zeros(n_envs, np.int64)
    env.step(actions)
    with skipping(env._batch):
        start = time.perf_counter()
        for _ in range(n_calls):
            env.step(actions)
        return (time.perf_counter() - start) / n_calls * 1e6


def _row(n_envs: int, scenario: str) -> dict[str, Any]:
    """Return the row of one number of environments."""
    loops = {THEIRS: Loop(THEIRS, n_envs)}
    for n_threads in THREADS[: 1 if n_envs == 1 else None]:
        name = f"{n_threads} thread" + ("s" if n_threads > 1 else "")
        loops[name] = Loop(OURS, n_envs, scenario=scenario, n_threads=n_threads)
    measurements: dict[str, Callable[[int], float]] = {
        name: loop.steps_per_second for name, loop in loops.items()
    }
    rates = in_rounds(measurements)
    return {
        "case": scenario,
        "n_envs": n_envs,
        "steps_per_second": {name: rate._asdict() for name, rate in rates.items()},
        "events_per_step": loops["1 thread"].events_per_step(),
        "own_us_per_batch": microseconds_outside_the_loop(n_envs),
    }


def measure() -> list[dict[str, Any]]:
    """Return a row for each scenario and number of environments."""
    return [_row(n_envs, scenario) for scenario in SCENARIOS for n_envs in SIZES]
