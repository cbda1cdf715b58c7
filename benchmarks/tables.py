"""Tables in Markdown."""

from collections.abc import Mapping, Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table: the first column to the left, the others to the right."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def short(value: float) -> str:
    """Return a number with three digits: 23.5 M, 824 k, 57."""
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if value >= unit:
            scaled = value / unit
            return f"{scaled:.{max(0, 2 - len(str(int(scaled))) + 1)}f}{name}"
    return f"{value:.0f}"


def spread(value: Mapping[str, float]) -> str:
    """Return a median with the lowest and highest figure behind it."""
    median, low, high = (short(value[name]) for name in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def in_seconds(value: Mapping[str, float], digits: int) -> str:
    """Return a median of times with the lowest and highest behind it."""
    median, low, high = (f"{value[name]:,.{digits}f}" for name in ("median", "low", "high"))
    return f"{median} ({low} to {high})"
