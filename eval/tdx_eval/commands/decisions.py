"""The command `tdx-eval decisions`: answers under one discipline, side by side."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_eval.comparing.seeds import MAX_SEEDS

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

    from tdx_eval.comparing.answers import Cell
    from tdx_eval.comparing.statistics import Estimate

_SEEDS, _FEWEST_SEEDS = 8, 2
_HALF = 0.5
_WORDS = {"better": "cheaper", "even": "even", "worse": "dearer"}

decisions = typer.Typer(no_args_is_help=True, help="Compare answers under one discipline.")

_Scenarios = Annotated[
    list[str] | None,
    typer.Argument(help="As compare takes them; a name alone: all its splits; none: contended"),
]
_Seeds = Annotated[int, typer.Option(min=_FEWEST_SEEDS, max=MAX_SEEDS, help="Episodes of each")]


def _tally(differences: "Iterable[Estimate | None]") -> str:
    """Say in how many scenarios something is cheaper, even, dearer than RETRY, by its interval."""
    from tdx_eval.reporting.wording import direction

    found = [direction(one) for one in differences if one is not None]
    return ", ".join(f"{word} in {found.count(kind)}" for kind, word in _WORDS.items())


def _share(value: float) -> str:
    """Return a relative difference: in percent up to a factor of 2, as a factor beyond."""
    return f"x{1 + value:.3g}" if value > 1 or value < -_HALF else f"{value:+.1%}"


def _difference(cell: "Cell", retry: "Cell") -> str:
    """Return a relative difference to RETRY and its interval as text."""
    from tdx_eval.comparing.answers import against_retry

    found = against_retry(cell, retry)
    if found is None:
        return "RETRY costs nothing"
    return f"{_share(found.value)} ({_share(found.low)} to {_share(found.high)})"


def _lost(cell: "Cell") -> str:
    """Return how many episodes were lost, or nothing if none was."""
    return f", {cell.n_lost} lost" if cell.n_lost else ""


def _line(name: str, cells: "dict[str, Cell]") -> str:
    """Return what the answers came to under one discipline, as text."""
    from tdx_eval.comparing.answers import OTHERS, cheapest

    retry = cells["RETRY"]
    start = (
        f"  {name:8} cheapest {cheapest(cells):5}  RETRY {retry.costs.mean():,.1f} us{_lost(retry)}"
    )
    others = [
        f"{other} {_difference(cells[other], retry)}{_lost(cells[other])}" for other in OTHERS
    ]
    return "; ".join([start, *others])


def _answers(counts: "NDArray[int64]") -> str:
    """Return how often each answer was given, as text."""
    from tdx_env.state.discipline import Action

    if not counts.any():
        return "nothing was asked"
    each = ", ".join(f"{action.name} {counts[action]:,}" for action in Action)
    return f"{each} ({1 - counts[Action.RETRY] / counts.sum():.2%} not RETRY)"


@decisions.command()
def rules(
    scenarios: _Scenarios = None,
    discipline: Annotated[
        list[str] | None, typer.Option(help="A policy whose discipline is fixed; repeatable")
    ] = None,
    seeds: _Seeds = _SEEDS,
) -> None:
    """Play RETRY, KICK, YIELD and 6.16's answers under one discipline after another."""
    from tdx_eval.comparing import answers

    fixed = {name: answers.discipline_of(name) for name in discipline or answers.DISCIPLINES}
    found: dict[tuple[str, str], list[Estimate | None]] = {}
    for scenario in answers.with_splits(scenarios):
        print(scenario)
        for name, one in fixed.items():
            cells = answers.compare_rules(scenario, one, answers.seeds_for(scenario, seeds))
            print(_line(name, cells), flush=True)
            for other in answers.OTHERS:
                difference = answers.against_retry(cells[other], cells["RETRY"])
                found.setdefault((name, other), []).append(difference)
    for (name, other), differences in found.items():
        print(f"under {name}, {other} is, against RETRY, {_tally(differences)}")


@decisions.command()
def agent(
    folder: Annotated[Path, typer.Argument(help="The agent's bundle")],
    scenarios: _Scenarios = None,
    seeds: _Seeds = _SEEDS,
) -> None:
    """Play an agent and always-RETRY under the agent's discipline.

    RETRY is played twice: at the agent's price of a decision, so that nothing but the answers
    differs, and at a counter's, as KVM would run it.
    """
    import numpy as np

    from tdx_env.host.discipline import DECISION_CYCLES
    from tdx_env.state.discipline import Action
    from tdx_eval.comparing import answers

    policy = answers.agent_of(folder)
    own = policy.discipline
    prices = {
        "its own price of a decision": own,
        "a counter's": own.with_(decision_cycles=DECISION_CYCLES["counter"]),
    }
    total = np.zeros(len(Action), np.int64)
    found: dict[str, list[Estimate | None]] = {price: [] for price in prices}
    for scenario in answers.with_splits(scenarios):
        some = answers.seeds_for(scenario, seeds)
        cell, counts = answers.play_agent(policy, scenario, some)
        total += counts
        print(f"{scenario}: {cell.costs.mean():,.1f} us{_lost(cell)}; {_answers(counts)}")
        for price, discipline in prices.items():
            retry = answers.played_cell(answers.under("RETRY", discipline), scenario, some)
            found[price].append(answers.against_retry(cell, retry))
            print(f"  to RETRY at {price}: {_difference(cell, retry)}{_lost(retry)}", flush=True)
    for price, differences in found.items():
        print(f"the agent is, against RETRY at {price}, {_tally(differences)}")
    print(f"in all: {_answers(total)}")
