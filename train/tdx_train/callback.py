"""What happens between updates: log, validation, the best agent kept."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from tdx_agents.bundle import Manifest, Training, network_of
from tdx_agents.protocol import Kind, Policy
from tdx_env.errors import ConfigError
from tdx_env.spaces import observation_names
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_train.learning import BaseCallback
from tdx_train.log import ProgressLog, answer_column, cost_column, learner_values, ratio_column
from tdx_train.model import is_finite, policy_weights
from tdx_train.run_folder import RunFolder
from tdx_train.training_plan import TrainingPlan
from tdx_train.validation import REFERENCE, Counted, Judge, Verdict


def manifest_of(plan: TrainingPlan) -> Manifest:
    """Return what describes the agents of a training run."""
    return Manifest(
        name=plan.name,
        hidden=plan.config.hidden,
        activation=plan.config.activation,
        observation_names=tuple(observation_names(plan.config.decisions)),
        observe_objective=plan.config.observe_objective,
        inputs=plan.config.inputs(),
        objective=plan.config.objective or "",
        discipline=plan.discipline,
        training=Training(
            config_digest=plan.config_digest,
            seeds=(plan.config.seed,),
            scenario_digests=plan.training.digests,
        ),
    )


class Selection:
    """Validates agents and keeps the best one in the run's folder."""

    def __init__(self, plan: TrainingPlan, judge: Judge, folder: RunFolder) -> None:
        self._plan = plan
        self._judge = judge
        self._folder = folder
        self._manifest = manifest_of(plan)
        self.best_score = np.inf
        self.best_steps = 0
        self.best_shares = np.zeros(N_ACTIONS)

    def state(self) -> dict[str, Any]:
        """Return what is the best so far, as JSON has it; for `restore`."""
        return {
            "best_score": self.best_score,
            "best_steps": self.best_steps,
            "best_shares": self.best_shares.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.best_score = float(state["best_score"])
        self.best_steps = int(state["best_steps"])
        self.best_shares = np.array(state["best_shares"], np.float64)

    def consider(
        self,
        weights: dict[str, NDArray[np.float32]],
        n_steps: int,
        inputs: tuple[str, ...] | None = None,
    ) -> tuple[Verdict, NDArray[np.float64]]:
        """Validate an agent as it would ship; save it if it is the best so far.

        Args:
            weights: As bundles name them.
            n_steps: Steps of training that it had.
            inputs: Columns that it reads; None: as the configuration has it.

        Returns:
            How it did, and the share of each action in its answers, shape (N_ACTIONS,).
        """
        manifest = self._manifest
        if inputs is not None:
            manifest = manifest.model_copy(update={"inputs": inputs})
        acts = [
            Counted(network_of(manifest, weights, objective).act)
            for objective in self._plan.config.objectives()
        ]
        name, discipline = self._plan.name, self._plan.discipline
        policies = [
            Policy(name, "", "", "training", Kind.BATCHED, discipline, act=act) for act in acts
        ]
        verdict = self._judge.verdict(*policies)
        answers = np.sum([act.answers for act in acts], axis=0)
        shares = answers / max(1, answers.sum())
        if verdict.score < self.best_score:
            self._folder.save_agent(weights, manifest)
            self.best_score = verdict.score
            self.best_steps = n_steps
            self.best_shares = shares
        return verdict, shares


class Overseer(BaseCallback):
    """Logs each update, validates from time to time, and moves the progress bar.

    Args:
        plan: The training run.
        selection: Keeps the best agent.
        log: Gets a row for each update.
        console: Where progress is shown.
        keep: Keeps a checkpoint; is called after each validation but the first and the last.
        first_steps: Steps that a run which goes on has had.
    """

    def __init__(  # noqa: PLR0913 (what it looks after)
        self,
        plan: TrainingPlan,
        selection: Selection,
        log: ProgressLog,
        console: Console,
        keep: Callable[["Overseer"], None],
        first_steps: int = 0,
    ) -> None:
        super().__init__()
        self._keep, self._goes_on = keep, first_steps > 0
        self._plan = plan
        self._selection = selection
        self._log = log
        self._progress = Progress(console=console, transient=True)
        self._task = self._progress.add_task("training", total=plan.config.total_steps)
        self._began = time.monotonic()
        self._next_validation = 0
        if self._goes_on:
            self._next_validation = first_steps + plan.config.evaluation_interval
        self._costs: dict[str, list[int]] = defaultdict(list)

    def _on_training_start(self) -> None:
        """Show the progress bar."""
        self._progress.start()

    def _on_step(self) -> bool:
        """Note the costs of the episodes that ended."""
        for index in np.flatnonzero(self.locals["dones"]):
            info = self.locals["infos"][index]
            self._costs[info["scenario"]].append(info["episode_metrics"]["total_cost"])
        return True

    def _on_rollout_start(self) -> None:
        """Log the update that is over; validate what it led to, if it is time."""
        if self._goes_on:  # the checkpoint was written here, the row before it
            self._goes_on = False
            return
        validates = self.num_timesteps >= self._next_validation
        self._write_row(is_last=False)
        if validates and self.num_timesteps > 0:
            self._keep(self)

    def _on_training_end(self) -> None:
        """Validate what training ended with."""
        self._write_row(is_last=True)
        self.close()

    def close(self) -> None:
        """Take the progress bar away."""
        self._progress.stop()

    def _write_row(self, is_last: bool) -> None:
        """Add a row to the log, with a validation if it is time for one.

        Raises:
            ConfigError: The last update left a network that can't decide any more.
        """
        if not is_finite(self.model):  # type: ignore[arg-type]
            raise ConfigError(
                f"learning_rate = {self._plan.config.learning_rate}: the network has weights that "
                f"are not finite after {self.num_timesteps:,} steps, must be smaller; the best "
                f"agent, of step {self._selection.best_steps:,}, is kept"
            )
        row: dict[str, object] = {
            "steps": self.num_timesteps,
            "episodes": sum(len(costs) for costs in self._costs.values()),
        }
        for name, costs in self._costs.items():
            row[cost_column(name)] = float(np.mean(costs))
        self._costs.clear()
        row |= learner_values(self.logger.name_to_value)
        if is_last or self.num_timesteps >= self._next_validation:
            self._next_validation = self.num_timesteps + self._plan.config.evaluation_interval
            row |= self._validate()
        row["seconds"] = round(time.monotonic() - self._began, 2)
        self._log.write(row)
        self._progress.update(self._task, completed=self.num_timesteps)

    def _validate(self) -> dict[str, object]:
        """Validate the agent as it is now; return the columns of the log."""
        weights = policy_weights(self.model)  # type: ignore[arg-type]
        verdict, shares = self._selection.consider(weights, self.num_timesteps)
        best = self._selection.best_score
        mark = " (best)" if self._selection.best_steps == self.num_timesteps else ""
        self._progress.console.print(
            f"{self.num_timesteps:>9,} steps: cost relative to {REFERENCE} "
            f"{verdict.score:.3f}{mark}",
            highlight=False,
        )
        columns: dict[str, object] = {"score": verdict.score, "best_score": best}
        for name, ratio in zip(self._plan.validation.names, verdict.ratios, strict=True):
            columns[ratio_column(name)] = float(ratio)
        for action in Action:
            columns[answer_column(action)] = float(shares[action])
        return columns
