"""All scenarios of a study, one after the other or side by side."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from tdx_env.errors import ScenarioError
from tdx_env.scenarios import load
from tdx_eval.comparing.backends import DEFAULT, SEQUENTIAL, run_unordered
from tdx_eval.comparing.seeds import FIRST_SEED
from tdx_eval.comparing.versions import versions
from tdx_eval.costs import ranges
from tdx_eval.costs.rank import TIE_SHARE
from tdx_eval.costs.runs import distinct_policies
from tdx_eval.costs.sensitivity import MAX_EVENTS, N_SETS, study_scenario
from tdx_eval.costs.study import ScenarioStudy, Study

Timed = tuple[ScenarioStudy | int, float]


def contested(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the scenarios with contention, and the controls.

    Raises:
        ScenarioError: There are none with contention, or one is of the test split.
    """
    of_test = next((name for name in names if name.endswith("/test")), None)
    if of_test is not None:
        raise ScenarioError(f"--scenarios {of_test}: the test split stays untouched, use another")
    controls = [name for name in names if load(name).is_control]
    others = [name for name in names if name not in controls]
    if not others:
        raise ScenarioError(f"--scenarios {','.join(names)}: all are controls, without contention")
    return others, controls


def _timed(name: str, max_seeds: int, n_workers: int) -> tuple[str, Timed]:
    """Return a scenario's name, what came of it, and the CPU time it took [s]."""
    started = time.process_time()
    result = study_scenario(name, distinct_policies(), max_seeds)
    return name, (result, time.process_time() - started)


def _all(
    names: Sequence[str], max_seeds: int, n_jobs: int, tick: Callable[[], None]
) -> list[Timed]:
    """Return what came of each scenario, in order."""
    found: dict[str, Timed] = {}
    call = partial(_timed, max_seeds=max_seeds)
    backend = SEQUENTIAL if n_jobs == 1 else DEFAULT
    for name, result in run_unordered(call, names, backend, n_jobs):
        found[name] = result
        tick()
    return [found[name] for name in names]


def play_study(
    names: Sequence[str], max_seeds: int, n_jobs: int, tick: Callable[[], None]
) -> tuple[Study, float]:
    """Play a study.

    Args:
        names: Scenarios; controls among them are left out.
        max_seeds: Most episodes of a policy at an end.
        n_jobs: Processes; the study doesn't depend on it.
        tick: Called after each scenario.

    Returns:
        The study, and the CPU time it took [s].

    Raises:
        ScenarioError: There is nothing to play.
    """
    others, controls = contested(names)
    results = _all(others, max_seeds, n_jobs, tick)
    given = ranges.ranges_of(ranges.common(), ranges.overridden())
    study = Study(
        scenarios=[one for one, _ in results if isinstance(one, ScenarioStudy)],
        left_out={
            name: one
            for name, (one, _) in zip(others, results, strict=True)
            if isinstance(one, int)
        },
        controls=controls,
        n_policies=len(distinct_policies()),
        max_seeds=max_seeds,
        max_events=MAX_EVENTS,
        first_seed=FIRST_SEED["validation"],
        n_sets=N_SETS,
        tie_share=TIE_SHARE,
        ranges=dict(given),
        ranges_digest=ranges.digest_of_ranges(given),
        versions=versions(),
    )
    return study, sum(seconds for _, seconds in results)
