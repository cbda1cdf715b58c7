"""Trees grown on what answers save."""

import numpy as np
import pytest

from tdx_agents.protocol import Policy
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.features import N_FEATURES, Feature
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.room.tree import Node, grown, policy_of, told

N = 200
LIMIT = 50  # up to so many issues RETRY is best, beyond KICK


def world(noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return features, and what answers save in a world of two actions whose best is known."""
    generator = np.random.default_rng(1)
    features = generator.integers(0, 100, (N, N_FEATURES))
    gains = np.zeros((N, N_ACTIONS))
    is_late = features[:, Feature.ISSUES] > LIMIT
    gains[:, Action.KICK] = np.where(is_late, 100, -100) + noise * generator.normal(size=N)
    gains[:, Action.YIELD] = np.nan  # masked
    return features, gains


@pytest.fixture(scope="module")
def base() -> Policy:
    """RETRY, always."""
    return load_policy("always-retry")


def answer(policy: Policy, issues: int, mask: int) -> int:
    """Return a policy's answer after so many issues."""
    features = np.zeros(N_FEATURES, np.int64)
    features[Feature.ISSUES], features[Feature.MASK] = issues, mask
    assert policy.decide is not None
    return policy.decide(features)


def test_tree_finds_where_the_other_answer_is_better(base):
    features, gains = world(noise=20)
    nodes = grown(features, gains)
    assert (nodes[0].feature, nodes[0].threshold) == (Feature.ISSUES, LIMIT)
    assert told(nodes) == f"KICK if issues > {LIMIT}"
    policy = policy_of(nodes, base, "tree")
    both, retry_alone = 0b011, 0b001
    assert answer(policy, LIMIT, both) == Action.RETRY
    assert answer(policy, LIMIT + 1, both) == Action.KICK
    assert answer(policy, LIMIT + 1, retry_alone) == Action.RETRY


def test_tree_above_a_tree_leaves_the_rest_to_it(base):
    below = policy_of(grown(*world()), base, "first")
    leave = [Node(NONE, 0, NONE, NONE, NONE, N, 0.0, 0.0)]
    assert answer(policy_of(leave, below, "second"), 99, 0b011) == Action.KICK


def test_noise_gives_no_answer():
    """What saves less than twice its error is left to the base."""
    features, _ = world()
    gains = np.random.default_rng(2).normal(-1, 10, (N, N_ACTIONS))
    gains[:, Action.RETRY] = 0
    nodes = grown(features, gains)
    assert all(node.saved > 2 * node.error for node in nodes if node.answer != NONE)


def test_questions_whose_answers_are_the_same_are_left_out():
    features, gains = world()
    gains[:, Action.KICK] = 100 + features[:, Feature.ISSUES]
    assert told(grown(features, gains)) == "KICK if asked"


def test_rules_a_host_can_not_know_are_not_asked():
    features, gains = world()
    gains[:, Action.KICK] = np.where(features[:, Feature.MMU_WAITERS] > LIMIT, 100, -100)
    assert Feature.MMU_WAITERS not in {node.feature for node in grown(features, gains)}
