"""Verdicts: size and certainty together."""

from dataclasses import replace

import pytest

from tdx_eval.comparing.statistics import Estimate
from tdx_eval.reporting.verdicts import (
    FEWEST_SEEDS,
    Verdict,
    hopeless,
    lost_between,
    lost_by,
    tally_text,
    verdict_among,
    verdict_on,
)
from tdx_eval.reporting.wording import factor

from .conftest import difference

CASES = [
    ((-0.9, -0.5, -0.3), Verdict.BETTER),
    ((0.03, 0.2, 0.4), Verdict.WORSE),
    ((-0.019, -0.01, -0.005), Verdict.NO_DIFFERENCE),  # certain, but too small to matter
    ((-0.02, 0.0, 0.02), Verdict.NO_DIFFERENCE),
    ((-0.3, -0.1, 0.1), Verdict.NOT_TOLD_APART),
    ((-0.3, -0.1, -0.01), Verdict.NOT_TOLD_APART),  # certain, but perhaps too small to matter
]


@pytest.mark.parametrize(("ends", "wanted"), CASES)
def test_verdict_needs_size_and_certainty(ends, wanted):
    assert verdict_on(difference(*ends), 40) is wanted


def test_few_seeds_tell_nothing_apart():
    found = difference(-0.9, -0.9, -0.9)
    assert verdict_on(found, FEWEST_SEEDS - 1) is Verdict.NOT_TOLD_APART
    assert verdict_on(found, FEWEST_SEEDS) is Verdict.BETTER


@pytest.mark.parametrize(
    ("ends", "wanted"), [((0, 0, 0), Verdict.NO_DIFFERENCE), ((1, 2, 3), Verdict.NOT_TOLD_APART)]
)
def test_without_a_base_there_is_no_size(ends, wanted):
    low, value, high = ends
    found = replace(difference(0, 0, 0), relative=None, cycles=Estimate(value, low, high))
    assert verdict_on(found, 40) is wanted


def test_one_of_many_has_to_hold_after_correction(compared):
    summary = compared.summary
    one = summary.contested[0]

    def with_p(name, p):
        found = difference(-0.9, -0.5, -0.3)
        relative = replace(found.relative, p=p)
        result = replace(one.results[name], to_reference=replace(found, relative=relative))
        return replace(one, results={**one.results, name: result})

    assert verdict_among(summary, with_p("random", 0.01), "random") is Verdict.BETTER
    assert verdict_among(summary, with_p("random", 0.2), "random") is Verdict.NOT_TOLD_APART
    best = summary.best  # was chosen on other seeds
    assert verdict_among(summary, with_p(best, 0.2), best) is Verdict.BETTER


def test_tally_names_what_was_found():
    found = [Verdict.BETTER] * 3 + [Verdict.WORSE]
    assert tally_text(found) == "better in 3 of 4 scenarios, worse in 1"
    assert tally_text([Verdict.WORSE] * 2) == "worse in all 2 scenarios"
    assert tally_text([Verdict.WORSE]) == "worse in the one scenario"
    assert tally_text([]) == "in no scenario"


@pytest.mark.parametrize(
    ("relative", "wanted"),
    [
        (-0.9976, "÷420"),
        (-0.99994, "÷17,000"),
        (-0.5, "÷2.0"),
        (-0.49, "−49\N{NO-BREAK SPACE}%"),
        (-0.036, "−3.6\N{NO-BREAK SPACE}%"),
        (0.0001, "same"),
        (0.9, "+90\N{NO-BREAK SPACE}%"),
        (1.0, "×2.0"),
        (919, "×920"),
        (-1.0, "÷1,000,000"),
    ],
)
def test_large_differences_read_as_factors(relative, wanted):
    assert factor(relative) == wanted


def test_lost_tds_are_told_in_words(compared):
    one = compared.summary.contested[0]
    n, best, reference = one.n_episodes, compared.summary.best, compared.summary.reference
    kept = lost_between(one, best, reference)
    results = {name: replace(result, killed=n) for name, result in one.results.items()}
    both = replace(one, results=results)
    half = replace(one, results={**one.results, reference: results[reference]})
    assert kept == ""
    assert lost_between(both, best, reference) == f"both lose the TD in {n} of {n}"
    assert lost_between(half, best, reference) == f"{reference} loses the TD in {n} of {n}"


def test_scenarios_that_all_lose_are_nobodys_fault(compared):
    summary = compared.summary
    one = summary.contested[0]
    results = {name: replace(result, killed=one.n_episodes) for name, result in one.results.items()}
    others = [other for other in summary.scenarios if other.name != one.name]
    lost = replace(summary, scenarios=[replace(one, results=results), *others])
    assert [found.name for found in hopeless(lost)] == [one.name]
    assert lost_by(lost) == lost_by(replace(summary, scenarios=others))
