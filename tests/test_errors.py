"""Names that are unknown are answered with the nearest."""

import pytest

from tdx_env.errors import nearest, one_of

KNOWN = ["s08-accept-2m", "s09-accept-4k", "s10-hostile", "s22-clean"]


@pytest.mark.parametrize(
    ("given", "first"),
    [("s8-acept-2m", "s08-accept-2m"), ("CLEAN", "s22-clean"), ("hostle", "s10-hostile")],
)
def test_likeliest_name_comes_first(given, first):
    assert nearest(given, KNOWN)[0] == first


def test_three_are_named_and_the_rest_counted():
    text = one_of("s08", [*KNOWN, "s24-single-pages"])
    assert text == "must be one of: s08-accept-2m, s10-hostile, s09-accept-4k or 2 others"


def test_few_names_are_all_named():
    assert one_of("x", ["a", "b"]) == "must be one of: a, b"


def test_no_names_are_said_so():
    assert one_of("x", []) == "must be one of: (there is none)"


def test_huge_name_is_compared_by_its_beginning():
    assert nearest("s22" + "x" * 100_000, KNOWN)[0] == "s22-clean"
