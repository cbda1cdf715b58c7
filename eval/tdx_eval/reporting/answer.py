"""The first screen in words: which answer, when, why and how sure, each by a rule from the numbers.

The words *retry*, *kick* and *yield* stand for the three answers to a busy reply. A rule's own word
is what it pays for: a rule that never pays for a kick or for time off the CPU retries.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import takewhile
from statistics import median

from markupsafe import Markup, escape

from tdx_eval.comparing.precision import half_width, precision_text, smallest_seen
from tdx_eval.comparing.summary import Difference, ScenarioResult, Summary
from tdx_eval.comparing.yardsticks import KICK, RETRY, YIELD
from tdx_eval.reporting.verdicts import (
    BAND,
    FEWEST_SEEDS,
    Verdict,
    factor_text,
    lost_text,
    tally,
    tally_text,
    verdict_among,
    verdict_on,
)
from tdx_eval.reporting.wording import PERCENT, alternatives, factor, listing, part_name

KICK_PARTS = ("ipi_send", "kick_wait", "kick_target", "gated")
YIELD_PARTS = ("yield",)
_OFTEN = 0.5  # share of the scenarios in which a rule pays for an answer, to be called by it
_NAMED = 4  # scenarios that a sentence names
_REASONS = 2  # parts of the cost that a sentence names
_WORDS = {KICK: "kick", YIELD: "yield", RETRY: "retry"}


def word(text: str) -> Markup:
    """Return one of the three answers, marked."""
    return Markup('<em class="answer {}">{}</em>').format(text.lower(), text)


def _pays(scenario: ScenarioResult, name: str, parts: Iterable[str]) -> bool:
    """Say whether a policy pays for some parts of the cost in a scenario."""
    found = scenario.results[name].parts
    return any(found.get(part, 0) > 0 for part in parts)


def word_of(summary: Summary, name: str) -> str:
    """Return the answer that a policy is called by: what it pays for in most scenarios."""
    n_kick = sum(_pays(one, name, KICK_PARTS) for one in summary.contested)
    if n_kick > _OFTEN * len(summary.contested):
        return "kick"
    n_yield = sum(_pays(one, name, YIELD_PARTS) for one in summary.contested)
    return "yield" if n_yield > _OFTEN * len(summary.contested) else "retry"


def verdicts_to_reference(summary: Summary, name: str) -> list[Verdict]:
    """Return a policy's verdict against the reference in each scenario with contention."""
    return [verdict_among(summary, one, name) for one in summary.contested]


def verdicts_to_best(summary: Summary, contender: str) -> list[Verdict]:
    """Return a contender's verdict against the best policy in each scenario with contention."""
    return [
        verdict_on(one.contests[contender].to_best, one.n_episodes) for one in summary.contested
    ]


def too_few(summary: Summary) -> str:
    """Say that there are too few seeds to tell anything apart, or nothing."""
    most = max(summary.n_episodes)
    if most >= FEWEST_SEEDS:
        return ""
    seeds = "one seed" if most == 1 else f"{most} seeds"
    return (
        f"Each policy played {seeds} in a scenario: an interval needs {FEWEST_SEEDS} or more, so "
        "nothing is told apart here. Give --seeds 40."
    )


def headline(summary: Summary) -> str:
    """Return the finding in one line."""
    few = too_few(summary)
    if few:
        return "Too few seeds to tell policies apart"
    if not summary.contested:
        return "Hardly anything is decided in these scenarios"
    n = len(summary.contested)
    if summary.best == summary.reference:
        text = f"Nothing that KVM could merge today beats what Linux 6.16 does ({n} scenarios)"
    else:
        counts = tally(verdicts_to_reference(summary, summary.best))
        answer = word_of(summary, summary.best).capitalize()
        text = (
            f"{answer} ({summary.best}) costs less than what Linux 6.16 does in "
            f"{counts.get(Verdict.BETTER, 0)} of {n} simulated scenarios, more in "
            f"{counts.get(Verdict.WORSE, 0)}"
        )
    return text + "".join(_contender_head(summary, name) for name in summary.contenders[:1])


