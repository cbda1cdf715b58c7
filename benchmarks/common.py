"""The scenario that the simulator and the models in `models.py` have in common."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch
from tdx_env.host.discipline import DEFAULT
from tdx_env.jit import decision
from tdx_env.scenarios import Scenario, load, setup_of
from tdx_env.state.discipline import Action

_FILE = Path(__file__).resolve().with_name("common.toml")


def _always_retry(features: NDArray[np.int64]) -> int:
    """Issue the busy call again."""
    return Action.RETRY


@functools.cache
def always_retry() -> Any:
    """Return the compiled policy that issues every busy call again."""
    return decision(_always_retry)


def load_common(n_vcpus: int, n_items: int) -> Scenario:
    """Return the common scenario for a number of vCPUs; its zapper works so often."""
    return load(_FILE, {"host.n_vcpus": n_vcpus, "tasks.zapper.items": n_items})


def episode(scenario: Scenario, seed: int = 1, n_events_traced: int = 0) -> tuple[Batch, Any]:
    """Start an episode of a scenario; return it and the policy for it."""
    batch = Batch(setup_of(scenario), DEFAULT.record(), 1, n_events_traced=n_events_traced)
    batch.reset([seed])
    return batch, always_retry()
