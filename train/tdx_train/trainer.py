"""A training run from start to end."""

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import tdx_agents
from tdx_agents.constant import constant
from tdx_agents.protocol import Policy
from tdx_env.engine.warm import warm_up
from tdx_env.state.discipline import Action
from tdx_train.calibration import calibrated
from tdx_train.callback import Overseer, Selection
from tdx_train.exact.learner import Learner
from tdx_train.log import ProgressLog
from tdx_train.model import build_model
from tdx_train.run_folder import RunFolder
from tdx_train.seed_ranges import TRAIN_LIMIT, VALIDATION_FIRST
from tdx_train.suite import Suite
from tdx_train.training_plan import TrainingPlan
from tdx_train.validation import REFERENCE, Judge, Verdict
from tdx_train.vec_env import SeamcallVecEnv

_CALIBRATION_EPISODES = 16
_LIBRARIES = ("tdx-env", "numpy", "numba", "torch", "stable-baselines3", "sb3-contrib")


@dataclass(frozen=True)
class Result:
    """What a training run came to.

    Attributes:
        best_score: Cost of the best agent relative to the reference, on the validation split.
        best_steps: Steps of training that it had.
        best_shares: Share of each action in its answers there, shape (N_ACTIONS,).
        retry_score: The score of always RETRY, charged as a counter, under its discipline.
        n_steps: Steps of training in all.
        was_interrupted: Whether Ctrl-C ended the run.
    """

    best_score: float
    best_steps: int
    best_shares: NDArray[np.float64]
    retry_score: float
    n_steps: int
    was_interrupted: bool


def _by_name(suite: Suite, values: NDArray[np.float64]) -> dict[str, float]:
    """Return one value of each scenario, by its name."""
    return dict(zip(suite.names, values.tolist(), strict=True))


def _retried(plan: TrainingPlan, judge: Judge) -> Verdict:
    """Measure always RETRY under the agent's discipline: what its decisions are held against."""
    retry = constant(Action.RETRY)
    cycles = retry.decision_cycles
    return judge.verdict(replace(retry, discipline=plan.discipline.with_(decision_cycles=cycles)))


def resolved(plan: TrainingPlan, judge: Judge, retried: Verdict) -> dict[str, Any]:
    """Return all that a run depends on, for ``config.json``."""
    last_validation = VALIDATION_FIRST + plan.config.evaluation_episodes - 1
    return {
        "name": plan.name,
        "config": plan.config.model_dump(mode="json"),
        "config_digest": plan.config_digest,
        "discipline": plan.discipline.model_dump(mode="json"),
        "overrides": dict(plan.overrides),
        "reference": REFERENCE,
        "reference_costs": _by_name(plan.validation, judge.reference_costs),
        "retry_costs": _by_name(plan.validation, retried.costs),
        "scenario_digests": {"train": plan.training.digests, "validation": plan.validation.digests},
        "reward_scales": _by_name(plan.training, plan.training.scales),
        "episode_shares": _by_name(plan.training, plan.training.shares),
        "seeds": {
            "run": plan.config.seed,
            "train_episodes_below": TRAIN_LIMIT,
            "validation_episodes": [VALIDATION_FIRST, last_validation],
        },
        "versions": {name: version(name) for name in _LIBRARIES}
        | {"python": platform.python_version(), "machine": platform.machine()},
    }


def train(
    plan: TrainingPlan, folder: RunFolder, console: Console, reference: Policy | None = None
) -> Result:
    """Train an agent; the best one on the validation split is kept in the folder.

    Args:
        plan: What to do.
        folder: Where agent, configuration and log go.
        console: Where progress is shown.
        reference: Policy whose validation cost counts as 1; default: what Linux 6.16 does.

    Raises:
        KeyboardInterrupt: Ctrl-C before there was an agent to keep.
    """
    config = plan.config
    warm_up()
    with console.status("measuring the scenarios ..."):
        suite = calibrated(
            plan.training, plan.discipline, config.seed, _CALIBRATION_EPISODES, config.n_threads
        )
        left_out = sorted(set(plan.training.names) - set(suite.names))
        plan = plan.restricted_to(suite.rewarded(config.reward_floor, config.counts_waiting))
        judge = Judge(
            plan.validation,
            reference or tdx_agents.load(REFERENCE),
            config.evaluation_episodes,
            config.n_threads,
        )
        retried = _retried(plan, judge)
    if left_out:
        console.print(f"left out, lost whatever is answered: {', '.join(left_out)}")
    suite = plan.training
    folder.save_config(resolved(plan, judge, retried) | {"left_out": left_out})
    selection = Selection(plan, judge, folder)
    run = _by_ppo if config.learner == "ppo" else _by_exact
    with ProgressLog(folder.log_path, suite.names, plan.validation.names) as log:
        n_steps, was_interrupted = run(plan, selection, log, console)
    return Result(
        best_score=selection.best_score,
        best_steps=selection.best_steps,
        best_shares=selection.best_shares,
        retry_score=retried.score,
        n_steps=n_steps,
        was_interrupted=was_interrupted,
    )


def _by_ppo(
    plan: TrainingPlan, selection: Selection, log: ProgressLog, console: Console
) -> tuple[int, bool]:
    """Learn by MaskablePPO; return the steps, and whether Ctrl-C ended it."""
    config = plan.config
    env = SeamcallVecEnv(
        plan.training, plan.discipline, config.n_envs, config.seed, config.n_threads
    )
    model, overseer = build_model(config, env), Overseer(plan, selection, log, console)
    try:
        was_interrupted = _unless_interrupted(
            lambda: model.learn(config.total_steps, overseer, log_interval=None),  # type: ignore[arg-type]
            selection,
        )
    finally:
        overseer.close()
    return model.num_timesteps, was_interrupted


def _by_exact(
    plan: TrainingPlan, selection: Selection, log: ProgressLog, console: Console
) -> tuple[int, bool]:
    """Learn from played out answers; return the decisions, and whether Ctrl-C ended it."""
    learner = Learner(plan, selection, log, console)
    was_interrupted = _unless_interrupted(learner.learn, selection)
    return learner.n_decisions, was_interrupted


def _unless_interrupted(learn: Callable[[], object], selection: Selection) -> bool:
    """Learn until it is done or Ctrl-C; return whether it was that.

    Raises:
        KeyboardInterrupt: Ctrl-C before there was an agent to keep.
    """
    try:
        learn()
    except KeyboardInterrupt:
        if selection.best_steps == 0 and selection.best_score == float("inf"):
            raise
        return True
    return False
