"""Running policies on scenarios: one record for each episode, and who found what busy."""

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Policy
from tdx_env.engine.batch import SKIP, Batch
from tdx_env.errors import BackendError, PolicyError
from tdx_env.scenarios import Scenario, digest, setup_of
from tdx_env.simulate import blamed
from tdx_env.spaces import observation_size, observe
from tdx_eval.comparing.episodes import cells_of, episodes_of
from tdx_eval.comparing.identity import code_digest, digest_of, policy_digest
from tdx_eval.comparing.seeds import CHUNK
from tdx_eval.comparing.yardsticks import load_policy


@dataclass(frozen=True)
class Job:
    """One policy on one scenario for some seeds.

    Attributes:
        policy: What `tdx_eval.comparing.yardsticks.load_policy` takes.
        played: The same of the policy that is played: another one may do the same.
        scenario: Name or file.
        setup: The scenario as the simulator reads it: what was planned is played, whatever becomes
            of the file meanwhile.
        seeds: Consecutive seeds.
        overrides: Scenario parameters by dotted name.
        policy_digest: Of the one played, see `tdx_eval.comparing.identity.policy_digest`.
        scenario_digest: Of the resolved content.
        code_digest: See `tdx_eval.comparing.identity.code_digest`.
    """

    policy: str
    played: str
    scenario: str
    setup: NDArray[np.void] = field(repr=False, compare=False)
    seeds: range
    overrides: Mapping[str, object]
    policy_digest: str
    scenario_digest: str
    code_digest: str

    @property
    def key(self) -> str:
        """A digest of all that the job's results depend on; jobs that share it are played once."""
        return digest_of(
            [
                self.code_digest,
                self.policy_digest,
                self.scenario_digest,
                dict(self.overrides),
                [self.seeds.start, self.seeds.stop],
            ]
        )


@dataclass(frozen=True)
class Chunk:
    """What a job came to.

    Attributes:
        key: The job's.
        episodes: A record of each episode, dtype EPISODE.
        cells: Who found what busy, summed over the episodes, dtype CELL.
    """

    key: str
    episodes: NDArray[np.void]
    cells: NDArray[np.void]


OBJECTIVE = "objective"  # the key of a scenario on which no episode depends


def _played_digest(scenario: Scenario) -> str:
    """Return a digest of what is played: it serves all objectives."""
    return digest(scenario.model_copy(update={OBJECTIVE: None}))


def played_as(policies: Mapping[str, Policy]) -> dict[str, str]:
    """Return for each policy the first one that has its rule and its discipline.

    Nothing else of a policy gets to the simulator.

    Args:
        policies: By spec.
    """
    first: dict[tuple[object, bytes], str] = {}
    found = {}
    for spec, policy in policies.items():
        rule = spec if policy.decide is None else getattr(policy.decide, "py_func", policy.decide)
        found[spec] = first.setdefault((rule, policy.discipline.record().tobytes()), spec)
    return found


def jobs_of(
    policies: Mapping[str, Policy],
    scenarios: Mapping[str, Scenario],
    seeds: Mapping[str, range],
    overrides: Mapping[str, object],
    chunk: int = CHUNK,
) -> list[Job]:
    """Return the jobs of a comparison: every scenario, chunk of seeds and policy.

    Args:
        policies: By spec; this process need not load them again.
        scenarios: By name or file, loaded with the overrides.
        seeds: The seeds of each scenario.
        overrides: Scenario parameters by dotted name.
        chunk: Episodes of a job, at most.
    """
    known = {spec: policy_digest(spec, policy) for spec, policy in policies.items()}
    played = {key: value for key, value in overrides.items() if key != OBJECTIVE}
    _LOADED.update({(spec, known[spec]): policy for spec, policy in policies.items()})
    code, alike = code_digest(), played_as(policies)
    return [
        Job(
            spec, alike[spec], name, setup, some[first : first + chunk],
            played, known[alike[spec]], content, code,
        )
        for name, some in seeds.items()
        for setup, content in [(setup_of(scenarios[name]), _played_digest(scenarios[name]))]
        for first in range(0, len(some), chunk)
        for spec in policies
    ]  # fmt: skip


