"""What each scenario expects, as criteria that can be judged, and whether they held.

A scenario's expectation is a sentence. Where it speaks of one answer against RETRY under one
discipline, or of lost TDs, the criterion stands here; what speaks of something else (batches of
pages, numbers of tries, shares of a stop) is not judged from a comparison, and says so.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from tdx_eval.comparing.summary import ScenarioResult, Summary
from tdx_eval.comparing.yardsticks import KICK, RETRY, YIELD
from tdx_eval.reporting.verdicts import Verdict, factor_text, verdict_on
from tdx_eval.reporting.wording import listing


class Judgement(StrEnum):
    """What came of an expectation."""

    HELD = "held"
    NOT_HELD = "not held"
    OPEN = "cannot be judged"


class Loss(StrEnum):
    """How many TDs a policy is expected to lose."""

    NONE = "no TD"
    SOME = "some TDs"
    ALL = "every TD"


@dataclass(frozen=True)
class Answer:
    """One answer at every busy reply, against RETRY.

    Attributes:
        policy: The constant answer.
        wanted: Verdicts that the expectation allows.
    """

    policy: str
    wanted: tuple[Verdict, ...]


@dataclass(frozen=True)
class Lost:
    """How many TDs a constant answer loses.

    Attributes:
        policy: The constant answer.
        wanted: How many.
    """

    policy: str
    wanted: Loss


Criterion = Answer | Lost

_LOSES = (Verdict.WORSE,)
_WINS = (Verdict.BETTER,)
_SAME = (Verdict.NO_DIFFERENCE,)
_NO_GAIN = (Verdict.WORSE, Verdict.NO_DIFFERENCE)

_KICK_LOSES = (Answer(KICK, _LOSES),)
_KICK_GAINS_NOTHING = (Answer(KICK, _NO_GAIN),)
_RETRY_CHEAPEST = (Answer(KICK, _NO_GAIN), Answer(YIELD, _NO_GAIN))
_EVEN = (Answer(KICK, _SAME), Answer(YIELD, _SAME))

CRITERIA: dict[str, tuple[Criterion, ...]] = {
    "s01-boot-storm-region": (Answer(YIELD, _LOSES),),
    "s03-zero-step": (Answer(KICK, _LOSES), Answer(YIELD, _LOSES)),
    "s04-zero-step-storm": (Answer(YIELD, _WINS),),
    "s04-zero-step-livelock": tuple(Lost(one, Loss.ALL) for one in (RETRY, KICK, YIELD)),
    "s05-zap-idle": _EVEN,
    "s06-conversion": _KICK_GAINS_NOTHING,
    "s06-conversion-calm": _KICK_GAINS_NOTHING,
    "s06-conversion-248": _KICK_LOSES,
    "s06-conversion-248-calm": _KICK_LOSES,
    "s07-conversion-idle-ticks": _KICK_LOSES,
    "s08-accept-2m": (Lost(RETRY, Loss.NONE), Lost(KICK, Loss.NONE)),
    "s09-accept-4k": _KICK_LOSES,
    "s10-hostile": _KICK_LOSES,
    "s10-hostile-2m": (Answer(KICK, _WINS),),
    "s11-provoked-kicks": _KICK_LOSES,
    "s12-slot-deletion": _RETRY_CHEAPEST,
    "s12-slot-deletion-calm": _EVEN,
    "s13-balloon": _KICK_GAINS_NOTHING,
    "s13-balloon-calm": _EVEN,
    "s14-split-punch-hole": _KICK_GAINS_NOTHING,
    "s15-export": (Answer(YIELD, _WINS), Answer(KICK, _NO_GAIN)),
    "s16-oversubscribed": _RETRY_CHEAPEST,
    "s16-oversubscribed-calm": _EVEN,
    "s17-sockets-calm": _EVEN,
    "s19-build": _KICK_GAINS_NOTHING,
    "s19-build-vp-init-v1": (Lost(RETRY, Loss.NONE),),
    "s20-prefault": _RETRY_CHEAPEST,
    "s21-small-tds": _EVEN,
    "s22-clean": _EVEN,
    "s24-single-pages": _KICK_GAINS_NOTHING,
    "s24-single-pages-calm": _EVEN,
    "s26-same-page": tuple(Lost(one, Loss.NONE) for one in (RETRY, KICK, YIELD)),
    "s26-abandoned-mark": (Lost(RETRY, Loss.NONE),),
}
"""By name of the scenario without its split."""


@dataclass(frozen=True)
class Judged:
    """An expectation and what was found.

    Attributes:
        text: The scenario's sentence.
        judgement: What came of it.
        found: The figures behind it, or why there are none.
    """

    text: str
    judgement: Judgement
    found: str


def _judge_answer(one: ScenarioResult, criterion: Answer) -> tuple[Judgement, str]:
    """Judge one answer against RETRY."""
    found = one.answers.get(criterion.policy)
    if found is None:
        return Judgement.OPEN, f"{criterion.policy} or {RETRY} was not played"
    verdict = verdict_on(found, one.n_episodes)
    text = f"{criterion.policy} against {RETRY}: {factor_text(found)}, {verdict.value}"
    if verdict is Verdict.NOT_TOLD_APART:
        return Judgement.OPEN, text
    return Judgement.HELD if verdict in criterion.wanted else Judgement.NOT_HELD, text


def _judge_lost(one: ScenarioResult, criterion: Lost) -> tuple[Judgement, str]:
    """Judge how many TDs an answer lost."""
    result = one.results.get(criterion.policy)
    if result is None:
        return Judgement.OPEN, f"{criterion.policy} was not played"
    n, n_lost = result.n_episodes, result.n_lost
    is_so = {Loss.NONE: n_lost == 0, Loss.SOME: n_lost > 0, Loss.ALL: n_lost == n}
    text = f"{criterion.policy} loses {n_lost:,} of {n:,} TDs"
    return Judgement.HELD if is_so[criterion.wanted] else Judgement.NOT_HELD, text


def _judge(one: ScenarioResult, criterion: Criterion) -> tuple[Judgement, str]:
    """Judge one criterion."""
    if isinstance(criterion, Answer):
        return _judge_answer(one, criterion)
    return _judge_lost(one, criterion)


def judged(one: ScenarioResult) -> Judged | None:
    """Return a scenario's expectation and what came of it; None if it states none.

    It held if all its criteria did, and did not if one of them did not.
    """
    if not one.expectation:
        return None
    criteria = CRITERIA.get(one.short_name, ())
    if not criteria:
        return Judged(one.expectation, Judgement.OPEN, "it speaks of more than answers")
    found = [_judge(one, criterion) for criterion in criteria]
    kinds = {kind for kind, _ in found}
    order = (Judgement.NOT_HELD, Judgement.OPEN, Judgement.HELD)
    worst = next(kind for kind in order if kind in kinds)
    return Judged(one.expectation, worst, "; ".join(text for _, text in found))


def all_judged(summary: Summary) -> list[tuple[ScenarioResult, Judged]]:
    """Return every expectation with what came of it: those that did not hold first."""
    pairs = [(one, judged(one)) for one in summary.scenarios]
    found = [(one, what) for one, what in pairs if what is not None]
    order = [Judgement.NOT_HELD, Judgement.HELD, Judgement.OPEN]
    return sorted(found, key=lambda it: order.index(it[1].judgement))


def expected_title(summary: Summary) -> str:
    """Say how many expectations held."""
    counts = Counter(what.judgement for _, what in all_judged(summary))
    told = [f"{counts[one]} {one.value}" for one in Judgement if counts[one]]
    return f"Expected against found: {listing(told)}"
