"""What version 1 of the environment divides rewards by: measured, and written into the files.

The scale of a scenario is the mean cost, by the objective ``cpu``, of an episode of its train split
under a rule that needs no tuning: busy calls again, and a zap's flush when somebody waits for
mmu_lock. A return of -1 is as good as that rule.
"""

import re
from pathlib import Path

import numpy as np

from tdx_agents.flush import until_waits
from tdx_agents.protocol import Policy
from tdx_env.engine.run import Number
from tdx_env.errors import ScenarioError
from tdx_env.scenarios import Scenario
from tdx_env.state.objectives import N_WEIGHED, cost_of, weights_of
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.seeds import seeds_of

KEY = "reward_scale_v1"
_LINE = re.compile(rf"^{KEY} *=.*\n", re.MULTILINE)
_BEFORE = re.compile(r"^reward_scale *=.*\n", re.MULTILINE)
_PARTS = slice(int(Number.WASTE), int(Number.WASTE) + N_WEIGHED)


def yardstick() -> Policy:
    """Return the rule whose return is about -1: a zap flushes when somebody waits for mmu_lock."""
    return until_waits().compile()


def measured_scale(scenario: Scenario, rule: Policy, n_seeds: int) -> int:
    """Return a scenario's scale, to two digits [cycles].

    Args:
        scenario: Its train split, or a file without splits.
        rule: The rule whose cost it is.
        n_seeds: Episodes.
    """
    parts = run_batch(rule, scenario, seeds_of("train", n_seeds)).numbers[_PARTS]
    mean = max(1.0, float(np.mean(cost_of(parts, weights_of("cpu")))))
    return int(float(f"{mean:.1e}"))


def write_scale(path: Path, scale: int) -> bool:
    """Write a scale into a scenario's file; say whether that changed it.

    Raises:
        ScenarioError: The file has no line `reward_scale` of its own, behind which it belongs.
    """
    before = path.read_text(encoding="utf-8")
    text = _LINE.sub("", before)
    place = _BEFORE.search(text)
    if place is None:
        raise ScenarioError(f"{path}: has no line reward_scale, write {KEY} = {scale:_} by hand")
    after = f"{text[: place.end()]}{KEY} = {scale:_}\n{text[place.end() :]}"
    path.write_text(after, encoding="utf-8")
    return after != before