def _contender_head(summary: Summary, name: str) -> str:
    """Say in the title what a contender adds to the best policy."""
    counts = tally(verdicts_to_best(summary, name))
    better, worse = counts.get(Verdict.BETTER, 0), counts.get(Verdict.WORSE, 0)
    if not better and not worse:
        return f"; {name} is not told apart from {summary.best}"
    return f"; {name} costs less than {summary.best} in {better}, more in {worse}"


def which_text(summary: Summary) -> Markup:
    """Say which policy to take, and how it does against what Linux does."""
    best, reference = summary.best, summary.reference
    text = Markup("{}, as <b>{}</b> does it ({}): {}.").format(
        word(word_of(summary, best).capitalize()),
        best,
        summary.policies[best].title,
        "of what KVM could merge today the cheapest on the validation scenarios",
    )
    if best == reference:
        return text + Markup(" It is what Linux 6.16 does.")
    told = tally_text(verdicts_to_reference(summary, best))
    typical = _typical(one.results[best].to_reference for one in summary.contested)
    text += Markup(
        " Against what Linux 6.16 does ({}: {}): {}{}. The two rows differ in discipline too: this "
        "is no credit of an answer alone."
    ).format(reference, summary.policies[reference].title, told, typical)
    text += Markup("").join(
        Markup(" <b>{}</b>{} against {}: {}.").format(
            name, _changes(summary, name), best, tally_text(verdicts_to_best(summary, name))
        )
        for name in summary.contenders
    )
    return text + _with_a_change(summary)


def _changes(summary: Summary, name: str) -> str:
    """Say of a contender that it does what KVM can't do today, or nothing."""
    return "" if summary.policies[name].is_mergeable else ", which needs a KVM change,"


def _with_a_change(summary: Summary) -> Markup:
    """Say which hand-written rule is the cheapest if KVM is changed, or nothing."""
    kept = (*summary.contenders, summary.best, summary.reference)
    cheaper = takewhile(lambda one: one != summary.best, summary.overall)
    name = next((one for one in cheaper if one not in kept), None)
    if name is None or summary.policies[name].is_mergeable:
        return Markup("")
    typical = _typical(one.results[name].to_reference for one in summary.contested)
    return Markup(
        " If KVM may be changed, <b>{}</b> ({}) is the cheapest hand-written rule on these very "
        "scenarios: against {} {}{}."
    ).format(
        name, summary.policies[name].title, summary.reference,
        tally_text(verdicts_to_reference(summary, name)), typical,
    )  # fmt: skip


def _typical(differences: Iterable[Difference]) -> str:
    """Return the median of some relative differences, in parentheses."""
    values = [one.relative.value for one in differences if one.relative]
    return f"; median {factor(median(values))}" if values else ""


def _against_retry(
    summary: Summary, name: str, wanted: Verdict
) -> list[tuple[ScenarioResult, Difference]]:
    """Return where an answer has a verdict against RETRY under one discipline, cheapest first."""
    played = [(one, one.answers[name]) for one in summary.contested if name in one.answers]
    found = [it for it in played if verdict_on(it[1], it[0].n_episodes) is wanted]
    return sorted(found, key=lambda it: it[1].relative.value if it[1].relative else 0.0)


def _where(found: list[tuple[ScenarioResult, Difference]]) -> str:
    """Name scenarios, with factors."""
    named = [f"{one.short_name} ({factor_text(difference)})" for one, difference in found[:_NAMED]]
    more = len(found) - _NAMED
    return listing([*named, f"{more} more"] if more > 0 else named)


