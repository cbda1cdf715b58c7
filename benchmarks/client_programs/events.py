"""Events of two scenarios and their rate, in whatever source tree is the current folder."""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tdx_env import scenarios
from tdx_env.engine.batch import Batch

N_EPISODES = 16
N_TIMED = 3


def _setup(name: str) -> Any:
    """Return a scenario as the simulator reads it, also where it makes that itself."""
    scenario: Any = scenarios.load(name)
    make: Any = getattr(scenarios, "setup_of", None)
    return scenario.setup() if make is None else make(scenario)


def _policy() -> Any:
    """Return P18, also where the package of policies is called `agents`."""
    name = "agents" if Path("agents/__init__.py").exists() else "tdx_agents"
    policies: Any = importlib.import_module(name)
    return policies.load("P18")


def measured(name: str) -> dict[str, float]:
    """Return events an episode, and events a second of CPU time, the best of a few."""
    policy = _policy()
    batch = Batch(_setup(name), policy.discipline.record(), N_EPISODES)
    seconds = []
    for _ in range(N_TIMED + 1):
        batch.reset(np.arange(N_EPISODES))
        start = time.process_time()
        batch.advance(policy.decide)
        seconds.append(time.process_time() - start)
    n_events = int(batch.run["n_events"].sum())
    return {"events": n_events / N_EPISODES, "rate": n_events / min(seconds[1:])}


if __name__ == "__main__":
    print(json.dumps({name: measured(name) for name in sys.argv[1:]}))
