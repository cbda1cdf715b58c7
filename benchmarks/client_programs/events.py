"""Decisions of some scenarios and their rate, in whatever source tree is the current folder."""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tdx_env import scenarios
from tdx_env.engine.batch import Batch

N_EPISODES = 8
N_TIMED = 3


def _setup(name: str, n_vcpus: int) -> Any:
    """Return a scenario as the simulator reads it, also where it makes that itself; 0: its size."""
    overrides = {"host.n_vcpus": n_vcpus} if n_vcpus > 0 else {}
    scenario: Any = scenarios.load(name, overrides)
    make: Any = getattr(scenarios, "setup_of", None)
    return scenario.setup() if make is None else make(scenario)


def _policy() -> Any:
    """Return the random policy, also where the package of policies is called `agents`."""
    name = "agents" if Path("agents/__init__.py").exists() else "tdx_agents"
    policies: Any = importlib.import_module(name)
    return policies.load("random")


def measured(case: str) -> dict[str, float]:
    """Return events played for a decision, and decisions a second of CPU time, the best of a few.

    Args:
        case: A scenario, a space, and its number of vCPUs or 0.
    """
    name, n_vcpus = case.split()
    policy = _policy()
    batch = Batch(_setup(name, int(n_vcpus)), policy.discipline.record(), N_EPISODES)
    seconds = []
    for _ in range(N_TIMED + 1):
        batch.reset(np.arange(N_EPISODES))
        start = time.process_time()
        batch.advance(policy.decide)
        seconds.append(time.process_time() - start)
    n_decisions = int(batch.run["n_decisions"].sum())
    n_events = int(batch.run["n_events"].sum())
    return {"events": n_events / n_decisions, "rate": n_decisions / min(seconds[1:])}


if __name__ == "__main__":
    print(json.dumps({case: measured(case) for case in sys.argv[1:]}))
