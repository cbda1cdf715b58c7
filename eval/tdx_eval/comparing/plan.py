"""The plan of a comparison: which policies, scenarios and seeds, all of them loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tdx_agents
from tdx_agents.protocol import Policy
from tdx_agents.tree import tree_place
from tdx_agents.varied import varied_spec
from tdx_env.engine.warm import warm_up
from tdx_env.errors import PolicyError, ScenarioError
from tdx_env.scenarios import Scenario, names
from tdx_env.scenarios import load as load_scenario
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.seeds import seeds_of
from tdx_eval.comparing.yardsticks import load_policy, yardstick_names

REFERENCE = "p18-merged-6.16"
ALL = "all"
_FEWEST_VALIDATION = 10
_VALIDATION_SHARE = 8  # one validation seed for so many test seeds
LARGE_EVENTS = 10_000  # a scenario with more events an episode is large
_CALIBRATION_SEEDS = seeds_of("train", 3)


@dataclass(frozen=True)
class Plan:
    """What is compared. `planned` makes one, and loads each scenario and each policy once.

    Attributes:
        policies: Hand-written ones by spec; REFERENCE is among them.
        contenders: Agents and users' policies by spec: what the user wrote.
        scenarios: Split scenarios by name or file.
        validation: Validation scenarios of the same families, for choosing "the best".
        n_seeds: Split episodes of each policy and scenario.
        overrides: Scenario parameters by dotted name, which the scenarios have already.
        n_large_seeds: The same for large scenarios; None: as many.
        large: Names of the scenarios of either split that are large.
        precision: Half the width that intervals are wanted to have, as a share; None: any.

    Raises:
        PolicyError: Two policies have one name.
    """

    policies: Mapping[str, Policy]
    contenders: Mapping[str, Policy]
    scenarios: Mapping[str, Scenario]
    validation: Mapping[str, Scenario]
    n_seeds: int
    overrides: Mapping[str, object] = field(default_factory=dict)
    n_large_seeds: int | None = None
    large: Sequence[str] = ()
    precision: float | None = None

    def __post_init__(self) -> None:
        """Check that no two policies have one name."""
        taken: set[str] = set()
        for spec, policy in self.by_spec.items():
            if policy.name in taken:
                raise PolicyError(
                    f"{spec}: its name {policy.name} is that of another policy of the comparison"
                )
            taken.add(policy.name)

    @property
    def by_spec(self) -> dict[str, Policy]:
        """All policies by what they were loaded by."""
        return {**self.policies, **self.contenders}

    @property
    def by_name(self) -> dict[str, Policy]:
        """All policies by name."""
        return {policy.name: policy for policy in self.by_spec.values()}

    @property
    def contender_names(self) -> list[str]:
        """The contenders' names."""
        return [policy.name for policy in self.contenders.values()]

    def of_split(self, split: str) -> Mapping[str, Scenario]:
        """Return the scenarios of the test or the validation split."""
        return self.scenarios if split == "test" else self.validation

    def n_episodes(self, split: str, scenario: str) -> int:
        """Return the episodes of each policy in a scenario."""
        is_large = scenario in self.large and self.n_large_seeds is not None
        n_test = self.n_large_seeds if is_large else self.n_seeds
        assert n_test is not None
        return n_test if split == "test" else max(_FEWEST_VALIDATION, n_test // _VALIDATION_SHARE)

    def seeds(self, split: str) -> dict[str, range]:
        """Return the seeds of each scenario of the test or the validation split."""
        return {
            name: seeds_of(split, self.n_episodes(split, name)) for name in self.of_split(split)
        }


def named(policies: str) -> dict[str, Policy]:
    """Return the hand-written policies that a comma list stands for, by name, in order.

    Trees come behind them, by name or file.

    Raises:
        PolicyError: One of them is unknown, or there is none.
    """
    known = [*tdx_agents.names(), *yardstick_names()]
    if policies == ALL:
        return {name: load_policy(name) for name in known}
    parts = [part.strip() for part in policies.split(",")]
    trees = {part: load_policy(part) for part in parts if part and tree_place(part) is not None}
    others = (load_policy(part) for part in parts if part and part not in trees)
    chosen = {policy.name: policy for policy in others}
    if not chosen and not trees:
        raise PolicyError(
            f'--policies "{policies}": names no policy, must be {ALL}, or names and numbers with '
            "commas between"
        )
    changed = [name for name in chosen if varied_spec(name) is not None]
    strangers = [name for name in chosen if name not in known and name not in changed]
    if strangers:
        raise PolicyError(
            f"--policies {strangers[0]}: is no name of the catalogue; give a file as --policy and "
            "the folder of an agent as --agent"
        )
    return {name: chosen[name] for name in (*known, *changed) if name in chosen} | trees


def hand_written(policies: str) -> dict[str, Policy]:
    """Return the same, the reference included; it alone if nothing is named.

    Raises:
        PolicyError: One of them is unknown.
    """
    chosen = named(policies) if policies.strip(", ") else {}
    if REFERENCE not in chosen:
        chosen[REFERENCE] = load_policy(REFERENCE)
    known = (*tdx_agents.names(), *yardstick_names())
    order = [name for name in known if name in chosen]
    return {name: chosen[name] for name in (*order, *(one for one in chosen if one not in known))}


def large_among(scenarios: Mapping[str, Scenario], reference: Policy) -> list[str]:
    """Return the scenarios in which the reference has more than LARGE_EVENTS events an episode.

    That is the mean of a few episodes of the training split's seeds.
    """
    return [
        name
        for name, scenario in scenarios.items()
        if run_batch(reference, scenario, _CALIBRATION_SEEDS).run["n_events"].mean() > LARGE_EVENTS
    ]


def _on_validation(scenario: str) -> str:
    """Return the validation split of a scenario, or itself if it has none."""
    slug, _, split = scenario.rpartition("/")
    if f"{slug}/validation" in names("validation"):
        return f"{slug}/validation"
    if Path(slug).suffix != ".toml" or not split:
        return scenario
    try:
        load_scenario(f"{slug}/validation")
    except ScenarioError:
        return scenario
    return f"{slug}/validation"


def validation_of(scenarios: Sequence[str]) -> list[str]:
    """Return the scenarios on which the best policy is chosen.

    A user's file without splits stands for itself: its validation seeds differ from its test seeds.
    """
    return list(dict.fromkeys(map(_on_validation, scenarios)))


def planned(
    scenarios: Sequence[str],
    policies: str,
    contenders: Sequence[str],
    n_seeds: tuple[int, int | None],
    overrides: Mapping[str, object],
) -> Plan:
    """Return a plan; scenarios are loaded, and so checked, before anything is compiled.

    Args:
        scenarios: Names or files.
        policies: "all", or hand-written policies with commas between.
        contenders: Specs of agents and users' policies.
        n_seeds: Split episodes of each policy in a scenario, and in a large one; None: as many.
        overrides: Scenario parameters by dotted name.

    Raises:
        ScenarioError: A scenario is unknown or impossible.
        PolicyError: A policy is unknown or can't be used, or two have one name.
    """
    validation = validation_of(scenarios)
    both = dict.fromkeys((*scenarios, *validation))
    loaded = {name: load_scenario(name, overrides) for name in both}
    warm_up()
    chosen = hand_written(policies)
    return Plan(
        policies=chosen,
        contenders={spec: load_policy(spec) for spec in contenders},
        scenarios={name: loaded[name] for name in scenarios},
        validation={name: loaded[name] for name in validation},
        n_seeds=n_seeds[0],
        overrides=overrides,
        n_large_seeds=n_seeds[1],
        large=[] if n_seeds[1] is None else large_among(loaded, chosen[REFERENCE]),
    )
