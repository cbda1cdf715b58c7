"""How narrow intervals are, and what a wanted width takes."""

from dataclasses import replace

import pytest

from tdx_env.errors import ResultError
from tdx_eval.comparing.precision import (
    MOST_SEEDS,
    half_width,
    precision_text,
    seeds_needed,
    share_from,
    smallest_seen,
    widths,
)
from tdx_eval.comparing.statistics import Estimate


def with_widths(summary, *halves, wanted=0.01, n=40):
    """Return the summary with intervals of given half widths, one for each scenario."""
    some = []
    for one, half in zip(summary.contested, halves, strict=True):
        relative = Estimate(0.0, 1 / (1 + half) - 1, half)
        contests = {
            name: replace(it, to_best=replace(it.to_best, relative=relative))
            for name, it in one.contests.items()
        }
        results = {
            name: replace(
                it, n_episodes=n, to_reference=replace(it.to_reference, relative=relative)
            )
            for name, it in one.results.items()
        }
        some.append(replace(one, contests=contests, results=results))
    manifest = {**summary.manifest, "precision": wanted}
    return replace(summary, scenarios=some, manifest=manifest)


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), (" 2.5 %", 0.025), ("5", 0.05)])
def test_precision_is_written_in_percent(text, share):
    assert share_from("--precision", text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "0%", "-1%", "100%", "nan", "inf", "fine"])
def test_precision_that_is_none_is_one_error(text):
    with pytest.raises(ResultError, match="--precision .*above 0 and below 100"):
        share_from("--precision", text)


def test_factor_and_its_inverse_have_one_width():
    assert half_width(Estimate(0.0, -0.5, 1.0)) == pytest.approx(1.0)
    assert half_width(Estimate(0.0, 0.0, 3.0)) == pytest.approx(half_width(Estimate(0, -0.75, 0)))


def test_what_is_seen_is_wider_than_the_interval():
    """As the difference of means: 1.43 half widths of the logarithm, for 80 % power."""
    narrow = Estimate(0.0, 1 / 1.01 - 1, 0.01)
    assert smallest_seen(narrow) == pytest.approx(0.0143, abs=2e-4)
    assert smallest_seen(Estimate(-0.99, -0.99, -0.99)) == 0


def test_twice_as_narrow_takes_four_times_as_many_and_a_fifth(compared):
    summary = with_widths(compared.summary, 0.02, 0.005)
    assert widths(summary)[0].half == pytest.approx(0.02)
    assert seeds_needed(summary, 0.01) == pytest.approx(1.2 * 40 * 4, abs=1)


def test_what_is_out_of_reach_is_not_played_but_told(compared):
    summary = with_widths(compared.summary, 0.5, 0.02)
    assert 0 < seeds_needed(summary, 0.01) < MOST_SEEDS
    text = precision_text(summary)
    assert f"not reached in {len(widths(summary))} of {len(widths(summary))}" in text
    assert "the widest is ±50 % in" in text
    assert "would take about 120,0" in text


def test_what_is_narrow_takes_no_more(compared):
    summary = with_widths(compared.summary, 0.005, 0.005)
    assert seeds_needed(summary, 0.01) == 0
    assert "reached in all" in precision_text(summary)


def test_nothing_asked_is_nothing_told(compared):
    assert precision_text(compared.summary) == ""
