"""CartPole in other libraries: steps per second, printed; imports nothing of this project.

`python others.py LIBRARY N_ENVS SECONDS` runs in whatever Python has the library: they and we need
not be installed together.
"""

import sys
import time
from collections.abc import Callable

import numpy as np

_N_BATCHES = 32  # of random actions


def _actions(n_envs: int) -> np.ndarray:
    """Return random actions, shape (_N_BATCHES, n_envs)."""
    return np.random.default_rng(0).integers(0, 2, (_N_BATCHES, n_envs), dtype=np.int32)


def _envpool(n_envs: int) -> Callable[[int], int]:
    """Return what steps EnvPool's CartPole once, with one thread a CPU."""
    import envpool

    env = envpool.make_gymnasium("CartPole-v1", num_envs=n_envs)
    env.reset()
    actions = _actions(n_envs)

    def step(number: int) -> int:
        env.step(actions[number % _N_BATCHES])
        return n_envs

    return step


LIBRARIES = {"envpool": _envpool}


def steps_per_second(library: str, n_envs: int, seconds: float) -> float:
    """Step for a while, after a few steps that don't count."""
    step = LIBRARIES[library](n_envs)
    for number in range(3):
        step(number)
    n_steps, number, start = 0, 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        n_steps += step(number)
        number += 1
    return n_steps / (time.perf_counter() - start)


if __name__ == "__main__":
    print(steps_per_second(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
