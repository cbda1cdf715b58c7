"""Copies, pickles and snapshots of environments go on alike, and leave the original alone."""

import copy
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import joblib
import numba
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from tdx_env.engine import world_snapshot
from tdx_env.env import SeamcallRetryEnv
from tdx_env.errors import NotResetError, SnapshotError
from tdx_env.host.discipline import Discipline
from tdx_env.vector import SeamcallRetryVectorEnv

ID = "tdx_env/SeamcallRetry-v0"
ROOT = Path(__file__).resolve().parents[1]
BUSY = "s08-accept-2m/train"
OTHER = "s22-clean/train"
OPTIONS = {"host.n_vcpus": 12}
SEED = 1
N_ENVS = 3
N_STEPS = 12 if numba.config.DISABLE_JIT else 60
MOST_BYTES = 1 << 20


def pickled(env: Any) -> Any:
    """Return an environment that went through pickle."""
    return pickle.loads(pickle.dumps(env))


def started(env: Any, options: dict[str, Any] | None = None) -> Any:
    """Return an environment in the middle of an episode."""
    env.reset(seed=SEED, options=options)
    for step in range(4):
        env.step(actions_of(env, step))
    return env


def actions_of(env: Any, step: int) -> Any:
    """Return the action, or actions, of a step: fixed, and different from step to step."""
    if isinstance(env.unwrapped, SeamcallRetryEnv):
        return step % 3
    return (np.arange(N_ENVS) + step) % 3


def future(env: Any) -> list[tuple[Any, ...]]:
    """Return the next steps of an environment, and what a reset after them gives."""
    found: list[tuple[Any, ...]] = []
    for step in range(N_STEPS):
        found.append(kept(env.step(actions_of(env, step))))
        if np.ndim(found[-1][2]) == 0 and (found[-1][2] or found[-1][3]):
            break
    return [*found, kept(env.reset())]


def kept(step: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return copies of a step's parts; wall-clock times are left out."""
    *parts, info = copy.deepcopy(step)
    info.get("episode", {}).pop("t", None)
    return (*parts, info)


def single(options: dict[str, Any] | None = None) -> Any:
    """Return a single environment in the middle of an episode."""
    return started(SeamcallRetryEnv([BUSY, OTHER]), options)


def overridden() -> Any:
    """Return a single environment that plays other sizes for this episode."""
    return started(SeamcallRetryEnv(BUSY), OPTIONS)


def wrapped() -> Any:
    """Return a single environment with the wrappers that `make` and a learner put round it."""
    env = gymnasium.make(ID, scenario=BUSY, max_episode_steps=30)
    return started(gymnasium.wrappers.RecordEpisodeStatistics(env))


def vector() -> Any:
    """Return a vector environment of which episodes have ended."""
    return started(SeamcallRetryVectorEnv(N_ENVS, [BUSY, OTHER]))


def overridden_vector() -> Any:
    """Return a vector environment of which one plays other sizes."""
    env = vector()
    env.reset(options={**OPTIONS, "reset_mask": np.array([True, False, False])})
    return env


MAKERS = [single, overridden, wrapped, vector, overridden_vector]
makers = pytest.mark.parametrize("make", MAKERS, ids=[make.__name__ for make in MAKERS])


# --- copies


@makers
@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled, copy.copy])
def test_copy_goes_on_as_the_original_and_leaves_it_alone(make, duplicate):
    """The copy goes first: were memory shared, the original would have moved."""
    env, expected = make(), future(make())
    if duplicate is copy.copy:
        env = env.unwrapped  # a shallow copy of a wrapper wraps the same environment
        expected = future(make().unwrapped)
    other = duplicate(env)
    assert data_equivalence(future(other), expected, exact=True)
    assert data_equivalence(future(env), expected, exact=True)


@makers
def test_copy_outlives_the_original(make):
    env, expected = make(), future(make())
    other = copy.deepcopy(env)
    del env
    assert data_equivalence(future(other), expected, exact=True)


@makers
def test_pickled_single_environment_is_small(make):
    env = make()
    if not isinstance(env.unwrapped, SeamcallRetryEnv):
        env = started(SeamcallRetryEnv("train"))
    assert len(pickle.dumps(env)) < MOST_BYTES


def test_memory_of_no_episode_is_not_pickled():
    env = SeamcallRetryEnv(BUSY)
    plain = len(pickle.dumps(started(env)))
    assert len(pickle.dumps(started(env, OPTIONS))) < 1.5 * plain


def test_environment_that_was_never_reset_can_be_copied():
    env = copy.deepcopy(SeamcallRetryEnv(BUSY))
    with pytest.raises(NotResetError):
        env.step(0)
    assert data_equivalence(env.reset(seed=3), SeamcallRetryEnv(BUSY).reset(seed=3), exact=True)


def _return_of(env: Any) -> float:
    """Return the sum of an environment's next rewards."""
    return float(sum(np.sum(step[1]) for step in future(env)[:-1]))


