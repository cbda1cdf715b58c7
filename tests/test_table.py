"""Tables and lines for terminals of any width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_env.table import folded, table_text

HEAD = ("name", "size", "what it is")
ROWS = [("one", "1", "the first of them"), ("three", "3", "the last of them")]
words = st.text("abc -", min_size=1, max_size=30)


def test_table_that_fits_has_one_line_a_row() -> None:
    assert table_text(HEAD, ROWS, 40).splitlines() == [
        "name   size  what it is",
        "-----  ----  -----------------",
        "one    1     the first of them",
        "three  3     the last of them",
    ]


def test_last_column_goes_below_if_it_does_not_fit() -> None:
    assert table_text(HEAD, ROWS, 24).splitlines() == [
        "name   size",
        "    what it is",
        "-----  ----",
        "one    1",
        "    the first of them",
        "three  3",
        "    the last of them",
    ]


def test_narrow_terminal_gets_blocks() -> None:
    rows = [("a" * 18, "b" * 9, "c")]
    assert table_text(HEAD, rows, 20).splitlines() == [
        "a" * 18,
        "  size: bbbbbbbbb",
        "  what it is: c",
    ]


@given(rows=st.lists(st.tuples(words, words, words)), columns=st.sampled_from([20, 40, 80]))
def test_no_line_is_wider_than_the_terminal(rows, columns) -> None:
    text = table_text(HEAD, rows, columns)
    assert all(len(line) <= columns for line in text.splitlines())


@given(text=st.text("ab \n", max_size=200), columns=st.integers(20, 80))
def test_folded_text_loses_no_word(text, columns) -> None:
    shown = folded(text, columns)
    assert shown.split() == text.split() or any(len(word) > columns - 8 for word in text.split())
    assert all(len(line) <= columns for line in shown.split("\n"))


@pytest.mark.parametrize("columns", [20, 80])
def test_short_lines_stay_as_they_are(columns) -> None:
    assert folded("  a   b\n\nc", columns) == "  a   b\n\nc"


def test_lines_for_a_pipe_stay_whole(monkeypatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert folded("word " * 200) == "word " * 200
