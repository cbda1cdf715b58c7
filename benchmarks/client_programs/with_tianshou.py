"""A minute of Tianshou's DQN on the environment, with the collectors of its tutorial."""

import json
import sys
import time

import gymnasium
import tianshou as ts
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import CollectStats
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.space_info import SpaceInfo

SECONDS = 60
ID = f"tdx_env:{sys.argv[1]}"
N_ENVS = 4

began = time.monotonic()
returns: list[float] = []


def noted(stats: CollectStats) -> float:
    """Return the mean return of a test, and note it."""
    assert stats.returns_stat is not None
    returns.append(stats.returns_stat.mean)
    return returns[-1]


def is_over(best: float) -> bool:
    """Say whether the minute is over, whatever the best test was."""
    return time.monotonic() - began > SECONDS


env = gymnasium.make(ID)
space = SpaceInfo.from_env(env)
net = Net(
    state_shape=space.observation_info.obs_shape,
    action_shape=space.action_info.action_shape,
    hidden_sizes=[64, 64],
)
policy = DiscreteQLearningPolicy(
    model=net, action_space=env.action_space, eps_training=0.1, eps_inference=0.05
)
algorithm = ts.algorithm.DQN(policy=policy, optim=AdamOptimizerFactory(lr=1e-3), gamma=1.0)
makers = [lambda: gymnasium.make(ID)] * N_ENVS
collectors = [
    ts.data.Collector[CollectStats](
        algorithm, ts.env.DummyVectorEnv(makers), buffer, exploration_noise=True
    )
    for buffer in (ts.data.VectorReplayBuffer(20000, N_ENVS), None)
]
result = algorithm.run_training(
    OffPolicyTrainerParams(
        training_collector=collectors[0],
        test_collector=collectors[1],
        max_epochs=1000,
        epoch_num_steps=500,
        collection_step_num_env_steps=10,
        test_step_num_episodes=4,
        batch_size=64,
        update_step_num_gradient_steps_per_sample=0.1,
        compute_score_fn=noted,
        stop_fn=is_over,
        show_progress=False,
    )
)
counts = {"steps": int(result.train_step), "episodes": int(result.train_episode)}
print(json.dumps(counts | {"first": returns[0], "last": returns[-1]}))