def _when_answer(summary: Summary, name: str) -> Markup:
    """Say where one answer pays, against RETRY under the same discipline."""
    verdicts = [
        verdict_on(one.answers[name], one.n_episodes)
        for one in summary.contested
        if name in one.answers
    ]
    answer, found = word(_WORDS[name]), _against_retry(summary, name, Verdict.BETTER)
    if not found:
        return Markup("a {} pays nowhere ({})").format(answer, tally_text(verdicts))
    return Markup("a {} pays in {} ({})").format(answer, _where(found), tally_text(verdicts))


def when_text(summary: Summary) -> Markup:
    """Say in which scenarios another answer than RETRY pays, all else equal, or where none does."""
    played = [
        name for name in (KICK, YIELD) if any(name in one.answers for one in summary.contested)
    ]
    if not played:
        return Markup(
            "The constant answers were not played (always-retry, always-kick, always-yield): add "
            "them to --policies."
        )
    told = Markup("; ").join(_when_answer(summary, name) for name in played)
    lost = _lost_retry(summary)
    text = Markup("All else equal, against {} at every busy reply: {}").format(word("retry"), told)
    return text + Markup("{}.{}").format(lost, _when_not(summary))


def _when_not(summary: Summary) -> str:
    """Name the scenarios in which the best policy is worse than the reference, or loses TDs."""
    best, reference = summary.best, summary.reference
    worse = [
        f"{one.short_name} ({factor_text(one.results[best].to_reference)})"
        for one in summary.contested
        if best != reference and verdict_among(summary, one, best) is Verdict.WORSE
    ]
    lost = [
        f"{lost_text(one.results[name])} in {one.short_name}"
        for one in summary.contested
        for name in dict.fromkeys((best, reference))
        if one.results[name].n_lost
    ]
    named = worse[:_NAMED] + ([f"{len(worse) - _NAMED} more"] if len(worse) > _NAMED else [])
    told = [f"{best} costs more than {reference} in {listing(named)}"] if named else []
    told += lost[:_NAMED] + ([f"{len(lost) - _NAMED} more lose TDs"] if len(lost) > _NAMED else [])
    return f" {'; '.join(told)}." if told else ""


def _lost_retry(summary: Summary) -> str:
    """Say where RETRY loses TDs."""
    found = [one for one in summary.contested if RETRY in one.results]
    named = [
        f"in {one.short_name} {lost_text(one.results[RETRY])}"
        for one in found
        if one.results[RETRY].n_lost
    ]
    return f"; {listing(named[:_NAMED])}" if named else ""


def shares_of_gap(differences: Iterable[Difference]) -> dict[str, float]:
    """Return which parts of the cost make differences up, mean of the scenarios, largest first.

    Only what grew counts; each scenario weighs alike; the shares sum to 1.
    """
    total: dict[str, float] = {}
    n = 0
    for one in differences:
        grown = {part: cycles for part, cycles in one.parts.items() if cycles > 0}
        if not grown:
            continue
        n += 1
        for part, cycles in grown.items():
            total[part] = total.get(part, 0.0) + cycles / sum(grown.values())
    return dict(sorted(((part, v / n) for part, v in total.items()), key=lambda it: -it[1]))


def why_text(summary: Summary) -> Markup:
    """Say what the dearer answer pays for, and what TRACK's own kick makes of it.

    Where the constant answers were not played, it is told of what Linux does.
    """
    if not any(name in one.answers for one in summary.contested for name in (KICK, YIELD)):
        return _why_reference(summary)
    answer, differences = _dearer(summary)
    shares = shares_of_gap(differences)
    if not shares:
        return Markup("No answer costs more than another by more than chance.")
    text = Markup("What a {} pays beyond a {} is mostly {}").format(
        word(answer), word("retry"), _largest(shares)
    )
    return text + escape(_with_track(summary))


