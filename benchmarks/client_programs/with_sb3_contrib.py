"""A minute of sb3-contrib's masked PPO on the environment, which offers its masks."""

import sys

from clock import Minute  # type: ignore[import-not-found]
from sb3_contrib import MaskablePPO

minute = Minute()
model = MaskablePPO("MlpPolicy", f"tdx_env:{sys.argv[1]}", gamma=1.0, seed=1, device="cpu")
model.learn(10_000_000, callback=minute)
print(minute.outcome())
