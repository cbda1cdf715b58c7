"""Shipped agents against rules on the same episodes, under one discipline, by every objective.

    python -m benchmarks.agents --out out/agents.npz                 # core list, test split
    python -m benchmarks.agents --out out/agents.npz --table         # what is there, as tables
    python -m benchmarks.agents --out out/v.npz --split validation --agent out/agent-cpu

Rules are asked wherever agents are, and charged as counters; agents are charged what their network
takes. Only what the merged kernel does has a discipline of its own. The best rule of a scenario is
chosen in hindsight, on the episodes that are shown: no rule that is one can be as good everywhere.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tdx_agents
from benchmarks.tables import table
from tdx_agents.bundle import load_manifest, load_weights, network_of
from tdx_agents.constant import constant
from tdx_agents.protocol import Kind, Policy
from tdx_agents.shipped import shipped_folder, shipped_names
from tdx_env.engine.batch import COST_PARTS, Batch
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import expand, load, setup_of
from tdx_env.state.discipline import Action
from tdx_env.state.objectives import N_WEIGHED, PRESETS, weights_of
from tdx_env.state.world import End
from tdx_train.validation import run_policy

_PARTS = slice(COST_PARTS.start, COST_PARTS.start + N_WEIGHED)
_FIRST_SEED = {"train": 0, "validation": 1 << 31, "test": 1 << 32}
_AT_A_TIME = 4  # episodes of every scenario
_DISCIPLINE = DEFAULT.with_(flush="decided", asks="all")
_FLUSH = (
    *("retry-batch-8", "retry-batch-16", "retry-batch-64", "retry-batch-512", "until-waits"),
    *("needbreak", "pages-250-or-100us", "greedy", "greedy-50", "greedy-200", "root"),
)
_BUSY = ("break-even", "operand")
MERGED = "p20-merged-6.19"
SHOWN = ("decided-until-waits", "decided-greedy", "decided-root", MERGED)
_DRAWS = 2_000  # of the bootstrap


def rules() -> dict[str, Policy]:
    """Return the rules, by name."""
    names = [*(f"decided-{name}" for name in _FLUSH), *_BUSY]
    loaded = {name: tdx_agents.load(name) for name in names}
    loaded |= {f"always {action.name}": constant(action) for action in Action}
    same = {
        name: replace(one, discipline=_DISCIPLINE.with_(decision_cycles=one.decision_cycles))
        for name, one in loaded.items()
    }
    return same | {MERGED: tdx_agents.load(MERGED)}


def played(setups: NDArray[np.void], policy: Policy, seeds: range) -> NDArray[np.float64]:
    """Return the parts of the cost of each episode.

    Args:
        setups: The scenarios, shape (n_scenarios,).
        policy: Plays them.
        seeds: Of the episodes.

    Returns:
        Shape (n_scenarios, n_seeds, N_WEIGHED + 1) [cycles]; last, 1 for each TD that is lost.
    """
    n_scenarios, found = len(setups), []
    for first in range(0, len(seeds), _AT_A_TIME):
        some = np.array(seeds[first : first + _AT_A_TIME])
        rows = np.tile(np.arange(n_scenarios), len(some))
        batch = Batch(setups, policy.discipline.record(), len(rows), n_threads=2)
        batch.reset(np.repeat(some, n_scenarios), rows)
        run_policy(batch, policy)
        lost = batch.run["end"] != End.FINISHED
        parts = np.vstack([batch.numbers[_PARTS], lost]).astype(np.float64)
        found.append(parts.T.reshape(len(some), n_scenarios, -1))
    return np.concatenate(found).swapaxes(0, 1)


def ratio(mine: NDArray[np.float64], its: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return how many times its cost mine is, and a paired 95 % bootstrap interval.

    Args:
        mine: Cost of each episode, shape (n,).
        its: The same of the other, on the same seeds.
    """
    drawn = np.random.default_rng(0).integers(len(mine), size=(_DRAWS, len(mine)))
    ratios = mine[drawn].mean(axis=1) / its[drawn].mean(axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(mine.mean() / its.mean()), float(low), float(high)


def _cell(value: tuple[float, float, float]) -> str:
    """Return a ratio with its interval."""
    return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"


def comparison(kept: dict[str, NDArray[np.float64]], agent: str, objective: str) -> str:
    """Return a table of one agent against rules by one objective, and a line about all of it.

    Args:
        kept: What was played, by policy; and the names of the scenarios.
        agent: Whose table it is.
        objective: What costs.
    """
    weights = weights_of(objective)
    costs = {name: one[..., :N_WEIGHED] @ weights for name, one in kept.items() if one.ndim == 3}
    lost = {name: one[..., N_WEIGHED] for name, one in kept.items() if one.ndim == 3}
    candidates = [name for name in rules() if name != MERGED]
    rows, against = [], []
    for place, scenario in enumerate(kept["scenarios"].tolist()):
        able = [name for name in candidates if not lost[name][place].any()] or candidates
        best = min(able, key=lambda name: costs[name][place].mean())  # noqa: B023 (used at once)
        mine = costs[agent][place]
        found = ratio(mine, costs[best][place])
        against.append(found[0])
        shown = [f"{mine.mean() / costs[name][place].mean():.3f}" for name in SHOWN]
        n_lost = int(lost[agent][place].sum())
        rows.append([str(scenario), best, _cell(found), *shown, str(n_lost)])
    mean, worst = float(np.exp(np.log(against).mean())), max(against)
    single = {
        name: np.array([costs[name][p].mean() for p in range(len(rows))]) for name in candidates
    }
    own = np.array([costs[agent][p].mean() for p in range(len(rows))])
    least = own / np.array(against)
    fixed = {name: float(np.exp(np.log(one / least).mean())) for name, one in single.items()}
    name = min(fixed, key=lambda one: fixed[one])
    head = ["scenario", "best rule (hindsight)", "÷ best rule", *(f"÷ {n}" for n in SHOWN), "lost"]
    return (
        f"{agent} by `{objective}`: {mean:.3f} times the best rule of each scenario (geometric "
        f"mean), at worst {worst:.3f}. The best single rule, {name}: {fixed[name]:.3f}, at worst "
        f"{float((single[name] / least).max()):.3f}.\n\n" + table(head, rows)
    )


def _agents(specs: list[str]) -> dict[str, Policy]:
    """Return the agents, by spec, compiled: they answer as they do batched, many times as fast."""
    found = {}
    for spec in specs:
        folder = shipped_folder(spec) or Path(spec)
        manifest, policy = load_manifest(folder), tdx_agents.load(spec)
        objective = _served(spec)[0] if manifest.observe_objective else None
        network = network_of(manifest, load_weights(folder, manifest), objective)
        decide = network.compiled(len(manifest.observation_names))
        found[spec] = replace(policy, kind=Kind.COMPILED, act=None, decide=decide)
    return found


def _served(agent: str) -> list[str]:
    """Return the objectives that an agent's table is made for."""
    own = [name for name in PRESETS if agent.endswith(name)]
    return own or ["cpu"]


def main() -> None:
    """Play, or show what was played."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agents", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file of what was played")
    parser.add_argument("--split", default="test", choices=list(_FIRST_SEED))
    parser.add_argument("--list", default="core", help="list of scenarios")
    parser.add_argument("--episodes", type=int, default=16, help="of each scenario")
    parser.add_argument("--agent", action="append", help="agents; default: all that are shipped")
    parser.add_argument("--table", action="store_true", help="play nothing, print tables")
    given = parser.parse_args()
    kept = dict(np.load(given.out)) if given.out.exists() else {}
    agents = given.agent or [name for name in shipped_names() if name != "default"]
    if not given.table:
        names = expand(given.list if given.split == "train" else f"{given.list}/{given.split}")
        setups = np.concatenate([setup_of(load(name)) for name in names])
        first = _FIRST_SEED[given.split]
        kept["scenarios"] = np.array([name.partition("/")[0] for name in names])
        for name, policy in (rules() | _agents(agents)).items():
            if name not in kept:
                kept[name] = played(setups, policy, range(first, first + given.episodes))
                np.savez_compressed(given.out, **kept)
    for agent in agents:
        for objective in _served(agent):
            print(comparison(kept, agent, objective))


if __name__ == "__main__":
    main()
