"""Running the worlds that rows look at, over all cost bands, and reading what came of them."""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Decide
from tdx_env.engine.batch import Batch
from tdx_env.errors import ScenarioError
from tdx_env.host.discipline import Discipline
from tdx_env.jit import decision
from tdx_env.scenarios import Scenario, setup_of
from tdx_env.scenarios import load as load_scenario
from tdx_env.state.accounting import Category
from tdx_env.state.calls import Leaf
from tdx_env.state.setup import N_BANDS
from tdx_env.state.world import CELL_LOCKS, N_CALLS, N_HOLDERS, End, Operation
from tdx_eval.comparing.machine import AS_THE_SCENARIO_SAYS, Choice
from tdx_eval.comparing.yardsticks import load_policy

Floats = NDArray[np.float64]
OLD_LOCKS = "1.5.06"  # the newest module with the locks that were discussed in 2024
TODAY = "1.5.34"
MERGED = "p18-merged-6.16"  # what ran where the numbers of 2025 and 2026 were measured
_FOLDER = Path(__file__).resolve().parent
_KHZ_TO_MHZ = 1_000
_AT_A_TIME = 500  # episodes
_CHOICE = ContextVar("choice", default=AS_THE_SCENARIO_SAYS)


@contextmanager
def played_on(choice: Choice) -> Iterator[None]:
    """Let all worlds be played on a machine that the user chose."""
    before = _CHOICE.set(choice)
    run_world.cache_clear()  # what it keeps was played on another one
    try:
        yield
    finally:
        _CHOICE.reset(before)
        run_world.cache_clear()


@dataclass(frozen=True)
class World:
    """A scenario with overrides, over all bands of the costs.

    Attributes:
        name: A file beside this module, or a scenario of the package.
        overrides: Dotted keys and values.
    """

    name: str
    overrides: tuple[tuple[str, object], ...] = ()

    def with_(self, **changes: object) -> "World":
        """Return it with more overrides; a double underscore stands for a dot."""
        more = tuple((key.replace("__", "."), value) for key, value in changes.items())
        return World(self.name, self.overrides + more)

    def scenario(self) -> Scenario:
        """Return the resolved scenario."""
        path: str | Path = self.name
        if self.name.endswith(".toml"):
            path = _FOLDER / self.name
        overrides = {**dict(self.overrides), **_CHOICE.get().overrides}
        return load_scenario(path, {"cost_bands": list(range(N_BANDS)), **overrides})


@dataclass(frozen=True, eq=False)
class Host:
    """A decision rule of this table's own, and a discipline."""

    rule: Decide
    discipline: Discipline


def _rule_of(host: str | Host) -> tuple[Decide, Discipline]:
    """Return the compiled rule and the discipline of a policy by name, or of a rule of ours."""
    if isinstance(host, Host):
        return decision(host.rule), host.discipline
    policy = load_policy(host)
    assert policy.decide is not None
    return policy.decide, policy.discipline


@functools.lru_cache(maxsize=12)
def run_world(world: World, host: str | Host, n_draws: int, n_traced: int = 0) -> Batch:
    """Run an episode for each draw, seeds from 0, until it ends or a rule of ours asks.

    Args:
        world: What is played.
        host: A policy's name, or a rule of ours.
        n_draws: Episodes; each draws all costs anew.
        n_traced: Events kept of each episode.
    """
    decide, discipline = _rule_of(host)
    batch = Batch(
        setup_of(world.scenario()), discipline.record(), n_draws, n_events_traced=n_traced
    )
    batch.reset(np.arange(n_draws))
    batch.advance(decide)
    return batch


def run_in_turns(world: World, host: str | Host, n_draws: int) -> Iterator[Batch]:
    """Run an episode for each draw as `run_world` does, some at a time: for rare events.

    Yields:
        A batch with the next seeds, from 0.
    """
    decide, discipline = _rule_of(host)
    setup = setup_of(world.scenario())
    for first in range(0, n_draws, _AT_A_TIME):
        seeds = np.arange(first, min(first + _AT_A_TIME, n_draws))
        batch = Batch(setup, discipline.record(), len(seeds))
        batch.reset(seeds)
        batch.advance(decide)
        yield batch


