"""What a comparison says in sentences, each made from its numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tdx_eval.comparing.statistics import Estimate
from tdx_eval.comparing.summary import Difference, PolicyResult, ScenarioResult, Summary
from tdx_eval.comparing.yardsticks import REFERENCE_RULE
from tdx_eval.reporting.verdicts import Verdict, hopeless, lost_by, tally_text, verdict_on
from tdx_eval.reporting.wording import (
    PERCENT,
    conflict_text,
    duration,
    interval,
    listing,
    part_name,
    percent,
)

_REASONS = 2  # parts of the cost that a sentence names
_MOST_LOST = 4  # policies that lost TDs and are named
_MINOR = 0.05  # share of all that grew, below which a part isn't named
_NOTABLE = 0.2  # share of all that grew, above which the part that fell most is named


@dataclass(frozen=True)
class Defeat:
    """A scenario in which a contender is worse than a hand-written policy."""

    contender: str
    scenario: ScenarioResult
    difference: Difference
    is_hindsight: bool


def defeats(summary: Summary) -> list[Defeat]:
    """Return every scenario in which a contender loses, best policy first, then hindsight."""
    return [
        Defeat(name, one, difference, is_hindsight)
        for name in summary.contenders
        for one in summary.scenarios
        for difference, is_hindsight in _opponents(one, name)
        if verdict_on(difference, one.n_episodes) is Verdict.WORSE
    ]


def defeats_in(summary: Summary, scenario: ScenarioResult, contender: str) -> list[Defeat]:
    """Return a contender's defeats in one scenario."""
    return [
        one
        for one in defeats(summary)
        if one.scenario.name == scenario.name and one.contender == contender
    ]


def _opponents(scenario: ScenarioResult, contender: str) -> Iterator[tuple[Difference, bool]]:
    """Yield a contender's differences to the best policy and to another one of hindsight."""
    contest = scenario.contests[contender]
    yield contest.to_best, False
    best, hindsight = contest.to_best.other, contest.to_hindsight.other
    twins = {best, *scenario.same(best), scenario.results[best].same_as}
    if hindsight not in twins:
        yield contest.to_hindsight, True


