"""What a training run will do: the configuration with its scenarios loaded and checked."""

import hashlib
import json
from collections.abc import Mapping, Sequence
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


def _suite(names: Sequence[str], config: TrainConfig, overrides: Mapping[str, object]) -> Suite:
    """Return a suite of scenarios, each of them once for each objective."""
    loaded = []
    for objective in config.objectives():
        chosen = {} if objective is None else {"objective": objective}
        loaded += load_all(names, {**overrides, **chosen})
    return suite_of(loaded, config.observe_objective)


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
    names = expand(config.scenarios)
    for one in names:
        if one.endswith((_VALIDATION, _TEST)):
            raise ConfigError(
                f'scenarios = "{config.scenarios}": {one} is kept for later, must be train splits'
            )
    loaded = dict(zip(names, load_all(names, overrides), strict=True))
    training = [one for one in names if config.with_controls or not loaded[one].is_control]
    if not training:
        raise ConfigError(
            f'scenarios = "{config.scenarios}": all are controls, must hold another scenario '
            "(or set with_controls = true)"
        )
    suites = [
        _suite(some, config, overrides)
        for some in (training, [_validation_name(one) for one in training])
    ]
    return TrainingPlan(
        name=name,
        config=config,
        training=suites[0],
        validation=suites[1],
        discipline=config.host_discipline(),
        overrides=overrides,
    )
