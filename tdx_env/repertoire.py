"""What an environment plays, asks and pays: the versions of it, and the scenarios drawn from."""

import warnings
from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np

from tdx_env.arguments import NO_CHOICE, ScenarioSpec, loaded_of
from tdx_env.errors import ScenarioError, shown
from tdx_env.host.discipline import BOUNDED, DEFAULT, Discipline
from tdx_env.scenarios import Scenario
from tdx_env.state.objectives import ObjectiveSpec, weights_of
from tdx_env.state.setup import SETUP


class Edition(NamedTuple):
    """A version of the environment: what holds where an argument says nothing.

    Attributes:
        scenario: What is played.
        objective: What an episode costs, unless its scenario says so.
        scale: The scenario's key that rewards are divided by, below ``limits``.
        decisions: Where somebody is asked.
        discipline: What the host does round the decisions.
    """

    scenario: str
    objective: str
    scale: str
    decisions: str
    discipline: Discipline


EDITIONS = {
    "v0": Edition("train", "thread", "reward_scale", "busy", DEFAULT),
    "v1": Edition("core", "cpu", "reward_scale_v1", "all", BOUNDED),
}


def edition_of(name: object) -> Edition:
    """Return a version of the environment.

    Raises:
        ScenarioError: There is none of that name.
    """
    if isinstance(name, str) and name in EDITIONS:
        return EDITIONS[name]
    raise ScenarioError(f"edition = {shown(name)}, must be {' or '.join(EDITIONS)}")


def _scale_of(scenario: Scenario, key: str) -> int:
    """Return what a scenario's rewards are divided by [cycles].

    A user's file may lack what later versions divide by: then it is `reward_scale`, and a warning
    says so.
    """
    scale: int | None = getattr(scenario.limits, key)
    if scale is not None:
        return scale
    warnings.warn(
        f"{scenario.name}: limits.{key} is missing, rewards are divided by limits.reward_scale; "
        "tdx-eval scale measures it",
        UserWarning,
        stacklevel=2,
    )
    return scenario.limits.reward_scale


class Repertoire:
    """The scenarios that an environment draws from, and what their episodes cost.

    Args:
        scenario: As for the environment; None: what the version plays.
        objective: As for the environment; None: what each scenario says, else the version.
        edition: The version.
        machine: Module and kernel, as dotted scenario parameters.
        overrides: Scenario parameters by dotted name, of one reset.

    Attributes:
        scenarios: The scenarios.
        setups: The same as the simulator reads them, dtype SETUP, shape (n,).
        scales: What the rewards of each are divided by [cycles].

    Raises:
        ScenarioError: A scenario is unknown or malformed.
        ObjectiveError: The objective is none.
    """

    def __init__(
        self,
        scenario: ScenarioSpec | None,
        objective: ObjectiveSpec | None,
        edition: Edition,
        machine: Mapping[str, object] = NO_CHOICE,
        overrides: Mapping[str, object] = NO_CHOICE,
    ) -> None:
        self._arguments = (scenario, objective, edition, machine)
        spec = edition.scenario if scenario is None else scenario
        found = loaded_of(spec, overrides, machine)
        self.scenarios = [one.scenario for one in found]
        self.scales = [_scale_of(one, edition.scale) for one in self.scenarios]
        # np.concatenate looks at every field of every record before it copies one.
        self.setups = np.frombuffer(bytearray().join(one.setup.tobytes() for one in found), SETUP)
        for setup, one in zip(self.setups, self.scenarios, strict=True):
            spoken = one.objective or edition.objective
            setup["weights"] = weights_of(spoken if objective is None else objective)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scenarios."""
        return tuple(one.name for one in self.scenarios)

    def overridden(self, overrides: Mapping[str, object]) -> Self:
        """Return the same with some scenario parameters changed.

        Raises:
            ScenarioError: One is none, or out of its bounds.
        """
        return type(self)(*self._arguments, overrides)
