"""PPO of stable-baselines3 with its own defaults on `tdx_env/SeamcallRetry-v1`, against two rules.

    python -m benchmarks.ppo                                # 200,000 steps, 5 seeds
    python -m benchmarks.ppo --steps 4096 --seeds 1 --episodes 2 --scenario s13-balloon

Nothing is tuned: `PPO("MlpPolicy", env, gamma=1)` on one environment. After each tenth of the steps
the agent plays the validation split of the same scenarios, its likeliest answers; the rules play
the same seeds under the same discipline, their decisions charged as the agent's are. A return of -1
is what the rule costs on the train split that `tdx-eval scale` takes as its measure.
"""

import argparse
from collections.abc import Callable

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from benchmarks.tables import table
from tdx_agents.constant import constant
from tdx_agents.flush import decided, until_waits
from tdx_agents.protocol import Policy
from tdx_env.engine.batch import SKIP, Batch
from tdx_env.host.discipline import DEFAULT
from tdx_env.repertoire import EDITIONS, Repertoire
from tdx_env.scenarios import Scenario, expand, load
from tdx_env.spaces import observation_size, observe
from tdx_env.state.discipline import Action

ID = "tdx_env/SeamcallRetry-v1"
_DISCIPLINE = DEFAULT.with_(flush="decided", asks="all")  # the environment's own
_FIRST_SEED = 1 << 31  # of the validation split
_N_CURVE = 10  # points of a learning curve

Play = Callable[[Batch], None]


def _play_agent(model: PPO) -> Play:
    """Return what plays a batch with an agent's likeliest answers."""

    def play(batch: Batch) -> None:
        batch.advance()
        while len(rows := np.flatnonzero(batch.waiting)):
            seen = np.empty((len(rows), observation_size("all")), np.float32)
            observe(batch.features[rows], seen)
            actions = np.full(batch.n_worlds, SKIP, np.int64)
            actions[rows] = model.predict(seen, deterministic=True)[0]
            batch.advance(actions=actions)

    return play


def _play_rule(policy: Policy) -> Play:
    """Return what plays a batch by a compiled rule."""

    def play(batch: Batch) -> None:
        batch.advance(policy.decide)

    return play


def _rules() -> dict[str, Play]:
    """Return what plays a batch by each of the rules."""
    waits = decided(until_waits()).compile()
    retry = constant(Action.RETRY)
    return {"always RETRY": _play_rule(retry), "until waits": _play_rule(waits)}


def _returns(scenarios: list[Scenario], play: Play, n_episodes: int) -> NDArray[np.float64]:
    """Return the mean return of each scenario, shape (n_scenarios,)."""
    found = []
    for scenario in scenarios:
        played = Repertoire(scenario, None, EDITIONS["v1"])
        batch = Batch(played.setups, _DISCIPLINE.record(), n_episodes)
        batch.reset(range(_FIRST_SEED, _FIRST_SEED + n_episodes))
        play(batch)
        found.append(-float(batch.costs.mean()) / played.scales[0])
    return np.array(found)


class _Curve(BaseCallback):
    """Plays the validation episodes after each tenth of the steps.

    Args:
        scenarios: Their scenarios.
        n_episodes: Of each.
        n_steps: Length of the run.
    """

    def __init__(self, scenarios: list[Scenario], n_episodes: int, n_steps: int) -> None:
        super().__init__()
        self._scenarios, self._n_episodes = scenarios, n_episodes
        self._every = max(1, n_steps // _N_CURVE)
        self.points: list[tuple[int, NDArray[np.float64]]] = []

    def note(self, n_steps: int, model: PPO) -> None:
        """Play now."""
        found = _returns(self._scenarios, _play_agent(model), self._n_episodes)
        self.points.append((n_steps, found))

    def _on_step(self) -> bool:
        """Play if it is time."""
        if self.num_timesteps >= (len(self.points) + 1) * self._every:
            self.note(self.num_timesteps, self.model)  # type: ignore[arg-type]
        return True


def learned(
    spec: str, scenarios: list[Scenario], n_steps: int, seed: int, n_episodes: int
) -> list[tuple[int, NDArray[np.float64]]]:
    """Train an agent; return steps and mean return of each scenario along the way."""
    env = gymnasium.make(ID, scenario=spec)
    model = PPO("MlpPolicy", env, gamma=1.0, seed=seed, device="cpu")
    curve = _Curve(scenarios, n_episodes, n_steps)
    model.learn(n_steps, curve)
    return curve.points


def main() -> None:
    """Print learning curves, and what each scenario came to at the end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ppo", description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--scenario", default="core")
    given = parser.parse_args()
    names = expand(given.scenario)
    scenarios = [load(name.replace("/train", "/validation")) for name in names]
    rules = {name: _returns(scenarios, play, given.episodes) for name, play in _rules().items()}
    runs = [
        learned(given.scenario, scenarios, given.steps, seed, given.episodes)
        for seed in range(given.seeds)
    ]
    print(*(f"mean return of {name}: {one.mean():.3f}" for name, one in rules.items()), sep="\n")
    rows = [
        [f"{steps:,}", *(f"{run[place][1].mean():.3f}" for run in runs)]
        for place, (steps, _) in enumerate(runs[0])
    ]
    print(table(["steps", *(f"seed {seed}" for seed in range(given.seeds))], rows))
    last = np.mean([run[-1][1] for run in runs], axis=0)
    rows = [
        [name, *(f"{one[place]:.3f}" for one in rules.values()), f"{last[place]:.3f}"]
        for place, name in enumerate(names)
    ]
    print(table(["scenario", *rules, "PPO"], rows))


if __name__ == "__main__":
    main()
