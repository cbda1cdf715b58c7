"""A minute of RLlib's PPO on the environment."""

import json
import sys
import time

from ray.rllib.algorithms.ppo import PPOConfig

SECONDS = 60

config = (
    PPOConfig()
    .environment(f"tdx_env:{sys.argv[1]}")
    .env_runners(num_env_runners=1)
    .training(gamma=1.0, train_batch_size_per_learner=1000)
    .debugging(seed=1)
)
algorithm = config.build_algo()
began, returns, steps, episodes = time.monotonic(), [], 0, 0
while time.monotonic() - began < SECONDS:
    result = algorithm.train()
    steps = int(result["num_env_steps_sampled_lifetime"])
    episodes = int(result["env_runners"]["num_episodes_lifetime"])
    returns.append(float(result["env_runners"]["episode_return_mean"]))
algorithm.stop()
means = {"first": returns[0], "last": returns[-1]}
print(json.dumps({"steps": steps, "episodes": episodes} | means))