def clock_khz(world: World) -> int:
    """Return the clock of a world [kHz]."""
    return world.scenario().clock_khz


def microseconds(world: World, cycles: NDArray[np.integer] | Floats | int) -> Floats:
    """Return cycles as microseconds."""
    return np.asarray(cycles) * (_KHZ_TO_MHZ / clock_khz(world))


def finished(batch: Batch) -> Batch:
    """Return a batch all of whose episodes did their work.

    Raises:
        ScenarioError: One did not: the world doesn't show what it was made for.
    """
    if not np.all(batch.run["end"] == End.FINISHED):
        raise ScenarioError("a world of the reality table did not finish its work")
    return batch


def booked(batch: Batch, category: Category, actor: int | None = None) -> NDArray[np.int64]:
    """Return what each world booked to a category, of one actor or of all [cycles]."""
    found = []
    for index in range(batch.n_worlds):
        rows = batch.world(index).actors["row"][: batch.run[index]["n_actors"]]
        cycles = rows["booked"][:, category]
        found.append(int(cycles.sum() if actor is None else cycles[actor]))
    return np.array(found)


def shares(batch: Batch, actor: int) -> dict[str, float]:
    """Return where an actor's time went, all worlds together, without idling; largest first."""
    totals = {c.name: int(booked(batch, c, actor).sum()) for c in Category if c != Category.IDLE}
    whole = max(1, sum(totals.values()))
    ranked = sorted(totals.items(), key=lambda item: -item[1])
    return {name.lower(): cycles / whole for name, cycles in ranked if cycles}


def busy(batch: Batch, leaf: Leaf) -> NDArray[np.int64]:
    """Return how often a call was busy in each world, shape (n_worlds,)."""
    return cells(batch)[:, leaf].sum(axis=(1, 2))


def cells(batch: Batch) -> NDArray[np.int64]:
    """Return busy replies by call, holder's call and lock, shape (n_worlds, ...)."""
    shape = (batch.n_worlds, N_CALLS, N_HOLDERS, len(CELL_LOCKS), 2)
    counts: NDArray[np.int64] = batch.run["cells"].reshape(shape)[..., 0]
    return counts


def n_zaps(batch: Batch) -> NDArray[np.int64]:
    """Return the pages removed in each world."""
    counts: NDArray[np.int64] = batch.run["n_operations"][:, Operation.ZAP]
    return counts


def per_unit(world: World, host: str | Host, key: str, ends: tuple[int, int], n: int) -> Floats:
    """Return what one more unit of work takes in each draw [µs].

    The difference between an episode with more units and one with fewer: what both have alike
    (start, exits, the last entry) cancels.

    Args:
        world: What is played.
        host: As for `run_world`.
        key: Dotted key of the number of units.
        ends: Fewer and more units.
        n: Draws.
    """
    few, many = ends
    times = []
    for units in ends:
        chosen = World(world.name, (*world.overrides, (key, units)))
        times.append(finished(run_world(chosen, host, n)).run["now"])
    return microseconds(world, times[1] - times[0]) / (many - few)


def ranges_sum(
    world: World, costs: Sequence[str], each_vcpu: Sequence[str] = ()
) -> tuple[float, float]:
    """Return the sum of the lower ends and of the upper ends of some costs [µs].

    Args:
        world: Whose costs.
        costs: Costs that count once.
        each_vcpu: Costs that count once for each vCPU.
    """
    scenario = world.scenario()
    names = [*costs, *scenario.host.n_vcpus.high * list(each_vcpu)]
    low = sum(scenario.costs[name].low for name in names)
    high = sum(scenario.costs[name].high for name in names)
    return float(microseconds(world, low)), float(microseconds(world, high))
