"""Write docs/lost-matrix.md from the table of docs/lost.md: `python docs/lost_matrix.py`.

`tdx-eval lost --write` plays the episodes and writes docs/lost.md; this arranges what it found.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from markdown_table import table
from tdx_agents.handwritten import rows
from tdx_env.scenarios import load

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "lost-matrix.md"
_ROW = re.compile(r"^\| ([a-z][\w.-]*) \| ((?:s\d\d|w-)\S*: .*) \|$", re.MULTILINE)
_CELL = re.compile(r"(\S+): (.*?) of (\d+) \[([\d, ]+)\]")
_COUNT = re.compile(r"(\d+) (killed|hung|capped)")
_COUNTS = re.compile(r"^([\d,]+) of ([\d,]+) episodes are lost, in (\d+) of ([\d,]+) pairs", re.M)
_EVERYWHERE = "p26-zero-tolerance"  # any busy reply is KVM_BUG_ON: it would fill the columns
_TEXT = """---
hide: [toc]
---

# Who loses the TD

**{n_lost} of {n_all} episodes are lost, in {n_pairs} of {n_all_pairs} pairs of policy and
scenario.** A TD is lost when KVM kills it (KVM_BUG_ON), when nothing moves any more, or at the time
cap. Lost almost everywhere: P26, for which any busy reply is KVM_BUG_ON; it is left out below.

Made by `python docs/lost_matrix.py` from the table of [the chains that lose it](lost.md), which
says what was played, and how each TD is lost.

**k**: killed in every episode; **h**: hung in every episode; **x**: both, or capped; a number: so
many percent of the episodes are lost. Empty: none. Policies that lose alike share a row; the
columns are all scenarios in which somebody loses.

{matrix}

| column | scenario | marks | chains |
| --- | --- | --- | --- |
{columns}

Not in the table: {none}; they lost nothing, or are younger than that play.
"""


class Cell(NamedTuple):
    """What a policy came to in a scenario.

    Attributes:
        mark: What the matrix shows.
        chains: Numbers of the chains of docs/lost.md.
    """

    mark: str
    chains: frozenset[int]


def cell_of(counts: str, n: int, chains: str) -> Cell:
    """Return a cell.

    Args:
        counts: Lost episodes by end, as the page has them: "32 killed and 8 hung".
        n: Episodes.
        chains: Numbers of chains, with commas between.
    """
    ends = {end: int(count) for count, end in _COUNT.findall(counts)}
    n_lost = sum(ends.values())
    numbers = frozenset(int(one) for one in chains.split(","))
    if n_lost < n:
        return Cell(str(max(1, 100 * n_lost // n)), numbers)
    letter = {"killed": "k", "hung": "h"}.get(next(iter(ends)), "x") if len(ends) == 1 else "x"
    return Cell(f"**{letter}**", numbers)


def found_in(text: str) -> dict[str, dict[str, Cell]]:
    """Return the cells of docs/lost.md, by policy and scenario."""
    return {
        policy: {
            scenario: cell_of(counts, int(n), chains)
            for scenario, counts, n, chains in _CELL.findall(cells)
        }
        for policy, cells in _ROW.findall(text)
    }


def _number(name: str, numbers: Mapping[str, str]) -> str:
    """Return a policy's number, or its name if it has none."""
    return numbers.get(name) or f"`{name}`"


def page(text: str) -> str:
    """Return the page of the matrix.

    Args:
        text: docs/lost.md.
    """
    found = found_in(text)
    found.pop(_EVERYWHERE)
    numbers = {row.name: row.number for row in rows()}
    scenarios = sorted({scenario for cells in found.values() for scenario in cells})
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for policy, cells in found.items():
        marks = tuple(cells[one].mark if one in cells else "" for one in scenarios)
        alike[marks].append(_number(policy, numbers))
    order = sorted(alike, key=lambda marks: -sum(mark != "" for mark in marks))
    head = ("policies", *(str(number) for number in range(1, len(scenarios) + 1)))
    columns = []
    for number, name in enumerate(scenarios, 1):
        chains = {one for cells in found.values() if name in cells for one in cells[name].chains}
        marks = ", ".join(load(f"{name}/test").marks)
        said = ", ".join(map(str, sorted(chains)))
        columns.append(f"| {number} | `{name}` | {marks} | {said} |")
    counts = _COUNTS.search(text)
    assert counts is not None, "docs/lost.md has another form"
    n_lost, n_all, n_pairs, n_all_pairs = counts.groups()
    none = [_number(name, numbers) for name in numbers if name not in {*found, _EVERYWHERE}]
    return _TEXT.format(
        n_lost=n_lost, n_all=n_all, n_pairs=n_pairs, n_all_pairs=n_all_pairs,
        matrix=table(head, [(", ".join(alike[marks]), *marks) for marks in order]),
        columns="\n".join(columns), none=", ".join(none) or "no policy",
    )  # fmt: skip


if __name__ == "__main__":
    PAGE.write_text(page((DOCS / "lost.md").read_text(encoding="utf-8")), encoding="utf-8")
