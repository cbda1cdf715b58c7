"""Tests of the environment that stable-baselines3 trains on."""

import numpy as np
import pytest
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported

from tdx_env.env import SeamcallRetryEnv
from tdx_env.errors import ActionError
from tdx_env.host.discipline import DEFAULT
from tdx_env.spaces import observation_names
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.objectives import weights_of
from tdx_train.seed_ranges import train_seeds
from tdx_train.suite import Suite, load_all, suite_of
from tdx_train.vec_env import SeamcallVecEnv

IS_START = observation_names().index("is_start")


def random_actions(env: SeamcallVecEnv, generator: np.random.Generator) -> np.ndarray:
    """Return an allowed action for each environment."""
    masks = env.action_masks()
    return np.argmax(generator.random(masks.shape) * masks, axis=1)


def ended_episodes(env: SeamcallVecEnv, n_steps: int) -> list[tuple[dict, float]]:
    """Step at random; return info and sum of rewards of the episodes that ended."""
    generator = np.random.default_rng(0)
    sums = np.zeros(env.num_envs)
    found = []
    for _ in range(n_steps):
        _, rewards, dones, infos = env.step(random_actions(env, generator))
        sums += rewards
        for index in np.flatnonzero(dones):
            found.append((infos[index], sums[index]))
            sums[index] = 0
    return found


def test_first_observation_is_a_start_that_only_allows_retry(env: SeamcallVecEnv):
    observations = env.reset()
    assert (observations[:, IS_START] == 1).all()
    assert (env.action_masks() == [True, False, False]).all()


def test_first_step_runs_to_the_first_decision(env: SeamcallVecEnv):
    env.reset()
    observations, _, dones, _ = env.step(np.zeros(6, np.int64))
    assert ((observations[:, IS_START] == 0) | dones).all()


def test_rewards_of_an_episode_sum_to_minus_its_cost(env: SeamcallVecEnv, suite: Suite):
    scales = dict(zip(suite.names, suite.scales, strict=True))
    episodes = ended_episodes(env, 600)
    assert {info["scenario"] for info, _ in episodes} == set(suite.names)
    for info, total in episodes:
        cost = info["episode_metrics"]["total_cost"]
        # Rewards are 32-bit floats.
        assert -total * scales[info["scenario"]] == pytest.approx(cost, rel=1e-5)
        assert info["episode"]["r"] == pytest.approx(total, rel=1e-5)


def test_rewards_are_divided_by_the_suites_own_scale(suite: Suite):
    double = suite.tuned(suite.scales * 2, suite.shares)
    plain, scaled = (SeamcallVecEnv(each, DEFAULT, 4, seed=1) for each in (suite, double))
    plain.reset(), scaled.reset()
    for _ in range(50):
        rewards, halves = (each.step(np.zeros(4))[1] for each in (plain, scaled))
        assert np.allclose(rewards, halves * 2)


def test_step_count_is_one_more_than_the_decisions(env: SeamcallVecEnv):
    for info, _ in ended_episodes(env, 300):
        assert info["episode"]["l"] == info["episode_metrics"]["n_decisions"] + 1


def test_next_episode_starts_in_the_step_that_ends_one(env: SeamcallVecEnv):
    generator = np.random.default_rng(1)
    dones = np.zeros(6, bool)
    while not dones.any():
        observations, _, dones, infos = env.step(random_actions(env, generator))
    index = int(np.flatnonzero(dones)[0])
    assert observations[index, IS_START] == 1
    assert infos[index]["terminal_observation"].shape == observations[index].shape
    assert not env.action_masks()[index, [Action.KICK, Action.YIELD]].any()


def test_episode_at_the_time_cap_is_truncated():
    names = ["s08-accept-2m/train"]
    capped = suite_of(load_all(names, {}))
    env = SeamcallVecEnv(capped, DEFAULT, 4, seed=0)
    env._batch.setups["time_cap"] = 2_000_000
    env.reset()
    infos = [info for info, _ in ended_episodes(env, 30)]
    assert infos
    for info in infos:
        assert info["TimeLimit.truncated"] == info["episode_metrics"]["capped"]
    assert any(info["TimeLimit.truncated"] for info in infos)


def test_arrays_of_two_steps_share_no_memory(env: SeamcallVecEnv):
    first = env.step(np.zeros(6))[:3]
    kept = [array.copy() for array in first]
    second = env.step(np.zeros(6))[:3]
    for array, copy, later in zip(first, kept, second, strict=True):
        assert not np.shares_memory(array, later)
        assert np.array_equal(array, copy)


def test_observations_stay_as_they_are_for_one_more_step(env: SeamcallVecEnv):
    """The rollout buffer takes them only then."""
    generator = np.random.default_rng(1)
    last = env.reset()
    for _ in range(100):
        kept = last.copy()
        observations = env.step(random_actions(env, generator))[0]
        assert np.array_equal(last, kept)
        last = observations


def test_environments_are_single_ones_step_by_step():
    """Observations, rewards and ends; at an end, the last observation is in the info."""
    scenario, n_envs = "s08-accept-2m/train", 2
    env = SeamcallVecEnv(suite_of(load_all([scenario], {})), DEFAULT, n_envs, seed=5)
    singles = [SeamcallRetryEnv(scenario) for _ in range(n_envs)]
    envs, episodes = np.arange(n_envs), np.zeros(n_envs, np.int64)
    observations = env.reset()
    for single, seed in zip(singles, train_seeds(5, envs, episodes).tolist(), strict=True):
        single.reset(seed=seed)
    generator = np.random.default_rng(3)
    for _ in range(120):
        actions = random_actions(env, generator)
        observations, rewards, dones, infos = env.step(actions)
        for index, single in enumerate(singles):
            last, reward, terminated, truncated, _ = single.step(int(actions[index]))
            assert rewards[index] == np.float32(reward)
            assert dones[index] == (terminated or truncated)
            if dones[index]:
                assert np.array_equal(infos[index]["terminal_observation"], last)
                assert infos[index]["TimeLimit.truncated"] == truncated
                episodes[index] += 1
                last, _ = single.reset(seed=int(train_seeds(5, envs, episodes)[index]))
            assert np.array_equal(observations[index], last)
    assert episodes.min() > 1


