"""Who wins where, and why: the cheapest mergeable policy of each scenario, in words."""

from tdx_eval.comparing.summary import Difference, PolicyResult, ScenarioResult, Summary
from tdx_eval.reporting.sentences import reasons, why
from tdx_eval.reporting.wording import MINUS, duration, listing, met, part_name, percent

_NAMED = 3  # policies that behave alike are named up to so many


def wins(summary: Summary) -> dict[str, list[ScenarioResult]]:
    """Return the scenarios with contention that each policy is cheapest in, most wins first.

    Only hand-written policies that KVM could merge today can win; those with exactly the same
    results in a scenario win it together, under the name of one of them.
    """
    won: dict[str, list[ScenarioResult]] = {}
    for one in summary.contested:
        won.setdefault(one.hindsight, []).append(one)
    return dict(sorted(won.items(), key=lambda item: -len(item[1])))


def twins_text(names: list[str]) -> str:
    """Return the names of policies that behave alike, or how many they are."""
    return listing(names) if len(names) <= _NAMED else f"{len(names)} others"


def _fell(scenario: ScenarioResult, difference: Difference) -> str:
    """Say which parts of the cost are smaller than the other policy's."""
    saved = reasons({part: -cycles for part, cycles in difference.parts.items()})
    told = [f"{part_name(part)} ({MINUS}{duration(scenario.us(c))})" for part, c in saved]
    return f"What fell most: {listing(told)}."


def _conflict(reference: PolicyResult) -> str:
    """Say which conflict costs the reference most, if one costs anything."""
    if not reference.conflicts or not reference.conflicts[0].cycles_lost:
        return ""
    return f" {reference.policy}’s dearest conflict: {met(reference.conflicts[0])}."


def _nothing_is_cheaper(summary: Summary, scenario: ScenarioResult) -> str:
    """Say what the best policy pays where the reference itself is the cheapest."""
    text = f"Nothing is cheaper than {summary.reference}"
    difference = scenario.results[summary.best].to_reference
    if not difference.cycles.is_positive or not difference.relative:
        return f"{text}."
    more = percent(difference.relative.value)
    return f"{text}; {summary.best} is dearer ({more}). {why(scenario, difference)}"


def win_text(summary: Summary, scenario: ScenarioResult) -> str:
    """Say how much the cheapest policy of a scenario saves there, on what, and in which conflict.

    Its cost is compared with the reference's, part by part; where the reference is the cheapest
    itself, the best policy's is.
    """
    conflict = _conflict(scenario.results[summary.reference])
    difference = scenario.results[scenario.hindsight].to_reference
    if not difference.cycles.value or not difference.relative:
        return _nothing_is_cheaper(summary, scenario) + conflict
    chance = "" if difference.cycles.is_negative else ", which may be chance"
    saved = f"{percent(difference.relative.value)} against {summary.reference}{chance}."
    return f"{saved} {_fell(scenario, difference)}{conflict}"
