"""A minute of RLlib's PPO on the environment."""

import json
import time

from ray.rllib.algorithms.ppo import PPOConfig

SECONDS = 60

config = (
    PPOConfig()
    .environment("tdx_env:tdx_env/SeamcallRetry-v0")
    .env_runners(num_env_runners=1)
    .training(gamma=1.0, train_batch_size_per_learner=1000)
    .debugging(seed=1)
)
algorithm = config.build_algo()
began, returns, steps = time.monotonic(), [], 0
while time.monotonic() - began < SECONDS:
    result = algorithm.train()
    steps = int(result["num_env_steps_sampled_lifetime"])
    returns.append(float(result["env_runners"]["episode_return_mean"]))
algorithm.stop()
print(json.dumps({"steps": steps, "first": returns[0], "last": returns[-1]}))
