"""Numbers, ranges, words and bands as a scenario file holds them."""

import pytest
from pydantic_core import PydanticCustomError

from tdx_env.scenarios.values import Bands, Range, Span, Whole


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
