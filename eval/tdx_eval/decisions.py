"""Decision functions under one and the same discipline, side by side.

`python -m tdx_eval.decisions rules s20-prefault` plays RETRY, KICK and YIELD, each as the answer
to every busy reply, and the answers of Linux 6.16, under the disciplines of several policies:
within a row nothing but the answer differs. `python -m tdx_eval.decisions agent FOLDER` holds an
agent against RETRY under the agent's discipline, and counts its answers. Without scenarios both
take the test scenarios with contention.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from tdx_agents.constant import always_kick, always_yield
from tdx_agents.merged import kick_zap_else_yield
from tdx_agents.protocol import Features, Policy
from tdx_agents.retry import always_retry
from tdx_agents.row import Row
from tdx_env.engine.render import microseconds
from tdx_env.host.discipline import DECISION_CYCLES, DEFAULT, Discipline
from tdx_env.scenarios import load as load_scenario
from tdx_env.scenarios import names
from tdx_env.state.discipline import Action
from tdx_eval.comparing.episodes import episodes_of
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.seeds import FIRST_SEED, seeds_of
from tdx_eval.comparing.statistics import Estimate, Values, relative_difference
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.reporting.wording import direction

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

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


def tally(differences: Iterable[Estimate | None]) -> str:
    """Say in how many scenarios something is cheaper, even, dearer than RETRY, by its interval."""
    found = [direction(one) for one in differences if one is not None]
    words = {"better": "cheaper", "even": "even", "worse": "dearer"}
    return ", ".join(f"{word} in {found.count(kind)}" for kind, word in words.items())


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


def _difference(cell: Cell, retry: Cell) -> str:
    """Return a relative difference to RETRY and its interval as text."""
    found = against_retry(cell, retry)
    if found is None:
        return "RETRY costs nothing"
    return f"{found.value:+.1%} ({found.low:+.1%} to {found.high:+.1%})"


def _lost(cell: Cell) -> str:
    """Return how many episodes were lost, or nothing if none was."""
    return f", {cell.n_lost} lost" if cell.n_lost else ""


def rule_line(name: str, cells: dict[str, Cell]) -> str:
    """Return what the answers came to under one discipline, as text."""
    retry = cells["RETRY"]
    start = (
        f"  {name:8} cheapest {cheapest(cells):5}  RETRY {retry.costs.mean():,.1f} us{_lost(retry)}"
    )
    others = [
        f"{other} {_difference(cells[other], retry)}{_lost(cells[other])}" for other in OTHERS
    ]
    return "; ".join([start, *others])


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


def with_splits(scenarios: list[str] | None) -> list[str]:
    """Return scenarios with their splits: all splits of one that names none."""
    if scenarios is None:
        return scenarios_with_contention()
    return [
        name
        for scenario in scenarios
        for name in ([scenario] if "/" in scenario else [f"{scenario}/{s}" for s in SPLITS])
    ]


_Scenarios = Annotated[
    list[str] | None, typer.Argument(help="Names, with or without a split; none: with contention")
]
_Seeds = Annotated[int, typer.Option(min=2, help="Episodes of each")]


@app.command()
def rules(
    scenarios: _Scenarios = None,
    discipline: Annotated[
        list[str] | None, typer.Option(help="A policy whose discipline is fixed; repeatable")
    ] = None,
    seeds: _Seeds = 8,
) -> None:
    """Play RETRY, KICK, YIELD and 6.16's answers under one discipline after another."""
    chosen = discipline or DISCIPLINES
    found: dict[tuple[str, str], list[Estimate | None]] = {}
    for name in with_splits(scenarios):
        print(name)
        for spec in chosen:
            cells = compare_rules(name, discipline_of(spec), seeds_for(name, seeds))
            print(rule_line(spec, cells), flush=True)
            for other in OTHERS:
                difference = against_retry(cells[other], cells["RETRY"])
                found.setdefault((spec, other), []).append(difference)
    for (spec, other), differences in found.items():
        print(f"under {spec}, {other} is, against RETRY, {tally(differences)}")


@app.command()
def agent(
    folder: Annotated[Path, typer.Argument(help="The agent's bundle")],
    scenarios: _Scenarios = None,
    seeds: _Seeds = 8,
) -> None:
    """Play an agent and always-RETRY under the agent's discipline.

    RETRY is played twice: at the agent's price of a decision, so that nothing but the answers
    differs, and at a counter's, as KVM would run it.
    """
    policy = load_policy(str(folder))
    own = policy.discipline
    prices = {
        "its own price of a decision": own,
        "a counter's": own.with_(decision_cycles=DECISION_CYCLES["counter"]),
    }
    total = np.zeros(len(Action), np.int64)
    found: dict[str, list[Estimate | None]] = {}
    for scenario in with_splits(scenarios):
        some = seeds_for(scenario, seeds)
        cell, counts = play_agent(policy, scenario, some)
        total += counts
        print(f"{scenario}: {cell.costs.mean():,.1f} us{_lost(cell)}; {_answers(counts)}")
        for price, discipline in prices.items():
            retry = played_cell(under("RETRY", discipline), scenario, some)
            found.setdefault(price, []).append(against_retry(cell, retry))
            print(f"  to RETRY at {price}: {_difference(cell, retry)}{_lost(retry)}", flush=True)
    for price, differences in found.items():
        print(f"the agent is, against RETRY at {price}, {tally(differences)}")
    print(f"in all: {_answers(total)}")


def _answers(counts: NDArray[np.int64]) -> str:
    """Return how often each answer was given, as text."""
    if not counts.any():
        return "nothing was asked"
    each = ", ".join(f"{action.name} {counts[action]:,}" for action in Action)
    return f"{each} ({1 - counts[Action.RETRY] / counts.sum():.2%} not RETRY)"


if __name__ == "__main__":
    app()
