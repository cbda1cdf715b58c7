"""Whether docs/costs.md and docs/costs.json are current; nothing is played."""

from itertools import zip_longest
from pathlib import Path

from tdx_env.errors import ResultError, ScenarioError
from tdx_env.scenarios import load, setup_of
from tdx_eval.costs import ranges
from tdx_eval.costs.file import JSON, PAGE, read_study
from tdx_eval.costs.page import page
from tdx_eval.costs.ranges import Ranges
from tdx_eval.costs.runs import setup_digest
from tdx_eval.costs.study import Study

_AGAIN = "run tdx-eval costs --write"
_SHOWN = 60  # characters of a line
_PAGE_AGAIN = "run tdx-eval costs --page"


def _written(ends: tuple[int, int] | None) -> str:
    """Return a range for a message."""
    return "no such cost" if ends is None else f"{ends[0]:,}..{ends[1]:,}"


def _check_ranges(path: Path, study: Study, given: Ranges) -> None:
    """Check that the study was made with today's ranges.

    Raises:
        ResultError: It wasn't.
    """
    if study.ranges_digest == ranges.digest_of_ranges(given):
        return
    names = dict.fromkeys([*given, *study.ranges])
    changed = next((one for one in names if given.get(one) != study.ranges.get(one)), None)
    if changed is None:
        raise ResultError(f"{path}: its ranges_digest is not that of its ranges, {_AGAIN}")
    before, now = _written(study.ranges.get(changed)), _written(given.get(changed))
    raise ResultError(f"{path}: computed with {changed} = {before}, now it is {now}, {_AGAIN}")


def _check_page(path: Path, wanted: str) -> None:
    """Check that the page is what it would be made to be now.

    Raises:
        ResultError: It isn't; the line of a cost is named before any other.
    """
    try:
        found = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ResultError(f"{path}: can't be read: {error.strerror or error}") from error
    lines = enumerate(zip_longest(found, wanted.splitlines()), 1)
    stale = [(number, right) for number, (line, right) in lines if line != right]
    if not stale:
        return
    number, right = next((one for one in stale if (one[1] or "").startswith("| `")), stale[0])
    must = "the end" if right is None else f"{right[:_SHOWN]}..."
    raise ResultError(f"{path}: line {number} is stale, must be {must}; {_PAGE_AGAIN}")


def check_study(folder: Path) -> Study:
    """Check study and page against the costs of today.

    Args:
        folder: Where both are.

    Returns:
        The study.

    Raises:
        ResultError: One of them is missing, damaged or stale.
    """
    study = read_study(folder / JSON)
    rows, others = ranges.common(), ranges.overridden()
    _check_ranges(folder / JSON, study, ranges.ranges_of(rows, others))
    _check_page(folder / PAGE, page(study, rows, others))
    return study


def changed_scenarios(study: Study) -> list[str]:
    """Return the scenarios that are no longer what was played; no reason to refuse the page."""
    changed = []
    for scenario in study.scenarios:
        try:
            same = setup_digest(setup_of(load(scenario.name))) == scenario.digest
        except ScenarioError:
            same = False
        if not same:
            changed.append(scenario.name)
    return changed
