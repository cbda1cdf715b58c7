"""Tables of the page of benchmarks."""

import pytest

from benchmarks.tables import in_seconds, short, spread, table

RATE = {"median": 23_492_564.0, "low": 8_236.4, "high": 57.2}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (23_492_564, "23.5 M"),
        (1_234_567, "1.23 M"),
        (823_984, "824 k"),
        (1_000, "1.00 k"),
        (57.2, "57"),
        (0, "0"),
    ],
)
def test_number_has_three_digits(value, text):
    assert short(value) == text


def test_spread_has_the_lowest_and_highest_figure():
    assert spread(RATE) == "23.5 M (8.24 k to 57)"
    assert in_seconds({"median": 1.25, "low": 1, "high": 2}, 1) == "1.2 (1.0 to 2.0)"


def test_first_column_of_a_table_is_to_the_left():
    lines = table(("a", "b"), [("1", "2")]).splitlines()
    assert lines == ["| a | b |", "| --- | --: |", "| 1 | 2 |"]
