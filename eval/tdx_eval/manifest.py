"""The manifest: what is needed to run a comparison again, and to see whether it was the same."""

from collections.abc import Mapping
from typing import Any

from tdx_agents.protocol import Policy
from tdx_env.scenarios import digest, load
from tdx_eval.identity import code_digest, policy_entry
from tdx_eval.plan import LARGE_EVENTS, Plan
from tdx_eval.seeds import FIRST_SEED
from tdx_eval.statistics import N_RESAMPLES
from tdx_eval.versions import SIMULATOR, versions

_PACKAGES = (*SIMULATOR, "pandas", "pyarrow")


def _seeds(plan: Plan, split: str) -> dict[str, Any]:
    """Return the seeds of a split: the first one, and how many each scenario has."""
    counts = {name: len(seeds) for name, seeds in plan.seeds(split).items()}
    return {"first": FIRST_SEED[split], "count": counts}


def manifest(plan: Plan, policies: Mapping[str, Policy]) -> dict[str, Any]:
    """Return the manifest of a comparison; nothing in it depends on when or where it ran.

    Args:
        plan: What was compared.
        policies: The plan's policies by name, in its order.
    """
    specs = (*plan.policies, *plan.contenders)
    return {
        "versions": versions(_PACKAGES),
        "code": code_digest(),
        "seeds": {split: _seeds(plan, split) for split in ("test", "validation")},
        "large": {"events": LARGE_EVENTS, "scenarios": list(plan.large)},
        "n_resamples": N_RESAMPLES,
        "overrides": dict(plan.overrides),
        "scenarios": {name: digest(load(name, plan.overrides)) for name in plan.scenarios},
        "validation_scenarios": {
            name: digest(load(name, plan.overrides)) for name in plan.validation
        },
        "policies": {
            policy.name: policy_entry(spec, policy)
            for spec, policy in zip(specs, policies.values(), strict=True)
        },
    }