def test_info_is_empty_where_an_episode_goes_on(env: SeamcallVecEnv):
    for _ in range(20):
        _, _, dones, infos = env.step(np.zeros(6))
        assert [bool(info) for info in infos] == dones.tolist()


def test_masks_of_two_steps_share_no_memory(env: SeamcallVecEnv):
    before = env.action_masks()
    env.step(np.zeros(6))
    assert not np.shares_memory(before, env.action_masks())


def test_rewards_may_be_changed_by_the_learner(env: SeamcallVecEnv):
    rewards = env.step(np.zeros(6))[1]
    rewards += 1  # as stable-baselines3 does for truncated episodes
    assert env.step(np.zeros(6))[1].dtype == np.float32


def test_maskable_learners_find_the_masks(env: SeamcallVecEnv):
    assert is_masking_supported(env)
    masks = get_action_masks(env)
    assert masks.shape == (6, N_ACTIONS) and masks.dtype == bool
    assert not env.has_attr("something_else")


def test_two_environments_with_one_seed_are_equal_step_by_step(suite: Suite):
    pair = [SeamcallVecEnv(suite, DEFAULT, 8, seed=2, n_threads=n) for n in (1, 2)]
    assert np.array_equal(*(each.reset() for each in pair))
    generator = np.random.default_rng(0)
    for _ in range(200):
        actions = random_actions(pair[0], generator)
        one, other = (each.step(actions) for each in pair)
        for array, twin in zip(one[:3], other[:3], strict=True):
            assert np.array_equal(array, twin)
        assert [info.get("seed") for info in one[3]] == [info.get("seed") for info in other[3]]


def test_seed_replays_the_same_episodes(env: SeamcallVecEnv):
    runs = []
    for _ in range(2):
        env.seed(11)
        env.reset()
        runs.append([info["seed"] for info, _ in ended_episodes(env, 200)])
    assert runs[0] == runs[1]


@pytest.mark.parametrize("actions", [[3] * 6, [-1] * 6, [0] * 5])
def test_actions_outside_the_space_are_refused(env: SeamcallVecEnv, actions: list[int]):
    with pytest.raises(ActionError, match="must be 6 integers from 0 to 2"):
        env.step(np.array(actions))


FLUSHED = DEFAULT.with_(flush="decided", asks="all")


@pytest.fixture(scope="module")
def zaps() -> Suite:
    """A scenario with flush points whose vCPUs wait for mmu_lock."""
    return suite_of(load_all(["s13-balloon/train"], {"objective": "cpu"}))


def test_flush_points_have_columns_of_their_own(zaps: Suite):
    env = SeamcallVecEnv(zaps, FLUSHED, 2, seed=1)
    assert env.observation_space.shape == (len(observation_names("all")),)
    assert env.reset().shape == (2, len(observation_names("all")))


@pytest.mark.slow
def test_waiting_that_counts_as_it_is_waited_adds_up_to_the_same(zaps: Suite):
    plain = SeamcallVecEnv(zaps, FLUSHED, 2, seed=1)
    counting = SeamcallVecEnv(zaps.rewarded(-np.inf, True), FLUSHED, 2, seed=1)
    plain.reset(), counting.reset()
    generator = np.random.default_rng(0)
    sums, is_same = np.zeros((2, 2)), True
    while True:
        actions = np.where(generator.random(2) < 0.9, Action.RETRY, Action.KICK)
        first, second = plain.step(actions), counting.step(actions)
        sums += first[1], second[1]
        is_same &= bool(np.allclose(first[1], second[1]))
        if first[2].any():
            break
    ended = first[2]
    assert sums[0][ended] == pytest.approx(sums[1][ended], rel=1e-4)  # 32-bit floats
    assert not is_same


def test_observation_shows_the_weights_of_each_episode_s_objective():
    scenarios = [
        load_all(["s08-accept-2m/train"], {"objective": one})[0] for one in ("cpu", "guest")
    ]
    env = SeamcallVecEnv(suite_of(scenarios, observes_objective=True), DEFAULT, 8, seed=1)
    observations = env.reset()
    shown = {tuple(row) for row in observations[:, len(observation_names()) :].tolist()}
    wanted = {tuple(weights_of(one).astype(np.float32).tolist()) for one in ("cpu", "guest")}
    assert shown == wanted
    stepped = env.step(np.zeros(8))[0]
    assert (
        stepped[:, len(observation_names()) :] == observations[:, len(observation_names()) :]
    ).all()


def test_chosen_columns_alone_are_shown(suite: Suite):
    plain = SeamcallVecEnv(suite, DEFAULT, 4, seed=1)
    chosen = SeamcallVecEnv(suite.showing((5, 0, 9)), DEFAULT, 4, seed=1)
    assert chosen.observation_space.shape == (3,)
    assert (chosen.reset() == plain.reset()[:, [5, 0, 9]]).all()
    for _ in range(5):
        seen, every = (env.step(np.zeros(4))[0] for env in (chosen, plain))
        assert (seen == every[:, [5, 0, 9]]).all()
