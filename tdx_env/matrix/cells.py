"""The matrix of all conflicts, as a table for the terminal and as JSON."""

import functools
import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tdx_env.matrix.conflicts import (
    Conflict,
    conflicts,
    conflicts_in_range,
    conflicts_on_merged,
)
from tdx_env.matrix.parties import Party, parties, party_name
from tdx_env.module.seamcalls import DEFAULT_VERSION
from tdx_env.module.versions import rules_not_read
from tdx_env.state.calls import Lock

LETTERS: dict[Lock, str] = {
    Lock.TDVPR: "V",
    Lock.TDR: "R",
    Lock.OP_STATE: "O",
    Lock.TREE: "T",
    Lock.ENTRY: "E",
    Lock.PAGE: "P",
    Lock.EPOCH: "C",
    Lock.MIG: "M",
    Lock.RTMR: "Q",
    Lock.SERVTD_BINDINGS: "B",
    Lock.OTHER_TDR: "D",
    Lock.OTHER_OP_STATE: "S",
    Lock.MEM_SCAN: "N",
    Lock.PAMT_2M: "A",
}
_NO_LOCK = "#"
_WIDTH = 100
_ALIKE = "Calls that meet all others alike share a row:"
_SAME_VCPU = "What comes on top if both calls are about the same vCPU:"
_SAME_RANGE = "What comes on top if both are about one 2M range of physical memory, of any TD:"
_NOT_READ = "Rules of this version that were not read in its own source:"
_LEGEND = """\
A row is the call that came first, a column the one that arrives. Busy on T: the S-EPT tree, E: the
entry, C: the TLB epoch, R: the TDR, O: OP_STATE, P: the page, V: the TDVPR, Q: the RTMRs, B: the
bindings of service TDs, D and S: TDR and OP_STATE of the second TD that a call names, N: the memory
scan, A: the PAMT entry of a 2M range. #: no lock, the vCPU's state. A small letter: held for an
instant only. In brackets: only about the same S-EPT entry and page. A dot: no conflict."""

Groups = list[list[Party]]


@dataclass(frozen=True)
class Cell:
    """One pair of parties.

    Attributes:
        first: Who came first.
        second: Who arrives.
        different_entries: The conflicts if they are about different S-EPT entries and vCPUs.
        same_entry: The conflicts if they are about the same entry, of different vCPUs.
        same_vcpu: The conflicts if they are about the same vCPU, and different entries.
        merged_entry: The conflicts if one is PROMOTE and the other is about an entry it merges.
        same_range: The conflicts on the PAMT entry of a 2M range that both are about.
    """

    first: Party
    second: Party
    different_entries: tuple[Conflict, ...]
    same_entry: tuple[Conflict, ...]
    same_vcpu: tuple[Conflict, ...] = ()
    merged_entry: tuple[Conflict, ...] = ()
    same_range: tuple[Conflict, ...] = ()

    def __str__(self) -> str:
        """Return the cell's letters, for different vCPUs."""
        everywhere = _letters(self.different_entries)
        only_same = [letter for letter in _letters(self.same_entry) if letter not in everywhere]
        return "".join(everywhere) + (f"({''.join(only_same)})" if only_same else "") or "."

    def on_same_vcpu(self) -> str:
        """Return the letters of what comes on top if both are about the same vCPU."""
        only_same = [one for one in self.same_vcpu if one not in self.different_entries]
        return "".join(_letters(only_same)) or "."

    def in_same_range(self) -> str:
        """Return the letters of what comes on top if both are about the same 2M range."""
        return "".join(_letters(self.same_range)) or "."


def _letters(found: Iterable[Conflict]) -> list[str]:
    """Return one letter for each conflict, a small one if it is momentary."""
    letters = []
    for conflict in found:
        letter = _NO_LOCK if conflict.lock is None else LETTERS[conflict.lock]
        letters.append(letter.lower() if conflict.is_momentary else letter)
    return letters


@functools.cache  # a matrix has some 5,000, and takes seconds
def cell(first: Party, second: Party, version: str = DEFAULT_VERSION) -> Cell:
    """Return what two parties do to each other."""
    return Cell(
        first,
        second,
        tuple(conflicts(first, second, same_entry=False, version=version)),
        tuple(conflicts(first, second, same_entry=True, version=version)),
        tuple(conflicts(first, second, same_entry=False, version=version, same_vcpu=True)),
        tuple(conflicts_on_merged(first, second, version)),
        tuple(conflicts_in_range(first, second, version)),
    )


def matrix(
    version: str = DEFAULT_VERSION, among: Sequence[Party] | None = None
) -> list[list[Cell]]:
    """Return the cells of all pairs: a row for each first party, a column for each second.

    Args:
        version: A version of the module.
        among: The parties; None: all of the version.

    Raises:
        ScenarioError: There is no such version.
    """
    chosen = parties(version) if among is None else among
    return [[cell(first, second, version) for second in chosen] for first in chosen]


