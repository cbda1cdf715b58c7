"""A minute of stable-baselines3's PPO on the environment, as its quick start has it."""

import sys

from clock import Minute  # type: ignore[import-not-found]
from stable_baselines3 import PPO

minute = Minute()
model = PPO("MlpPolicy", f"tdx_env:{sys.argv[1]}", gamma=1.0, seed=1, device="cpu")
model.learn(10_000_000, callback=minute)
print(minute.outcome())
