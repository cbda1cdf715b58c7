"""How narrow the intervals of the first screen are, and how many seeds a wanted width takes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tdx_env.errors import ResultError, printable
from tdx_eval.comparing.statistics import POWER, Estimate
from tdx_eval.comparing.summary import Difference, ScenarioResult, Summary

MOST_SEEDS = 2_000  # that are played for a precision, of each policy and scenario
FEWEST_SEEDS = 10  # that a width is told from
_MARGIN = 1.2  # more seeds than the square root of their number promises
_LEAST_RATIO = 1e-9


@dataclass(frozen=True)
class Width:
    """How wide an interval is.

    Attributes:
        scenario: Where.
        difference: Who against whom.
        half: Half its width, as a share: the factor is known to so much up and down.
        n_seeds: Seeds behind it.
    """

    scenario: ScenarioResult
    difference: Difference
    half: float
    n_seeds: int

    def needed(self, wanted: float) -> int:
        """Return about how many seeds make it as narrow as wanted."""
        least = math.ceil(_MARGIN * self.n_seeds * (self.half / wanted) ** 2)
        return max(least, self.n_seeds + 1)


def share_from(option: str, text: str) -> float:
    """Return a share above 0 that was written in percent, "1%" or "1".

    Raises:
        ResultError: It is none, or 100 % or more.
    """
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise ResultError(
            f"{option} {printable(text)}: must be a percentage above 0 and below 100, as 1%"
        )
    return share


def half_width(relative: Estimate) -> float:
    """Return half the width of a factor's interval, as a share."""
    low, high = (max(1 + end, _LEAST_RATIO) for end in (relative.low, relative.high))
    return math.sqrt(high / low) - 1


def smallest_seen(relative: Estimate) -> float:
    """Return the smallest factor, less 1, that is found in four samples of five like this one."""
    return float((1 + half_width(relative)) ** POWER - 1)


def _compared(summary: Summary, one: ScenarioResult) -> Iterator[Difference]:
    """Yield what the first screen compares in a scenario."""
    if summary.best != summary.reference:
        yield one.results[summary.best].to_reference
    for name in summary.contenders:
        yield one.contests[name].to_best


def widths(summary: Summary) -> list[Width]:
    """Return how wide the intervals of the first screen are, widest first."""
    found = [
        Width(one, difference, half_width(difference.relative), one.n_episodes)
        for one in summary.contested
        for difference in _compared(summary, one)
        if difference.relative is not None
    ]
    return sorted(found, key=lambda it: -it.half)


def seeds_needed(summary: Summary, wanted: float) -> int:
    """Return how many seeds make every interval as narrow as wanted that can be made so.

    0: all of them are, or would take more than MOST_SEEDS.
    """
    wide = [one.needed(wanted) for one in widths(summary) if one.half > wanted]
    return max((n for n in wide if n <= MOST_SEEDS), default=0)


def precision_text(summary: Summary) -> str:
    """Say whether the precision that was asked for is reached, and what it would take; or ""."""
    wanted = summary.manifest.get("precision")
    found = widths(summary)
    if wanted is None or not found:
        return ""
    wide = [one for one in found if one.half > wanted]
    asked = f"±{100 * wanted:g} % was asked for"
    if not wide:
        return f"{asked} and reached in all {len(found)} comparisons"
    most = wide[0]
    return (
        f"{asked} and not reached in {len(wide)} of {len(found)} comparisons: the widest is "
        f"±{100 * most.half:.0f} % in {most.scenario.short_name}, which would take about "
        f"{most.needed(wanted):,} seeds (at most {MOST_SEEDS:,} are played)"
    )
