"""Running policies on scenarios: one row for each episode, and who found what busy."""

import warnings
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.protocol import Policy
from eval.interrupts import interrupts_ignored
from eval.yardsticks import load as load_policy
from tdx_env.engine.batch import SKIP, Batch
from tdx_env.engine.metrics import busy_cells, episode_metrics
from tdx_env.errors import PolicyError
from tdx_env.scenarios import load as load_scenario
from tdx_env.spaces import observation_size, observe

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 50  # episodes that are run side by side
CATEGORY = "cycles_"  # prefix of the columns of cycles by category
CELL_KEY = ["call", "holder", "lock"]
_NOT_COLUMNS = {"cycles_by_category", "killed_by", "waiting"}


@dataclass(frozen=True)
class Job:
    """One policy on one scenario for some seeds.

    Attributes:
        policy: What `eval.yardsticks.load` takes.
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
    """Return the jobs of a comparison: every scenario, chunk of seeds and policy."""
    starts = range(seeds.start, seeds.stop, CHUNK)
    chunks = [range(first, min(first + CHUNK, seeds.stop)) for first in starts]
    return [
        Job(policy, scenario, chunk, overrides)
        for scenario in scenarios
        for chunk in chunks
        for policy in policies
    ]


def _run_asking(policy: Policy, batch: Batch) -> None:
    """Run all episodes of a batch with a policy that is asked for many decisions at once."""
    batch.advance()
    while batch.waiting.any():
        rows = np.flatnonzero(batch.waiting)
        features = batch.features[rows]
        observations = np.empty((len(rows), observation_size()), np.float32)
        observe(features, observations)
        actions = np.full(batch.n_worlds, SKIP, np.int64)
        actions[rows] = policy.actions(observations, features, batch.masks[rows])
        batch.advance(actions=actions)


def _refuse_masked(policy: Policy, scenario: str, batch: Batch, seeds: range) -> None:
    """Refuse a policy that took an action that was masked.

    Raises:
        PolicyError: It did.
    """
    wrong = np.flatnonzero(batch.run["n_masked"])
    if len(wrong):
        n_wrong = int(batch.run["n_masked"][wrong[0]])
        raise PolicyError(
            f"{policy.name}: returned an action that its mask forbids, {n_wrong} times in "
            f"{scenario} with seed {seeds[int(wrong[0])]}; the feature MASK says which are allowed"
        )


def run_batch(
    policy: Policy, scenario: str, seeds: range, overrides: Mapping[str, object]
) -> Batch:
    """Run one episode for each seed to its end, under the policy's own discipline.

    Raises:
        PolicyError: The policy answered with something that is not allowed.
    """
    setup = load_scenario(scenario, overrides).setup()
    batch = Batch(setup, policy.discipline.record(), len(seeds))
    batch.reset(np.arange(seeds.start, seeds.stop, dtype=np.int64))
    if policy.decide is None:
        _run_asking(policy, batch)
    else:
        batch.advance(policy.decide)
    _refuse_masked(policy, scenario, batch, seeds)
    return batch


def _row(batch: Batch, index: int) -> dict[str, Any]:
    """Return an episode's metrics as one flat row."""
    metrics = episode_metrics(batch, index)
    row = {name: value for name, value in metrics.items() if name not in _NOT_COLUMNS}
    row |= {CATEGORY + name: value for name, value in metrics["cycles_by_category"].items()}
    by = metrics.get("killed_by")
    row["killed_by"] = f"{by['call']}: {by['outcome']}" if by else ""
    return row


def run_job(job: Job) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Run a job.

    Returns:
        One row for each episode, and one for each (call, holder, lock) that was busy, summed over
        the episodes.

    Raises:
        PolicyError: The policy answered with something that is not allowed.
    """
    import pandas as pd

    policy = load_policy(job.policy)
    batch = run_batch(policy, job.scenario, job.seeds, job.overrides)
    key = {"policy": policy.name, "scenario": job.scenario}
    rows = [{**key, "seed": seed, **_row(batch, index)} for index, seed in enumerate(job.seeds)]
    cells = pd.DataFrame([cell for index in range(len(rows)) for cell in busy_cells(batch, index)])
    if not cells.empty:
        cells = cells.groupby(CELL_KEY, as_index=False).sum()
        cells = pd.DataFrame({**key, **cells})
    return pd.DataFrame(rows), cells


def _run_numbered(place: int, job: Job) -> tuple[int, "pd.DataFrame", "pd.DataFrame"]:
    """Run a job and say which one it was."""
    return place, *run_job(job)


def run_all(
    jobs: Sequence[Job], n_jobs: int
) -> Generator[tuple[int, "pd.DataFrame", "pd.DataFrame"]]:
    """Run jobs and yield (place of the job, episodes, cells) as they finish.

    What a job yields does not depend on the number of processes, only the order does.
    """
    if n_jobs == 1:
        for place, job in enumerate(jobs):
            yield _run_numbered(place, job)
        return
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    with interrupts_ignored():  # the first jobs go out here, and the processes start
        results = parallel(delayed(_run_numbered)(place, job) for place, job in enumerate(jobs))
    try:
        for result in results:  # noqa: UP028 (`yield from` would close the results first)
            yield result
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that jobs of a stopped run go unused
            results.close()
