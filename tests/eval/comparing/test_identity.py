"""Digests of policies."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tdx_eval
from tdx_agents.bundle import Manifest, Training, save_bundle
from tdx_agents.network import weight_shapes
from tdx_agents.tree import Split, tree_of, write_tree
from tdx_env.host.discipline import DEFAULT
from tdx_env.state.discipline import Action
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


def digest_of_copy(folder: Path) -> str:
    """Return the digest of the code of a copy of the package, in a process of its own."""
    code = "from tdx_eval.comparing import identity; print(identity.__file__, end=' ')"
    code += "\nprint(identity.code_digest())"
    paths = os.pathsep.join([str(folder), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    place, digest = done.stdout.split()
    assert place.startswith(str(folder))
    return digest


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "is_same"),
    [
        ("reporting/wording.py", True),
        ("reporting/templates/report.html", True),
        ("commands/compare.py", True),
        ("lost/chain.py", True),
        ("comparing/episodes.py", False),
        ("comparing/jobs.py", False),
    ],
)
def test_digest_is_of_the_code_that_results_depend_on(tmp_path: Path, file: str, is_same: bool):
    """A new wording leaves finished chunks as they are."""
    copy = tmp_path / "tdx_eval"
    shutil.copytree(Path(tdx_eval.__file__).parent, copy)
    before = digest_of_copy(tmp_path)
    with (copy / file).open("a") as edited:
        edited.write("\n")
    assert (digest_of_copy(tmp_path) == before) is is_same


def test_policies_of_one_rule_differ_in_their_names():
    assert policy_digest("P20", load_policy("P20")) != policy_digest("P21", load_policy("P21"))


def test_digest_of_a_tree_changes_with_its_file(tmp_path):
    path, tree = tmp_path / "mine.json", tree_of("greedy-tree")
    digests = []
    for answer in (Action.KICK, Action.YIELD):
        write_tree(replace(tree, root=Split("blocked", 3, answer, Action.RETRY)), path)
        digests.append(policy_digest(str(path), load_policy(str(path))))
    assert digests[0] != digests[1]
