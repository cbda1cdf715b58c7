"""AdvantageTable: what each answer to a decision costs against the others, for learners."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Policy
from tdx_env.engine.batch import Batch
from tdx_env.engine.warm import warm_up
from tdx_env.host.discipline import Discipline
from tdx_env.scenarios import Scenario, load
from tdx_env.spaces import observation_size, observe
from tdx_env.state.actors import CallPath
from tdx_env.state.features import Feature
from tdx_env.state.objectives import ObjectiveSpec, objective_name, weights_of
from tdx_eval.room.advantage_table import AdvantageTable
from tdx_eval.room.lookahead import Lookahead
from tdx_eval.room.stepping import Asked, batch_of, check_compiled, steps

OBJECTIVES = ("cpu", "guest", "latency", "realtime")
N_COPIES = 192  # worlds that are played on at a time
_EVERYWHERE = "all"  # decisions: the observation has all columns


@dataclass(frozen=True, eq=False)
class _Search:
    """What is looked at, and how; the names are those of `advantages`."""

    base: Policy
    discipline: Discipline
    weights: NDArray[np.float64]
    seeds: range
    n_futures: int
    max_decisions: int


def chosen(paths: Sequence[int], seed: int, most: int) -> list[int]:
    """Return which decisions of an episode are looked at, in order.

    Half of them are flush points, half busy replies, as far as there are so many.

    Args:
        paths: The CallPath of each of its decisions.
        seed: Of the episode: what the choice is drawn by.
        most: How many, at most.
    """
    generator = np.random.default_rng(seed)
    is_flush = np.array(paths, np.int64) == CallPath.FLUSH
    kinds = [generator.permutation(np.flatnonzero(which)) for which in (is_flush, ~is_flush)]
    fewer, more = sorted(kinds, key=len)
    n_fewer = min(len(fewer), most // 2)
    return sorted([*fewer[:n_fewer].tolist(), *more[: most - n_fewer].tolist()])


def _plan(batch: Batch, search: _Search) -> list[set[int]]:
    """Return which decisions of each episode are looked at: all are played once to count them."""
    paths: list[list[int]] = [[] for _ in search.seeds]
    for asked in steps(batch, search.base, search.seeds):
        for place, path in zip(asked.places, asked.features[:, Feature.PATH], strict=True):
            paths[place].append(int(path))
    return [
        set(chosen(row, seed, search.max_decisions))
        for row, seed in zip(paths, search.seeds, strict=True)
    ]


def weighed(
    parts: NDArray[np.float64], answers: NDArray[np.int64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean costs, and standard errors of their mean differences to the base's answers.

    Args:
        parts: Shape (n, N_ACTIONS, n_futures, N_WEIGHED).
        answers: The base's, shape (n,).
        weights: Shape (n_objectives, N_WEIGHED).

    Returns:
        Both of shape (n, N_ACTIONS, n_objectives).
    """
    costs = parts @ weights.T
    own = costs[np.arange(len(answers)), answers][:, None]
    error = (costs - own).std(axis=2, ddof=1) / np.sqrt(costs.shape[2])
    return costs.mean(axis=2), error


def _columns(
    batch: Batch, asked: Asked, parts: NDArray[np.float64], search: _Search
) -> dict[str, NDArray[Any]]:
    """Return the columns of some decisions."""
    cost, error = weighed(parts, asked.answers, search.weights)
    observations = np.empty((len(asked.places), observation_size(_EVERYWHERE)), np.float32)
    observe(asked.features, observations)
    return {
        "observations": observations,
        "features": asked.features,
        "path": asked.features[:, Feature.PATH],
        "mask": asked.masks.astype(bool),
        "cost": cost,
        "error": error,
        "base_action": asked.answers,
        "seed": batch.run["seed"][asked.places].astype(np.int64),
        "number": asked.numbers,
    }


def _gather(scenario: Scenario, search: _Search) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the columns of a scenario's decisions, some at a time."""
    batch = batch_of(scenario, search.discipline, len(search.seeds))
    plan = _plan(batch, search)
    copies = batch_of(scenario, search.discipline, N_COPIES)
    lookahead = Lookahead(copies, search.base, search.n_futures)
    for asked in steps(batch, search.base, search.seeds):
        pairs = zip(asked.places, asked.numbers, strict=True)
        some = asked.those([int(number) in plan[place] for place, number in pairs])
        if len(some.places) > 0:
            yield _columns(batch, some, lookahead.costs(batch, some), search)


def advantages(  # noqa: PLR0913 (settings, each given by name)
    scenarios: Sequence[str],
    base: Policy,
    *,
    seeds: range,
    objectives: Sequence[ObjectiveSpec] = OBJECTIVES,
    n_futures: int = 8,
    max_decisions: int = 16,
    discipline: Discipline | None = None,
) -> AdvantageTable:
    """Return decisions of episodes under a policy, and what each answer costs from there on.

    At each decision that is looked at, every allowed answer is played on to the episode's end by
    the base, in several futures: what was drawn before stays, what is drawn later has new keys, the
    same under every answer. All objectives are read from one play.

    Args:
        scenarios: Names or files.
        base: Compiled policy that takes all other decisions. It may be asked at busy replies, at
            flush points, or both, as its discipline's ``asks`` and ``flush`` have it.
        seeds: Of the episodes of each scenario.
        objectives: Presets or weights.
        n_futures: Futures of each decision, from 2 on.
        max_decisions: Decisions of each episode that are looked at, at most: half of them flush
            points, half busy replies, as far as there are so many.
        discipline: What the host does round the decisions; default: the base's own.

    Raises:
        ScenarioError: There is no such scenario.
        ObjectiveError: One of the objectives is none.
        PolicyError: The base can't run inside the simulator, or gives a masked answer.
        ValueError: Fewer than 2 futures, or no scenario, seed or decision.
    """
    for name, least, given in (
        ("n_futures", 2, n_futures),
        ("max_decisions", 1, max_decisions),
        ("seeds", 1, len(seeds)),
        ("scenarios", 1, len(scenarios)),
    ):
        if given < least:
            raise ValueError(f"advantages: {name} = {given}, must be {least} or more")
    check_compiled(base)
    weights = np.array([weights_of(one) for one in objectives])
    search = _Search(base, discipline or base.discipline, weights, seeds, n_futures, max_decisions)
    loaded = [load(name) for name in scenarios]
    warm_up()
    found: list[dict[str, NDArray[Any]]] = []
    for place, scenario in enumerate(loaded):
        split = scenario.name.partition("/")[2]
        for columns in _gather(scenario, search):
            n = len(columns["path"])
            labels = {"scenario": np.full(n, place), "split": np.full(n, split)}
            found.append(columns | labels)
    if not found:
        raise ValueError(f"advantages: nobody is asked in any episode of {', '.join(scenarios)}")
    return AdvantageTable(
        **{name: np.concatenate([one[name] for one in found]) for name in found[0]},
        scenarios=tuple(scenarios),
        objectives=tuple(objective_name(one) for one in objectives),
        base=base.name,
        n_futures=n_futures,
    )