def _why_reference(summary: Summary) -> Markup:
    """Say what the reference pays for beyond the best policy."""
    found = [
        one.results[summary.best].to_reference
        for one, verdict in zip(
            summary.contested, verdicts_to_reference(summary, summary.best), strict=True
        )
        if verdict is Verdict.BETTER
    ]
    turned = [replace(one, parts={k: -v for k, v in one.parts.items()}) for one in found]
    shares = shares_of_gap(turned)
    if not shares:
        return Markup("Nothing was played that costs more than another by more than chance.")
    text = Markup("What {} pays beyond {} is mostly {}").format(
        summary.reference, summary.best, _largest(shares)
    )
    return text + escape(_with_track(summary))


def _largest(shares: dict[str, float]) -> str:
    """Name the parts of the cost that are the largest shares."""
    largest = [*shares.items()][:_REASONS]
    return listing([f"{part_name(part)} ({100 * v:.0f}{PERCENT})" for part, v in largest])


def _dearer(summary: Summary) -> tuple[str, list[Difference]]:
    """Return an answer that is worse than RETRY, and the differences where it is."""
    for name in (KICK, YIELD):
        found = [it[1] for it in _against_retry(summary, name, Verdict.WORSE)]
        if found:
            return _WORDS[name], found
    return "", []


def _with_track(summary: Summary) -> str:
    """Say what the widest gap comes to with TRACK's own kick counted."""
    found = [
        (one, one.results[summary.best].to_reference)
        for one in summary.contested
        if one.results[summary.best].to_reference.relative
        and not one.results[summary.reference].n_lost
    ]
    if summary.best == summary.reference or not found:
        return "."
    one, difference = min(found, key=lambda it: it[1].relative.value if it[1].relative else 0.0)
    if difference.with_track is None or difference.relative is None:
        return "."
    if factor(difference.with_track.value) == factor(difference.relative.value):
        return "."  # the objective counts it already
    return (
        ". TRACK’s own kick comes whatever is answered, and is counted beside: where no TD is "
        f"lost, the widest gap to {summary.reference}, {factor(difference.relative.value)} in "
        f"{one.short_name}, is {factor(difference.with_track.value)} with it."
    )


def how_sure(summary: Summary) -> Markup:
    """Say how many episodes, how much of the model is measured, and what the verdicts need."""
    footing = summary.footing
    n_played = sum(one.n_episodes for one in summary.scenarios) * len(summary.policies)
    measured = footing.costs.get("measured", 0)
    rest = listing([f"{n} {flag}" for flag, n in footing.costs.items() if flag != "measured"])
    varies = " (n stands in each row)" if len(summary.n_episodes) > 1 else ""
    return Markup(
        "{:,} episodes, n = {} seeds{}, the same for all policies. {} of {} costs are measured "
        "({}); each is drawn anew from its range in every episode. {}. A verdict counts if the "
        "whole 95{} interval lies beyond ±{:.0f}{}, or within{}.{}"
    ).format(
        n_played, alternatives(summary.n_episodes), varies, measured, footing.n_costs, rest,
        _machine(summary), PERCENT, 100 * BAND, PERCENT, _width(summary), _precision(summary),
    )  # fmt: skip


def _precision(summary: Summary) -> str:
    """Say whether the precision that was asked for is reached, or nothing."""
    told = precision_text(summary)
    return f" {told}." if told else ""


def _machine(summary: Summary) -> str:
    """Say which module under which kernel is meant."""
    (first, n_first), *others = summary.footing.machines.items()
    told = f"{first[:1].upper()}{first[1:]}"
    if not others:
        return told
    return f"{told} in {n_first} scenarios, {sum(n for _, n in others)} with others (see the end)"


def _width(summary: Summary) -> str:
    """Say how wide the intervals of the best policy against the reference are."""
    shares = [one.results[summary.best].to_reference.relative for one in summary.contested]
    found = [one for one in shares if one]
    if not found or summary.best == summary.reference:
        return ""
    half, seen = median(map(half_width, found)), median(map(smallest_seen, found))
    return (
        f"; half of the intervals are narrower than ±{100 * half:.0f}{PERCENT}; at that width a "
        f"true difference of {100 * seen:.0f}{PERCENT} is found in four runs of five"
    )
