"""Bundles of learned agents: what is written is read back, anything else is refused."""

import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import save

from tdx_agents import Manifest, Training, load, load_bundle, save_bundle
from tdx_agents.bundle import MANIFEST_NAME, load_manifest, weights_name
from tdx_agents.network import Network, network_cycles, weight_shapes
from tdx_agents.protocol import Kind
from tdx_env.errors import BundleError, OutputError
from tdx_env.host.discipline import DEFAULT
from tdx_env.spaces import observation_names, observation_size
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.objectives import weights_of as objective_weights

ROOT = Path(__file__).resolve().parents[2]
NAMES = observation_names()
TRAINING = Training(config_digest="c" * 64, seeds=(1, 2), scenario_digests={"s06": "d" * 64})
MANIFEST = Manifest(name="ppo-1", hidden=(16, 8), activation="tanh", training=TRAINING)


def weights_of(manifest=MANIFEST, seed=0):
    """Return weights that fit a manifest."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in weight_shapes(manifest.layers).items()
    }


@pytest.fixture
def bundle(tmp_path):
    """Return the folder of a bundle."""
    save_bundle(tmp_path / "agent", weights_of(), MANIFEST)
    return tmp_path / "agent"


def change_manifest(folder, **changes):
    """Change fields of a bundle's manifest as it lies on the disk; None takes one away."""
    path = folder / MANIFEST_NAME
    fields = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in fields.items() if value is not None}))


def weights_path(folder):
    """Return the file of a bundle's weights."""
    return folder / weights_name(load_manifest(folder).weights_sha256)


def change_weights(folder, weights):
    """Put other weights into a bundle, with the digest that goes with them."""
    content = weights if isinstance(weights, bytes) else save(weights)
    digest = hashlib.sha256(content).hexdigest()
    (folder / weights_name(digest)).write_bytes(content)
    change_manifest(folder, weights_sha256=digest)


def test_loaded_policy_acts_as_the_saved_network(bundle):
    policy = load_bundle(bundle)
    observations = np.random.default_rng(2).random((50, observation_size()), np.float32)
    masks = np.tile(np.array([1, 1, 0], np.int8), (50, 1))
    features = np.zeros((50, 0), np.int64)
    expected = Network(weights_of(), "tanh").act(observations, features, masks)
    assert (policy.actions(observations, features, masks) == expected).all()
    assert policy.kind == Kind.BATCHED


def test_policy_has_the_manifest_s_name_and_discipline(tmp_path):
    discipline = DEFAULT.with_(gate_scope="page", decision_cycles=777)
    manifest = MANIFEST.model_copy(update={"discipline": discipline})
    save_bundle(tmp_path, weights_of(), manifest)
    policy = load_bundle(tmp_path)
    assert policy.name == "ppo-1"
    assert policy.discipline == discipline
    assert policy.decision_cycles == 777


@pytest.mark.parametrize("hidden", [(), (16, 8), (64, 64)])
def test_decision_is_charged_by_the_network_s_shape_unless_told(hidden):
    manifest = Manifest(name="x", hidden=hidden, activation="tanh", training=TRAINING)
    cycles = network_cycles(observation_size(), hidden)
    assert manifest.discipline == DEFAULT.with_(decision_cycles=cycles)


def test_manifest_is_read_back_as_written(bundle):
    manifest = load_manifest(bundle)
    assert manifest.training == TRAINING
    assert manifest.model_copy(update={"weights_sha256": ""}) == MANIFEST


def test_folder_is_a_policy_for_load(bundle):
    assert load(str(bundle)).name == "ppo-1"


def test_saving_again_replaces_and_leaves_other_files(bundle):
    (bundle / "log.txt").write_text("mine")
    (bundle / "weights.safetensors").write_text("of an earlier format")
    save_bundle(bundle, weights_of(seed=1), MANIFEST.model_copy(update={"name": "ppo-2"}))
    assert load_bundle(bundle).name == "ppo-2"
    names = sorted(path.name for path in bundle.iterdir())
    assert names == [MANIFEST_NAME, "log.txt", weights_path(bundle).name]


