"""A minute of RLlib's PPO on the environment."""

import json
import time
from typing import Any

import gymnasium
from ray.rllib.algorithms.ppo import PPOConfig
from ray.tune.registry import register_env

SECONDS = 60
NAME = "seamcall_retry"


def make(arguments: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    """Return the environment; workers are processes of their own, so it is imported here."""
    import tdx_env  # noqa: F401

    return gymnasium.make("tdx_env/SeamcallRetry-v0", **arguments)


register_env(NAME, make)
config = PPOConfig().environment(NAME).env_runners(num_env_runners=1).debugging(seed=1)
algorithm = config.build_algo()
began, returns, steps = time.monotonic(), [], 0
while time.monotonic() - began < SECONDS:
    result = algorithm.train()
    steps = int(result["num_env_steps_sampled_lifetime"])
    returns.append(float(result["env_runners"]["episode_return_mean"]))
algorithm.stop()
print(json.dumps({"steps": steps, "first": returns[0], "last": returns[-1]}))
