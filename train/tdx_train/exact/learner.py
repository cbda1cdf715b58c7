"""Rounds of the learner: gather behind the best policy so far, fit networks, keep the best one."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from tdx_agents.bundle import network_of, weight_columns
from tdx_agents.crossed import decider
from tdx_agents.protocol import Decide
from tdx_env.spaces import observation_names, observation_size, observe
from tdx_env.state.discipline import Action
from tdx_env.state.objectives import N_WEIGHED
from tdx_train.callback import Selection, manifest_of
from tdx_train.checkpoint import Arrays, below, under
from tdx_train.exact.fitting import Fit, fitted
from tdx_train.exact.gathering import Decided, Walk, gather
from tdx_train.exact.stakes import Stakes, stakes_of
from tdx_train.log import ProgressLog, answer_column, ratio_column
from tdx_train.suite import Suite
from tdx_train.training_plan import TrainingPlan
from tdx_train.validation import REFERENCE

_GREEDY = "decided-greedy"
_WALKERS = (_GREEDY, "decided-until-waits", "decided-root", "decided-retry-batch-16", "break-even")
_FADING = 0.5  # weight of a round's decisions against those of the next one
_SEEDS_A_ROUND = 1_000


@dataclass(frozen=True, eq=False)
class Agent:
    """A fitted network.

    Attributes:
        weights: As bundles name them.
        inputs: Columns that it reads.
    """

    weights: dict[str, NDArray[np.float32]]
    inputs: tuple[str, ...]

    def rules(self, plan: TrainingPlan) -> list[Decide]:
        """Return it as compiled decision functions, one for each objective of the plan."""
        manifest = manifest_of(plan).model_copy(update={"inputs": self.inputs})
        n_columns = observation_size(plan.config.decisions)
        return [
            network_of(manifest, self.weights, objective).compiled(n_columns)
            for objective in plan.config.objectives()
        ]


def _rule(name: str) -> Decide:
    """Return the decision function of an action, or of a policy of the catalogue."""
    rule = decider(name).decide
    assert rule is not None
    return rule


class Learner:
    """Gathers, fits and validates.

    Args:
        plan: The training run, its scenarios with measured scales.
        selection: Validates agents and keeps the best one.
        log: Gets a row for each agent.
        console: Where progress is shown.
        keep: Keeps a checkpoint; is called after each round.
    """

    def __init__(  # noqa: PLR0913 (what it works with)
        self,
        plan: TrainingPlan,
        selection: Selection,
        log: ProgressLog,
        console: Console,
        keep: Callable[["Learner"], None],
    ) -> None:
        self._keep = keep
        self._plan, self._config = plan, plan.config
        self._selection, self._log, self._console = selection, log, console
        self._rounds: list[Decided] = []
        self._best: Agent | None = None
        self._began = time.monotonic()
        self.n_decisions = 0

    def learn(self) -> None:
        """Do all rounds.

        Raises:
            ConfigError: The loss is no number any more.
        """
        for number in range(len(self._rounds), self._config.exact.rounds):
            self._gather(number)
            for agent in self._fitted(number):
                self._consider(agent)
            self._keep(self)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return all that the next round depends on, as JSON has it and arrays; for `restore`."""
        assert self._best is not None
        arrays = under("best", self._best.weights)
        for number, decided in enumerate(self._rounds):
            arrays |= under(f"round.{number}", decided.arrays())
        return {"n_rounds": len(self._rounds), "inputs": list(self._best.inputs)}, arrays

    def restore(self, about: Mapping[str, Any], arrays: Arrays) -> None:
        """Go on from a state."""
        self._best = Agent(below("best", arrays), tuple(about["inputs"]))
        self._rounds = [
            Decided(**below(f"round.{number}", arrays)) for number in range(about["n_rounds"])
        ]
        self.n_decisions = sum(len(one.base) for one in self._rounds)

    def _gather(self, number: int) -> None:
        """Add the decisions of a round."""
        self._console.print(f"round {number + 1}: playing answers on", highlight=False)
        n_objectives = len(self._config.objectives())
        parts = self._plan.training.split(n_objectives)
        offsets = np.arange(n_objectives) * len(parts[0].scenarios)
        if self._best is None:
            # Behind one rule all objectives are read from the same plays.
            walkers = [_rule(self._config.exact.base), *map(_rule, _WALKERS)]
            found = [self._walked(parts[0], walkers, number, 0)] * n_objectives
        else:
            greedy = _rule(_GREEDY)
            found = [
                self._walked(part, [rule, rule, greedy], number, place)
                for place, (part, rule) in enumerate(
                    zip(parts, self._best.rules(self._plan), strict=True)
                )
            ]
        placed = [
            replace(one, scenario=one.scenario + offset)
            for one, offset in zip(found, offsets, strict=True)
        ]
        self._rounds.append(Decided.together(placed))
        self.n_decisions += sum(len(one.base) for one in placed)

    def _walked(
        self, suite: Suite, walkers: Sequence[Decide], number: int, objective: int
    ) -> Decided:
        """Return the decisions of a round for one objective."""
        exact, config = self._config.exact, self._config
        seed = config.seed + _SEEDS_A_ROUND * (number + 1) + objective
        walk = Walk(
            walkers[0], walkers, self._plan.discipline, seed,
            max(exact.episodes, len(walkers)), exact.decisions, exact.futures,
        )  # fmt: skip
        return gather(suite, walk, config.n_threads)

    def _stakes(self) -> Stakes:
        """Return what all decisions are worth, those of earlier rounds less."""
        suite = self._plan.training
        weights, caution = suite.setups()["weights"], self._config.exact.caution
        found = [stakes_of(one, weights, suite.scales, caution) for one in self._rounds]
        ages = range(len(found) - 1, -1, -1)
        return Stakes(
            np.concatenate([one.costs for one in found]),
            np.concatenate(
                [one.weights * _FADING**age for one, age in zip(found, ages, strict=True)]
            ),
        )

    def _seen(self, decided: Decided) -> NDArray[np.float32]:
        """Return observations, the objective's weights behind them if they are shown."""
        n_columns = observation_size(self._config.decisions)
        n_shown = N_WEIGHED * self._config.observe_objective
        seen = np.empty((len(decided.base), n_columns + n_shown), np.float32)
        plain = np.empty((len(seen), n_columns), np.float32)
        observe(decided.features, plain)
        seen[:, :n_columns] = plain
        if n_shown:
            weights = self._plan.training.setups()["weights"]
            seen[:, n_columns:] = weights[decided.scenario]
        return seen

    def _fitted(self, number: int) -> Iterator[Agent]:
        """Yield the networks of a round."""
        exact = self._config.exact
        decided, stakes = Decided.together(self._rounds), self._stakes()
        seen = self._seen(decided)
        n_columns = observation_size(self._config.decisions)
        names = observation_names(self._config.decisions) + weight_columns()
        shown = tuple(range(n_columns, seen.shape[1]))
        kept = tuple(column for column in shown if seen[:, column].std() > 0)
        fit = Fit(self._config.hidden, exact.inputs, exact.steps, self._config.learning_rate, kept)
        for place in range(exact.fits):
            seed = self._config.seed + _SEEDS_A_ROUND * (number + 1) + place
            weights, columns = fitted(seen, decided.masks, stakes, fit, seed)
            yield Agent(weights, tuple(names[column] for column in columns))

    def _consider(self, agent: Agent) -> None:
        """Validate an agent, note it, and let the next round begin with it if it is the best."""
        before = self._selection.best_score
        verdict, shares = self._selection.consider(agent.weights, self.n_decisions, agent.inputs)
        is_best = verdict.score < before
        if is_best:
            self._best = agent
        row: dict[str, object] = {
            "steps": self.n_decisions,
            "seconds": round(time.monotonic() - self._began, 2),
            "score": verdict.score,
            "best_score": self._selection.best_score,
        }
        for name, ratio in zip(self._plan.validation.names, verdict.ratios, strict=True):
            row[ratio_column(name)] = float(ratio)
        for action in Action:
            row[answer_column(action)] = float(shares[action])
        self._log.write(row)
        self._console.print(
            f"{self.n_decisions:>9,} decisions: cost relative to {REFERENCE} {verdict.score:.3f}"
            f"{' (best)' if is_best else ''}",
            highlight=False,
        )
