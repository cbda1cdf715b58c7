"""Digests of whole runs, to see that a change leaves every result as it was.

    python -m benchmarks.digests before.json                   # on the old sources
    python -m benchmarks.digests after.json --against before.json

A run is a scenario's split under a policy, a few seeds long. Its digest covers each decision (the
integer features, the answer, time and cost) and all that the episode came to.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tdx_agents
from tdx_agents import Policy
from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import busy_cells, episode_metrics
from tdx_env.scenarios import Scenario, load, names, setup_of
from tdx_env.state.features import Feature

_POLICIES = ("P18", "P8", "P1", "P9", "P4", "break-even")
_SEEDS = (1, 2)
_LENGTH = 20  # hexadecimal digits of a digest
# Wording, what the seed and the scenario say, and how much of it was played.
_LEFT_OUT = ("waiting", "module", "n_events")


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


class Counted(NamedTuple):
    """What counts, so that digests of older sources can be met.

    Attributes:
        features: Names of the integer features.
        metrics: Names of the metrics; None: all of them, as of sources that keep no list.
    """

    features: list[str]
    metrics: list[str] | None


def run_digest(scenario: Scenario, policy: Policy, counted: Counted) -> tuple[str, int, set[str]]:
    """Play a scenario under a policy; return the digest, the number of events and the metrics.

    Args:
        scenario: What is played.
        policy: A compiled policy.
        counted: What counts.
    """
    assert policy.decide is not None
    columns = [int(Feature[name]) for name in counted.features]
    digest, n_events = hashlib.sha256(), 0
    names_seen: set[str] = set()
    for seed in _SEEDS:
        batch = Batch(setup_of(scenario), policy.discipline.record())
        batch.reset([seed])
        batch.advance()
        while batch.waiting[0]:
            seen = batch.features[0]
            action = int(policy.decide(seen))
            told = [*seen[columns], action, batch.run["now"][0], batch.costs[0]]
            digest.update(np.array(told, np.int64).tobytes())
            batch.advance(actions=[action])
        metrics = {k: v for k, v in episode_metrics(batch, 0).items() if k not in _LEFT_OUT}
        if counted.metrics is not None:
            metrics = {k: v for k, v in metrics.items() if k in counted.metrics}
        names_seen |= metrics.keys()
        n_events += int(batch.run["n_events"][0])
        came_to = [_plain(metrics), _plain(busy_cells(batch, 0))]
        digest.update(json.dumps(came_to, sort_keys=True).encode())
    return digest.hexdigest()[:_LENGTH], n_events, names_seen


def digests(policies: list[str], counted: Counted) -> tuple[dict[str, list[Any]], list[str]]:
    """Return digest and events of every packaged scenario under each policy, and the metrics."""
    found = {}
    metrics: set[str] = set()
    for name in names():
        scenario = load(name)
        for number in policies:
            text, n_events, seen = run_digest(scenario, tdx_agents.load(number), counted)
            found[f"{name} {number}"] = [text, n_events]
            metrics |= seen
    return found, sorted(metrics)


def differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the runs in both files whose digests differ."""
    both = before["runs"].keys() & after["runs"].keys()
    return sorted(key for key in both if before["runs"][key][0] != after["runs"][key][0])


def main() -> None:
    """Write the digests; compare them with those of other sources if there are any."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digests", description=__doc__)
    parser.add_argument("out", type=Path, help="the JSON file to write")
    parser.add_argument("--against", type=Path, help="the file that other sources wrote")
    parser.add_argument("--policies", default=",".join(_POLICIES))
    given = parser.parse_args()
    before = json.loads(given.against.read_text()) if given.against else None
    features = before["features"] if before else [feature.name for feature in Feature]
    counted = Counted(features, before.get("metrics") if before else None)
    runs, metrics = digests(given.policies.split(","), counted)
    after: dict[str, Any] = {"features": features, "metrics": metrics, "runs": runs}
    given.out.write_text(json.dumps(after, indent=0) + "\n")
    n_events = sum(run[1] for run in runs.values())
    print(f"{len(runs)} runs, {n_events:,} events")
    if before:
        wrong = differing(before, after)
        print(f"{len(wrong)} differ from {given.against}", *wrong, sep="\n  ")
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
