"""Decisions of one policy under the discipline of another."""

import numpy as np
import pytest

from tdx_agents import Manifest, Training, load, save_bundle
from tdx_agents.constant import constant
from tdx_agents.crossed import under
from tdx_agents.network import weight_shapes
from tdx_agents.protocol import Kind
from tdx_env.errors import PolicyError
from tdx_env.host.discipline import DECISION_CYCLES, DEFAULT
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import Action
from tests.agents.conftest import features_of

AUG = features_of(Leaf.MEM_PAGE_AUG)


@pytest.fixture
def bundle(tmp_path):
    """Return the folder of an agent with a discipline and a charge of its own."""
    discipline = DEFAULT.with_(gate_scope="page", decision_cycles=777)
    training = Training(config_digest="", seeds=(), scenario_digests={})
    manifest = Manifest(
        name="ppo", hidden=(), activation="relu", discipline=discipline, training=training
    )
    shapes = weight_shapes(manifest.layers)
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    save_bundle(tmp_path / "me@home", weights, manifest)
    return tmp_path / "me@home"


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("mask", range(1, 8, 2))
def test_constant_policy_takes_its_action_wherever_it_is_allowed(action, mask):
    answer = constant(action).decide(features_of(Leaf.MEM_PAGE_AUG, MASK=mask))
    assert answer == (action if mask >> action & 1 else Action.RETRY)


def test_agent_s_discipline_with_retry_is_charged_as_a_counter(bundle):
    policy, agent = load(f"retry@{bundle}"), load(bundle)
    cycles = DECISION_CYCLES["counter"]
    assert policy.discipline == agent.discipline.with_(decision_cycles=cycles, asks="all")
    assert policy.decide(AUG) == Action.RETRY
    assert (policy.name, policy.kind) == ("retry@ppo", Kind.COMPILED)


@pytest.mark.parametrize(("spec", "action"), [("kick@P18", 1), ("Yield@p18", 2), ("P4@P18", 0)])
def test_decisions_are_those_before_the_at(spec, action):
    policy = load(spec)
    assert policy.decide(AUG) == action
    of_decider = {"decision_cycles", "asks"}
    expected = load("P18").discipline.model_dump(exclude=of_decider)
    assert policy.discipline.model_dump(exclude=of_decider) == expected


def test_policy_under_its_own_discipline_is_itself():
    policy = load("P18")
    assert under(policy, policy).discipline == policy.discipline


def test_agent_is_found_in_a_folder_with_an_at_in_its_name(bundle):
    assert load(bundle).name == "ppo"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("rely@P18", "the decisions of 'rely' are unknown, must be retry, kick, yield "),
        ("@P18", "the decisions of '' are unknown"),
        ("retry@P99", "policy 'P99' is unknown"),
        ("retry@", "policy '' is unknown"),
        ("retry@none.py:decide", "none.py: there is no such file"),
    ],
)
def test_unknown_half_is_told(spec, told):
    with pytest.raises(PolicyError, match=told):
        load(spec)
