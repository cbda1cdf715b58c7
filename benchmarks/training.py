"""Training: how much of the learner's time the environments take."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.rounds import Effort, in_rounds
from benchmarks.tables import spread, table
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import expand
from tdx_env.state.discipline import N_ACTIONS
from tdx_train.config import TrainConfig
from tdx_train.model import build_model
from tdx_train.suite import load_all, suite_of
from tdx_train.vec_env import SeamcallVecEnv

_NOTHING = "nothing"
_N_RECORDED = 64  # steps that are returned again and again
_ROLLOUT = 8192  # steps that are collected between two updates
_SUITES = {"s14-split-storm/train": "s14-split-storm/train", "all of train": "train"}
_SIZES = {8: 512, 64: 1024, 512: 2048}  # environments: decisions in a gradient step
_TEXT = """
## Training

Steps per second of masked PPO as `tdx-train` sets it up (4 passes over 8,192 steps, network 64-64),
with our environments and with a `VecEnv` that does nothing but return steps that were recorded
before. The share that is missing to 1 is what the environments take, mostly for their events.

"""


class NoEnv(VecEnv):
    """Environments that do nothing: some steps of others, again and again, without an end.

    Args:
        env: Whose steps they are, under random actions.
    """

    def __init__(self, env: SeamcallVecEnv) -> None:
        super().__init__(env.num_envs, env.observation_space, env.action_space)
        generator = np.random.default_rng(0)
        start = (env.reset().copy(), np.zeros(env.num_envs, np.float32), env.action_masks())
        self._steps: list[Any] = [start]
        for _ in range(_N_RECORDED):
            actions = generator.integers(0, N_ACTIONS, env.num_envs)
            env.step_async(actions)
            observations, rewards, _, _ = env.step_wait()
            self._steps.append((observations.copy(), rewards, env.action_masks()))
        self._turn = 0
        self._infos: list[dict[str, Any]] = [{}] * env.num_envs

    def reset(self) -> NDArray[np.float32]:
        """Return the first observations."""
        first: NDArray[np.float32] = self._steps[0][0]
        return first

    def step_async(self, actions: NDArray[Any]) -> None:
        """Do nothing."""

    def step_wait(self) -> Any:
        """Return the next of the recorded steps."""
        self._turn = (self._turn + 1) % len(self._steps)
        observations, rewards, _ = self._steps[self._turn]
        ended = np.zeros(self.num_envs, np.bool_)
        return observations, rewards.copy(), ended, self._infos

    def close(self) -> None:
        """Do nothing."""

    def has_attr(self, attr_name: str) -> bool:
        """Say that there are masks."""
        return attr_name == "action_masks"

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return nothing for each environment."""
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Do nothing."""

    def env_method(  # type: ignore[override]
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> Sequence[Any]:
        """Return the masks."""
        masks: Sequence[Any] = self._steps[self._turn][2]
        return masks

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Say that no environment is wrapped."""
        return [False] * self.num_envs


def _config(n_envs: int, effort: Effort) -> TrainConfig:
    """Return the settings for a number of environments."""
    rollout = max(2 * n_envs, int(_ROLLOUT * effort.share))
    batch = min(_SIZES[n_envs], rollout)
    return TrainConfig(n_envs=n_envs, n_steps=rollout // n_envs, batch_size=batch)


def _rate(model: MaskablePPO, seconds: float) -> Callable[[int], float]:
    """Return what measures a learner's steps per second: collecting and learning."""
    rollout = model.n_steps * model.n_envs

    def steps_per_second(number: int) -> float:
        n_steps, start = 0, time.perf_counter()
        while n_steps == 0 or time.perf_counter() - start < seconds:
            model.learn(rollout, reset_num_timesteps=False)
            n_steps += rollout
        return n_steps / (time.perf_counter() - start)

    return steps_per_second


def _row(n_envs: int, effort: Effort) -> dict[str, Any]:
    """Return the row of one number of environments."""
    config = _config(n_envs, effort)
    envs: dict[str, Any] = {}
    for name, scenarios in _SUITES.items():
        suite = suite_of(load_all(expand(scenarios), {}))
        envs[name] = SeamcallVecEnv(suite, DEFAULT, n_envs, 1, config.n_threads)
    envs[_NOTHING] = NoEnv(next(iter(envs.values())))
    models = {name: build_model(config, env) for name, env in envs.items()}
    ways = {name: _rate(model, effort.seconds) for name, model in models.items()}
    rates = in_rounds(ways, effort)
    return {
        "n_envs": n_envs,
        "batch_size": config.batch_size,
        "steps_per_second": {name: rate._asdict() for name, rate in rates.items()},
    }


def measure(effort: Effort) -> list[dict[str, Any]]:
    """Return a row for each number of environments."""
    return [_row(n_envs, effort) for n_envs in _SIZES]


def text(rows: list[dict[str, Any]]) -> str:
    """Return what the page says about it."""
    lines = []
    for row in rows:
        rates = row["steps_per_second"]
        cells = [str(row["n_envs"]), str(row["batch_size"]), spread(rates[_NOTHING])]
        for name in _SUITES:
            share = rates[name]["median"] / rates[_NOTHING]["median"]
            cells += [spread(rates[name]), f"{share:.2f}"]
        lines.append(cells)
    head = ["environments", "batch", f"{_NOTHING}, steps/s"]
    for name in _SUITES:
        head += [f"{name}, steps/s", "share"]
    return _TEXT + table(head, lines)