def reasons(parts: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the parts of a difference of costs that are largest [cycles]."""
    ranked = sorted(parts.items(), key=lambda item: -item[1])
    least = _MINOR * sum(cycles for _, cycles in ranked if cycles > 0)
    return [(part, cycles) for part, cycles in ranked[:_REASONS] if cycles > least]


def why(scenario: ScenarioResult, difference: Difference) -> str:
    """Say which parts of the cost grew most, and which one fell, if that made up for much."""
    more = reasons(difference.parts)
    grown = [f"{part_name(part)} (+{duration(scenario.us(c))})" for part, c in more]
    text = f"What grew most: {listing(grown)}"
    part, cycles = min(difference.parts.items(), key=lambda item: item[1])
    if -cycles > _NOTABLE * sum(c for c in difference.parts.values() if c > 0):
        text += f"; what fell most: {part_name(part)} ({duration(scenario.us(cycles))})"
    return f"{text}."


def defeat_text(defeat: Defeat) -> str:
    """Say where, by how much and through what a contender loses."""
    one, difference = defeat.scenario, defeat.difference
    scale = 1000 / one.clock_khz
    relative = f" ({percent(difference.relative.value)})" if difference.relative else ""
    hindsight = ", the best of this scenario in hindsight" if defeat.is_hindsight else ""
    return (
        f"costs {duration(one.us(difference.cycles.value))} an episode more{relative} than "
        f"{difference.other}{hindsight} (95 % interval {interval(difference.cycles, 1, scale)} µs)."
        f" {why(one, difference)}"
    )


def _tally(summary: Summary, differences: list[Difference]) -> str:
    """Say in how many of the scenarios with contention a policy is better, even, worse."""
    found = [
        verdict_on(one, scenario.n_episodes)
        for one, scenario in zip(differences, summary.contested, strict=True)
    ]
    return tally_text(found, "scenario with contention")


def _range(differences: list[Difference]) -> str:
    """Say from where to where the relative differences go."""
    values = [one.relative.value for one in differences if one.relative]
    return f" ({_span(values)})" if values else ""


def _span(shares: list[float]) -> str:
    """Say from where to where some relative differences go, or what they all are."""
    low, high = percent(min(shares)), percent(max(shares))
    return low if low == high else f"{low} to {high}"


def _best_text(summary: Summary) -> str:
    """Say which hand-written policy is best, and how it does."""
    differences = [one.results[summary.best].to_reference for one in summary.contested]
    chosen = (
        f"Of the hand-written policies that KVM could merge today, {summary.best} was the cheapest "
        "on the validation scenarios"
    )
    if summary.best == summary.reference:
        return f"{chosen}; it is what Linux 6.16 does, the reference of all differences."
    return (
        f"{chosen}. On the test scenarios it is, against {summary.reference} (what Linux 6.16 "
        f"does), {_tally(summary, differences)}{_range(differences)}."
    )


def _contender_text(summary: Summary, name: str) -> str:
    """Say how a contender does against the best and the reference."""
    to_best = [one.contests[name].to_best for one in summary.contested]
    to_reference = [one.results[name].to_reference for one in summary.contested]
    mark = summary.policies[name].mark
    return (
        f"{name} (its discipline: {mark}) is, against {summary.best} on the same seeds, "
        f"{_tally(summary, to_best)}{_range(to_best)}; against {summary.reference} it is "
        f"{_tally(summary, to_reference)}{_range(to_reference)}."
    )


def _undecided_text(summary: Summary, name: str) -> str:
    """Say what a contender's decisions would be worth if they took no time."""
    cycles = summary.policies[name].decision_cycles
    found = [_verdict_undecided(one, one.contests[name].to_best) for one in summary.contested]
    return (
        f"A decision of {name} takes {cycles:,} cycles. With the cycles of deciding taken off the "
        f"costs of both, it is, against {summary.best}, "
        f"{tally_text(found, 'scenario with contention')}."
    )


def _verdict_undecided(scenario: ScenarioResult, difference: Difference) -> Verdict:
    """Return the verdict on a difference if decisions took no time."""
    cycles, base = difference.cycles_undecided, scenario.results[difference.other].cost.value
    if not base:
        return verdict_on(difference, scenario.n_episodes)
    relative = Estimate(cycles.value / base, cycles.low / base, cycles.high / base)
    return verdict_on(replace(difference, relative=relative), scenario.n_episodes)


def _reach_text(summary: Summary) -> str:
    """Say what decisions alone change."""
    found = [(one.reach.share, one) for one in summary.contested if one.reach]
    if not found:
        return ""
    least, most = min(found, key=lambda it: it[0]), max(found, key=lambda it: it[0])
    low, high = percent_of(least[0]), percent_of(most[0])
    span = f"{low} ({least[1].short_name}) to {high} ({most[1].short_name})"
    return (
        "What is decided at a busy reply, all else equal (default discipline), changes the cost by "
        f"{high if low == high else span} of that of the dearest rule."
    )


def _rule_text(summary: Summary) -> str:
    """Say what the reference's decisions cost under the default discipline."""
    played = [one.results.get(REFERENCE_RULE) for one in summary.contested]
    ratios = [result.to_reference.relative for result in played if result]
    values = [ratio.value for ratio in ratios if ratio]
    if not values:
        return ""
    return (
        f"The discipline's own share: {REFERENCE_RULE}, the decisions of {summary.reference} under "
        f"the default discipline, costs {_span(values)} relative to it; what other rules under "
        "that discipline gain or lose beyond this comes from their decisions."
    )


def percent_of(share: float) -> str:
    """Return a share in whole percent; not 100 % unless it is all."""
    text = f"{100 * share:.0f}{PERCENT}"
    return f"more than 99{PERCENT}" if share < 1 and text.startswith("100") else text


def lost_sentence(summary: Summary) -> str:
    """Say which policies lost TDs, and where nobody could keep one."""
    spared, lost = hopeless(summary), lost_by(summary)
    n_played = sum(one.n_episodes for one in summary.scenarios if one not in spared)
    text = ""
    if spared:
        names = listing([one.short_name for one in spared])
        text = f"In {names} every TD is lost, whatever is answered. Elsewhere, of "
    losers = sorted((name for name in lost if lost[name]), key=lambda name: -lost[name])
    text = f"{text or 'Of '}{n_played:,} episodes each, "
    if not losers:
        return f"{text}no policy lost a TD."
    keepers = [name for name in lost if not lost[name]]
    kept = f"{listing(keepers)} lost no TD" if keepers else "every policy lost some TDs"
    worst = listing([f"{name} ({lost[name]:,})" for name in losers[:_MOST_LOST]])
    fewest = losers[-1]
    least = "" if keepers or len(losers) == 1 else f", {fewest} the fewest ({lost[fewest]:,})"
    return f"{text}{kept} (killed, hung or cut off); most lost {worst}{least}."


def _why_text(summary: Summary) -> str:
    """Say what the reference loses most cycles to in the scenario that it loses most in."""
    gaps = [
        (one.results[summary.best].to_reference.cycles.value / one.clock_khz, one)
        for one in summary.contested
    ]
    if not gaps or min(gaps, key=lambda it: it[0])[0] >= 0:
        return ""
    one = min(gaps, key=lambda it: it[0])[1]
    result = one.results[summary.reference]
    more = {part: -c for part, c in one.results[summary.best].to_reference.parts.items()}
    part = max(more, key=more.__getitem__)
    conflict = ""
    if result.conflicts:
        told = conflict_text(result.conflicts[0], one)
        conflict = f" There, most cycles of callers went to one conflict ({told})."
    return (
        f"The widest gap between {summary.reference} and {summary.best} is in {one.short_name}: "
        f"{duration(-one.us(one.results[summary.best].to_reference.cycles.value))} an episode, "
        f"mostly {part_name(part)} ({duration(one.us(more[part]))}).{conflict}"
    )


def background(summary: Summary) -> list[str]:
    """Return what stands behind the answer: what decisions, discipline and deciding are worth."""
    found = [_why_text(summary), _reach_text(summary), _rule_text(summary)]
    found += [_undecided_text(summary, name) for name in summary.contenders]
    return [text for text in found if text]


def sentences(summary: Summary) -> list[str]:
    """Return the comparison's summary."""
    found = []
    if summary.contested:
        found.append(_best_text(summary))
        for name in summary.contenders:
            found += [_contender_text(summary, name), _undecided_text(summary, name)]
        found += [_why_text(summary), _rule_text(summary), _reach_text(summary)]
    found.append(lost_sentence(summary))
    return [text for text in found if text]


def killers(result: PolicyResult) -> str:
    """Say what killed a policy's TDs."""
    return listing([f"{what} ({n:,})" for what, n in result.killed_by.items()])