def _groups(rows: list[list[Cell]], text: Callable[[Cell], str]) -> Groups:
    """Return the parties in groups of the same row and column."""
    texts = [[text(found) for found in row] for row in rows]
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Party]] = {}
    for number, row in enumerate(rows):
        column = tuple(line[number] for line in texts)
        groups.setdefault((tuple(texts[number]), column), []).append(row[0].first)
    return list(groups.values())


def _table(
    groups: Groups, rows: list[list[Cell]], text: Callable[[Cell], str], columns: int
) -> list[str]:
    """Return the lines of a table with a row and a column for each group.

    Columns that don't fit follow below, with the rows' names again.
    """
    cells = {(found.first, found.second): text(found) for row in rows for found in row}
    names = ["", *(f"{number:2} {_head(group)}" for number, group in enumerate(groups, 1))]
    left = [f"{name:{max(map(len, names))}}" for name in names]
    blocks, lines = [], left
    for number, second in enumerate(groups, 1):
        column = [str(number), *(cells[first[0], second[0]] for first in groups)]
        width = max(map(len, column))
        if lines is not left and len(lines[0]) + 1 + width > columns:
            blocks.append(lines)
            lines = left
        lines = [f"{line} {part:>{width}}" for line, part in zip(lines, column, strict=True)]
    return [line for block in blocks for line in (*block, "")] + lines


def _head(group: list[Party]) -> str:
    """Return the name of a group: its first party's, and how many more there are."""
    more = f" +{len(group) - 1}" if len(group) > 1 else ""
    return party_name(group[0]) + more


def _members(groups: Groups) -> list[str]:
    """Return who the members of groups of several are."""
    lines = []
    for number, group in enumerate(groups, 1):
        if len(group) > 1:
            names = ", ".join(party_name(party) for party in group)
            lines += textwrap.wrap(f"{number:2} {names}", _WIDTH, subsequent_indent="   ")
    return lines


def matrix_text(
    version: str = DEFAULT_VERSION,
    among: Sequence[Party] | None = None,
    columns: int = sys.maxsize,
) -> str:
    """Return the matrix as tables, with a legend.

    Args:
        version: A version of the module.
        among: The parties; None: all of the version.
        columns: How wide a table may be; what doesn't fit follows below it.
    """
    rows = matrix(version, among)
    groups = _groups(rows, str)
    text = [f"Module version {version}", "", *_table(groups, rows, str, columns), ""]
    if len(groups) < len(rows):
        text += [_ALIKE, *_members(groups), ""]
    for heading, letters in ((_SAME_VCPU, Cell.on_same_vcpu), (_SAME_RANGE, Cell.in_same_range)):
        text += _special_table(rows, heading, letters, columns)
    return "\n".join([*text, _LEGEND, *_not_read(version)])


def _special_table(
    rows: list[list[Cell]], heading: str, letters: Callable[[Cell], str], columns: int
) -> list[str]:
    """Return a table of those who meet, or are met, in a special case alone."""
    concerned = [number for number, row in enumerate(rows) if _meets(row, rows, number, letters)]
    if not concerned:
        return []
    few = [[rows[first][second] for second in concerned] for first in concerned]
    groups = _groups(few, letters)
    return [heading, "", *_table(groups, few, letters, columns), "", _ALIKE, *_members(groups), ""]


def _meets(
    row: list[Cell], rows: list[list[Cell]], number: int, letters: Callable[[Cell], str]
) -> bool:
    """Say whether anybody meets a party, or is met by it, in a special case."""
    column = [other[number] for other in rows]
    return any(letters(found) != "." for found in [*row, *column])


def _not_read(version: str) -> list[str]:
    """Return the rules of a version that rest on less than its own source."""
    rules = rules_not_read(version)
    if not rules:
        return []
    lines = [f"  {rule.name}: {evidence.meaning}" for rule, evidence in rules]
    return ["", _NOT_READ, *lines]


def conflict_record(conflict: Conflict) -> dict[str, object]:
    """Return a conflict as JSON has it."""
    return {
        "first": party_name(conflict.first),
        "second": party_name(conflict.second),
        "lock": None if conflict.lock is None else conflict.lock.name,
        "status": f"0x{conflict.status:016X}",
        "is_momentary": conflict.is_momentary,
        "leaves_mark": conflict.leaves_mark,
        "mark_survives": conflict.mark_survives,
        "note": conflict.note,
    }


def cells_json(cells: Iterable[Cell], version: str = DEFAULT_VERSION) -> str:
    """Return cells as a JSON text."""
    records = [
        {
            "first": party_name(found.first),
            "second": party_name(found.second),
            "different_entries": [conflict_record(one) for one in found.different_entries],
            "same_entry": [conflict_record(one) for one in found.same_entry],
            "same_vcpu": [conflict_record(one) for one in found.same_vcpu],
            "merged_entry": [conflict_record(one) for one in found.merged_entry],
            "same_range": [conflict_record(one) for one in found.same_range],
        }
        for found in cells
    ]
    return json.dumps({"module_version": version, "cells": records}, indent=2)


def matrix_json(version: str = DEFAULT_VERSION, among: Sequence[Party] | None = None) -> str:
    """Return the matrix as a JSON text."""
    return cells_json((found for row in matrix(version, among) for found in row), version)
