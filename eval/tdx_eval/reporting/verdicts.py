"""Verdicts in words: a difference counts by its size and by how sure it is, never by one alone."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from tdx_eval.comparing.summary import Difference, PolicyResult, ScenarioResult, Summary
from tdx_eval.reporting.wording import factor, listing

BAND = 0.02  # relative differences up to this size do not matter
FEWEST_SEEDS = 5  # with fewer an interval says nothing


class Verdict(StrEnum):
    """What a difference of costs comes to."""

    BETTER = "better"  # the whole interval is below the band
    NO_DIFFERENCE = "no difference"  # the whole interval is in the band
    WORSE = "worse"  # the whole interval is above the band
    NOT_TOLD_APART = "not told apart"  # it is neither


def verdict_on(difference: Difference, n_seeds: int) -> Verdict:
    """Return what a difference comes to.

    Args:
        difference: A policy against another one.
        n_seeds: Seeds that it is made of.
    """
    relative = difference.relative
    if relative is None:
        same = difference.cycles.low == difference.cycles.high == 0
        return Verdict.NO_DIFFERENCE if same else Verdict.NOT_TOLD_APART
    if n_seeds < FEWEST_SEEDS:
        return Verdict.NOT_TOLD_APART
    if relative.high < -BAND:
        return Verdict.BETTER
    if relative.low > BAND:
        return Verdict.WORSE
    if relative.low >= -BAND and relative.high <= BAND:
        return Verdict.NO_DIFFERENCE
    return Verdict.NOT_TOLD_APART


def verdict_among(summary: Summary, scenario: ScenarioResult, name: str) -> Verdict:
    """Return a policy's verdict against the reference, as one of many.

    It has to hold after correction for the number of policies too; that of the best policy, which
    was chosen elsewhere, stands alone.
    """
    difference = scenario.results[name].to_reference
    found = verdict_on(difference, scenario.n_episodes)
    relative = difference.relative
    is_sure = name == summary.best or relative is None or relative.is_significant
    is_one_sided = found in (Verdict.BETTER, Verdict.WORSE)
    return found if is_sure or not is_one_sided else Verdict.NOT_TOLD_APART


def tally(verdicts: Iterable[Verdict]) -> dict[Verdict, int]:
    """Return how often each verdict was found, in the order of `Verdict`."""
    counts = Counter(verdicts)
    return {one: counts[one] for one in Verdict if counts[one]}


def tally_text(verdicts: list[Verdict], noun: str = "scenario") -> str:
    """Say how often each verdict was found: better in 21 of 26 scenarios, worse in 2."""
    counts = tally(verdicts)
    if not counts:
        return f"in no {noun}"
    if len(verdicts) == 1:
        return f"{_in_words(verdicts[0])} in the one {noun}"
    (first, n_first), *rest = counts.items()
    of = f"{n_first:,} of" if rest else "all"
    told = [f"{_in_words(first)} in {of} {len(verdicts):,} {noun}s"]
    return ", ".join([*told, *(f"{_in_words(one)} in {n:,}" for one, n in rest)])


def _in_words(one: Verdict) -> str:
    """Return a verdict as a part of a sentence."""
    return "no difference that matters" if one is Verdict.NO_DIFFERENCE else one.value


def lost_text(result: PolicyResult, name: str = "") -> str:
    """Say how often a policy lost the TD, or nothing if it never did."""
    if not result.n_lost:
        return ""
    who = name or result.policy
    return f"{who} loses the TD in {result.n_lost:,} of {result.n_episodes:,}"


def lost_between(scenario: ScenarioResult, name: str, other: str) -> str:
    """Say which of two policies lost TDs in a scenario, and how many."""
    ours, theirs = scenario.results[name], scenario.results[other]
    if ours.n_lost and ours.n_lost == theirs.n_lost:
        return f"both lose the TD in {ours.n_lost:,} of {ours.n_episodes:,}"
    return listing([text for text in (lost_text(ours), lost_text(theirs)) if text])


def hopeless(summary: Summary) -> list[ScenarioResult]:
    """Return the scenarios in which every policy loses every TD."""
    return [
        one
        for one in summary.scenarios
        if all(result.n_lost == result.n_episodes for result in one.results.values())
    ]


def lost_by(summary: Summary) -> dict[str, int]:
    """Return how many TDs each policy lost, those left out that every policy loses."""
    spared = {one.name for one in hopeless(summary)}
    played = [one for one in summary.scenarios if one.name not in spared]
    return {name: sum(one.results[name].n_lost for one in played) for name in summary.policies}


def factor_text(difference: Difference) -> str:
    """Return a relative difference as a factor or in percent, by its size."""
    return factor(difference.relative.value) if difference.relative else "–"


def interval_text(difference: Difference) -> str:
    """Return the interval of a relative difference in the same words."""
    relative = difference.relative
    return f"{factor(relative.low)} to {factor(relative.high)}" if relative else ""
