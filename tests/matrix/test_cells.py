"""The matrix of conflicts as text and JSON."""

import json

import pytest

from tdx_env.matrix.cells import LETTERS, cell, matrix, matrix_json, matrix_text
from tdx_env.matrix.parties import Pseudo, parties, party_name
from tdx_env.module.seamcalls import DEFAULT_VERSION, MODULE_VERSIONS
from tdx_env.state.calls import Leaf, Lock

VERSIONS = [
    DEFAULT_VERSION,
    "2.0.18",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in MODULE_VERSIONS
        if name not in (DEFAULT_VERSION, "2.0.18")
    ),
]
SOME = [Leaf.MEM_PAGE_AUG, Leaf.MEM_RANGE_BLOCK, Leaf.MEM_TRACK, Pseudo.VCPU_IN_GUEST]


def test_letters_of_a_cell_name_the_locks() -> None:
    assert str(cell(Leaf.MEM_PAGE_AUG, Leaf.MEM_RANGE_BLOCK)) == "T"
    assert str(cell(Leaf.MEM_PAGE_AUG, Leaf.MEM_PAGE_AUG)) == "(E)"
    assert str(cell(Leaf.MEM_TRACK, Leaf.VP_ENTER)) == "c"
    assert str(cell(Leaf.ATTR_RD, Leaf.MEM_PAGE_AUG)) == "(e)"
    assert str(cell(Pseudo.VCPU_IN_GUEST, Leaf.MEM_PAGE_ADD)) == "R"
    assert str(cell(Leaf.VP_ENTER, Leaf.VP_ENTER)) == "."


def test_locks_that_two_parties_never_share_have_no_letter() -> None:
    assert set(Lock) - LETTERS.keys() == {
        Lock.NEW_PAGE,
        Lock.CHILDREN,
        Lock.MIGSC,
        Lock.PAMT_PAGE_0,
        Lock.PAMT_PAGE_1,
        Lock.SCAN_CONTEXT,
    }
    assert len(set(LETTERS.values())) == len(LETTERS)


def test_what_the_same_vcpu_adds_stands_apart() -> None:
    found = cell(Leaf.VP_ENTER, Leaf.VP_FLUSH)
    assert (str(found), found.on_same_vcpu()) == (".", "V")
    assert cell(Leaf.VP_ENTER, Leaf.VP_ENTER).on_same_vcpu() == "#"
    assert cell(Leaf.MEM_PAGE_ADD, Leaf.VP_ENTER).on_same_vcpu() == "."


def test_matrix_has_a_cell_for_each_pair() -> None:
    rows = matrix(among=SOME)
    assert [row[0].first for row in rows] == SOME
    assert [found.second for found in rows[0]] == SOME


@pytest.fixture(scope="module", params=VERSIONS)
def text(request: pytest.FixtureRequest) -> str:
    """The text of a version."""
    return matrix_text(request.param)


def test_text_names_every_party(text: str) -> None:
    version, names = text.split()[2], text.replace("\n", " ")
    assert [party_name(one) for one in parties(version) if party_name(one) not in names] == []


def test_all_tables_are_square(text: str) -> None:
    tables = [part.splitlines() for part in text.split("\n\n") if part.split()[0] == "1"]
    assert len(tables) == (3 if "2M range of physical memory" in text else 2)
    for head, *rows in tables:
        assert [row.split()[0] for row in rows] == head.split()


def test_text_fits_a_terminal_of_125_columns(text: str) -> None:
    assert max(len(line) for line in text.splitlines()) <= 125


def test_parties_alike_share_a_row() -> None:
    text = matrix_text(among=[Leaf.MEM_RANGE_BLOCK, Leaf.MEM_RANGE_UNBLOCK, Leaf.MEM_TRACK])
    assert " 1 RANGE.BLOCK +1" in text
    assert "\n 1 RANGE.BLOCK, RANGE.UNBLOCK\n" in text
    assert "about the same vCPU:" not in text


def test_text_of_a_version_names_it() -> None:
    text = matrix_text("hypothetical-remove-exclusive", SOME)
    assert text.startswith("Module version hypothetical-remove-exclusive\n")


@pytest.mark.parametrize("version", VERSIONS)
def test_json_has_all_pairs(version: str) -> None:
    record = json.loads(matrix_json(version))
    assert record["module_version"] == version
    pairs = {(found["first"], found["second"]) for found in record["cells"]}
    assert len(pairs) == len(parties(version)) ** 2


def test_json_cell_holds_status_and_lock() -> None:
    record = json.loads(matrix_json(among=[Leaf.MEM_TRACK]))
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


def test_text_says_what_was_not_read_in_the_versions_own_source() -> None:
    assert "not read" not in matrix_text("1.5.01", SOME)
    text = matrix_text("1.5.28", SOME)
    assert "  promote_locks_children: unseen, as in the next older release\n" in text
    assert "  commits_keep_mark: inferred\n" in text


def test_who_meets_pamt_add_stands_in_a_table_of_its_own() -> None:
    add, aug = Leaf.PHYMEM_PAMT_ADD, Leaf.MEM_PAGE_AUG
    assert [cell(add, aug, "1.5.34").in_same_range(), str(cell(add, aug, "1.5.34"))] == ["A", "."]
    assert cell(aug, aug, "1.5.34").in_same_range() == "."
    assert "one 2M range" not in matrix_text("1.5.06", SOME)
