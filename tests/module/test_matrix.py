"""The matrix of conflicts as text and JSON."""

import json

from tdx_env.module.matrix import MAIN_PARTIES, cell, matrix, matrix_json, matrix_text
from tdx_env.module.parties import PARTIES, Pseudo, party_name
from tdx_env.state.calls import Leaf


def test_letters_of_a_cell_name_the_locks() -> None:
    assert str(cell(Leaf.MEM_PAGE_AUG, Leaf.MEM_RANGE_BLOCK)) == "T"
    assert str(cell(Leaf.MEM_PAGE_AUG, Leaf.MEM_PAGE_AUG)) == "(E)"
    assert str(cell(Leaf.MEM_TRACK, Leaf.VP_ENTER)) == "c"
    assert str(cell(Leaf.ATTR_RD, Leaf.MEM_PAGE_AUG)) == "(e)"
    assert str(cell(Pseudo.VCPU_IN_GUEST, Leaf.MEM_PAGE_ADD)) == "R"
    assert str(cell(Leaf.VP_ENTER, Leaf.VP_ENTER)) == "."


def test_matrix_has_a_cell_for_each_pair() -> None:
    rows = matrix()
    assert [row[0].first for row in rows] == list(MAIN_PARTIES)
    assert [found.second for found in rows[0]] == list(MAIN_PARTIES)


def test_text_has_a_row_for_each_party() -> None:
    lines = matrix_text().splitlines()
    rows = [line for line in lines if line[:2].strip().isdigit()]
    assert [line[3:].split("  ")[0].rstrip() for line in rows] == [
        party_name(party) for party in MAIN_PARTIES
    ]
    assert len({len(line) for line in rows}) == 1


def test_text_fits_a_terminal_of_100_columns() -> None:
    assert max(len(line) for line in matrix_text().splitlines()) <= 100


def test_text_of_a_version_names_it() -> None:
    text = matrix_text("1.5-remove-exclusive")
    assert text.startswith("Module version 1.5-remove-exclusive\n")
    assert text.splitlines()[1:] != matrix_text().splitlines()[1:]


def test_json_has_all_pairs() -> None:
    record = json.loads(matrix_json())
    assert record["module_version"] == "1.5"
    pairs = {(found["first"], found["second"]) for found in record["cells"]}
    assert len(pairs) == len(PARTIES) ** 2


def test_json_cell_holds_status_and_lock() -> None:
    record = json.loads(matrix_json(parties=[Leaf.MEM_TRACK]))
    (conflict,) = record["cells"][0]["different_entries"]
    assert conflict == {
        "first": "TRACK",
        "second": "TRACK",
        "lock": "EPOCH",
        "status": "0x80000200000000A9",
        "is_momentary": True,
        "leaves_mark": False,
        "mark_survives": False,
        "note": "",
    }
