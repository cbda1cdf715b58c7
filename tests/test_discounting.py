"""Discounting by time."""

import math

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tdx_env.discounting import TimeDiscount
from tdx_env.env import SeamcallRetryEnv
from tdx_env.errors import ScenarioError

NAME = "s08-accept-2m/train"
SEED = 7


def steps(env: gymnasium.Env) -> list[tuple[float, int, float]]:
    """Return reward, elapsed cycles and discount of each step of an episode; always RETRY."""
    env.reset(seed=SEED)
    found, is_over = [], False
    while not is_over:
        _, reward, terminated, truncated, info = env.step(0)
        found.append((reward, int(info["elapsed_cycles"]), info.get("discount", 1.0)))
        is_over = terminated or truncated
    return found


def test_reward_is_discounted_by_the_time_before_it():
    gamma, tau = 0.5, 1_000_000
    plain = steps(SeamcallRetryEnv(NAME))
    discounted = steps(TimeDiscount(SeamcallRetryEnv(NAME), gamma, tau))
    times = np.cumsum([0, *(elapsed for _, elapsed, _ in plain)])[:-1]
    for (reward, elapsed, _), (found, _, factor), time in zip(
        plain, discounted, times, strict=True
    ):
        assert found == pytest.approx(reward * gamma ** (time / tau))
        assert factor == pytest.approx(gamma ** (elapsed / tau))
    assert math.prod(one[2] for one in discounted[:-1]) == pytest.approx(gamma ** (times[-1] / tau))


def test_gamma_of_1_changes_nothing():
    plain = steps(SeamcallRetryEnv(NAME))
    assert steps(TimeDiscount(SeamcallRetryEnv(NAME), 1.0, 5)) == plain


@pytest.mark.parametrize(("gamma", "tau"), [(0, 1), (1.5, 1), (math.nan, 1), (0.9, 0)])
def test_what_is_no_discount_is_refused(gamma, tau):
    with pytest.raises(ScenarioError, match="must be"):
        TimeDiscount(SeamcallRetryEnv("s22-clean/test"), gamma, tau)


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_it_passes_gymnasiums_checker():
    env = gymnasium.make("tdx_env/SeamcallRetry-v1", scenario="s22-clean/test").unwrapped
    check_env(TimeDiscount(env, 0.9, 1_000_000), skip_render_check=True)
