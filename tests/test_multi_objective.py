"""The environments with a vector of rewards, as MO-Gymnasium expects them."""

import pickle

import gymnasium
import mo_gymnasium
import numpy as np
import pytest
from mo_gymnasium.wrappers import LinearReward, MOClipReward, MONormalizeReward
from mo_gymnasium.wrappers import MORecordEpisodeStatistics as Recorded
from mo_gymnasium.wrappers.vector import MORecordEpisodeStatistics as RecordedVector
from mo_gymnasium.wrappers.vector import MOSyncVectorEnv

from tdx_env.info import COST_NAMES
from tdx_env.scenarios import load
from tdx_env.state.objectives import VECTOR, WEIGHED, weights_of

ID = "tdx_env/SeamcallRetryMO-v1"
NAME = "s08-accept-2m/train"
QUIET = "s22-clean/test"
SEED = 7
N_ENVS = 3


def made(scenario: str = NAME, **named):
    """Return the environment as MO-Gymnasium makes it."""
    return mo_gymnasium.make(ID, scenario=scenario, **named)


def play(env: gymnasium.Env, seed: int | None = SEED) -> tuple[list[np.ndarray], dict]:
    """Return the rewards of an episode and its last info; always RETRY."""
    env.reset(seed=seed)
    rewards, is_over = [], False
    while not is_over:
        _, reward, terminated, truncated, info = env.step(0)
        rewards.append(reward)
        is_over = terminated or truncated
    return rewards, info


def test_rewards_are_in_their_space():
    env = made()
    space = env.unwrapped.reward_space
    assert space.shape == (len(VECTOR),) == (env.unwrapped.reward_dim,)
    assert all(reward in space for reward in play(env)[0])


def test_rewards_sum_to_minus_the_parts_of_the_cost_scaled_alike():
    rewards, info = play(made())
    cost = dict(zip(COST_NAMES, info["cost"].tolist(), strict=False))
    wanted = np.array([-cost[name] for name in VECTOR]) / load(NAME).limits.reward_scale_v1
    assert np.sum(rewards, axis=0, dtype=np.float64) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("objective", ["cpu", "guest", "latency", "realtime"])
def test_dot_product_with_a_presets_weights_is_what_version_1_pays(objective):
    every = dict(zip(WEIGHED, weights_of(objective), strict=True))
    weights = np.array([every[name] for name in VECTOR])
    vector, _ = play(LinearReward(made(), weights))
    name = "tdx_env/SeamcallRetry-v1"
    scalar, _ = play(gymnasium.make(name, scenario=NAME, objective=objective))
    assert np.sum(vector) == pytest.approx(np.sum(scalar), rel=1e-5)


def test_statistics_are_recorded():
    rewards, info = play(Recorded(made(), gamma=1.0))
    assert info["episode"]["r"] == pytest.approx(np.sum(rewards, axis=0), rel=1e-5)
    assert info["episode"]["r"].shape == (len(VECTOR),)


def test_single_rewards_can_be_normalized_and_clipped():
    index = VECTOR.index("stolen")
    clipped, _ = play(MOClipReward(made(), index, -1e-3, 0))
    assert min(reward[index] for reward in clipped) == pytest.approx(-1e-3)
    normalized, _ = play(MONormalizeReward(made(), index, gamma=1.0))
    plain, _ = play(made())
    other = VECTOR.index("host")
    assert [one[other] for one in normalized] == [one[other] for one in plain]
    assert [one[index] for one in normalized] != [one[index] for one in plain]


def test_vector_gives_the_rewards_of_mo_gymnasiums_vector():
    ours = gymnasium.make_vec(ID, num_envs=N_ENVS, scenario=QUIET)
    theirs = MOSyncVectorEnv([lambda: made(QUIET)] * N_ENVS)
    assert ours.reward_space == theirs.reward_space
    ours.reset(seed=SEED)
    theirs.reset(seed=SEED)
    for _ in range(30):
        mine = ours.step(np.zeros(N_ENVS, np.int64))
        other = theirs.step(np.zeros(N_ENVS, np.int64))
        assert (mine[1] == other[1]).all()
        assert (mine[2] == other[2]).all()


def test_statistics_of_a_vector_are_recorded():
    env = RecordedVector(gymnasium.make_vec(ID, num_envs=N_ENVS, scenario=QUIET), gamma=1.0)
    env.reset(seed=SEED)
    found = []
    for _ in range(30):
        info = env.step(np.zeros(N_ENVS, np.int64))[-1]
        found += [info["episode"]["r"]] if "episode" in info else []
    assert found[0].shape == (N_ENVS, len(VECTOR))


def test_a_snapshot_has_the_parts_paid_so_far():
    env = made().unwrapped
    env.reset(seed=SEED)
    for _ in range(5):
        env.step(0)
    kept, copy = env.snapshot(), pickle.loads(pickle.dumps(env))
    first = env.step(0)[1]
    assert (first == copy.step(0)[1]).all()
    env.step(0)
    env.restore(kept)
    assert (env.step(0)[1] == first).all()
