"""A minute's clock that stable-baselines3's learners take as a callback."""

import json
import time
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

SECONDS = 60
N_SHOWN = 10  # episodes of which the first and the last mean are


class Minute(BaseCallback):
    """Ends the training after a minute, and has the returns of the episodes that ended."""

    def __init__(self) -> None:
        super().__init__()
        self.returns: list[float] = []
        self.began = 0.0

    def _on_training_start(self) -> None:
        self.began = time.monotonic()

    def _on_step(self) -> bool:
        infos: list[dict[str, Any]] = self.locals["infos"]
        self.returns += [info["episode"]["r"] for info in infos if "episode" in info]
        return time.monotonic() - self.began < SECONDS

    def outcome(self) -> str:
        """Return what the training came to, as the script reads it."""
        first, last = self.returns[:N_SHOWN], self.returns[-N_SHOWN:]
        means = {"first": float(np.mean(first)), "last": float(np.mean(last))}
        counts = {"steps": self.num_timesteps, "episodes": len(self.returns)}
        return json.dumps(counts | means)
