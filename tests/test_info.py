"""Infos hold the same keys, types and shapes at every step of every environment."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList
from gymnasium.wrappers.vector import RecordEpisodeStatistics as RecordVectorStatistics

from tdx_agents import load as load_policy
from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import METRIC_NAMES, episode_numbers, metric_values
from tdx_env.env import SeamcallRetryEnv
from tdx_env.info import COST_NAMES, INFO_ROWS, OPERATIONS_ROW, info_table, named_metrics
from tdx_env.module.versions import MODULE_VERSIONS
from tdx_env.scenarios import load, setup_of
from tdx_env.state.actors import CallPath
from tdx_env.state.world import End
from tdx_env.vector import SeamcallRetryVectorEnv

ID = "tdx_env/SeamcallRetry-v0"
SCENARIOS = ["s08-accept-2m/train", "s22-clean/test"]  # episodes of a step and of some ten
SEED = 11
N_ENVS = 3
N_STEPS = 120
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


def episodes(env: Any, n_steps: int = N_STEPS) -> Iterator[tuple[Any, ...]]:
    """Yield steps of a single environment, resets among them, each with its info at the end."""
    last: tuple[Any, ...] = env.reset(seed=SEED)
    for step in range(n_steps):
        yield last
        is_over = len(last) > 2 and any(last[2:4])
        last = env.reset() if is_over else env.step(step % 3)


def singles(mode: AutoresetMode) -> SyncVectorEnv:
    """Return Gymnasium's vector of single environments."""
    makers = [lambda: gymnasium.make(ID, scenario=SCENARIOS, operations_in_info=True)] * N_ENVS
    return SyncVectorEnv(makers, autoreset_mode=mode)


def assert_same(one: dict[str, Any], other: dict[str, Any], where: np.ndarray) -> None:
    """Fail if two infos differ in a key, a type, or in what they say of some environments."""
    assert set(one) == set(other)
    for key, value in one.items():
        if isinstance(value, dict):
            assert_same(value, other[key], one[f"_{key}"])
            continue
        assert value.dtype == other[key].dtype and value.shape == other[key].shape, key
        if value.dtype != object:
            assert np.array_equal(value[where], other[key][where]), key


# --- the single environment


def test_every_step_has_every_key_with_its_type_and_shape():
    for step in episodes(SeamcallRetryEnv(SCENARIOS)):
        info = step[-1]
        assert list(info) == [row.key for row in INFO_ROWS]
        for row in INFO_ROWS:
            value = np.asarray(info[row.key])
            assert (value.dtype, value.shape) == (row.dtype, row.shape), row.key


def test_operations_are_in_infos_that_are_asked_for_them():
    for step in episodes(SeamcallRetryEnv(SCENARIOS, operations_in_info=True)):
        value = step[-1][OPERATIONS_ROW.key]
        assert (value.dtype, value.shape) == (OPERATIONS_ROW.dtype, OPERATIONS_ROW.shape)
        assert len(step[-1]) == len(INFO_ROWS) + 1


def test_infos_of_two_steps_share_nothing():
    """Gymnasium's checker warns of it."""
    infos = [step[-1] for step in episodes(SeamcallRetryEnv(SCENARIOS), 10)]
    for before, after in zip(infos, infos[1:], strict=False):
        for key, value in before.items():
            assert not isinstance(value, np.ndarray) or value is not after[key]


def test_docstring_has_the_table_and_the_numbers_of_enums():
    lines = {line.strip() for line in (SeamcallRetryEnv.__doc__ or "").splitlines()}
    assert {line.strip() for line in info_table().splitlines()} <= lines
    text = " ".join(lines)
    for member in (*CallPath, *End):
        assert f"{member:d} {member.name}" in text


def test_end_and_metrics_are_zeros_until_the_end():
    n_ends = 0
    for step in episodes(SeamcallRetryEnv(SCENARIOS)):
        info, is_over = step[-1], len(step) > 2 and any(step[2:4])
        assert (info["end"] != End.RUNNING) == is_over
        assert info["episode_metrics"].any() == is_over
        n_ends += is_over
    assert n_ends > 1


def test_cost_has_named_places_that_the_metrics_have_too():
    for step in episodes(SeamcallRetryEnv(SCENARIOS)):
        info = step[-1]
        assert not info["cost"][len(COST_NAMES) :].any()
        cost = dict(zip(COST_NAMES, info["cost"].tolist(), strict=False))
        if info["end"] == End.RUNNING:
            continue
        metrics = named_metrics(info["episode_metrics"])
        total = cost["waste"] + cost["preempt_penalty"] + cost["lost"]
        assert total == metrics["total_cost"]
        assert cost["host"] + cost["stolen"] + cost["hostile"] == metrics["overhead_cycles"]
        for name in ("host", "stolen", "hostile", "latency", "preempt_1ms", "host_track"):
            assert cost[name] == metrics[f"{name}_cycles"]


