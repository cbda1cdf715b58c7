"""Draw the picture of each page of docs/answers from its tables: `python docs/answer_pictures.py`.

A picture has the tables' own figures and nothing else. Its ground is white, so that it can be read
on a dark page too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

from answers import PLACE

mpl.use("svg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).resolve().parent / "answers"
MERGED = "P20"  # what Linux 6.19 does
_WORDS = {
    "P8": "retry without limit",
    "P18": "Linux 6.16",
    "P20": "Linux 6.19",
    "P27": "two tries, then a kick",
    "P29": "tries by the lock",
    "operand": "answer by the lock",
    "until-waits": "when somebody waits",
    "needbreak": "at KVM's own breaks",
    "greedy": "when waiting cost a kick",
}  # what a row is, beside its name
_LOST, _MERGED, _OTHER = "#c0392b", "#7f8c8d", "#1f618d"
_COST, _WITH_TRACK = "cost [µs]", "with TRACK's kicks"
_RELATIVE = {_WITH_TRACK: "host's and guest's time, kicks of TRACK included, against Linux 6.16"}
_HUGE = 1e7  # a cost with which a lost TD's words stand
_HEADING = re.compile(r"\*\*(s\d\d-[\w-]+)\*\*: .*\n\n((?:\|.*\n)+)")


@dataclass(frozen=True)
class Picture:
    """What a page's picture shows.

    Attributes:
        runs: Runs of answers.toml whose tables it has, and what stands above each.
        column: Column of the tables that is drawn.
    """

    runs: Mapping[str, str]
    column: str = _COST


@dataclass(frozen=True)
class Panel:
    """One table.

    Attributes:
        title: What stands above it.
        rows: Policy, value, and how many TDs were lost in words, "" if none.
    """

    title: str
    rows: Sequence[tuple[str, float, str]]


PICTURES = {
    "track-busy": Picture({"tries": ""}),
    "accept-2m": Picture({"accept-34": ""}),
    "how-many-tries": Picture({"tries": ""}),
    "when-to-flush": Picture({"flush": ""}, _WITH_TRACK),
    "export": Picture({"export": ""}),
    "slot-deletion": Picture({"slot": ""}),
    "building": Picture({"build": ""}),
    "dynamic-pamt": Picture({"pamt-locked": "as merged", "pamt-fast": "fast path"}),
}


def value_of(cell: str) -> float:
    """Return a cell's number: a cost, or a relative difference as a factor."""
    text = cell.replace(",", "").split("(")[0].strip()
    if text.startswith("×"):
        return float(text[1:])
    return 1 + float(text[:-1]) / 100 if text.endswith("%") else float(text)


def label(name: str) -> str:
    """Return what stands beside a policy's dots."""
    tries = name.removeprefix("P28-")
    words = f"{tries} tries, then a kick" if tries != name else _WORDS.get(name, "")
    return f"{words}  {name}".strip()


def _rows(table: str, column: str) -> Iterator[tuple[str, float, str]]:
    """Yield a table's rows as a panel has them."""
    lines = [
        [cell.strip() for cell in line.strip("|\n ").split(" | ")] for line in table.split("\n")
    ]
    head = lines[0]
    for line in lines[2:]:
        if len(line) != len(head):
            continue
        cells = dict(zip(head, line, strict=True))
        name = cells["policy"].split("`")[0].strip() or cells["policy"].strip("`")
        lost = cells["lost"]
        yield name, value_of(cells[column]), "" if lost.startswith("0 ") else f"{lost} lost"


def panels(page: str, picture: Picture) -> list[Panel]:
    """Return what a page's picture shows."""
    found = []
    for run, _, text in PLACE.findall(page):
        if run in picture.runs:
            for slug, table in _HEADING.findall(text):
                title = f"{slug} {picture.runs[run]}".strip()
                found.append(Panel(title, list(_rows(table, picture.column))))
    return found


def _draw(axes: Any, panel: Panel) -> None:
    """Draw a panel: a dot for each policy, with its value."""
    for place, (name, value, lost) in enumerate(panel.rows):
        colour = _LOST if lost else _MERGED if name == MERGED else _OTHER
        axes.plot(value, place, "X" if lost else "o", color=colour, ms=6, zorder=3)
        text = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
        axes.annotate(
            f"{text}  {lost}".strip(), (value, place), (7, 0), textcoords="offset points",
            va="center", fontsize=7, color=colour,
        )  # fmt: skip
    axes.set_title(panel.title, fontsize=8, loc="left")
    axes.tick_params(labelsize=7)
    axes.minorticks_off()
    axes.grid(axis="x", color="#e5e8e8")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def draw(name: str) -> None:
    """Write the picture of a page."""
    picture = PICTURES[name]
    shown = panels((FOLDER / f"{name}.md").read_text(encoding="utf-8"), picture)
    names = [row[0] for row in shown[0].rows]
    mpl.rcParams.update({"svg.hashsalt": "tdx-env", "svg.fonttype": "path"})
    size = (2.6 * len(shown) + 2.0, 0.24 * len(names) + 1.1)
    figure, grid = plt.subplots(
        1, len(shown), figsize=size, layout="constrained", squeeze=False, sharey=True, sharex=True
    )
    values = [value for panel in shown for _, value, _ in panel.rows]
    low, high = min(values), max(values)
    grid[0][0].set_xscale("log")
    grid[0][0].set_xlim(low / 2, high * max(4, (high / low) ** (0.7 if high > _HUGE else 0.4)))
    for axes, panel in zip(grid[0], shown, strict=True):
        _draw(axes, panel)
    grid[0][0].set_yticks(range(len(names)), map(label, names))
    grid[0][0].set_ylim(len(names) - 0.5, -0.5)
    figure.supxlabel(
        _RELATIVE.get(picture.column, "CPU time wasted in an episode [µs]"), fontsize=8
    )
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def main() -> None:
    """Draw all."""
    for name in PICTURES:
        draw(name)


if __name__ == "__main__":
    main()
