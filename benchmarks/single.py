"""`gymnasium.make`: steps per second of one environment, against CartPole in the same loop."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import gymnasium
import numpy as np

from benchmarks.rounds import Effort, in_rounds
from benchmarks.tables import spread, table
from tdx_env.engine.batch import SKIP, Batch
from tdx_env.env import SeamcallRetryEnv
from tdx_env.info import named_metrics

OURS = "tdx_env/SeamcallRetry-v0"
THEIRS = "CartPole-v1"
SCENARIOS = ("s14-split-storm/test", "s10-hostile/test", "s03-zero-step/test")
_N_ACTIONS = 4096
_N_LOOKS = 64  # steps between two looks at the clock
_TEXT = """
## One environment

`gymnasium.make`, with the wrappers that it adds. *Own* is what a step takes beside the events:
checking the action, calling the simulator, the observation, info.

"""


class Loop:
    """Random steps in one environment as `make` returns it, wrappers included."""

    def __init__(self, seconds: float, name: str, **arguments: Any) -> None:
        self.env: Any = gymnasium.make(name, **arguments)
        space: Any = self.env.action_space
        self._seconds = seconds
        self._actions = np.random.default_rng(0).integers(0, space.n, _N_ACTIONS).tolist()

    def steps_per_second(self, number: int) -> float:
        """Step for a while, through as many episodes as it takes."""
        step, actions = self.env.step, self._actions
        self.env.reset(seed=number)
        n_steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < self._seconds:
            for place in range(n_steps, n_steps + _N_LOOKS):
                *_, terminated, truncated, _ = step(actions[place % _N_ACTIONS])
                if terminated or truncated:
                    self.env.reset()
            n_steps += _N_LOOKS
        return n_steps / (time.perf_counter() - start)


def events_per_step(env: Any, n_episodes: int) -> float:
    """Return how many events of the simulator a step takes under random actions."""
    generator, n_events, n_steps = np.random.default_rng(0), 0, 0
    for seed in range(n_episodes):
        env.reset(seed=seed)
        has_ended = False
        while not has_ended:
            *_, terminated, truncated, info = env.step(int(generator.integers(3)))
            n_steps += 1
            has_ended = terminated or truncated
        n_events += named_metrics(info["episode_metrics"])["n_events"]
    return n_events / n_steps


@contextmanager
def skipping(batch: Batch) -> Iterator[None]:
    """Let a batch be called as ever, but leave every world as it is."""
    advance, answer, skipped = batch.advance, batch.answer, np.full(batch.n_worlds, SKIP)

    def skip(policy: Any, actions: Any, observations: Any) -> int:
        return advance(policy, skipped, observations)

    def skip_answer(actions: Any, observations: Any) -> int:
        return answer(skipped, observations)

    with mock.patch.multiple(batch, advance=skip, answer=skip_answer):
        yield


def microseconds_outside_the_loop(scenario: str, seconds: float) -> float:
    """Return what a step takes beside the simulator's events: checks, observation, info [us].

    The simulator is called, but skips the world, so that nothing happens in it.
    """
    env = SeamcallRetryEnv(scenario)
    env.reset(seed=0)
    env.step(0)
    with skipping(env._episode.batch):
        n_steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            for _ in range(_N_LOOKS):
                env.step(0)
            n_steps += _N_LOOKS
        return (time.perf_counter() - start) / n_steps * 1e6


def measure(effort: Effort) -> list[dict[str, Any]]:
    """Return a row for CartPole and one for each of our scenarios."""
    loops = {THEIRS: Loop(effort.seconds, THEIRS)}
    loops |= {name: Loop(effort.seconds, OURS, scenario=name) for name in SCENARIOS}
    rates = in_rounds({name: loop.steps_per_second for name, loop in loops.items()}, effort)
    rows: list[dict[str, Any]] = []
    for name, rate in rates.items():
        row: dict[str, Any] = {"case": name, "steps_per_second": rate._asdict()}
        row["share_of_cartpole"] = rate.median / rates[THEIRS].median
        if name != THEIRS:
            row["events_per_step"] = events_per_step(loops[name].env, 2 if effort.is_quick else 20)
            row["own_us_per_step"] = microseconds_outside_the_loop(name, effort.seconds)
        rows.append(row)
    return rows


def text(rows: list[dict[str, Any]]) -> str:
    """Return what the page says about it."""
    return _TEXT + table(
        ("environment", "steps/s", "share of CartPole", "events/step", "us/step", "own us/step"),
        [
            (
                row["case"],
                spread(row["steps_per_second"]),
                f"{row['share_of_cartpole']:.2f}",
                f"{row['events_per_step']:,.0f}" if "events_per_step" in row else "",
                f"{1e6 / row['steps_per_second']['median']:.1f}",
                f"{row['own_us_per_step']:.1f}" if "own_us_per_step" in row else "",
            )
            for row in rows
        ],
    )
