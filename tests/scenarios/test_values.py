"""Numbers, ranges, words and bands as a scenario file holds them."""

import re

import pytest
from pydantic_core import PydanticCustomError

from tdx_env.scenarios.values import Bands, Choice, Range, Sizes, Span, Whole


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [(3, 3, 3), ({"low": 2, "high": 5}, 2, 5), (Range(low=1, high=2), 1, 2)],
)
def test_a_range_is_a_number_or_two_ends(given, low, high):
    assert Span(1, 9).check(given) == Range(low=low, high=high)


@pytest.mark.parametrize("given", [0, 10, 2.0, True, "3", None, [1, 2], {"low": 1}])
def test_what_is_no_range_of_whole_numbers_in_bounds_is_refused(given):
    with pytest.raises(PydanticCustomError, match="from 1 to 9"):
        Span(1, 9).check(given)


@pytest.mark.parametrize("given", [3, {"low": 2, "high": 5}])
def test_sizes_may_be_a_range(given):
    assert Sizes(1, 9).check(given) == Span(1, 9).check(given)


def test_sizes_may_be_choices_with_a_weight_each():
    given = {"choices": [2, 4, 8], "weights": [1, 0, 3]}
    chosen = Sizes(1, 9).check(given)
    assert chosen == Choice(choices=(2, 4, 8), weights=(1, 0, 3)) == Sizes(1, 9).check(chosen)
    assert (chosen.low, chosen.high, str(chosen)) == (2, 8, "2..8")


@pytest.mark.parametrize(
    ("choices", "weights", "why"),
    [
        ([2, 4], [1], "weights as many as choices, not 1 for 2 choices"),
        ([2, 4], [1, -1], "weights that are a list of 1 to 16 whole numbers from 0 to 1,000,000"),
        ([2, 4], [0, 0], "weights of which one is above 0"),
        ([2, 4], [0.5, 0.5], "whole numbers"),
        ([2, 4], [True, 1], "whole numbers"),
        ([2, 10], [1, 1], "choices that are a list of 1 to 16 whole numbers from 1 to 9"),
        ([4, 2], [1, 1], "choices that rise, each one once"),
        ([2, 2], [1, 1], "choices that rise, each one once"),
        ([], [], "choices that are a list of 1 to 16"),
        ("24", [1, 1], "choices that are a list of 1 to 16"),
        (list(range(1, 10)) * 2, [1] * 18, "choices that are a list of 1 to 16"),
    ],
)
def test_choices_and_weights_that_do_not_fit_are_refused(choices, weights, why):
    with pytest.raises(PydanticCustomError, match=re.escape(why)):
        Sizes(1, 9).check({"choices": choices, "weights": weights})


@pytest.mark.parametrize("given", [{"choices": [2]}, {"weights": [1]}, {"choices": [2], "low": 1}])
def test_choices_and_weights_come_together_and_alone(given):
    with pytest.raises(PydanticCustomError, match="together, and nothing beside them"):
        Sizes(1, 9).check(given)


def test_what_is_no_size_is_told_of_both_ways():
    with pytest.raises(PydanticCustomError, match="from 1 to 9 or choices with weights"):
        Sizes(1, 9).check("3")


def test_zero_alone_stands_for_none():
    assert Span(5, 9, has_zero=True).check(0) == Range(low=0, high=0)


def test_a_range_that_begins_at_the_zero_for_none_is_refused():
    with pytest.raises(PydanticCustomError, match="0 \\(none\\)"):
        Span(5, 9, has_zero=True).check({"low": 0, "high": 9})


@pytest.mark.parametrize("given", [True, 1.0, "1", -1, 10])
def test_a_whole_number_is_no_boolean_float_or_text(given):
    with pytest.raises(PydanticCustomError, match="a whole number from 0 to 9"):
        Whole(0, 9).check(given)


def test_bands_are_put_in_order():
    assert Bands().check([7, 2]) == (2, 7)


@pytest.mark.parametrize("given", [[], [1, 1], [10], [-1], 3, ["1"]])
def test_bands_are_different_and_from_0_to_9(given):
    with pytest.raises(PydanticCustomError, match="from 0 to 9"):
        Bands().check(given)
