"""What the tests of policies share: decisions, and busy replies in a row."""

import numpy as np
import pytest
from hypothesis import strategies as st

from tdx_agents.handwritten import catalogue
from tdx_agents.protocol import Policy
from tdx_env.module import Operand
from tdx_env.state.actors import Path
from tdx_env.state.calls import LAST_SEAMCALL, Leaf
from tdx_env.state.discipline import Action, Exhaustion
from tdx_env.state.features import N_FEATURES, Feature

TREE, EPOCH, ENTRY = int(Operand.SEPT_TREE), int(Operand.TD_EPOCH), int(Operand.RCX)
PATH_OF = {
    Leaf.MEM_SEPT_ADD: Path.FAULT,
    Leaf.MEM_PAGE_AUG: Path.FAULT,
    Leaf.VP_ENTER: Path.ENTER,
    Leaf.MEM_PAGE_ADD: Path.BUILD,
    Leaf.MR_EXTEND: Path.BUILD,
    Leaf.EXPORT_BLOCKW: Path.EXPORT,
    Leaf.EXPORT_MEM: Path.EXPORT,
    Leaf.EXPORT_UNBLOCKW: Path.FAULT,
    Leaf.VP_FLUSH: Path.ENTER,
    Leaf.VP_CREATE: Path.BUILD,
    Leaf.VP_ADDCX: Path.BUILD,
    Leaf.VP_INIT: Path.BUILD,
}
MASKS = {
    Path.FAULT: 7,
    Path.ZAP: 3,
    Path.ENTER: 7,
    Path.BUILD: 5,
    Path.EXPORT: 7,
    Path.INTERRUPTED: 5,
}
N_REPLIES = 100


def features_of(
    leaf: Leaf, operand: int = TREE, path: Path | None = None, **values: int
) -> np.ndarray:
    """Return the features of a decision; those not given are 0, the path is the leaf's own."""
    features = np.zeros(N_FEATURES, np.int64)
    path = PATH_OF.get(leaf, Path.ZAP) if path is None else path
    features[[Feature.PATH, Feature.LEAF, Feature.OPERAND]] = path, leaf, operand
    features[Feature.MASK] = MASKS[path]
    for name, value in values.items():
        features[Feature[name]] = value
    return features


def answers(policy: Policy, leaf: Leaf, operand: int = TREE, path: Path | None = None) -> list[str]:
    """Return what a policy does while one SEAMCALL stays busy: actions, then how it ends.

    It ends with a YIELD, with the exhaustion (in capital letters, as its enum has it), or with
    "AND SO ON" after 100 busy replies.
    """
    record = policy.discipline.record()[0]
    done: list[str] = []
    for issues in range(1, N_REPLIES + 1):
        if record["tree_only"][leaf] and operand != TREE:
            return [*done, Exhaustion(int(record["on_foreign"][leaf])).name]
        if issues >= record["max_issues"][leaf]:
            return [*done, policy.discipline.exhaustion(leaf).name]
        kicks = done.count("KICK")
        features = features_of(leaf, operand, path, ISSUES=issues, KICKS=kicks, N_IN_GUEST=8)
        assert policy.decide is not None
        done.append(Action(policy.decide(features)).name)
        if done[-1] == "YIELD":
            return done
    return [*done, "AND SO ON"]


@pytest.fixture(scope="session")
def by_number() -> dict[str, Policy]:
    """Return the catalogue by number, or by name where there is none."""
    return {policy.number or policy.name: policy for policy in catalogue()}


def decisions() -> st.SearchStrategy[np.ndarray]:
    """Return a strategy for any features: RETRY allowed, the rest of them as it comes."""

    def put(values: list[int], mask: int) -> np.ndarray:
        features = np.array(values, np.int64)
        features[Feature.MASK] = mask
        features[Feature.PATH] = values[0] % (len(Path) + 1) - 1
        features[Feature.LEAF] = values[1] % (LAST_SEAMCALL + 1)
        return features

    values = st.lists(
        st.one_of(st.integers(0, 200), st.integers(0, 1 << 40)),
        min_size=N_FEATURES,
        max_size=N_FEATURES,
    )
    return st.builds(put, values, st.sampled_from([1, 3, 5, 7]))
