"""A small suite of scenarios with many decisions, and environments on it."""

import pytest

from tdx_env.host.discipline import DEFAULT
from tdx_train.config import TrainConfig
from tdx_train.suite import Suite, load_all, suite_of
from tdx_train.training_plan import TrainingPlan, plan_of
from tdx_train.vec_env import SeamcallVecEnv

NAMES = ("s03-zero-step/train", "s08-accept-2m/train")
TINY = TrainConfig(
    scenarios=",".join(NAMES),
    total_steps=2_000,
    n_envs=32,
    n_steps=16,
    batch_size=256,
    n_epochs=2,
    hidden=(16,),
    evaluation_interval=1_000,
    evaluation_episodes=2,
    n_threads=1,
)


@pytest.fixture(scope="session")
def suite() -> Suite:
    """Two scenarios; the one's rewards are on another scale than the other's."""
    return suite_of(load_all(NAMES, {}))


@pytest.fixture
def env(suite: Suite) -> SeamcallVecEnv:
    """Six environments, started."""
    made = SeamcallVecEnv(suite, DEFAULT, 6, seed=3)
    made.reset()
    return made


@pytest.fixture(scope="session")
def tiny_plan() -> TrainingPlan:
    """A training run of a few thousand steps."""
    return plan_of("tiny", TINY, {})
