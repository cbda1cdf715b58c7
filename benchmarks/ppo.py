"""PPO of stable-baselines3 with its own defaults on `tdx_env/SeamcallRetry-v1`, against rules.

    python -m benchmarks.ppo --out out/ppo.json             # 200,000 steps, 5 seeds
    python -m benchmarks.ppo --out out/ppo.json --table     # what is there, as tables
    python -m benchmarks.ppo --out out/ppo.json --svg docs/images/ppo.svg
    python -m benchmarks.ppo --out out/1.json --steps 4096 --seeds 1 --scenario s13-balloon

Nothing is tuned: `PPO("MlpPolicy", env, gamma=1)` on one environment. After each tenth of the steps
the agent plays the validation split of the same scenarios, its likeliest answers; the rules play
the same seeds under the same discipline, their decisions charged as the agent's are; only what the
merged kernel does has a discipline of its own. A return of -1 is what the rule costs on the train
split that `tdx-eval scale` takes as its measure. Finished seeds in the file are not run again.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

import tdx_agents
from benchmarks.tables import table
from tdx_agents.constant import constant
from tdx_agents.network import Network
from tdx_agents.protocol import Kind, Policy
from tdx_env.engine.batch import Batch
from tdx_env.host.discipline import DEFAULT
from tdx_env.repertoire import EDITIONS, Repertoire
from tdx_env.scenarios import Scenario, expand, load
from tdx_env.state.discipline import Action
from tdx_train.model import policy_weights
from tdx_train.validation import run_policy

ID = "tdx_env/SeamcallRetry-v1"
_DISCIPLINE = DEFAULT.with_(flush="decided", asks="all")  # the environment's own
_FIRST_SEED = 1 << 31  # of the validation split
_N_CURVE = 10  # points of a learning curve
_MERGED = "merged"
_RULES = ("decided-until-waits", "decided-greedy", "decided-root")


class Match:
    """Validation episodes of all scenarios side by side.

    Args:
        scenarios: Their scenarios.
        n_episodes: Of each.
    """

    def __init__(self, scenarios: list[Scenario], n_episodes: int) -> None:
        played = [Repertoire(one, None, EDITIONS["v1"]) for one in scenarios]
        self._setups = np.concatenate([one.setups for one in played])
        self._scales = np.array([one.scales[0] for one in played])
        self._n_episodes = n_episodes

    def returns(self, policy: Policy) -> list[float]:
        """Return the mean return of each scenario under a policy and its discipline."""
        n_scenarios = len(self._setups)
        rows = np.tile(np.arange(n_scenarios), self._n_episodes)
        batch = Batch(self._setups, policy.discipline.record(), len(rows))
        batch.reset(_FIRST_SEED + np.arange(len(rows)) // n_scenarios, rows)
        run_policy(batch, policy)
        costs = batch.costs.reshape(self._n_episodes, n_scenarios).mean(axis=0)
        return [float(one) for one in -costs / self._scales]


def _agent(model: PPO) -> Policy:
    """Return an agent's likeliest answers as a policy."""
    act = Network(policy_weights(model), "tanh").act
    return Policy("ppo", "", "", "benchmark", Kind.BATCHED, _DISCIPLINE, act=act)


def rules() -> dict[str, Policy]:
    """Return what the agent is held against, by name."""
    found = {"always RETRY": replace(constant(Action.RETRY), discipline=_DISCIPLINE)}
    for name in _RULES:
        found[name] = replace(tdx_agents.load(name), discipline=_DISCIPLINE)
    return found | {_MERGED: tdx_agents.load("p20-merged-6.19")}


