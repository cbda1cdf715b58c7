"""A training run from start to end."""

import platform
from collections.abc import Callable, Mapping
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
from tdx_train.callback import Overseer, Selection, manifest_of
from tdx_train.checkpoint import Arrays, belongs_to, packed, unpacked
from tdx_train.exact.learner import Learner
from tdx_train.log import ProgressLog
from tdx_train.model import build_model, learner_state, restore_learner
from tdx_train.run_folder import RunFolder
from tdx_train.seed_ranges import TRAIN_LIMIT, VALIDATION_FIRST
from tdx_train.suite import Suite
from tdx_train.training_plan import TrainingPlan
from tdx_train.validation import REFERENCE, Judge, Verdict
from tdx_train.vec_env import SeamcallVecEnv

_CALIBRATION_EPISODES = {"ppo": 16, "exact": 4}  # of each scenario, by learner, in all
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


def _versions() -> dict[str, str]:
    """Return the versions of what a run depends on, by name."""
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    return {name: version(name) for name in _LIBRARIES} | machine


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
        "versions": _versions(),
    }


def train(
    plan: TrainingPlan,
    folder: RunFolder,
    console: Console,
    reference: Policy | None = None,
    resume: bool = False,
) -> Result:
    """Train an agent; the best one on the validation split is kept in the folder.

    Args:
        plan: What to do.
        folder: Where agent, configuration and log go.
        console: Where progress is shown.
        reference: Policy whose validation cost counts as 1; default: what Linux 6.16 does.
        resume: Go on from the checkpoint in the folder, to what an uninterrupted run comes to.

    Raises:
        CheckpointError: The checkpoint is damaged, or of another run.
        KeyboardInterrupt: Ctrl-C before there was an agent to keep.
    """
    config = plan.config
    warm_up()
    with console.status("measuring the scenarios ..."):
        n_episodes = max(1, _CALIBRATION_EPISODES[config.learner] // len(config.objectives()))
        suite = calibrated(
            plan.training, plan.discipline, config.seed, n_episodes, config.n_threads
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
    belongs = belongs_to(plan, _versions())
    about, arrays = unpacked(folder.checkpoint_path, belongs) if resume else ({}, {})
    if resume:
        selection.restore(about["selection"])
    names = suite.names, plan.validation.names
    with ProgressLog(folder.log_path, *names, before=about.get("log", "")) as log:
        keeper = _Keeper(folder, selection, log, belongs)
        run = _by_ppo if config.learner == "ppo" else _by_exact
        n_steps, was_interrupted = run(plan, keeper, console, (about, arrays))
    if not was_interrupted:
        folder.remove_checkpoint()
    return Result(
        best_score=selection.best_score,
        best_steps=selection.best_steps,
        best_shares=selection.best_shares,
        retry_score=retried.score,
        n_steps=n_steps,
        was_interrupted=was_interrupted,
    )


@dataclass(frozen=True)
class _Keeper:
    """Keeps checkpoints of a run.

    Attributes:
        folder: Where they go.
        selection: The run's.
        log: The run's.
        belongs: What run they are of.
    """

    folder: RunFolder
    selection: Selection
    log: ProgressLog
    belongs: dict[str, Any]

    def keep(self, about: Mapping[str, Any], arrays: Arrays) -> None:
        """Keep a learner's state, and that of all round it."""
        rest = {"selection": self.selection.state(), "log": self.log.text}
        self.folder.save_checkpoint(packed({**self.belongs, **rest, **about}, arrays))


_Kept = tuple[dict[str, Any], Arrays]


def _by_ppo(plan: TrainingPlan, keeper: _Keeper, console: Console, kept: _Kept) -> tuple[int, bool]:
    """Learn by MaskablePPO; return the steps, and whether Ctrl-C ended it."""
    config, selection = plan.config, keeper.selection
    manifest = manifest_of(plan)
    shown = tuple(manifest.columns.index(name) for name in manifest.read)
    env = SeamcallVecEnv(
        plan.training.showing(shown),
        plan.discipline,
        config.n_envs,
        config.seed,
        config.n_threads,
    )
    model = build_model(config, env)
    about, arrays = kept
    if about:
        restore_learner(model, env, about["learner"], arrays)

    def keep(_: Overseer) -> None:
        numbers, state = learner_state(model, env)
        keeper.keep({"learner": numbers}, state)

    overseer = Overseer(plan, selection, keeper.log, console, keep, model.num_timesteps)
    n_left = max(0, config.total_steps - model.num_timesteps)
    try:
        was_interrupted = _unless_interrupted(
            lambda: model.learn(
                n_left,
                overseer,
                log_interval=None,  # type: ignore[arg-type]
                reset_num_timesteps=not about,
            ),
            selection,
        )
    finally:
        overseer.close()
    return model.num_timesteps, was_interrupted


def _by_exact(
    plan: TrainingPlan, keeper: _Keeper, console: Console, kept: _Kept
) -> tuple[int, bool]:
    """Learn from played out answers; return the decisions, and whether Ctrl-C ended it."""

    def keep(learner: Learner) -> None:
        state, arrays = learner.state()
        keeper.keep({"learner": state}, arrays)

    learner = Learner(plan, keeper.selection, keeper.log, console, keep)
    about, arrays = kept
    if about:
        learner.restore(about["learner"], arrays)
    was_interrupted = _unless_interrupted(learner.learn, keeper.selection)
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
