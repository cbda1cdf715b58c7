"""The plan of a comparison: which policies, scenarios and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tdx_agents
from tdx_agents.protocol import Policy
from tdx_env.errors import PolicyError, ScenarioError
from tdx_env.scenarios import load, names
from tdx_eval import yardsticks
from tdx_eval.run import run_batch
from tdx_eval.seeds import seeds_of

REFERENCE = "p18-merged-6.16"
ALL = "all"
_FEWEST_VALIDATION = 10
_VALIDATION_SHARE = 8  # one validation seed for so many test seeds
LARGE_EVENTS = 10_000  # a scenario with more events an episode is large
_CALIBRATION_SEEDS = seeds_of("train", 3)


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        policies: Specs for `yardsticks.load`, hand-written ones; REFERENCE is among them.
        contenders: Specs of agents and users' policies.
        scenarios: Test scenarios.
        validation: Validation scenarios of the same families, for choosing "the best".
        n_seeds: Test episodes of each policy and scenario.
        overrides: Scenario parameters by dotted name.
        n_large_seeds: The same for large scenarios; None: as many.
        large: Scenarios of either split that are large.
    """

    policies: Sequence[str]
    contenders: Sequence[str]
    scenarios: Sequence[str]
    validation: Sequence[str]
    n_seeds: int
    overrides: Mapping[str, object] = field(default_factory=dict)
    n_large_seeds: int | None = None
    large: Sequence[str] = ()

    def n_episodes(self, split: str, scenario: str) -> int:
        """Return the episodes of each policy in a scenario."""
        is_large = scenario in self.large and self.n_large_seeds is not None
        n_test = self.n_large_seeds if is_large else self.n_seeds
        assert n_test is not None
        return n_test if split == "test" else max(_FEWEST_VALIDATION, n_test // _VALIDATION_SHARE)

    def seeds(self, split: str) -> dict[str, range]:
        """Return the seeds of each scenario of the test or the validation split."""
        chosen = self.scenarios if split == "test" else self.validation
        return {name: seeds_of(split, self.n_episodes(split, name)) for name in chosen}

    def load(self) -> dict[str, Policy]:
        """Return all policies by name.

        Raises:
            PolicyError: A policy can't be loaded, or two have one name.
        """
        loaded: dict[str, Policy] = {}
        for spec in (*self.policies, *self.contenders):
            policy = yardsticks.load(spec)
            if policy.name in loaded:
                raise PolicyError(
                    f"{spec}: its name {policy.name} is that of another policy of the comparison"
                )
            loaded[policy.name] = policy
        return loaded

    def contender_names(self) -> list[str]:
        """Return the contenders' names."""
        return [yardsticks.load(spec).name for spec in self.contenders]


def named(policies: str) -> list[str]:
    """Return the names of the hand-written policies that a comma list stands for, in order.

    Raises:
        PolicyError: One of them is unknown.
    """
    known = [*tdx_agents.names(), *yardsticks.names()]
    if policies == ALL:
        return known
    parts = [part.strip() for part in policies.split(",")]
    chosen = [yardsticks.load(part).name for part in parts if part]
    strangers = [name for name in chosen if name not in known]
    if strangers:
        raise PolicyError(
            f"--policies {strangers[0]}: is no name of the catalogue; give a file as --policy and "
            "the folder of an agent as --agent"
        )
    return [name for name in known if name in chosen]


def hand_written(policies: str) -> list[str]:
    """Return the same, the reference included.

    Raises:
        PolicyError: One of them is unknown.
    """
    chosen = named(policies)
    return [name for name in named(ALL) if name in chosen or name == REFERENCE]


def large_among(scenarios: Sequence[str], overrides: Mapping[str, object]) -> list[str]:
    """Return the scenarios in which the reference has more than LARGE_EVENTS events an episode.

    That is the mean of a few episodes of the training split's seeds.
    """
    reference = yardsticks.load(REFERENCE)
    return [
        name
        for name in scenarios
        if run_batch(reference, name, _CALIBRATION_SEEDS, overrides).run["n_events"].mean()
        > LARGE_EVENTS
    ]


def _on_validation(scenario: str) -> str:
    """Return the validation split of a scenario, or itself if it has none."""
    slug, _, split = scenario.rpartition("/")
    if f"{slug}/validation" in names("validation"):
        return f"{slug}/validation"
    if Path(slug).suffix != ".toml" or not split:
        return scenario
    try:
        load(f"{slug}/validation")
    except ScenarioError:
        return scenario
    return f"{slug}/validation"


def validation_of(scenarios: Sequence[str]) -> list[str]:
    """Return the scenarios on which the best policy is chosen.

    A user's file without splits stands for itself: its validation seeds differ from its test seeds.
    """
    return list(dict.fromkeys(map(_on_validation, scenarios)))
