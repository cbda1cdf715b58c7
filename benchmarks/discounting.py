"""What a discount for each step does to the order of answers, and what one by time does.

    python -m benchmarks.discounting

Plays RETRY and KICK in one scenario on the same seeds, under the default discipline, and prints the
mean return of both under one discount after the other.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import table
from tdx_env.env import SeamcallRetryEnv
from tdx_env.scenarios import load
from tdx_env.state.discipline import Action

_ANSWERS = (Action.RETRY, Action.KICK)
_GAMMAS = (1.0, 0.999, 0.99)
_TAUS_US = (10_000, 1_000)


def _rewards(env: SeamcallRetryEnv, seed: int, action: Action) -> NDArray[np.float64]:
    """Return reward and the time before it [cycles] of each step, shape (2, n)."""
    _, info = env.reset(seed=seed)
    rewards, times = [], [0]
    is_over = False
    while not is_over:
        taken = action if info["action_mask"][action] else Action.RETRY
        _, reward, terminated, truncated, info = env.step(int(taken))
        rewards.append(float(reward))
        times.append(times[-1] + int(info["elapsed_cycles"]))
        is_over = terminated or truncated
    return np.array([rewards, times[:-1]])


def _rows(scenario: str, n_seeds: int, objective: str) -> Iterator[list[str]]:
    """Yield a row for each discount: its name, the mean return of each answer, who is better."""
    env = SeamcallRetryEnv(scenario, objective=objective)
    played = {one: [_rewards(env, seed, one) for seed in range(n_seeds)] for one in _ANSWERS}
    per_us = load(scenario).clock_khz / 1000
    for gamma in _GAMMAS:
        found = [
            np.mean([(one[0] * gamma ** np.arange(one.shape[1])).sum() for one in played[answer]])
            for answer in _ANSWERS
        ]
        yield [f"{gamma} a step", *_shown(found)]
    for tau in _TAUS_US:
        found = [
            np.mean([(one[0] * 0.99 ** (one[1] / per_us / tau)).sum() for one in played[answer]])
            for answer in _ANSWERS
        ]
        yield [f"0.99 in {tau:,} us", *_shown(found)]
    lengths = [np.mean([one.shape[1] for one in played[answer]]) for answer in _ANSWERS]
    yield ["steps", *(f"{length:,.0f}" for length in lengths), ""]


def _shown(returns: list[np.floating]) -> list[str]:
    """Return the returns as text, and whose is higher."""
    best = _ANSWERS[int(np.argmax(returns))]
    return [*(f"{one:.3f}" for one in returns), best.name]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.discounting", description=__doc__)
    parser.add_argument("--scenario", default="s10-hostile-2m/train")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--objective", default="thread")
    given = parser.parse_args()
    head = ["discount", *(f"return of {one.name}" for one in _ANSWERS), "better"]
    print(table(head, list(_rows(given.scenario, given.seeds, given.objective))))


if __name__ == "__main__":
    main()
