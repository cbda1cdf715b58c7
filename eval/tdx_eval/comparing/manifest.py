"""The manifest: what is needed to run a comparison again, and to see whether it was the same."""

from typing import Any

from tdx_env.scenarios import digest
from tdx_eval.comparing.identity import code_digest, policy_entry
from tdx_eval.comparing.machine import machines
from tdx_eval.comparing.plan import LARGE_EVENTS, Plan
from tdx_eval.comparing.seeds import FIRST_SEED
from tdx_eval.comparing.statistics import N_RESAMPLES
from tdx_eval.comparing.versions import SIMULATOR, versions

_PACKAGES = (*SIMULATOR, "pandas", "pyarrow")


def _seeds(plan: Plan, split: str) -> dict[str, Any]:
    """Return the seeds of a split: the first one, and how many each scenario has."""
    counts = {name: len(seeds) for name, seeds in plan.seeds(split).items()}
    return {"first": FIRST_SEED[split], "count": counts}


def manifest(plan: Plan) -> dict[str, Any]:
    """Return the manifest of a comparison; nothing in it depends on when or where it ran."""
    wanted = {} if plan.precision is None else {"precision": plan.precision}
    return {
        "versions": versions(_PACKAGES),
        "code": code_digest(),
        "seeds": {split: _seeds(plan, split) for split in ("test", "validation")},
        "large": {"events": LARGE_EVENTS, "scenarios": list(plan.large)},
        "n_resamples": N_RESAMPLES,
        "overrides": dict(plan.overrides),
        "machines": {
            name: machines(scenario, plan.by_spec.values())
            for name, scenario in plan.scenarios.items()
        },
        "scenarios": {name: digest(scenario) for name, scenario in plan.scenarios.items()},
        "validation_scenarios": {
            name: digest(scenario) for name, scenario in plan.validation.items()
        },
        "policies": {
            policy.name: policy_entry(spec, policy) for spec, policy in plan.by_spec.items()
        },
        **wanted,
    }
