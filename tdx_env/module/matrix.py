"""The matrix of all conflicts, as a table for the terminal and as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tdx_env.module.conflicts import Conflict, conflicts
from tdx_env.module.parties import PARTIES, Party, Pseudo, party_name
from tdx_env.module.seamcalls import DEFAULT_VERSION
from tdx_env.state.calls import Leaf, Lock

MAIN_PARTIES: tuple[Party, ...] = (
    Leaf.MEM_SEPT_ADD,
    Leaf.MEM_PAGE_AUG,
    Leaf.MEM_PAGE_REMOVE,
    Leaf.MEM_PAGE_DEMOTE,
    Leaf.MEM_RANGE_BLOCK,
    Leaf.MEM_RANGE_UNBLOCK,
    Leaf.MEM_SEPT_REMOVE,
    Leaf.MEM_TRACK,
    Leaf.VP_ENTER,
    Pseudo.ARMED_VP_ENTER,
    Pseudo.VCPU_IN_GUEST,
    Leaf.MEM_PAGE_ADD,
    Leaf.ACCEPT,
    Leaf.ATTR_RD,
)

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
_LEGEND = """\
A row is the call that came first, a column the one that arrives; two vCPUs' calls are of different
vCPUs. Busy on T: the S-EPT tree, E: the entry, C: the TLB epoch, R: the TDR, O: OP_STATE,
P: the page, V: the TDVPR, M: the migration lock. A small letter: held for an instant only. In
brackets: only about the same S-EPT entry. A dot: no conflict."""


@dataclass(frozen=True)
class Cell:
    """One pair of parties, on different vCPUs.

    Attributes:
        first: Who came first.
        second: Who arrives.
        different_entries: The conflicts if they are about different S-EPT entries.
        same_entry: The conflicts if they are about the same.
    """

    first: Party
    second: Party
    different_entries: tuple[Conflict, ...]
    same_entry: tuple[Conflict, ...]

    def __str__(self) -> str:
        """Return the cell's letters."""
        everywhere = _letters(self.different_entries)
        only_same = [letter for letter in _letters(self.same_entry) if letter not in everywhere]
        return "".join(everywhere) + (f"({''.join(only_same)})" if only_same else "") or "."


def _letters(found: Iterable[Conflict]) -> list[str]:
    """Return one letter for each conflict, a small one if it is momentary."""
    letters = []
    for conflict in found:
        if conflict.lock is not None:
            letter = LETTERS[conflict.lock]
            letters.append(letter.lower() if conflict.is_momentary else letter)
    return letters


def cell(first: Party, second: Party, version: str = DEFAULT_VERSION) -> Cell:
    """Return what two parties on different vCPUs do to each other."""
    different = conflicts(first, second, same_entry=False, version=version)
    same = conflicts(first, second, same_entry=True, version=version)
    return Cell(first, second, tuple(different), tuple(same))


def matrix(
    version: str = DEFAULT_VERSION, parties: Sequence[Party] = MAIN_PARTIES
) -> list[list[Cell]]:
    """Return the cells of all pairs: a row for each first party, a column for each second.

    Raises:
        ScenarioError: There is no such version.
    """
    return [[cell(first, second, version) for second in parties] for first in parties]


def matrix_text(version: str = DEFAULT_VERSION, parties: Sequence[Party] = MAIN_PARTIES) -> str:
    """Return the matrix as a table for the terminal, with its legend."""
    rows = matrix(version, parties)
    names = [f"{number:2} {party_name(party)}" for number, party in enumerate(parties, 1)]
    width = max(len(name) for name in names)
    texts = [[str(found) for found in row] for row in rows]
    column = 1 + max(len(text) for row in texts for text in row)
    head = " " * width + "".join(f"{number:>{column}}" for number in range(1, len(parties) + 1))
    lines = [
        f"{name:{width}}" + "".join(f"{text:>{column}}" for text in row)
        for name, row in zip(names, texts, strict=True)
    ]
    return "\n".join([f"Module version {version}", "", head, *lines, "", _LEGEND])


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
        }
        for found in cells
    ]
    return json.dumps({"module_version": version, "cells": records}, indent=2)


def matrix_json(version: str = DEFAULT_VERSION, parties: Sequence[Party] = PARTIES) -> str:
    """Return the matrix as a JSON text."""
    return cells_json((found for row in matrix(version, parties) for found in row), version)
