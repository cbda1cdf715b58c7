"""Bundles: a learned agent in a folder, as numbers and JSON. Loading one executes nothing of it.

A bundle is a folder with ``bundle.json`` (a `Manifest`) and the weights that it names by their
digest. The weights are written first: the rename of the manifest alone decides which bundle it is.
Other files in the folder are left alone.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tdx_agents.network import Network, network_cycles, weight_shapes
from tdx_agents.place import is_file
from tdx_agents.protocol import Kind, Policy
from tdx_env.errors import BundleError, MissingExtraError, OutputError, shown
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.spaces import observation_names
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.objectives import WEIGHED, ObjectiveSpec, objective_name, weights_of

FORMAT_VERSION = 2
MANIFEST_NAME = "bundle.json"
_WEIGHTS_NAMES = re.compile(r"weights(-[0-9a-f]{16})?\.safetensors")  # format 1 had no digest
_DIGITS = 16
_SHOWN = 5  # names in a message
_TRAIN_ANEW = "train the agent anew with tdx-train, or use the version of tdx-env that made it"
_COPY_ANEW = "copy the whole folder again, or train the agent anew with tdx-train"
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
    names = fields["observation_names"]
    read = names if fields.get("inputs") is None else [n for n in fields["inputs"] if n in names]
    return DEFAULT.with_(decision_cycles=network_cycles(len(read), fields["hidden"]))


def weight_columns() -> list[str]:
    """Return the names of the columns in which an observation shows the objective's weights."""
    return [f"weight={name}" for name in WEIGHED]


class Manifest(BaseModel):
    """What ``bundle.json`` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[2] = 2
    name: str = Field(min_length=1, max_length=255, description="what reports show")
    hidden: tuple[_Width, ...] = Field(
        max_length=_MAX_LAYERS, description="width of each hidden layer, in order"
    )
    activation: Literal["tanh", "relu"] = Field(description="after each hidden layer")
    observation_names: tuple[str, ...] = Field(
        default_factory=lambda: tuple(observation_names()),
        description="columns of the observation it was trained on, in order",
    )
    observe_objective: bool = Field(
        default=False,
        description="whether the weights of the objective stand behind the observation: the agent "
        "serves all objectives",
    )
    inputs: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="columns that the network reads, in order; left out: all of them",
    )
    objective: str = Field(
        default="", description="what it was trained for; of an agent for all, what it starts with"
    )
    discipline: Discipline = Field(
        default_factory=_charged_for_its_shape,
        description="what the host does round its decisions, decision_cycles included; left out: "
        "the default discipline, charged what the network's shape gives",
    )
    training: Training
    weights_sha256: str = Field(
        default="",
        pattern="^([0-9a-f]{64})?$",
        description="digest of the weights, which names their file; set when saved",
    )

    @property
    def columns(self) -> list[str]:
        """Names of all that the observation shows, the objective's weights included."""
        return [*self.observation_names, *(weight_columns() if self.observe_objective else ())]

    @property
    def read(self) -> list[str]:
        """Names of the columns that the network reads, in order."""
        return self.columns if self.inputs is None else list(self.inputs)

    @property
    def layers(self) -> tuple[int, ...]:
        """Widths from what is read over the hidden layers to the actions."""
        return (len(self.read), *self.hidden, N_ACTIONS)


def weights_name(digest: str) -> str:
    """Return the name of the file of weights with a SHA-256."""
    return f"weights-{digest[:_DIGITS]}.safetensors"


def is_ours(name: str) -> bool:
    """Say whether a file's name is one that a bundle has, or one of an earlier format had."""
    return name == MANIFEST_NAME or _WEIGHTS_NAMES.fullmatch(name) is not None


def complaint(error: ValidationError) -> str:
    """Return what a model finds wrong, in one line."""
    problems = []
    for problem in error.errors(include_url=False):
        place = ".".join(str(part) for part in problem["loc"])
        problems.append(f"{place}: {problem['msg']}" if place else problem["msg"])
    return " ".join("; ".join(problems).split())


def put_file(path: Path, content: bytes) -> None:
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


