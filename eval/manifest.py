"""The manifest: what is needed to run a comparison again, and to see whether it was the same."""

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agents.bundle import is_bundle, load_manifest
from agents.protocol import Policy
from eval.plan import Plan
from eval.seeds import seeds_of
from eval.statistics import N_RESAMPLES
from tdx_env.scenarios import digest, load

_PACKAGES = ("tdx-env", "numpy", "numba", "pandas", "pyarrow")


def _digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _origin(spec: str) -> dict[str, Any]:
    """Return what identifies a policy that comes from a file or folder."""
    folder, file = Path(spec), Path(spec.rpartition(":")[0])
    if is_bundle(folder):
        bundle = load_manifest(folder)
        return {
            "weights_sha256": bundle.weights_sha256,
            "training": bundle.training.model_dump(mode="json"),
        }
    if file.suffix == ".py" and file.is_file():
        return {"file_sha256": _digest_of(file)}
    return {}


def _policy_entry(spec: str, policy: Policy) -> dict[str, Any]:
    """Return the manifest's entry of a policy."""
    return {
        "source": policy.source,
        "kind": str(policy.kind),
        "discipline": policy.discipline.model_dump(mode="json"),
        **_origin(spec),
    }


def manifest(plan: Plan, policies: Mapping[str, Policy]) -> dict[str, Any]:
    """Return the manifest of a comparison; nothing in it depends on when or where it ran.

    Args:
        plan: What was compared.
        policies: The plan's policies by name, in its order.
    """
    specs = (*plan.policies, *plan.contenders)
    test = seeds_of("test", plan.n_seeds)
    validation = seeds_of("validation", plan.n_validation_seeds)
    return {
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES},
        "seeds": {
            "test": {"first": test.start, "count": len(test)},
            "validation": {"first": validation.start, "count": len(validation)},
        },
        "n_resamples": N_RESAMPLES,
        "overrides": dict(plan.overrides),
        "scenarios": {name: digest(load(name, plan.overrides)) for name in plan.scenarios},
        "validation_scenarios": {
            name: digest(load(name, plan.overrides)) for name in plan.validation
        },
        "policies": {
            policy.name: _policy_entry(spec, policy)
            for spec, policy in zip(specs, policies.values(), strict=True)
        },
    }