class _Curve(BaseCallback):
    """Plays the validation episodes after each tenth of the steps.

    Args:
        match: Plays them.
        n_steps: Length of the run.
    """

    def __init__(self, match: Match, n_steps: int) -> None:
        super().__init__()
        self._match, self._every = match, max(1, n_steps // _N_CURVE)
        self._began, self._playing = time.monotonic(), 0.0
        self.points: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        """Play if it is time."""
        if self.num_timesteps >= (len(self.points) + 1) * self._every:
            start = time.monotonic()
            found = self._match.returns(_agent(self.model))  # type: ignore[arg-type]
            seconds = start - self._began - self._playing
            self._playing += time.monotonic() - start
            self.points.append(
                {"steps": self.num_timesteps, "seconds": round(seconds, 1), "returns": found}
            )
        return True


def learned(spec: str, match: Match, n_steps: int, seed: int) -> list[dict[str, Any]]:
    """Train an agent; return steps, seconds and mean returns along the way."""
    torch.set_num_threads(1)  # a second one only waits on so small a network
    model = PPO("MlpPolicy", gymnasium.make(ID, scenario=spec), gamma=1.0, seed=seed, device="cpu")
    curve = _Curve(match, n_steps)
    model.learn(n_steps, curve)
    return curve.points


def _run(given: argparse.Namespace, kept: dict[str, Any]) -> None:
    """Run what the file doesn't have yet; write it after each seed."""
    names = expand(given.scenario)
    match = Match([load(one.replace("/train", "/validation")) for one in names], given.episodes)
    kept["scenarios"] = names
    kept.setdefault("rules", {name: match.returns(one) for name, one in rules().items()})
    runs = kept.setdefault("runs", {})
    for seed in range(given.seeds):
        if str(seed) not in runs:
            runs[str(seed)] = learned(given.scenario, match, given.steps, seed)
            given.out.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            print(f"seed {seed}: {runs[str(seed)][-1]['seconds']:.0f} s of training")


def tables(kept: dict[str, Any]) -> str:
    """Return learning curves, and what each scenario came to at the end."""
    runs = kept["runs"]
    means = ", ".join(f"{name} {np.mean(one):.3f}" for name, one in kept["rules"].items())
    curve = [
        [f"{point['steps']:,}", *(f"{np.mean(run[at]['returns']):.3f}" for run in runs.values())]
        for at, point in enumerate(next(iter(runs.values())))
    ]
    last = np.array([run[-1]["returns"] for run in runs.values()])
    ends = [
        [
            name,
            *(f"{one[at]:.3f}" for one in kept["rules"].values()),
            f"{last[:, at].mean():.3f} ({last[:, at].min():.3f} to {last[:, at].max():.3f})",
        ]
        for at, name in enumerate(kept["scenarios"])
    ]
    return (
        f"Mean return of the rules: {means}.\n\n"
        + table(["steps", *(f"seed {seed}" for seed in runs)], curve)
        + "\n"
        + table(["scenario", *kept["rules"], "PPO"], ends)
    )


def curves(kept: dict[str, Any]) -> dict[str, Any]:
    """Return the learning curves as a Vega-Lite chart, rules as level lines."""
    points = [
        {"steps": point["steps"], "cost": -float(np.mean(point["returns"])), "who": f"seed {seed}"}
        for seed, run in kept["runs"].items()
        for point in run
    ]
    levels = [
        {"cost": -float(np.mean(one)), "who": name}
        for name, one in kept["rules"].items()
        if name != _MERGED
    ]
    y: dict[str, Any] = {
        "field": "cost",
        "type": "quantitative",
        "scale": {"type": "log"},
        "title": "mean cost, until-waits on train = 1",
    }
    return {
        "width": 560,
        "height": 300,
        "layer": [
            {
                "data": {"values": points},
                "mark": {"type": "line", "point": True},
                "encoding": {
                    "x": {"field": "steps", "type": "quantitative"},
                    "y": y,
                    "color": {"field": "who", "title": None},
                },
            },
            {
                "data": {"values": levels},
                "mark": {"type": "rule", "strokeDash": [5, 4]},
                "encoding": {"y": y, "color": {"field": "who", "title": None}},
            },
        ],
    }


def main() -> None:
    """Run, or show what was run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ppo", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file of the results")
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--scenario", default="core")
    parser.add_argument("--table", action="store_true", help="run nothing, print tables")
    parser.add_argument("--svg", type=Path, help="run nothing, draw the curves")
    given = parser.parse_args()
    kept = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    if given.svg is not None:
        import vl_convert

        given.svg.write_text(vl_convert.vegalite_to_svg(curves(kept)), encoding="utf-8")
        return
    if not given.table:
        _run(given, kept)
    print(tables(kept))


if __name__ == "__main__":
    main()
