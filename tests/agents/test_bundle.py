"""Bundles of learned agents: what is written is read back, anything else is refused."""

import hashlib
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import save

from tdx_agents import Manifest, Training, load, load_bundle, save_bundle
from tdx_agents.bundle import MANIFEST_NAME, WEIGHTS_NAME, load_manifest
from tdx_agents.network import Network, network_cycles, weight_shapes
from tdx_agents.protocol import Kind
from tdx_env.errors import BundleError, OutputError
from tdx_env.host.discipline import DEFAULT
from tdx_env.spaces import observation_names, observation_size

TRAINING = Training(config_digest="c" * 64, seeds=(1, 2), scenario_digests={"s06": "d" * 64})
MANIFEST = Manifest(name="ppo-1", hidden=(16, 8), activation="tanh", training=TRAINING)


def weights_of(manifest=MANIFEST):
    """Return weights that fit a manifest."""
    rng = np.random.default_rng(0)
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


def change_weights(folder, weights):
    """Put other weights into a bundle, with the digest that goes with them."""
    content = weights if isinstance(weights, bytes) else save(weights)
    (folder / WEIGHTS_NAME).write_bytes(content)
    change_manifest(folder, weights_sha256=hashlib.sha256(content).hexdigest())


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
    save_bundle(bundle, weights_of(), MANIFEST.model_copy(update={"name": "ppo-2"}))
    assert load_bundle(bundle).name == "ppo-2"
    names = sorted(path.name for path in bundle.iterdir())
    assert names == [MANIFEST_NAME, "log.txt", WEIGHTS_NAME]


def test_loading_needs_no_torch(bundle):
    code = (
        "import sys; sys.modules['torch'] = None; import tdx_agents; "
        f"tdx_agents.load({str(bundle)!r}); assert sys.modules['torch'] is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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


@pytest.mark.parametrize("name", [MANIFEST_NAME, WEIGHTS_NAME])
def test_missing_file_is_told(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: is missing"):
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
        ({"format_version": 2}, "format_version = 2, must be 1"),
        ({"format_version": None}, "format_version = None, must be 1"),
        ({"activation": "gelu"}, "activation: Input should be 'tanh' or 'relu'"),
        ({"hidden": None}, "hidden: Field required"),
        ({"hidden": None, "discipline": None}, "hidden: Field required"),
        ({"hidden": [16, "x"]}, r"hidden\.1: "),
        ({"hidden": [0]}, r"hidden\.0: "),
        ({"hidden": [1 << 40]}, r"hidden\.0: "),
        ({"training": {}}, r"training\.config_digest: Field required"),
        ({"discipline": {"gate_scope": "all"}}, r"discipline\.gate_scope: "),
        ({"code": "import os"}, "code: Extra inputs are not permitted"),
        ({"observation_names": ["is_start"]}, "has 1 columns, here there are"),
        ({"weights_sha256": "0" * 64}, f"{WEIGHTS_NAME}: is damaged or of another bundle"),
        ({"hidden": [16, 9]}, r"layers\.1\.weight has shape \(8, 16\), must be \(9, 16\)"),
        ({"hidden": [16]}, "must hold layers.0.weight, layers.0.bias"),
    ],
)
def test_manifest_that_is_not_ours_is_refused(bundle, changes, told):
    change_manifest(bundle, **changes)
    with pytest.raises(BundleError, match=told):
        load_bundle(bundle)


def test_manifest_that_is_no_object_is_refused(bundle):
    (bundle / MANIFEST_NAME).write_text("[1]")
    with pytest.raises(BundleError, match="holds a list, must be an object"):
        load_bundle(bundle)


def test_other_order_of_columns_is_refused(bundle):
    names = observation_names()
    names[1], names[2] = names[2], names[1]
    change_manifest(bundle, observation_names=names)
    with pytest.raises(BundleError, match="column 1 is path=ZAP, must be path=FAULT"):
        load_bundle(bundle)


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_cut_weights_are_refused(bundle, cut):
    path = bundle / WEIGHTS_NAME
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BundleError, match="is damaged"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 64, pickle.dumps([1, 2]), b"\x02\x00\x00\x00\x00\x00\x00\x00{}"]
)
def test_weights_of_another_format_are_refused(bundle, content):
    change_weights(bundle, content)
    with pytest.raises(BundleError, match=WEIGHTS_NAME):
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
