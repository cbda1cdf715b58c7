"""Rules of kernels at work: what 6.19 keeps apart."""

import numpy as np
import pytest

from tdx_agents import load as load_policy
from tdx_env.engine.batch import Batch
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import load, setup_of
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import Action
from tdx_env.state.kernels import kernel_number
from tdx_env.state.world import CELL_LOCKS, N_CALLS, N_HOLDERS, End

PUNCHED = "s19-build-vp-init-v1/train"
BUILT = "s19-build/train"


def played(scenario: str, kernel: str) -> Batch:
    """Play a scenario under blind retry on a kernel."""
    batch = Batch(setup_of(load(scenario, {"host.kernel": kernel})), DEFAULT.record(), 4)
    batch.reset(np.arange(4))
    batch.advance()
    while batch.waiting.any():
        batch.advance(actions=np.full(4, Action.RETRY))
    assert (batch.run["end"] == End.FINISHED).all()
    return batch


def met(batch: Batch, holder: Leaf) -> int:
    """Return how often a zap's call found a lock held by a call."""
    cells = batch.run["cells"].reshape(4, N_CALLS, N_HOLDERS, len(CELL_LOCKS), 2)
    zap = [Leaf.MEM_RANGE_BLOCK, Leaf.MEM_TRACK, Leaf.MEM_PAGE_REMOVE]
    return int(cells[:, zap, holder, :, 0].sum())


@pytest.mark.parametrize(("kernel", "meets"), [("6.16", True), ("6.18", True), ("6.19", False)])
def test_vp_init_meets_a_zap_until_6_18(kernel, meets):
    """B6; Linux 6.19, commit 9a89894f30d5."""
    assert (met(played(PUNCHED, kernel), Leaf.VP_INIT) > 0) == meets


@pytest.mark.parametrize(("kernel", "is_busy"), [("6.18", True), ("6.19", False)])
def test_build_ioctls_meet_until_6_18(kernel, is_busy):
    """B4 and B5; Linux 6.19, tdx_vm_state_guard."""
    assert bool(played(BUILT, kernel).run["n_busy"].any()) == is_busy


@pytest.mark.parametrize(
    ("policy", "kernel"), [("p18-merged-6.16", "6.16"), ("operand", "7.4-queue")]
)
def test_a_row_that_is_a_kernel_brings_it_and_others_take_the_scenarios(policy, kernel):
    setup = setup_of(load(BUILT, {"host.kernel": "7.4-queue"}))
    batch = Batch(setup, load_policy(policy).discipline.record())
    batch.reset([1])
    assert batch.run["kernel"][0] == kernel_number(kernel)
