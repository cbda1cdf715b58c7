"""The matrix of all conflicts, as a table for the terminal and as JSON."""

import json
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tdx_env.matrix.conflicts import Conflict, conflicts, conflicts_on_merged
from tdx_env.matrix.parties import PARTIES, Party, party_name
from tdx_env.module.seamcalls import DEFAULT_VERSION
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
}
_NO_LOCK = "#"
_WIDTH = 100
_ALIKE = "Calls that meet all others alike share a row:"
_SAME_VCPU = "What comes on top if both calls are about the same vCPU:"
_LEGEND = """\
A row is the call that came first, a column the one that arrives. Busy on T: the S-EPT tree, E: the
entry, C: the TLB epoch, R: the TDR, O: OP_STATE, P: the page, V: the TDVPR, Q: the RTMRs, B: the
bindings of service TDs, D and S: TDR and OP_STATE of the second TD that a call names. #: no lock,
the vCPU's state. A small letter: held for an instant only. In brackets: only about the same S-EPT
entry and page. A dot: no conflict."""

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
    """

    first: Party
    second: Party
    different_entries: tuple[Conflict, ...]
    same_entry: tuple[Conflict, ...]
    same_vcpu: tuple[Conflict, ...] = ()
    merged_entry: tuple[Conflict, ...] = ()

    def __str__(self) -> str:
        """Return the cell's letters, for different vCPUs."""
        everywhere = _letters(self.different_entries)
        only_same = [letter for letter in _letters(self.same_entry) if letter not in everywhere]
        return "".join(everywhere) + (f"({''.join(only_same)})" if only_same else "") or "."

    def on_same_vcpu(self) -> str:
        """Return the letters of what comes on top if both are about the same vCPU."""
        only_same = [one for one in self.same_vcpu if one not in self.different_entries]
        return "".join(_letters(only_same)) or "."


def _letters(found: Iterable[Conflict]) -> list[str]:
    """Return one letter for each conflict, a small one if it is momentary."""
    letters = []
    for conflict in found:
        letter = _NO_LOCK if conflict.lock is None else LETTERS[conflict.lock]
        letters.append(letter.lower() if conflict.is_momentary else letter)
    return letters


def cell(first: Party, second: Party, version: str = DEFAULT_VERSION) -> Cell:
    """Return what two parties do to each other."""
    return Cell(
        first,
        second,
        tuple(conflicts(first, second, same_entry=False, version=version)),
        tuple(conflicts(first, second, same_entry=True, version=version)),
        tuple(conflicts(first, second, same_entry=False, version=version, same_vcpu=True)),
        tuple(conflicts_on_merged(first, second, version)),
    )


def matrix(version: str = DEFAULT_VERSION, parties: Sequence[Party] = PARTIES) -> list[list[Cell]]:
    """Return the cells of all pairs: a row for each first party, a column for each second.

    Raises:
        ScenarioError: There is no such version.
    """
    return [[cell(first, second, version) for second in parties] for first in parties]


def _groups(rows: list[list[Cell]], text: Callable[[Cell], str]) -> Groups:
    """Return the parties in groups of the same row and column."""
    texts = [[text(found) for found in row] for row in rows]
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Party]] = {}
    for number, row in enumerate(rows):
        column = tuple(line[number] for line in texts)
        groups.setdefault((tuple(texts[number]), column), []).append(row[0].first)
    return list(groups.values())


def _table(groups: Groups, rows: list[list[Cell]], text: Callable[[Cell], str]) -> list[str]:
    """Return the lines of a table with a row and a column for each group."""
    cells = {(found.first, found.second): text(found) for row in rows for found in row}
    names = [f"{number:2} {_head(group)}" for number, group in enumerate(groups, 1)]
    lines = [f"{'':{max(map(len, names))}}", *(f"{name:{max(map(len, names))}}" for name in names)]
    for number, second in enumerate(groups, 1):
        column = [str(number), *(cells[first[0], second[0]] for first in groups)]
        width = max(map(len, column))
        lines = [f"{line} {part:>{width}}" for line, part in zip(lines, column, strict=True)]
    return lines


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


def matrix_text(version: str = DEFAULT_VERSION, parties: Sequence[Party] = PARTIES) -> str:
    """Return the matrix as tables for the terminal, with a legend."""
    rows = matrix(version, parties)
    groups = _groups(rows, str)
    text = [f"Module version {version}", "", *_table(groups, rows, str), ""]
    if len(groups) < len(rows):
        text += [_ALIKE, *_members(groups), ""]
    about = [number for number, row in enumerate(rows) if _is_about_a_vcpu(row, rows, number)]
    if about:
        few = [[rows[first][second] for second in about] for first in about]
        groups = _groups(few, Cell.on_same_vcpu)
        text += [_SAME_VCPU, "", *_table(groups, few, Cell.on_same_vcpu), ""]
        text += [_ALIKE, *_members(groups), ""]
    return "\n".join([*text, _LEGEND])


def _is_about_a_vcpu(row: list[Cell], rows: list[list[Cell]], number: int) -> bool:
    """Say whether anybody meets a party, or is met by it, only about the same vCPU."""
    column = [other[number] for other in rows]
    return any(found.on_same_vcpu() != "." for found in [*row, *column])


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
        }
        for found in cells
    ]
    return json.dumps({"module_version": version, "cells": records}, indent=2)


def matrix_json(version: str = DEFAULT_VERSION, parties: Sequence[Party] = PARTIES) -> str:
    """Return the matrix as a JSON text."""
    return cells_json((found for row in matrix(version, parties) for found in row), version)