def _put(folder: Path, weights: bytes, manifest: Manifest) -> None:
    """Write weights, then the manifest that names them, then remove the weights before them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / weights_name(manifest.weights_sha256)
    was_there = path.exists()
    try:
        put_file(path, weights)
        put_file(folder / MANIFEST_NAME, manifest.model_dump_json(indent=2).encode() + b"\n")
    except OSError:
        if not was_there:
            path.unlink(missing_ok=True)
        raise
    for other in folder.iterdir():
        if other.name != path.name and _WEIGHTS_NAMES.fullmatch(other.name):
            other.unlink(missing_ok=True)


def save_bundle(
    folder: str | Path, weights: Mapping[str, NDArray[np.floating]], manifest: Manifest
) -> None:
    """Write a bundle, in place of one that is there; if that fails, the one that is there stays.

    Args:
        folder: Is made if it is missing.
        weights: ``layers.N.weight`` (outputs, inputs) and ``layers.N.bias`` (outputs,) for each
            layer, as `torch.nn.Linear` has them; the last layer gives a number for each action.
        manifest: What describes them.

    Raises:
        BundleError: The weights don't fit the manifest.
        OutputError: The folder can't be written.
        MissingExtraError: The library that reads and writes weights is not installed.
    """
    library = _safetensors()
    folder = Path(folder)
    plain = {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}
    _check_weights(folder, plain, manifest, "give the weights of such a network")
    content = library.numpy.save(plain)
    digest = hashlib.sha256(content).hexdigest()
    try:
        _put(folder, content, manifest.model_copy(update={"weights_sha256": digest}))
    except OSError as error:
        raise OutputError(f"{folder}: the bundle can't be written: {error.strerror}") from error


def is_bundle(folder: Path) -> bool:
    """Say whether a folder has the manifest of a bundle."""
    return is_file(folder / MANIFEST_NAME)


def _read(path: Path) -> bytes:
    """Return the content of a file of a bundle."""
    try:
        if path.exists() and not path.is_file():
            raise BundleError(f"{path}: is no regular file")  # a pipe would be waited for
        return path.read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{path}: is missing; {_COPY_ANEW}") from None
    except OSError as error:
        raise BundleError(f"{path}: can't be read: {error.strerror}") from error


def _fields(path: Path) -> dict[str, Any]:
    """Return what a manifest holds, if it is of our format."""
    try:
        fields: Any = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{path}: is no JSON: {error}; {_COPY_ANEW}") from None
    if not isinstance(fields, dict):
        kind = type(fields).__name__
        raise BundleError(f"{path}: holds a {kind}, must be an object; {_COPY_ANEW}")
    version = fields.get("format_version")
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path}: format_version = {shown(version)}, must be {FORMAT_VERSION}; {_TRAIN_ANEW}"
        )
    return fields


def load_manifest(folder: str | Path) -> Manifest:
    """Return what describes a bundle.

    Raises:
        BundleError: It is missing, damaged, of another format, or for another observation.
    """
    path = Path(folder) / MANIFEST_NAME
    fields = _fields(path)
    try:
        manifest = Manifest.model_validate_json(json.dumps(fields))
    except ValidationError as error:
        raise BundleError(f"{path}: {complaint(error)}; {_TRAIN_ANEW}") from None
    _check_observation(path, manifest)
    _check_inputs(path, manifest)
    return manifest


def _check_inputs(path: Path, manifest: Manifest) -> None:
    """Refuse a bundle whose network reads a column twice, or one that nothing shows."""
    known = set(manifest.columns)
    unknown = [name for name in manifest.read if name not in known]
    if unknown:
        raise BundleError(f"{path}: inputs has {_listed(unknown)}, unknown here; {_TRAIN_ANEW}")
    if len(set(manifest.read)) < len(manifest.read):
        raise BundleError(f"{path}: inputs has a column twice; {_TRAIN_ANEW}")


def _listed(names: Sequence[str]) -> str:
    """Return some names, the first ones of many."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(shown, names[:_SHOWN])) + more


def _check_observation(path: Path, manifest: Manifest) -> None:
    """Refuse a bundle that was trained on other columns than ours, and say which."""
    ours = observation_names(manifest.discipline.asks)
    theirs = list(manifest.observation_names)
    if theirs == ours:
        return
    lacking = [name for name in ours if name not in theirs]
    unknown = [name for name in theirs if name not in ours]
    differences = []
    if lacking:
        differences.append(f"without {_listed(lacking)}")
    if unknown:
        differences.append(f"with {_listed(unknown)}, unknown here")
    if not differences and len(theirs) != len(ours):
        differences.append(f"in {len(theirs)} columns, here there are {len(ours)}")
    if not differences:
        place = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        differences.append(
            f"in another order: column {place} is {theirs[place]}, must be {ours[place]}"
        )
    told = ", ".join(differences)
    raise BundleError(f"{path}: was trained on other features, {told}; {_TRAIN_ANEW}")


