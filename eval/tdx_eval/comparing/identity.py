"""What the results of a comparison depend on, as digests: the code and the policies."""

import functools
import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tdx_agents.bundle import MANIFEST_NAME, is_bundle, load_manifest
from tdx_agents.protocol import Policy
from tdx_agents.shipped import shipped_folder
from tdx_agents.tree import tree_place
from tdx_env.jit import _digest as simulator_digest

_WING = Path(__file__).resolve().parent
_LENGTH = 16  # hexadecimal digits of a digest


def digest_of(content: object) -> str:
    """Return a digest of what can be written as JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


@functools.cache
def code_digest() -> str:
    """Return a digest of the simulator, the catalogue of policies and the wing `comparing`.

    How results are shown (`reporting`, `commands`) is no part of it: a new wording leaves finished
    chunks as they are.
    """
    own = {
        path.relative_to(_WING).as_posix(): path.read_text(encoding="utf-8")
        for path in _WING.rglob("*.py")
    }
    return digest_of([version("tdx-env"), np.__version__, simulator_digest(), own])


def _sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _origin(spec: str) -> dict[str, Any]:
    """Return what identifies a policy that comes from a file or folder."""
    folder, file = shipped_folder(spec) or Path(spec), Path(spec.rpartition(":")[0])
    if is_bundle(folder):
        bundle = load_manifest(folder)
        return {
            "bundle_sha256": _sha256(folder / MANIFEST_NAME),
            "weights_sha256": bundle.weights_sha256,
            "training": bundle.training.model_dump(mode="json"),
        }
    if file.suffix == ".py" and file.is_file():
        return {"file_sha256": _sha256(file)}
    tree = tree_place(spec.partition("@")[0])
    if tree is not None:
        return {"file_sha256": _sha256(tree)}
    return {}


def policy_entry(spec: str, policy: Policy) -> dict[str, Any]:
    """Return what a manifest says about a policy.

    Of a user's policy it knows the file, not what the file imports.

    Args:
        spec: What the policy was loaded by.
        policy: The policy.
    """
    return {
        "source": policy.source,
        "kind": str(policy.kind),
        "discipline": policy.discipline.model_dump(mode="json"),
        **_origin(spec),
    }


def policy_digest(spec: str, policy: Policy) -> str:
    """Return a digest of a policy: its name, discipline and weights or file.

    The rules of hand-written policies are part of the code.
    """
    return digest_of([policy.name, policy_entry(spec, policy)])