@pytest.mark.slow
def test_fresh_process_goes_on_alike(tmp_path):
    """A process that has made no environment before it unpickles one; whatever the kind."""
    path = tmp_path / "envs.pickle"
    path.write_bytes(pickle.dumps([pickle.dumps(make()) for make in MAKERS]))
    code = (
        "import pickle, sys, pathlib\n"
        "from tests.test_copies import _return_of\n"
        "for env in pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()):\n"
        "    print(_return_of(pickle.loads(env)))\n"
    )
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "-c", code, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert [float(line) for line in done.stdout.split()] == [_return_of(make()) for make in MAKERS]


@pytest.mark.slow
@pytest.mark.parametrize("make", [single, vector])
def test_spawned_pool_takes_environments(make):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(_return_of, [make(), make()]) == [_return_of(make())] * 2


@pytest.mark.slow
@pytest.mark.parametrize("make", [single, vector])
def test_joblib_takes_environments(make):
    jobs = [joblib.delayed(_return_of)(make()) for _ in range(2)]
    assert joblib.Parallel(n_jobs=2)(jobs) == [_return_of(make())] * 2


def test_rows_of_infos_stay_read_only_in_a_copy():
    env = pickled(vector())
    info = env.step(actions_of(env, 0))[4]
    assert not info["seed"].flags.writeable and not info["_seed"].flags.writeable


# --- snapshots


@makers
def test_restored_environment_goes_on_as_it_did(make):
    env = make()
    snapshot = env.unwrapped.snapshot()
    inner = env.unwrapped
    first = future(inner)
    inner.reset(seed=99)
    inner.restore(snapshot)
    assert data_equivalence(future(inner), first, exact=True)
    inner.restore(snapshot)
    assert data_equivalence(future(inner), first, exact=True)


@makers
def test_snapshot_goes_into_another_environment_through_pickle(make):
    env, other = make().unwrapped, make().unwrapped
    other.reset(seed=99)
    other.restore(pickle.loads(pickle.dumps(env.snapshot())))
    assert data_equivalence(future(other), future(env), exact=True)


def test_snapshot_brings_an_ended_episode_back():
    env = single()
    snapshot = env.snapshot()
    while not any(env.step(0)[2:4]):
        pass
    env.restore(snapshot)
    assert np.isfinite(env.step(0)[1])


def test_snapshot_of_a_reset_without_a_seed_brings_the_next_seeds_back():
    env = SeamcallRetryEnv(BUSY)
    env.reset()
    snapshot = env.snapshot()
    later = [env.reset()[1]["seed"] for _ in range(3)]
    env.restore(snapshot)
    assert [env.reset()[1]["seed"] for _ in range(3)] == later


def test_actions_can_be_compared_from_one_instant():
    """A question of "what if": the futures of two actions differ, those of one don't."""
    env = single()
    snapshot = env.snapshot()
    costs = []
    for action in (0, 1, 0):
        env.restore(snapshot)
        costs.append(env.step(action)[4]["cost"].tolist())
    assert costs[0] == costs[2] != costs[1]


def _of_other_scenarios() -> Any:
    return SeamcallRetryEnv(OTHER)


def _of_another_discipline() -> Any:
    return SeamcallRetryEnv([BUSY, OTHER], Discipline(flush=4))


def _of_another_kind() -> Any:
    return SeamcallRetryVectorEnv(N_ENVS, [BUSY, OTHER])


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (_of_other_scenarios, "other scenarios"),
        (_of_another_discipline, "other discipline"),
        (_of_another_kind, "SeamcallRetryVectorEnv"),
    ],
)
def test_snapshot_of_another_environment_is_refused_and_changes_nothing(
    make: Callable[[], Any], what: str
):
    env, expected = single(), future(single())
    with pytest.raises(SnapshotError, match=what) as error:
        env.restore(make().snapshot())
    assert "\n" not in str(error.value) and "restore it" in str(error.value)
    assert data_equivalence(future(env), expected, exact=True)


def test_snapshot_of_another_number_of_environments_is_refused():
    with pytest.raises(SnapshotError, match="number of episodes"):
        vector().restore(SeamcallRetryVectorEnv(2, [BUSY, OTHER]).snapshot())


@pytest.mark.parametrize("value", [None, 5, [], {"state": 1}], ids=repr)
def test_what_is_no_snapshot_is_refused(value):
    with pytest.raises(SnapshotError, match=r"snapshot\(\)"):
        single().restore(value)


@pytest.mark.parametrize("make", [single, vector])
@pytest.mark.parametrize("keep", [lambda env: env, lambda env: env.snapshot()])
def test_pickle_of_another_version_says_how_to_go_on(make, keep, monkeypatch):
    monkeypatch.setattr(world_snapshot, "STATE_VERSION", 0)
    world_snapshot.layout.cache_clear()
    old = pickle.dumps(keep(make()))
    monkeypatch.undo()
    world_snapshot.layout.cache_clear()
    with pytest.raises(SnapshotError, match="play the episode again from its seed") as error:
        pickle.loads(old)
    assert "\n" not in str(error.value)


def test_pickle_that_names_no_version_says_how_to_go_on():
    """As those of before there were versions."""
    env = SeamcallRetryEnv.__new__(SeamcallRetryEnv)
    with pytest.raises(SnapshotError, match="layout None"):
        env.__setstate__({"_seed": 1})
