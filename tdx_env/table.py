"""Tables and lines for terminals of any width: nothing is cut, what doesn't fit goes below.

A table is as wide as its cells if that fits. Else its last column, which has the longest texts,
stands on lines of its own below each row; in a very narrow terminal each row is a block of lines.
"""

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

_PIPE_WIDTH = 160  # of what is no terminal, where nobody wants lines broken
_GAP = 2
_INDENT = "    "
_NARROWEST = 20


def _is_pipe() -> bool:
    """Say whether what is printed goes into a pipe or file, and nobody has said how wide it is."""
    return "COLUMNS" not in os.environ and not sys.stdout.isatty()


def width() -> int:
    """Return how many columns the terminal has; $COLUMNS counts, and a pipe is wide."""
    return _PIPE_WIDTH if _is_pipe() else max(_NARROWEST, shutil.get_terminal_size().columns)


def _fill(text: str, columns: int, first: str, rest: str) -> list[str]:
    """Return a text in lines of so many columns at most; a long word is broken."""
    return textwrap.wrap(
        text, columns, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def folded(text: str, columns: int | None = None) -> str:
    """Return a text whose lines fit: a long one goes on below, indented further.

    Args:
        text: Some lines.
        columns: How many there are; None: the terminal's. Lines for a pipe are left whole.
    """
    if columns is None and _is_pipe():
        return text
    limit = width() if columns is None else columns
    lines: list[str] = []
    for line in text.split("\n"):
        if len(line) <= limit:
            lines.append(line)
            continue
        indent = line[: len(line) - len(line.lstrip())]
        lines += _fill(line.strip(), limit, indent, indent + _INDENT)
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return cells side by side."""
    padded = (f"{cell:<{size}}" for cell, size in zip(cells, widths, strict=True))
    return (" " * _GAP).join(padded).rstrip()


def _below(rows: Sequence[Sequence[str]], widths: Sequence[int], limit: int) -> list[str]:
    """Return rows whose last cells stand below."""
    lines = []
    for row in rows:
        lines.append(_line(row[:-1], widths[:-1]))
        lines += _fill(row[-1], limit, _INDENT, _INDENT)
    return lines


def _blocks(head: Sequence[str], rows: Sequence[Sequence[str]], limit: int) -> list[str]:
    """Return each row as a block: its first cell, and what is below it by name."""
    lines = []
    for row in rows:
        lines += _fill(row[0], limit, "", _INDENT)
        for name, cell in zip(head[1:], row[1:], strict=True):
            if cell:
                lines += _fill(f"{name}: {cell}", limit, "  ", _INDENT)
    return lines


def table_text(
    head: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None = None
) -> str:
    """Return a table as text that fits.

    Args:
        head: The names of its columns; the last column is the one with long texts.
        rows: Its rows.
        columns: How many the terminal has; None: ask.
    """
    limit = width() if columns is None else columns
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    if sum(widths) + _GAP * (len(widths) - 1) <= limit:
        rule = ["-" * size for size in widths]
        return "\n".join(_line(row, widths) for row in (head, rule, *rows))
    if sum(widths[:-1]) + _GAP * (len(widths) - 2) <= limit:
        rule = ["-" * size for size in widths]
        top = [_line(head[:-1], widths[:-1]), _INDENT + head[-1], _line(rule[:-1], widths[:-1])]
        return "\n".join([*top, *_below(rows, widths, limit)])
    return "\n".join(_blocks(head, rows, limit))
