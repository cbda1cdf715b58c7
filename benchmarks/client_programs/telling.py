"""The environment under a name that says each episode's return, for learners that don't.

CleanRL's ppo.py reads returns from `info["final_info"]`, which Gymnasium dropped in 1.0.
"""

from typing import Any

import gymnasium


class Telling(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Prints the return of each episode when it ends."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._sum = 0.0

    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        self._sum = 0.0
        return self.env.reset(**arguments)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; say the return if that was the end."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._sum += float(reward)
        if terminated or truncated:
            print(f"episodic_return={self._sum:.6f}", flush=True)
        return observation, reward, terminated, truncated, info


def make(version: str = "v1", **arguments: Any) -> gymnasium.Env[Any, Any]:
    """Return a version of the environment that tells."""
    return Telling(gymnasium.make(f"tdx_env:tdx_env/SeamcallRetry-{version}", **arguments))


for _version in ("v0", "v1"):
    gymnasium.register(id=f"Telling-{_version}", entry_point=make, kwargs={"version": _version})
