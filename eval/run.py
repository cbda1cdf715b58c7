"""Running policies on scenarios: one row for each episode, and who found what busy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd


import agents
from agents.protocol import Kind, Policy
from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import busy_cells, episode_metrics
from tdx_env.scenarios import load
from tdx_env.spaces import observation_size, observe

FIRST_SEED = {"train": 0, "validation": 1 << 31, "test": 1 << 32}
CHUNK = 25  # episodes that are run side by side in one process
CATEGORY = "cycles_"  # prefix of the columns of cycles by category
_SKIPPED = {"cycles_by_category", "killed_by", "waiting"}


@dataclass(frozen=True)
class Job:
    """One policy on one scenario for some seeds.

    Attributes:
        policy: What `agents.load` takes.
        scenario: Name or file.
        seeds: Consecutive seeds.
        overrides: Scenario parameters by dotted name.
    """

    policy: str
    scenario: str
    seeds: range
    overrides: Mapping[str, object] = field(default_factory=dict)


def jobs_of(
    policies: Sequence[str],
    scenarios: Sequence[str],
    seeds: range,
    overrides: Mapping[str, object],
) -> list[Job]:
    """Return the jobs of a comparison: every policy, scenario and chunk of seeds."""
    chunks = [
        range(first, min(first + CHUNK, seeds.stop))
        for first in range(seeds.start, seeds.stop, CHUNK)
    ]
    return [
        Job(policy, scenario, chunk, overrides)
        for scenario in scenarios
        for chunk in chunks
        for policy in policies
    ]


def _run_asking(policy: Policy, batch: Batch) -> None:
    """Run all episodes of a batch with a policy that is asked for many decisions at once."""
    observations = np.empty((batch.n_worlds, observation_size()), np.float32)
    batch.advance()
    while True:
        waiting = batch.waiting
        if not waiting.any():
            return
        observe(batch.features, observations)
        actions = np.zeros(batch.n_worlds, np.int64)
        masks = batch.masks[waiting].astype(np.int8)
        actions[waiting] = policy.actions(observations[waiting], batch.features[waiting], masks)
        batch.advance(actions=actions)


def run_batch(policy: Policy, scenario: str, seeds: range, overrides: Mapping[str, object]) -> Batch:
    """Run one episode for each seed to its end.

    Raises:
        PolicyError: The policy answered with something that is not allowed.
    """
    setup = load(scenario, overrides).setup()
    batch = Batch(setup, policy.discipline.record(), len(seeds))
    batch.reset(np.arange(seeds.start, seeds.stop, dtype=np.int64))
    if policy.kind == Kind.COMPILED:
        assert policy.decide is not None
        batch.advance(policy.decide)
    else:
        _run_asking(policy, batch)
    return batch


def _row(batch: Batch, index: int) -> dict[str, Any]:
    """Return an episode's metrics as one flat row."""
    metrics = episode_metrics(batch, index)
    row = {name: value for name, value in metrics.items() if name not in _SKIPPED}
    row |= {CATEGORY + name: value for name, value in metrics["cycles_by_category"].items()}
    by = metrics.get("killed_by")
    row["killed_by"] = f"{by['call']}: {by['outcome']}" if by else ""
    return row


def run_job(job: Job) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run a job.

    Returns:
        One row for each episode, and one for each (call, holder, lock) that was busy, summed over
        the episodes.
    """
    policy = agents.load(job.policy)
    batch = run_batch(policy, job.scenario, job.seeds, job.overrides)
    key = {"policy": policy.name, "scenario": job.scenario}
    rows = [
        {**key, "seed": seed, **_row(batch, index)} for index, seed in enumerate(job.seeds)
    ]
    cells = pd.DataFrame([cell for index in range(len(rows)) for cell in busy_cells(batch, index)])
    if not cells.empty:
        cells = cells.groupby(["call", "holder", "lock"], as_index=False).sum()
        for name, value in reversed(key.items()):
            cells.insert(0, name, value)
    return pd.DataFrame(rows), cells


def run_all(jobs: Sequence[Job], n_jobs: int) -> Iterator[tuple[int, pd.DataFrame, pd.DataFrame]]:
    """Run jobs in parallel and yield (place of the job, episodes, cells) as they finish."""
    if n_jobs == 1:
        for place, job in enumerate(jobs):
            yield place, *run_job(job)
        return
    from joblib import Parallel, delayed

    def numbered(place: int, job: Job) -> tuple[int, pd.DataFrame, pd.DataFrame]:
        return place, *run_job(job)

    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    yield from parallel(delayed(numbered)(place, job) for place, job in enumerate(jobs))


def seeds_of(split: str, n_seeds: int) -> range:
    """Return a split's first seeds; the splits' seeds are disjoint."""
    first = FIRST_SEED[split]
    return range(first, first + n_seeds)


