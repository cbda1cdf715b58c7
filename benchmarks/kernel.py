"""The event loop alone: events per second on one core, and those of other ways to write it."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tdx_agents
from benchmarks.common import episode, load_common
from benchmarks.models import HeapModel, Parts, parts_of
from benchmarks.rounds import Effort, in_rounds
from benchmarks.simpy_model import SimpyModel
from benchmarks.tables import spread, table
from tdx_env.engine.batch import Batch
from tdx_env.scenarios import Scenario, load, setup_of

OURS, HEAP, SIMPY = "simulator", "heapq", "SimPy"
_SIZES = (2, 8, 64, 248)
_EVENTS = 200_000  # of an episode of the common model, about
_EVENTS_PER_ITEM = 530  # of the common model, for each vCPU, about
_N_EPISODES = 4  # of different seeds in each round
_CASES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("S6 conversion, 8 vCPUs", "s06-conversion/validation", {"host.n_vcpus": 8}),
    ("S6 conversion, 64 vCPUs", "s06-conversion/test", {"host.n_vcpus": 64}),
    ("S6 conversion, 248 vCPUs", "s06-conversion-248/test", {}),
    ("S10 test", "s10-hostile/test", {}),
    ("S3 test", "s03-zero-step/test", {}),
    ("S14 storm test", "s14-split-storm/test", {}),
)
_TEXT = """
## Events

One core. The same small model three times, event by event the same (`benchmarks/models.py`): vCPUs
that compute and have timer ticks, one host thread that removes pages, the epoch lock between them.

{common}
Scenarios of the package, under the random policy, compiled:

{scenarios}"""


def _n_items(n_vcpus: int, effort: Effort) -> int:
    """Return how many items make an episode of the common model that is neither short nor long."""
    events = _EVENTS * effort.share
    return max(1, int(events / (_EVENTS_PER_ITEM * n_vcpus)))


class CommonCase:
    """One episode of the common model, again and again, in each way."""

    def __init__(self, scenario: Scenario) -> None:
        batch, self._decide = episode(scenario)
        self._batch = batch
        self._parts: Parts = parts_of(batch)
        every, _ = episode(scenario, n_events_traced=1)
        every.advance(self._decide)
        self.n_events = int(every.run["n_events"][0])

    def ours(self, number: int) -> float:
        """Return the events of the model per second, those included that needn't be played."""
        self._batch.reset([1])
        start = time.perf_counter()
        self._batch.advance(self._decide)
        return self._rate(self.n_events, start)

    def by_heap(self, number: int) -> float:
        """Return the events per second of the plain event loop."""
        model = HeapModel(self._parts)
        start = time.perf_counter()
        return self._rate(model.run(), start)

    def by_simpy(self, number: int) -> float:
        """Return the events per second of SimPy."""
        model = SimpyModel(self._parts)
        start = time.perf_counter()
        return self._rate(model.run(), start)

    def _rate(self, n_events: int, start: float) -> float:
        """Return events per second since a start; all ways have the same events."""
        seconds = time.perf_counter() - start
        assert n_events == self.n_events
        return n_events / seconds


def _measure_common(n_vcpus: int, effort: Effort) -> dict[str, Any]:
    """Return the row of one number of vCPUs."""
    case = CommonCase(load_common(n_vcpus, n_items=_n_items(n_vcpus, effort)))
    ways = {OURS: case.ours, HEAP: case.by_heap, SIMPY: case.by_simpy}
    rates = in_rounds(ways, effort)
    return {
        "n_vcpus": n_vcpus,
        "n_events": case.n_events,
        "events_per_second": {name: rate._asdict() for name, rate in rates.items()},
    }


class _Case:
    """Episodes of one scenario under the random policy, decided inside the loop."""

    def __init__(self, scenario: str, overrides: dict[str, object]) -> None:
        policy = tdx_agents.load("random")
        self._decide = policy.decide
        setup = setup_of(load(scenario, overrides))
        self._batch = Batch(setup, policy.discipline.record(), _N_EPISODES)
        self.n_events = self.n_decisions = 0

    def events_per_second(self, number: int) -> float:
        """Play the episodes of a round."""
        run = self._batch.run
        self._batch.reset(np.arange(_N_EPISODES) + _N_EPISODES * number)
        start = time.perf_counter()
        self._batch.advance(self._decide)
        seconds = time.perf_counter() - start
        self.n_events += int(run["n_events"].sum())
        self.n_decisions += int(run["n_decisions"].sum())
        return float(run["n_events"].sum()) / seconds


def _measure_scenarios(effort: Effort) -> list[dict[str, Any]]:
    """Return a row for each case."""
    cases = {name: _Case(scenario, overrides) for name, scenario, overrides in _CASES}
    rates: dict[str, Callable[[int], float]] = {
        name: case.events_per_second for name, case in cases.items()
    }
    return [
        {
            "case": name,
            "events_per_second": rate._asdict(),
            "ns_per_event": 1e9 / rate.median,
            "events_per_decision": cases[name].n_events / cases[name].n_decisions,
        }
        for name, rate in in_rounds(rates, effort).items()
    ]


def measure(effort: Effort) -> dict[str, Any]:
    """Return the rows of the common model and those of the scenarios."""
    return {
        "common": [_measure_common(n_vcpus, effort) for n_vcpus in _SIZES],
        "scenarios": _measure_scenarios(effort),
    }


def _common_table(rows: list[dict[str, Any]]) -> str:
    """Return the table of the common model."""
    lines = []
    for row in rows:
        rates = row["events_per_second"]
        ours, heap, simpy = (rates[name]["median"] for name in (OURS, HEAP, SIMPY))
        spreads = [spread(rates[name]) for name in (OURS, HEAP, SIMPY)]
        counts = [str(row["n_vcpus"]), f"{row['n_events']:,}"]
        lines.append([*counts, *spreads, f"{ours / heap:.1f}", f"{ours / simpy:.1f}"])
    head = ["vCPUs", "events", *(f"{name}, events/s" for name in (OURS, HEAP, SIMPY))]
    return table([*head, f"{OURS} / {HEAP}", f"{OURS} / {SIMPY}"], lines)


def _scenarios_table(rows: list[dict[str, Any]]) -> str:
    """Return the table of the scenarios."""
    return table(
        ("scenario", "events/s", "ns/event", "events/decision", "decisions/s at most"),
        [
            (
                row["case"],
                spread(row["events_per_second"]),
                f"{row['ns_per_event']:.0f}",
                f"{row['events_per_decision']:,.0f}",
                f"{row['events_per_second']['median'] / row['events_per_decision']:,.0f}",
            )
            for row in rows
        ],
    )


def text(found: dict[str, Any]) -> str:
    """Return what the page says about it."""
    return _TEXT.format(
        common=_common_table(found["common"]), scenarios=_scenarios_table(found["scenarios"])
    )
