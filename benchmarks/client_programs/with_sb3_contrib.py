"""A minute of sb3-contrib's masked PPO on the environment, which offers its masks."""

import json
import time

import gymnasium
import numpy as np
from sb3_contrib import MaskablePPO

import tdx_env  # noqa: F401, registers the environment

SECONDS = 60

env = gymnasium.make("tdx_env/SeamcallRetry-v0")
model = MaskablePPO("MlpPolicy", env, seed=1, device="cpu")
began, returns = time.monotonic(), []
while time.monotonic() - began < SECONDS:
    model.learn(model.n_steps, reset_num_timesteps=False)
    returns.append(np.mean([episode["r"] for episode in model.ep_info_buffer or ()]))
print(json.dumps({"steps": model.num_timesteps, "first": returns[0], "last": returns[-1]}))