def _check_weights(
    path: Path, weights: Mapping[str, NDArray[np.generic]], manifest: Manifest, advice: str
) -> None:
    """Refuse weights of other names, types or shapes than the manifest's, or not finite."""
    wanted = weight_shapes(manifest.layers)
    if set(weights) != set(wanted):
        have, must = _listed(sorted(weights)) or "nothing", ", ".join(wanted)
        raise BundleError(f"{path}: holds {have}; must hold {must}; {advice}")
    for name, shape in wanted.items():
        array = weights[name]
        if array.shape != shape:
            raise BundleError(f"{path}: {name} has shape {array.shape}, must be {shape}; {advice}")
        if array.dtype != np.float32:
            raise BundleError(f"{path}: {name} is {array.dtype}, must be float32; {advice}")
        if not np.isfinite(array).all():
            raise BundleError(f"{path}: {name} has a value that is not finite; {advice}")


def _safetensors() -> Any:
    """Return the library that reads and writes weights.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import safetensors.numpy
    except ImportError:
        raise MissingExtraError.of("a learned agent", "safetensors", "train") from None
    return safetensors


def load_weights(folder: str | Path, manifest: Manifest) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a bundle.

    Raises:
        BundleError: They are missing, damaged, or don't fit the manifest.
        MissingExtraError: The library that reads them is not installed.
    """
    library = _safetensors()
    path = Path(folder) / weights_name(manifest.weights_sha256)
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != manifest.weights_sha256:
        raise BundleError(f"{path}: is damaged, its digest differs; {_COPY_ANEW}")
    try:
        weights: dict[str, NDArray[np.float32]] = library.numpy.load(content)
    except (library.SafetensorError, KeyError, ValueError) as error:
        raise BundleError(f"{path}: is no safetensors file: {error}; {_TRAIN_ANEW}") from None
    _check_weights(path, weights, manifest, _TRAIN_ANEW)
    return weights


def _load_both(folder: str | Path) -> tuple[Manifest, dict[str, NDArray[np.float32]]]:
    """Return manifest and weights; once more if the bundle was replaced between the two."""
    manifest = load_manifest(folder)
    try:
        return manifest, load_weights(folder, manifest)
    except BundleError:
        newer = load_manifest(folder)
        if newer.weights_sha256 == manifest.weights_sha256:
            raise
        return newer, load_weights(folder, newer)


def load_bundle(folder: str | Path, objective: ObjectiveSpec | None = None) -> Policy:
    """Return the policy of a bundle; it needs no torch.

    Args:
        folder: The bundle's.
        objective: What episodes cost, for an agent that serves all objectives; None: what it
            starts with.

    Raises:
        BundleError: The bundle is damaged, not one of ours, for another observation, or of an
            agent that serves one objective while another is given.
        ObjectiveError: The objective is none.
        MissingExtraError: The library that reads weights is not installed.
    """
    manifest, weights = _load_both(folder)
    network = network_of(manifest, weights, _served(folder, manifest, objective))
    about = f", objective {objective_name(objective)}" if objective is not None else ""
    return Policy(
        name=manifest.name,
        number="",
        title="learned network",
        source=f"{folder}, configuration {manifest.training.config_digest[:12]}{about}",
        kind=Kind.BATCHED,
        discipline=manifest.discipline,
        act=network.act,
    )


def _served(
    folder: str | Path, manifest: Manifest, objective: ObjectiveSpec | None
) -> ObjectiveSpec | None:
    """Return the objective that a bundle is to serve, None if it is told none."""
    if not manifest.observe_objective:
        if objective is not None and objective_name(objective) != manifest.objective:
            raise BundleError(
                f"{folder}: serves {manifest.objective or 'one objective'} alone, not "
                f"{objective_name(objective)}; give an agent whose observation shows the objective"
            )
        return None
    return objective if objective is not None else manifest.objective or "cpu"


def network_of(
    manifest: Manifest,
    weights: Mapping[str, NDArray[np.float32]],
    objective: ObjectiveSpec | None,
) -> Network:
    """Return the network of a bundle, which reads an observation without an objective.

    An objective doesn't change within an episode: what it adds to the first layer becomes a part
    of that layer's bias.

    Args:
        manifest: The bundle's.
        weights: The bundle's.
        objective: What episodes cost, if the network reads that.
    """
    names, shown = list(manifest.observation_names), weight_columns()
    is_weight = np.array([name in shown for name in manifest.read])
    columns = [names.index(name) for name in manifest.read if name in names]
    if objective is None or not is_weight.any():
        return Network(weights, manifest.activation, columns)
    values = weights_of(objective).astype(np.float32)
    read = [shown.index(name) for name in manifest.read if name in shown]
    first = weights["layers.0.weight"]
    folded = {
        **weights,
        "layers.0.weight": first[:, ~is_weight],
        "layers.0.bias": weights["layers.0.bias"] + first[:, is_weight] @ values[read],
    }
    return Network(folded, manifest.activation, columns)
