"""Which single measurement would turn the answer, and at which value."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from tdx_eval.comparing.summary import Difference, HangsOn, ScenarioResult, Summary, Turn
from tdx_eval.comparing.turning import FEWEST_PAIRS
from tdx_eval.comparing.yardsticks import KICK
from tdx_eval.reporting.verdicts import BAND, Verdict, verdict_on
from tdx_eval.reporting.wording import factor, listing

_NAMED = 2  # places that a sentence names


@dataclass(frozen=True)
class Place:
    """A verdict, and a cost that moves the difference behind it.

    Attributes:
        scenario: Where.
        weighed: Who against whom.
        verdict: Better or worse, as it was found.
        turn: The cost.
    """

    scenario: ScenarioResult
    weighed: HangsOn
    verdict: Verdict
    turn: Turn

    @property
    def is_turned(self) -> bool:
        """Whether the difference changes its side within the cost's range, and matters there."""
        ends = sorted((self.turn.at_low, self.turn.at_high))
        return self.turn.turns_at is not None and ends[0] < -BAND and ends[1] > BAND


def difference_of(summary: Summary, one: ScenarioResult, weighed: HangsOn) -> Difference | None:
    """Return the difference of the first screen that was weighed."""
    if weighed.policy == KICK and weighed.other != summary.reference:
        return one.answers.get(KICK)
    if weighed.policy in one.contests:
        return one.contests[weighed.policy].to_best
    return one.results[weighed.policy].to_reference


def _decided(summary: Summary) -> Iterator[tuple[ScenarioResult, HangsOn, Verdict]]:
    """Yield each verdict of better or worse that is made of enough seeds to be weighed."""
    for one in summary.contested:
        for weighed in one.weighed:
            found = difference_of(summary, one, weighed)
            if found is None or weighed.n_pairs < FEWEST_PAIRS:
                continue
            verdict = verdict_on(found, one.n_episodes)
            if verdict in (Verdict.BETTER, Verdict.WORSE):
                yield one, weighed, verdict


def cost_places(summary: Summary) -> dict[str, list[Place]]:
    """Return by cost the verdicts that it moves: costs that turn most first, then by how far."""
    found = [
        Place(one, weighed, verdict, turn)
        for one, weighed, verdict in _decided(summary)
        for turn in weighed.turns
    ]
    by_cost = sorted(found, key=lambda it: it.turn.cost)
    groups = {cost: [*some] for cost, some in groupby(by_cost, key=lambda it: it.turn.cost)}
    return dict(sorted(groups.items(), key=lambda it: _worth(it[1]), reverse=True))


def _worth(some: list[Place]) -> tuple[int, int, float]:
    """Return what a cost's measurement would settle: verdicts turned, then moved, then how far."""
    n_turned = sum(one.is_turned for one in some)
    return n_turned, len(some), max(one.turn.reach for one in some)


def n_decided(summary: Summary) -> int:
    """Return how many verdicts were weighed."""
    return sum(1 for _ in _decided(summary))


def best_cost(summary: Summary) -> str:
    """Return the cost whose measurement would settle most, or ""."""
    return next(iter(cost_places(summary)), "")


def cost_range_text(turn: Turn) -> str:
    """Say what range a cost was assumed to have, and on whose word."""
    return f"{turn.flag}, {turn.low:,} to {turn.high:,} cycles"


def moved_ends_text(place: Place) -> str:
    """Say from where to where a difference moves along a cost's range."""
    return f"{factor(place.turn.at_low)} to {factor(place.turn.at_high)}"


def place_text(place: Place) -> str:
    """Say where a cost turns a verdict, and at which value."""
    one, turn = place.weighed, place.turn
    is_cheaper_above = turn.at_high < turn.at_low
    side = "cheaper" if is_cheaper_above else "dearer"
    at = turn.turns_at or 0
    return (
        f"above {at:,} cycles {one.policy} becomes {side} than {one.other} in "
        f"{place.scenario.short_name}"
    )


def turning_text(summary: Summary) -> Markup:
    """Say which single measurement would turn the answer and at which value, or that none would."""
    n, found = n_decided(summary), cost_places(summary)
    if not n:
        return Markup(
            "Which cost would turn it can't be said: that takes a verdict from {} seeds or more."
        ).format(FEWEST_PAIRS)
    if not found:
        return Markup("None of its costs moves any of the {} verdicts beyond chance.").format(n)
    cost, some = next(iter(found.items()))
    turned = [one for one in some if one.is_turned]
    if not turned:
        most = max(some, key=lambda it: it.turn.reach)
        return Markup(
            "No cost turns any of the {} verdicts at any value in its range; most moves "
            "<code>{}</code> ({}): {} against {} in {} goes from {}."
        ).format(
            n, cost, cost_range_text(most.turn), most.weighed.policy, most.weighed.other,
            most.scenario.short_name, moved_ends_text(most),
        )  # fmt: skip
    turned.sort(key=lambda it: -it.turn.reach)
    n_turned = len({(one.scenario.name, one.weighed.policy) for one in _all_turned(found)})
    told = listing([place_text(one) for one in turned[:_NAMED]])
    more = f" ({len(turned) - _NAMED} more below)" if len(turned) > _NAMED else ""
    return Markup(
        "Of {1} verdicts of better or worse {0} turn within the assumed range of a single cost. "
        "Measure first <code>{2}</code> ({3}): {4}{5}."
    ).format(n_turned, n, cost, cost_range_text(turned[0].turn), told, more)


def _all_turned(found: dict[str, list[Place]]) -> list[Place]:
    """Return every verdict that some cost turns."""
    return [one for some in found.values() for one in some if one.is_turned]