def _run_asking(policy: Policy, batch: Batch) -> None:
    """Run all episodes of a batch with a policy that is asked for many decisions at once."""
    batch.advance()
    observations = np.empty((batch.n_worlds, observation_size(policy.discipline.asks)), np.float32)
    while len(rows := np.flatnonzero(batch.waiting)):
        features = batch.features[rows]
        seen = observations[: len(rows)]
        observe(features, seen)
        actions = np.full(batch.n_worlds, SKIP, np.int64)
        with blamed(policy.name):
            actions[rows] = policy.actions(seen, features, batch.masks[rows])
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


def _play(batch: Batch, policy: Policy, scenario: str, seeds: range) -> None:
    """Run one episode for each seed to its end, under the policy's own discipline."""
    batch.use(policy.discipline.record())
    batch.reset(np.arange(seeds.start, seeds.stop, dtype=np.int64))
    if policy.decide is None:
        _run_asking(policy, batch)
    else:
        with blamed(policy.name):
            batch.advance(policy.decide)
    _refuse_masked(policy, scenario, batch, seeds)


def run_batch(policy: Policy, scenario: Scenario, seeds: range) -> Batch:
    """Run one episode for each seed to its end, under the policy's own discipline.

    Raises:
        PolicyError: The policy answered with something that is not allowed.
    """
    batch = Batch(setup_of(scenario), policy.discipline.record(), len(seeds))
    _play(batch, policy, scenario.name, seeds)
    return batch


# Policies that this process has loaded, by spec and digest.
_LOADED: dict[tuple[str, str], Policy] = {}


def _known_policy(spec: str, wanted: str) -> Policy:
    """Return a policy that still is what it was when the comparison was planned.

    Raises:
        PolicyError: It isn't.
    """
    if (spec, wanted) not in _LOADED:
        policy = load_policy(spec)
        if policy_digest(spec, policy) != wanted:
            raise PolicyError(f"{spec}: has changed since the comparison began; run it again")
        _LOADED[spec, wanted] = policy
    return _LOADED[spec, wanted]


class _Bench(threading.local):
    """The batch of a thread's last job: the next one of that scenario uses its memory again."""

    _key = ("", 0)
    _batch: Batch | None = None

    def batch_for(self, job: Job, policy: Policy) -> Batch:
        """Return a batch for a job's scenario and number of seeds."""
        key = (job.scenario_digest, len(job.seeds))
        if self._batch is None or self._key != key:
            self._batch = None  # its memory goes first
            self._batch = Batch(job.setup, policy.discipline.record(), len(job.seeds))
            self._key = key
        return self._batch


_bench = _Bench()


def _share_cores(n_workers: int) -> None:
    """Give torch this worker's share of the CPUs, if the policy has imported it."""
    torch = sys.modules.get("torch")
    if torch is not None:
        from joblib import cpu_count

        torch.set_num_threads(max(1, cpu_count() // n_workers))


def run_job(job: Job, n_workers: int = 1) -> Chunk:
    """Run a job.

    What comes out depends neither on the jobs before nor on those beside it.

    Args:
        job: The job.
        n_workers: Jobs that run side by side.

    Raises:
        PolicyError: The policy answered with something that is not allowed.
        BackendError: This process has other code than the one that made the job.
    """
    if job.code_digest != code_digest():
        raise BackendError("a worker has another version of tdx-env, or of numpy or numba")
    policy = _known_policy(job.played, job.policy_digest)
    _share_cores(n_workers)
    batch = _bench.batch_for(job, policy)
    _play(batch, policy, job.scenario, job.seeds)
    return Chunk(job.key, episodes_of(batch, job.seeds), cells_of(batch))
