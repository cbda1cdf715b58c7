"""The learning libraries, in one place, so that a missing one is told in a line.

They come with the extra ``train``; what of this package needs them imports them from here.

Raises:
    MissingExtraError: One is not installed.
"""

from tdx_env.errors import MissingExtraError

try:
    import torch
    from sb3_contrib import MaskablePPO
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.vec_env import VecEnv
except ModuleNotFoundError as error:
    raise MissingExtraError.of("training", str(error.name), "train") from error

__all__ = ["BaseCallback", "Logger", "MaskablePPO", "PPO", "VecEnv", "torch"]
