"""Digests of policies."""

from pathlib import Path

import numpy as np

from tdx_agents.bundle import Manifest, Training, save_bundle
from tdx_agents.network import weight_shapes
from tdx_env.host.discipline import DEFAULT
from tdx_eval.comparing.identity import policy_digest
from tdx_eval.comparing.yardsticks import load_policy

TRAINING = Training(config_digest="0" * 64, seeds=(1,), scenario_digests={})


def digest_of_agent(folder: Path, bias: float = 0.0, decision_cycles: int = 500) -> str:
    """Write a bundle and return the digest of its policy."""
    discipline = DEFAULT.with_(decision_cycles=decision_cycles)
    manifest = Manifest(
        name="agent", hidden=(4,), activation="tanh", discipline=discipline, training=TRAINING
    )
    shapes = weight_shapes(manifest.layers)
    weights = {name: np.full(shape, bias, np.float32) for name, shape in shapes.items()}
    save_bundle(folder, weights, manifest)
    return policy_digest(str(folder), load_policy(str(folder)))


def test_digest_of_an_agent_is_of_weights_and_discipline(tmp_path: Path):
    folder = tmp_path / "agent"
    first = digest_of_agent(folder)
    assert digest_of_agent(folder) == first
    assert digest_of_agent(folder, bias=1.0) != first
    assert digest_of_agent(folder, decision_cycles=10) != first


def test_digest_of_a_policy_is_the_same_by_name_and_number():
    assert policy_digest("P18", load_policy("P18")) == policy_digest(
        "p18-merged-6.16", load_policy("P18")
    )


def test_policies_of_one_rule_differ_in_their_names():
    assert policy_digest("P20", load_policy("P20")) != policy_digest("P21", load_policy("P21"))
