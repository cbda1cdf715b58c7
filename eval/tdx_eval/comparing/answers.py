"""What answers come to under one and the same discipline, on the same seeds.

RETRY, KICK and YIELD, each as the answer to every busy reply, and the answers of Linux 6.16 are
played under a discipline that is held fixed: nothing but the answer differs. An agent is played
with its answers counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tdx_agents.constant import always_kick, always_yield
from tdx_agents.merged import kick_zap_else_yield
from tdx_agents.protocol import Features, Policy
from tdx_agents.retry import always_retry
from tdx_agents.row import Row
from tdx_env.engine.render import microseconds
from tdx_env.errors import PolicyError
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.scenarios import expand, names
from tdx_env.scenarios import load as load_scenario
from tdx_env.state.discipline import Action
from tdx_eval.comparing.episodes import episodes_of
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.seeds import FIRST_SEED, seeds_of
from tdx_eval.comparing.statistics import Estimate, Values, relative_difference
from tdx_eval.comparing.yardsticks import load_policy

DEFAULT_NAME = "default"
DISCIPLINES = (DEFAULT_NAME, "P1-any", "P4", "P8", "P9", "P15", "P18")
"""Disciplines that answer faults on FROZEN entries, locks, gates and limits in different ways."""

SPLITS = tuple(FIRST_SEED)
_AT_A_TIME = 500  # worlds

RULES = {
    "RETRY": always_retry,
    "KICK": always_kick,
    "YIELD": always_yield,
    "6.16": kick_zap_else_yield,
}
"""Three constant answers, each wherever it is allowed, and what Linux 6.16 answers."""

OTHERS = tuple(name for name in RULES if name != "RETRY")


@dataclass(frozen=True)
class Cell:
    """What one decision function came to in one scenario under one discipline.

    Attributes:
        costs: Total cost of each episode, shape (n,) [us].
        n_lost: Episodes that were killed, hung or cut off.
    """

    costs: Values
    n_lost: int


def under(rule_name: str, discipline: Discipline) -> Policy:
    """Return the policy that gives one answer wherever it is allowed, under a discipline."""
    rule = RULES[rule_name]
    row = Row(rule_name, "", "", "yardstick", rule, discipline)
    return row.compile()


def played_cell(policy: Policy, scenario: str, seeds: range) -> Cell:
    """Play a policy on a scenario.

    Raises:
        PolicyError: The policy answered with something that is not allowed.
    """
    played = load_scenario(scenario)
    costs, n_lost = [], 0
    for first in range(seeds.start, seeds.stop, _AT_A_TIME):
        some = range(first, min(first + _AT_A_TIME, seeds.stop))
        found = episodes_of(run_batch(policy, played, some), some)
        costs += [microseconds(int(cycles), played.clock_khz) for cycles in found["total_cost"]]
        n_lost += int((found["killed"] | found["hung"] | found["capped"]).sum())
    return Cell(np.array(costs), n_lost)


def against_retry(cell: Cell, retry: Cell) -> Estimate | None:
    """Return the paired relative difference to RETRY, or None if RETRY costs nothing."""
    return relative_difference(cell.costs, retry.costs)


def scenarios_with_contention() -> list[str]:
    """Return the test scenarios with contention."""
    return [name for name in names("test") if not load_scenario(name).is_control]


def cheapest(cells: dict[str, Cell]) -> str:
    """Return the answer with the smallest mean cost."""
    return min(cells, key=lambda name: float(cells[name].costs.mean()))


def seeds_for(scenario: str, n_seeds: int) -> range:
    """Return the first seeds of a scenario's split, as a comparison takes them."""
    split = scenario.rpartition("/")[2]
    return seeds_of(split if split in SPLITS else "test", n_seeds)


def discipline_of(name: str) -> Discipline:
    """Return a discipline by the name of the policy that brings it, or the default one.

    Raises:
        PolicyError: There is no such policy.
    """
    return DEFAULT if name == DEFAULT_NAME else load_policy(name).discipline


def compare_rules(scenario: str, discipline: Discipline, seeds: range) -> dict[str, Cell]:
    """Play each answer under one discipline on the same seeds."""
    return {name: played_cell(under(name, discipline), scenario, seeds) for name in RULES}


class _Counted:
    """An agent's rule that counts its answers."""

    def __init__(self, policy: Policy) -> None:
        """Count the answers of a policy that is asked for many decisions at once."""
        assert policy.act is not None
        self._act = policy.act
        self.counts = np.zeros(len(Action), np.int64)

    def act(
        self,
        observations: NDArray[np.float32],
        features: Features,
        masks: NDArray[np.int8],
    ) -> NDArray[np.int64]:
        """Answer as the policy does, and count."""
        answers = self._act(observations, features, masks)
        self.counts += np.bincount(answers, minlength=len(Action))
        return answers


def play_agent(agent: Policy, scenario: str, seeds: range) -> tuple[Cell, NDArray[np.int64]]:
    """Play an agent; return what it came to and how often it gave each answer, shape (3,)."""
    counted = _Counted(agent)
    cell = played_cell(replace(agent, act=counted.act), scenario, seeds)
    return cell, counted.counts


def agent_of(folder: Path) -> Policy:
    """Return an agent.

    Raises:
        PolicyError: What is there is asked in another way, or is no policy.
        BundleError: The folder is no bundle, or one that can't be used.
    """
    policy = load_policy(str(folder))
    if policy.act is None:
        raise PolicyError(f"{folder}: is a {policy.kind} policy, must be an agent's folder")
    return policy


def with_splits(scenarios: Sequence[str] | None) -> list[str]:
    """Return the scenarios that were asked for, each with its split.

    Args:
        scenarios: What `compare` takes, commas included; but a scenario of the package that names
            no split stands for all three. None: the test scenarios with contention.

    Raises:
        ScenarioError: One names nothing that is there.
    """
    if scenarios is None:
        return scenarios_with_contention()
    whole = {name.removesuffix("/test") for name in names("test")}
    found: dict[str, None] = {}
    for part in (part.strip() for some in scenarios for part in some.split(",")):
        wanted = [f"{part}/{split}" for split in SPLITS] if part in whole else expand(part)
        found |= dict.fromkeys(wanted)
    return list(found)
