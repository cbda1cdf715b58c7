"""What the tests of policies share: decisions, and busy replies in a row."""

import numpy as np
import pytest
from hypothesis import strategies as st

from tdx_agents.handwritten import catalogue
from tdx_agents.protocol import Policy
from tdx_env.module import Operand
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import LAST_SEAMCALL, Leaf
from tdx_env.state.discipline import Action, Exhaustion
from tdx_env.state.features import N_FEATURES, Feature

TREE, EPOCH, ENTRY = int(Operand.SEPT_TREE), int(Operand.TD_EPOCH), int(Operand.RCX)
PATH_OF = {
    Leaf.MEM_SEPT_ADD: CallPath.FAULT,
    Leaf.MEM_PAGE_AUG: CallPath.FAULT,
    Leaf.VP_ENTER: CallPath.ENTER,
    Leaf.MEM_PAGE_ADD: CallPath.BUILD,
    Leaf.MR_EXTEND: CallPath.BUILD,
    Leaf.EXPORT_BLOCKW: CallPath.EXPORT,
    Leaf.EXPORT_MEM: CallPath.EXPORT,
    Leaf.EXPORT_UNBLOCKW: CallPath.FAULT,
    Leaf.VP_FLUSH: CallPath.ENTER,
    Leaf.VP_CREATE: CallPath.BUILD,
    Leaf.VP_ADDCX: CallPath.BUILD,
    Leaf.VP_INIT: CallPath.BUILD,
}
MASKS = {
    CallPath.FAULT: 7,
    CallPath.ZAP: 3,
    CallPath.ENTER: 7,
    CallPath.BUILD: 5,
    CallPath.EXPORT: 7,
    CallPath.INTERRUPTED: 5,
    CallPath.FLUSH: 7,
}
N_REPLIES = 100


def features_of(
    leaf: Leaf, operand: int = TREE, path: CallPath | None = None, **values: int
) -> np.ndarray:
    """Return the features of a decision; those not given are 0, the path is the leaf's own."""
    features = np.zeros(N_FEATURES, np.int64)
    path = PATH_OF.get(leaf, CallPath.ZAP) if path is None else path
    features[[Feature.PATH, Feature.LEAF, Feature.OPERAND]] = path, leaf, operand
    features[Feature.MASK] = MASKS[path]
    for name, value in values.items():
        features[Feature[name]] = value
    return features


def answers(
    policy: Policy, leaf: Leaf, operand: int = TREE, path: CallPath | None = None
) -> list[str]:
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
        features[Feature.PATH] = values[0] % (len(CallPath) + 1) - 1
        features[Feature.LEAF] = values[1] % (LAST_SEAMCALL + 1)
        return features

    values = st.lists(
        st.one_of(st.integers(0, 200), st.integers(0, 1 << 40)),
        min_size=N_FEATURES,
        max_size=N_FEATURES,
    )
    return st.builds(put, values, st.sampled_from([1, 3, 5, 7]))
