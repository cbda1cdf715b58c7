"""Markdown as the made pages write it."""

from collections.abc import Sequence

NOTE = "Made by `python docs/generate.py` from the code; a test holds it against that."


def cell(text: object) -> str:
    """Return a text as a cell of a Markdown table may hold it."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in (head, rule, *lines))
