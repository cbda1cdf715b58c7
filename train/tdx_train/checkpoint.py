"""What a run needs to go on after it was killed: arrays in one file, and what they belong to.

The file is NumPy's .npz without pickles: reading one executes nothing.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tdx_env.errors import CheckpointError
from tdx_train.training_plan import TrainingPlan

Arrays = dict[str, NDArray[Any]]
_ABOUT = "about"


def belongs_to(plan: TrainingPlan, versions: Mapping[str, str]) -> dict[str, Any]:
    """Return what a run and its checkpoint have to have in common, by name.

    Args:
        plan: The run.
        versions: Of the libraries it depends on.
    """
    return {
        "configuration": plan.config_digest,
        "training scenarios": plan.training.digests,
        "validation scenarios": plan.validation.digests,
        "versions": dict(versions),
    }


def packed(about: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Return a checkpoint as the content of a file.

    Args:
        about: What it belongs to, and numbers and texts, as JSON has them.
        arrays: The state.
    """
    file = io.BytesIO()
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    everything: dict[str, Any] = {_ABOUT: text, **arrays}
    np.savez(file, **everything)
    return file.getvalue()


def unpacked(path: Path, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], Arrays]:
    """Return what a checkpoint holds: numbers and texts, and arrays.

    Args:
        path: Its file.
        wanted: What the run has to have in common with it.

    Raises:
        CheckpointError: It is damaged, or of another run.
    """
    try:
        # From memory: numpy leaves a file open that is no archive.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        about: dict[str, Any] = json.loads(arrays.pop(_ABOUT).tobytes())
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise CheckpointError(f"{path}: is no checkpoint, or damaged: {error}") from error
    for name, value in wanted.items():
        if about.get(name) != value:
            raise CheckpointError(
                f"{path}: its {name} {_difference(about.get(name), value)} since; put back what "
                "was there, or start anew without --resume"
            )
    return about, arrays


def _difference(before: object, now: object) -> str:
    """Return what changed, in a few words."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return "changed"
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return f"changed ({', '.join(names)})"


def under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return arrays with a prefix before their names."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def below(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays whose names have a prefix, by what follows it."""
    start = f"{prefix}/"
    return {name[len(start) :]: one for name, one in arrays.items() if name.startswith(start)}
