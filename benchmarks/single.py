"""`gymnasium.make`: steps per second of one environment, against CartPole in the same loop."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import gymnasium
import numpy as np

from benchmarks.rounds import in_rounds
from tdx_env.engine.batch import SKIP, Batch
from tdx_env.env import SeamcallRetryEnv

OURS = "tdx_env/SeamcallRetry-v0"
THEIRS = "CartPole-v1"
SCENARIOS = ("s10-hostile/test", "s03-zero-step/test")
_SECONDS = 1.0
_N_ACTIONS = 4096
_N_LOOKS = 64  # steps between two looks at the clock


class Loop:
    """Random steps in one environment as `make` returns it, wrappers included."""

    def __init__(self, name: str, **arguments: Any) -> None:
        self.env: Any = gymnasium.make(name, **arguments)
        space: Any = self.env.action_space
        self._actions = np.random.default_rng(0).integers(0, space.n, _N_ACTIONS).tolist()

    def steps_per_second(self, number: int) -> float:
        """Step for a second, through as many episodes as it takes."""
        step, actions = self.env.step, self._actions
        self.env.reset(seed=number)
        n_steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < _SECONDS:
            for place in range(n_steps, n_steps + _N_LOOKS):
                *_, terminated, truncated, _ = step(actions[place % _N_ACTIONS])
                if terminated or truncated:
                    self.env.reset()
            n_steps += _N_LOOKS
        return n_steps / (time.perf_counter() - start)


def events_per_step(env: Any, n_episodes: int = 20) -> float:
    """Return how many events of the simulator a step takes under random actions."""
    generator, n_events, n_steps = np.random.default_rng(0), 0, 0
    for seed in range(n_episodes):
        env.reset(seed=seed)
        has_ended = False
        while not has_ended:
            *_, terminated, truncated, info = env.step(int(generator.integers(3)))
            n_steps += 1
            has_ended = terminated or truncated
        n_events += info["episode_metrics"]["n_events"]
    return n_events / n_steps


@contextmanager
def skipping(batch: Batch) -> Iterator[None]:
    """Let a batch be called as ever, but leave every world as it is."""
    advance, skipped = batch.advance, np.full(batch.n_worlds, SKIP)

    def skip(policy: Any, actions: Any) -> None:
        advance(policy, skipped)

    with mock.patch.object(batch, "advance", skip):
        yield


def microseconds_outside_the_loop(scenario: str, n_calls: int = 2000) -> float:
    """Return what a step takes beside the simulator's events: checks, observation, info [us].

    The simulator is called, but skips the world, so that nothing happens in it.
    """
    env = SeamcallRetryEnv(scenario)
    env.reset(seed=0)
    env.step(0)
    with skipping(env._episode.batch):
        start = time.perf_counter()
        for _ in range(n_calls):
            env.step(0)
        return (time.perf_counter() - start) / n_calls * 1e6


def measure() -> list[dict[str, Any]]:
    """Return a row for CartPole and one for each of our scenarios."""
    loops = {THEIRS: Loop(THEIRS)}
    loops |= {scenario: Loop(OURS, scenario=scenario) for scenario in SCENARIOS}
    rates = in_rounds({name: loop.steps_per_second for name, loop in loops.items()})
    rows: list[dict[str, Any]] = []
    for name, rate in rates.items():
        row: dict[str, Any] = {"case": name, "steps_per_second": rate._asdict()}
        row["share_of_cartpole"] = rate.median / rates[THEIRS].median
        if name != THEIRS:
            row["events_per_step"] = events_per_step(loops[name].env)
            row["own_us_per_step"] = microseconds_outside_the_loop(name)
        rows.append(row)
    return rows
