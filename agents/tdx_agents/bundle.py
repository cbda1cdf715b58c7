"""Bundles: a learned agent in a folder, as numbers and JSON. Loading one executes nothing of it.

A bundle is a folder with ``bundle.json`` (a `Manifest`) and ``weights.safetensors``. Other files in
the folder are left alone.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tdx_agents.network import Network, network_cycles, weight_shapes
from tdx_agents.protocol import Kind, Policy
from tdx_env.errors import BundleError, OutputError
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.spaces import observation_names
from tdx_env.state.discipline import N_ACTIONS

FORMAT_VERSION = 1
MANIFEST_NAME = "bundle.json"
WEIGHTS_NAME = "weights.safetensors"
_MAX_WIDTH = 1 << 16
_MAX_LAYERS = 64
_Width = Annotated[int, Field(ge=1, le=_MAX_WIDTH)]


class Training(BaseModel):
    """Where an agent comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config_digest: str = Field(description="SHA-256 of the resolved training configuration")
    seeds: tuple[int, ...] = Field(description="seeds it was trained with")
    scenario_digests: dict[str, str] = Field(description="scenario name to SHA-256 of its content")


def _charged_for_its_shape(fields: dict[str, Any]) -> Discipline:
    """Return the default discipline, its decisions charged by the network's shape."""
    cycles = network_cycles(len(fields["observation_names"]), fields["hidden"])
    return DEFAULT.with_(decision_cycles=cycles)


class Manifest(BaseModel):
    """What ``bundle.json`` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    name: str = Field(min_length=1, max_length=100, description="what reports show")
    hidden: tuple[_Width, ...] = Field(
        max_length=_MAX_LAYERS, description="width of each hidden layer, in order"
    )
    activation: Literal["tanh", "relu"] = Field(description="after each hidden layer")
    observation_names: tuple[str, ...] = Field(
        default_factory=lambda: tuple(observation_names()),
        description="columns of the observation it was trained on, in order",
    )
    discipline: Discipline = Field(
        default_factory=_charged_for_its_shape,
        description="what the host does round its decisions, decision_cycles included; left out: "
        "the default discipline, charged what the network's shape gives",
    )
    training: Training
    weights_sha256: str = Field(default="", description="digest of the weights; set when saved")

    @property
    def layers(self) -> tuple[int, ...]:
        """Widths from the observation over the hidden layers to the actions."""
        return (len(self.observation_names), *self.hidden, N_ACTIONS)


def complaint(error: ValidationError) -> str:
    """Return what a model finds wrong, in one line."""
    problems = []
    for problem in error.errors(include_url=False):
        place = ".".join(str(part) for part in problem["loc"])
        problems.append(f"{place}: {problem['msg']}" if place else problem["msg"])
    return "; ".join(problems)


def _write(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it: it is old, or new, never half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_bundle(
    folder: str | Path, weights: Mapping[str, NDArray[np.floating]], manifest: Manifest
) -> None:
    """Write a bundle, in place of one that is there.

    Args:
        folder: Is made if it is missing.
        weights: ``layers.N.weight`` (outputs, inputs) and ``layers.N.bias`` (outputs,) for each
            layer, as `torch.nn.Linear` has them; the last layer gives a number for each action.
        manifest: What describes them.

    Raises:
        BundleError: The weights don't fit the manifest.
        OutputError: The folder can't be written.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    plain = {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}
    _check_weights(folder, plain, manifest)
    content = save(plain)
    digest = hashlib.sha256(content).hexdigest()
    full = manifest.model_copy(update={"weights_sha256": digest})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / WEIGHTS_NAME, content)
        _write(folder / MANIFEST_NAME, full.model_dump_json(indent=2).encode() + b"\n")
    except OSError as error:
        raise OutputError(f"{folder}: the bundle can't be written: {error.strerror}") from error


def is_bundle(folder: Path) -> bool:
    """Say whether a folder has the manifest of a bundle."""
    return (folder / MANIFEST_NAME).is_file()


def _read(path: Path) -> bytes:
    """Return the content of a file of a bundle."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{path}: is missing") from None
    except OSError as error:
        raise BundleError(f"{path}: can't be read: {error.strerror}") from error


def load_manifest(folder: str | Path) -> Manifest:
    """Return what describes a bundle.

    Raises:
        BundleError: It is missing, damaged, of another format, or for another observation.
    """
    path = Path(folder) / MANIFEST_NAME
    content = _read(path)
    try:
        fields: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise BundleError(f"{path}: holds a {type(fields).__name__}, must be an object")
    version = fields.get("format_version")
    if version != FORMAT_VERSION:
        raise BundleError(f"{path}: format_version = {version!r}, must be {FORMAT_VERSION}")
    try:
        manifest = Manifest.model_validate_json(json.dumps(fields))
    except ValidationError as error:
        raise BundleError(f"{path}: {complaint(error)}") from None
    _check_observation(path, manifest)
    return manifest


def _check_observation(path: Path, manifest: Manifest) -> None:
    """Refuse a bundle that was trained on other columns than ours."""
    ours, theirs = observation_names(), list(manifest.observation_names)
    if theirs == ours:
        return
    pairs = zip(ours, theirs, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))
    theirs_there = theirs[place] if place < len(theirs) else "nothing"
    ours_there = ours[place] if place < len(ours) else "nothing"
    raise BundleError(
        f"{path}: observation_names has {len(theirs)} columns, here there are {len(ours)}; "
        f"column {place} is {theirs_there}, must be {ours_there}"
    )


def _check_weights(
    path: Path, weights: Mapping[str, NDArray[np.generic]], manifest: Manifest
) -> None:
    """Refuse weights of other names, types or shapes than the manifest's, or not finite."""
    wanted = weight_shapes(manifest.layers)
    if set(weights) != set(wanted):
        have, must = ", ".join(sorted(weights)) or "nothing", ", ".join(wanted)
        raise BundleError(f"{path}: holds {have}; must hold {must}")
    for name, shape in wanted.items():
        array = weights[name]
        if array.shape != shape:
            raise BundleError(f"{path}: {name} has shape {array.shape}, must be {shape}")
        if array.dtype != np.float32:
            raise BundleError(f"{path}: {name} is {array.dtype}, must be float32")
        if not np.isfinite(array).all():
            raise BundleError(f"{path}: {name} has a value that is not finite")


def load_weights(folder: str | Path, manifest: Manifest) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a bundle.

    Raises:
        BundleError: They are missing, damaged, or don't fit the manifest.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(folder) / WEIGHTS_NAME
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != manifest.weights_sha256:
        raise BundleError(f"{path}: is damaged or of another bundle: its digest differs")
    try:
        weights = load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise BundleError(f"{path}: is no safetensors file: {error}") from None
    _check_weights(path, weights, manifest)
    return weights


def load_bundle(folder: str | Path) -> Policy:
    """Return the policy of a bundle; it needs no torch.

    Raises:
        BundleError: The bundle is damaged, not one of ours, or for another observation.
    """
    manifest = load_manifest(folder)
    network = Network(load_weights(folder, manifest), manifest.activation)
    return Policy(
        name=manifest.name,
        number="",
        title="learned network",
        source=f"{folder}, configuration {manifest.training.config_digest[:12]}",
        kind=Kind.BATCHED,
        discipline=manifest.discipline,
        act=network.act,
    )