def content_of(folder):
    """Return what lies in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("n_writes", [0, 1])
def test_full_disk_leaves_the_bundle_that_is_there(bundle, monkeypatch, n_writes):
    before = content_of(bundle)
    written = []

    def fsync(number):
        if len(written) == n_writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(number)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match="agent: the bundle can't be written: No space left"):
        save_bundle(bundle, weights_of(seed=1), MANIFEST)
    assert content_of(bundle) == before


def test_failure_to_save_the_same_weights_again_leaves_them(bundle, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = content_of(bundle)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError):
        save_bundle(bundle, weights_of(), MANIFEST)
    assert content_of(bundle) == before


@pytest.mark.parametrize("n_renames", [0, 1])
def test_process_killed_while_saving_leaves_the_bundle_that_is_there(bundle, n_renames):
    code = (
        "import os, pathlib\n"
        "from tests.agents.test_bundle import MANIFEST, save_bundle, weights_of\n"
        "renames, rename = [], pathlib.Path.replace\n"
        "def replace(path, target):\n"
        f"    if len(renames) == {n_renames}: os._exit(9)\n"
        "    renames.append(target)\n"
        "    return rename(path, target)\n"
        "pathlib.Path.replace = replace\n"
        f"save_bundle({str(bundle)!r}, weights_of(seed=1), MANIFEST)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 9
    observations = np.random.default_rng(2).random((20, observation_size()), np.float32)
    masks, nothing = np.ones((20, N_ACTIONS), np.int8), np.zeros((20, 0), np.int64)
    expected = Network(weights_of(), "tanh").act(observations, nothing, masks)
    assert (load_bundle(bundle).actions(observations, nothing, masks) == expected).all()


def test_bundle_replaced_between_its_two_files_is_read_again(bundle, monkeypatch):
    from tdx_agents import bundle as module

    stale = load_manifest(bundle)
    save_bundle(bundle, weights_of(seed=1), MANIFEST.model_copy(update={"name": "ppo-2"}))
    answers = iter([stale, load_manifest(bundle)])
    monkeypatch.setattr(module, "load_manifest", lambda folder: next(answers))
    assert load_bundle(bundle).name == "ppo-2"


def test_loading_needs_no_torch(bundle):
    code = (
        "import sys; sys.modules['torch'] = None; import tdx_agents; "
        f"print(tdx_agents.load({str(bundle)!r}).name)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == f"{MANIFEST.name}\n"


def test_missing_library_names_the_extra_that_brings_it(bundle):
    code = (
        "import sys; sys.modules['safetensors'] = None; import tdx_agents\n"
        f"try: tdx_agents.load({str(bundle)!r})\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "not installed: pip install 'tdx-env[train]'" in done.stdout


def test_unwritable_place_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file: the bundle can't be written"):
        save_bundle(tmp_path / "file", weights_of(), MANIFEST)


def test_weights_that_do_not_fit_are_not_written(tmp_path):
    weights = weights_of()
    weights["layers.0.bias"] = np.zeros(3, np.float32)
    with pytest.raises(BundleError, match=r"layers.0.bias has shape \(3,\), must be \(16,\)"):
        save_bundle(tmp_path / "agent", weights, MANIFEST)
    assert not (tmp_path / "agent").exists()


@pytest.mark.parametrize("find", [lambda folder: folder / MANIFEST_NAME, weights_path])
def test_missing_file_is_told(bundle, find):
    path = find(bundle)
    path.unlink()
    with pytest.raises(BundleError, match=f"{path.name}: is missing; copy the whole folder again"):
        load_bundle(bundle)


def test_pipe_in_place_of_a_file_is_refused(bundle):
    path = weights_path(bundle)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BundleError, match=f"{path.name}: is no regular file"):
        load_bundle(bundle)


@pytest.mark.parametrize("content", ["", "{", "\x00", "[" * 100_000, pickle.dumps({}).hex()])
def test_manifest_that_is_no_json_is_refused(bundle, content):
    (bundle / MANIFEST_NAME).write_text(content)
    with pytest.raises(BundleError, match=f"{MANIFEST_NAME}: is no JSON"):
        load_bundle(bundle)


def test_manifest_that_is_no_text_is_refused(bundle):
    (bundle / MANIFEST_NAME).write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(BundleError, match=f"{MANIFEST_NAME}: is no JSON"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format_version": 1}, "format_version = 1, must be 2"),
        ({"format_version": None}, "format_version = None, must be 2"),
        ({"format_version": [9] * 1000}, r"format_version = \[9, [9, ]*\.\.\.[9, ]*\], must be 2"),
        ({"activation": "gelu"}, "activation: Input should be 'tanh' or 'relu'"),
        ({"hidden": None}, "hidden: Field required"),
        ({"hidden": None, "discipline": None}, "hidden: Field required"),
        ({"hidden": [16, "x"]}, r"hidden\.1: "),
        ({"hidden": [0]}, r"hidden\.0: "),
        ({"hidden": [1 << 40]}, r"hidden\.0: "),
        ({"training": {}}, r"training\.config_digest: Field required"),
        ({"discipline": {"gate_scope": "all"}}, r"discipline\.gate_scope: "),
        ({"code": "import os"}, "code: Extra inputs are not permitted"),
        (
            {"observation_names": ["is_start"]},
            "without 'path=FAULT', .* and 56 more",
        ),
        ({"observation_names": [*NAMES, "new"]}, "other features, with 'new', unknown here"),
        ({"observation_names": [*NAMES, "is_start"]}, "in 63 columns, here there are 62"),
        ({"weights_sha256": "0" * 64}, "weights-0000000000000000.safetensors: is missing"),
        ({"weights_sha256": "../" * 9}, "weights_sha256: String should match pattern"),
        ({"hidden": [16, 9]}, r"layers\.1\.weight has shape \(8, 16\), must be \(9, 16\)"),
        ({"hidden": [16]}, "must hold layers.0.weight, layers.0.bias"),
    ],
)
def test_manifest_that_is_not_ours_is_refused_in_a_line_that_says_how_to_go_on(
    bundle, changes, told
):
    change_manifest(bundle, **changes)
    with pytest.raises(BundleError, match=f"{told}.*train the agent anew with tdx-train") as caught:
        load_bundle(bundle)
    assert len(str(caught.value).splitlines()) == 1


def test_manifest_that_is_no_object_is_refused(bundle):
    (bundle / MANIFEST_NAME).write_text("[1]")
    with pytest.raises(BundleError, match="holds a list, must be an object"):
        load_bundle(bundle)


def test_other_order_of_columns_is_refused(bundle):
    names = observation_names()
    names[1], names[2] = names[2], names[1]
    change_manifest(bundle, observation_names=names)
    with pytest.raises(BundleError, match="in another order: column 1 is path=ZAP, must be"):
        load_bundle(bundle)


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_cut_weights_are_refused(bundle, cut):
    path = weights_path(bundle)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BundleError, match="is damaged"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 64, pickle.dumps([1, 2]), b"\x02\x00\x00\x00\x00\x00\x00\x00{}"]
)
def test_weights_of_another_format_are_refused(bundle, content):
    change_weights(bundle, content)
    told = r"weights-.*\.safetensors: .*train the agent anew with tdx-train"
    with pytest.raises(BundleError, match=told):
        load_bundle(bundle)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(bundle, value):
    weights = weights_of()
    weights["layers.1.bias"][2] = value
    change_weights(bundle, weights)
    with pytest.raises(BundleError, match=r"layers\.1\.bias has a value that is not finite"):
        load_bundle(bundle)


def test_weights_of_another_type_are_refused(bundle):
    weights = weights_of()
    weights["layers.1.bias"] = weights["layers.1.bias"].astype(np.float16)
    change_weights(bundle, weights)
    with pytest.raises(BundleError, match=r"layers\.1\.bias is float16, must be float32"):
        load_bundle(bundle)


def test_manifest_refuses_unknown_fields():
    with pytest.raises(ValidationError):
        Manifest.model_validate({**MANIFEST.model_dump(), "code": ""})


def for_all(**changes):
    """Return the manifest of an agent that reads two features and two weights of the objective."""
    read = ("is_start", "weight=host", "mmu_contended", "weight=preempt_50us")
    return MANIFEST.model_copy(
        update={"observe_objective": True, "inputs": read, "activation": "relu", **changes}
    )


def test_agent_for_all_answers_as_one_that_sees_the_objective(tmp_path):
    manifest = for_all()
    weights = weights_of(manifest)
    save_bundle(tmp_path, weights, manifest)
    policy = load_bundle(tmp_path, "realtime")
    features = np.random.default_rng(0).random((60, observation_size()), np.float32)
    objective = np.tile(objective_weights("realtime").astype(np.float32), (60, 1))
    seen = np.hstack([features, objective])
    columns = [manifest.columns.index(name) for name in manifest.read]
    masks = np.ones((60, N_ACTIONS), np.int8)
    nothing = np.zeros((60, 0), np.int64)
    expected = Network(weights, "relu", columns).act(seen, nothing, masks)
    assert (policy.actions(features, nothing, masks) == expected).all()


def test_agent_for_one_objective_refuses_another(tmp_path):
    manifest = MANIFEST.model_copy(update={"objective": "guest"})
    save_bundle(tmp_path, weights_of(manifest), manifest)
    assert load_bundle(tmp_path, "guest").name == manifest.name
    with pytest.raises(BundleError, match="serves guest alone, not latency"):
        load_bundle(tmp_path, "latency")


def test_decision_is_charged_for_the_columns_that_are_read():
    manifest = Manifest(
        name="few", hidden=(8,), activation="relu", inputs=("level", "issues"), training=TRAINING
    )
    assert manifest.discipline.decision_cycles == network_cycles(2, (8,))


@pytest.mark.parametrize(
    ("inputs", "told"),
    [(["level", "level"], "has a column twice"), (["leveller"], "has 'leveller', unknown here")],
)
def test_inputs_that_nothing_shows_are_refused(bundle, inputs, told):
    change_manifest(bundle, inputs=inputs)
    with pytest.raises(BundleError, match=told):
        load_bundle(bundle)
