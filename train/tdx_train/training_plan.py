"""What a training run will do: the configuration with its scenarios loaded and checked."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tdx_env.errors import ConfigError
from tdx_env.host.discipline import Discipline
from tdx_env.scenarios import expand
from tdx_train.config import TrainConfig
from tdx_train.suite import Suite, load_all, suite_of

_TRAIN = "/train"
_VALIDATION = "/validation"
_TEST = "/test"


@dataclass(frozen=True)
class TrainingPlan:
    """A training run, resolved.

    Attributes:
        name: What the agent will be called.
        config: The configuration.
        overrides: Scenario parameters that were changed, by dotted key.
        training: Scenarios to train on.
        validation: The same families' validation splits.
        discipline: Host discipline of the agent.
    """

    name: str
    config: TrainConfig
    training: Suite
    validation: Suite
    discipline: Discipline
    overrides: Mapping[str, object] = field(default_factory=dict)

    @property
    def config_digest(self) -> str:
        """SHA-256 of the configuration."""
        content = json.dumps(self.config.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def restricted_to(self, suite: Suite) -> "TrainingPlan":
        """Return the plan with some of its training scenarios, and validation on the same."""
        kept = [place for place, name in enumerate(self.training.names) if name in suite.names]
        return replace(self, training=suite, validation=self.validation.only(np.array(kept)))


def _validation_name(name: str) -> str:
    """Return the validation split of a scenario; a file without splits stands for itself."""
    return name.removesuffix(_TRAIN) + _VALIDATION if name.endswith(_TRAIN) else name


def plan_of(name: str, config: TrainConfig, overrides: Mapping[str, object]) -> TrainingPlan:
    """Load the scenarios of a configuration.

    Args:
        name: What the agent will be called.
        config: The configuration.
        overrides: Scenario parameters to change, by dotted key, in both splits.

    Raises:
        ConfigError: It asks to train on a validation or test split, or no scenario is left.
        ScenarioError: A scenario or a parameter of it is unknown or impossible.
    """
    if config.objective is not None:
        overrides = {**overrides, "objective": config.objective}
    names = expand(config.scenarios)
    for one in names:
        if one.endswith((_VALIDATION, _TEST)):
            raise ConfigError(
                f'scenarios = "{config.scenarios}": {one} is kept for later, must be train splits'
            )
    loaded = dict(zip(names, load_all(names, overrides), strict=True))
    training = {
        one: scenario
        for one, scenario in loaded.items()
        if config.with_controls or not scenario.is_control
    }
    if not training:
        raise ConfigError(
            f'scenarios = "{config.scenarios}": all are controls, must hold another scenario '
            "(or set with_controls = true)"
        )
    validation = load_all([_validation_name(one) for one in training], overrides)
    return TrainingPlan(
        name=name,
        config=config,
        training=suite_of(list(training.values())),
        validation=suite_of(validation),
        discipline=config.host_discipline(),
        overrides=overrides,
    )