def test_report_says_in_words_what_the_metrics_say():
    env = SeamcallRetryEnv(SCENARIOS)
    for step in episodes(env):
        info, report = step[-1], env.episode_report()
        assert report["scenario"] == env.scenario_names[info["scenario"]]
        assert report["seed"] == info["seed"]
        assert report["end"] == End(info["end"]).name.lower()
        if info["end"] != End.RUNNING:
            numbers = named_metrics(info["episode_metrics"])
            same = set(report) & set(METRIC_NAMES) - {"module_version"}
            assert all(report[name] == numbers[name] for name in same)
            assert report["module_version"] == list(MODULE_VERSIONS)[numbers["module_version"]]


def test_every_number_of_the_metrics_has_a_place():
    """But for those that `end` says."""
    batch = Batch(setup_of(load(SCENARIOS[0])), load_policy("P8").discipline.record())
    batch.reset([SEED])
    batch.advance(load_policy("P8").decide)
    numbers = episode_numbers(batch, 0)
    plain = {name for name, value in numbers.items() if type(value) is int}
    assert plain <= set(METRIC_NAMES)
    assert named_metrics(metric_values(batch, 0))["n_events"] == numbers["n_events"]
    by_category = {f"cycles_{name}": n for name, n in numbers["cycles_by_category"].items()}
    assert by_category.items() <= named_metrics(metric_values(batch, 0)).items()


def test_killed_episode_says_who_killed_it():
    env = SeamcallRetryEnv("s08-accept-2m/train", {"max_issues": 1, "on_exhaustion": "kill"})
    info = next(step[-1] for step in episodes(env) if step[-1]["end"] != End.RUNNING)
    numbers, report = named_metrics(info["episode_metrics"]), env.episode_report()
    assert (info["end"], report["killed_by"]["actor"]) == (End.KILLED, numbers["kill_actor"])


# --- vector environments


@pytest.mark.parametrize("mode", MODES)
def test_vector_gives_the_infos_of_gymnasiums_vector_of_single_environments(mode):
    ours = SeamcallRetryVectorEnv(N_ENVS, SCENARIOS, autoreset_mode=mode, operations_in_info=True)
    theirs = singles(mode)
    everywhere = np.ones(N_ENVS, bool)
    assert_same(ours.reset(seed=SEED)[1], theirs.reset(seed=SEED)[1], everywhere)
    n_ends = 0
    for step in range(N_STEPS):
        actions = (np.arange(N_ENVS) + step) % 3
        mine, other = ours.step(actions), theirs.step(actions)
        for one, two in zip(mine[:4], other[:4], strict=True):
            assert np.array_equal(one, two)
        assert_same(mine[4], other[4], everywhere)
        n_ends += (mine[2] | mine[3]).sum()
    assert n_ends > 1


@pytest.mark.parametrize("mode", MODES)
def test_infos_become_lists(mode):
    env = DictInfoToList(SeamcallRetryVectorEnv(N_ENVS, SCENARIOS, autoreset_mode=mode))
    infos = env.reset(seed=SEED)[1]
    for step in range(N_STEPS):
        assert all({row.key for row in INFO_ROWS} <= set(info) for info in infos)
        infos = env.step((np.arange(N_ENVS) + step) % 3)[4]


def test_statistics_of_vectors_are_recorded():
    env = RecordVectorStatistics(SeamcallRetryVectorEnv(N_ENVS, SCENARIOS))
    env.reset(seed=SEED)
    lengths = []
    for _ in range(N_STEPS):
        _, _, terminated, truncated, info = env.step(np.zeros(N_ENVS, np.int64))
        for index in np.flatnonzero(terminated | truncated):
            numbers = named_metrics(info["episode_metrics"][index])
            assert info["episode"]["l"][index] == numbers["n_decisions"] + 1
            lengths.append(info["episode"]["l"][index])
    assert len(lengths) > 1


def test_report_of_one_environment_of_a_vector():
    env = SeamcallRetryVectorEnv(N_ENVS, SCENARIOS)
    _, info = env.reset(seed=SEED)
    for index in range(N_ENVS):
        report = env.episode_report(index)
        assert report["scenario"] == env.scenario_names[info["scenario"][index]]
        assert report["seed"] == SEED + index
