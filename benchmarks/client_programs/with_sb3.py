"""A minute of stable-baselines3's PPO on the environment, as its quick start has it."""

import json
import time

import numpy as np
from stable_baselines3 import PPO

import tdx_env  # noqa: F401, registers the environment

SECONDS = 60

model = PPO("MlpPolicy", "tdx_env/SeamcallRetry-v0", seed=1, device="cpu")
began, returns = time.monotonic(), []
while time.monotonic() - began < SECONDS:
    model.learn(model.n_steps, reset_num_timesteps=False)
    returns.append(np.mean([episode["r"] for episode in model.ep_info_buffer or ()]))
print(json.dumps({"steps": model.num_timesteps, "first": returns[0], "last": returns[-1]}))
