"""The event loop alone: events per second on one core."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import agents
from benchmarks.rounds import in_rounds
from tdx_env.engine.batch import Batch
from tdx_env.scenarios import load

_N_EPISODES = 4  # of different seeds in each round
_CASES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("S6 conversion, 8 vCPUs", "s06-conversion/validation", {"host.n_vcpus": 8}),
    ("S6 conversion, 64 vCPUs", "s06-conversion/test", {"host.n_vcpus": 64}),
    ("S6 conversion, 248 vCPUs", "s06-conversion-248/test", {}),
    ("S10 test", "s10-hostile/test", {}),
    ("S3 test", "s03-zero-step/test", {}),
)


class _Case:
    """Episodes of one scenario under the random policy, decided inside the loop."""

    def __init__(self, scenario: str, overrides: dict[str, object]) -> None:
        policy = agents.load("random")
        self._decide = policy.decide
        setup = load(scenario, overrides).setup()
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


def measure() -> list[dict[str, Any]]:
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
        for name, rate in in_rounds(rates).items()
    ]
