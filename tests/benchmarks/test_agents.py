"""How agents are held against rules, on costs that are given."""

import numpy as np

from benchmarks.agents import MERGED, comparison, ratio, rules
from tdx_env.state.objectives import N_WEIGHED, WEIGHED


def made(host: float, lost: float = 0.0) -> np.ndarray:
    """Return what a policy that wastes so much of the host's cycles leads to, of one scenario."""
    parts = np.zeros((1, 5, N_WEIGHED + 1))
    parts[..., WEIGHED.index("host")] = host
    parts[..., N_WEIGHED] = lost
    return parts


def test_best_rule_is_one_that_loses_no_td():
    kept = {name: made(300.0) for name in rules()}
    kept |= {"decided-greedy": made(200.0), "always KICK": made(100.0, lost=1.0)}
    kept |= {"agent-cpu": made(220.0), "scenarios": np.array(["s"])}
    told = comparison(kept, "agent-cpu", "cpu")
    assert "agent-cpu by `cpu`: 1.100 times the best rule" in told
    assert "| s | decided-greedy | 1.100 (1.100 to 1.100) |" in told
    assert MERGED in told


def test_interval_is_paired():
    """What all episodes of a seed have in common cancels out."""
    its = np.array([100.0, 1_000.0, 10_000.0])
    assert ratio(2 * its, its) == (2.0, 2.0, 2.0)
