"""What messages say of values and names."""

from datetime import date

import numpy as np
import pytest

from tdx_env.scenarios.values import Range
from tdx_env.scenarios.wording import as_written, known


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        ("a", '"a"'),
        ({"low": 1, "high": 2}, "1..2"),
        (Range(low=3, high=3), "3"),
        ({"low": 1, "high": 2, "by": "me"}, "1..2"),
        ({"low": 1, "high": 2, "mid": 3}, "{low = 1, high = 2, mid = 3}"),
        (1.5, "1.5"),
        (date(2024, 9, 25), "2024-09-25"),
    ],
)
def test_values_in_messages_look_as_a_user_writes_them(value, text):
    assert as_written(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 << 300, "a number of 301 bits"),
        ([[[[[1]]]]], "[[[[...]]]]"),
        (list(range(14)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...]"),
        ("a\nb\x1b", '"a\\nb\\x1b"'),
        ("x" * 999, f'"{"x" * 200}...{"x" * 200}"'),
    ],
)
def test_values_in_messages_stay_on_a_line_that_can_be_read(value, text):
    assert as_written(value) == text


@pytest.mark.parametrize("value", [None, {1, 2}, b"a", np.arange(3), object])
def test_a_value_that_no_file_could_hold_is_named_with_its_type(value):
    assert as_written(value).endswith(f"({type(value).__name__})")


def test_no_known_name_is_said_so():
    assert known([]) == "must be one of: (there is none)"
