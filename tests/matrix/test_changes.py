"""What the newer releases changed in who meets whom: each row of the source's comparison."""

import json
from itertools import product
from typing import NamedTuple

import pytest

from tdx_env.matrix.changes import changed_rules, changes, changes_json, changes_text
from tdx_env.matrix.conflicts import (
    Conflict,
    conflicts,
    conflicts_in_range,
    conflicts_on_merged,
)
from tdx_env.matrix.parties import Party, Pseudo, parties
from tdx_env.module.rules import RULES
from tdx_env.module.seamcalls import calls
from tdx_env.state.calls import Leaf, Lock

B = 0x80000200_00000000
TREE, ENTRY, TDR, TDR_OF_VCPU = B | 146, B | 1, B | 2, B | 128
NEWEST = ["1.5.34", "2.0.18"]
SHARING = ["1.5.28", *NEWEST]  # armed vCPUs share the tree
WITH_INIT_1 = ["1.5.06", *SHARING]
ARMED, IN_GUEST = Pseudo.ARMED_VP_ENTER, Pseudo.VCPU_IN_GUEST
PROMOTE, INIT, INIT_0 = Leaf.MEM_PAGE_PROMOTE, Leaf.VP_INIT, Pseudo.VP_INIT_VERSION_0
ADD, REMOVE = Leaf.PHYMEM_PAMT_ADD, Leaf.PHYMEM_PAMT_REMOVE
LISTS = [Leaf.EXPORT_BLOCKW, Leaf.EXPORT_MEM, Leaf.EXPORT_RESTORE, Leaf.IMPORT_MEM]
ON_ONE_ENTRY = [
    Leaf.MEM_SEPT_ADD,
    Leaf.MEM_PAGE_AUG,
    Leaf.MEM_PAGE_REMOVE,
    Leaf.MEM_PAGE_DEMOTE,
    Leaf.MEM_PAGE_RELOCATE,
    Leaf.EXPORT_UNBLOCKW,
]
READING = [Leaf.MEM_SEPT_RD, Leaf.MEM_RD_WR]  # they commit nothing
R = [*ON_ONE_ENTRY, *READING, *LISTS]
W = [Leaf.MEM_RANGE_BLOCK, Leaf.MEM_RANGE_UNBLOCK, Leaf.MEM_SEPT_REMOVE]
G = [Leaf.ACCEPT, Leaf.ATTR_RD, Leaf.ATTR_WR]


class Met(NamedTuple):
    """What a conflict comes to."""

    status: int
    leaves_mark: bool
    mark_survives: bool


def met(found: list[Conflict]) -> list[Met]:
    """Return what each conflict comes to."""
    return [Met(one.status, one.leaves_mark, one.mark_survives) for one in found]


PLAIN_TREE, MARKED_TREE = [Met(TREE, False, False)], [Met(TREE, True, True)]


@pytest.mark.parametrize(("a", "b"), [*product([ARMED], R), *product(R, [ARMED]), (ARMED, ARMED)])
def test_armed_vcpu_meets_no_reader_and_no_other_armed_vcpu(a: Party, b: Party) -> None:
    assert met(conflicts(a, b, False, "1.5.06")) == PLAIN_TREE
    for version in SHARING:
        assert conflicts(a, b, True, version) == conflicts(a, b, False, version) == []


@pytest.mark.parametrize(("a", "b"), [*product([ARMED], W), *product(W, [ARMED])])
def test_armed_vcpu_and_writer_leave_a_mark_on_the_tree(a: Party, b: Party) -> None:
    assert met(conflicts(a, b, False, "1.5.01")) == PLAIN_TREE
    for version in SHARING:
        assert met(conflicts(a, b, False, version)) == MARKED_TREE


@pytest.mark.parametrize(("a", "b"), [*product(R, W), *product(W, R), *product(W, W)])
def test_reader_and_writer_leave_a_mark_on_the_tree(a: Party, b: Party) -> None:
    assert met(conflicts(a, b, True, "1.5.06")) == PLAIN_TREE
    for version in SHARING:
        (conflict,) = conflicts(a, b, True, version)
        assert met([conflict]) == MARKED_TREE
        assert "refuses nobody" in conflict.note


@pytest.mark.parametrize(("a", "b"), [*product([PROMOTE], R), *product(R, [PROMOTE])])
def test_promote_excludes_readers_of_any_entry(a: Party, b: Party) -> None:
    assert conflicts(a, b, False, "1.5.06") == []
    for version in SHARING:
        assert met(conflicts(a, b, False, version)) == MARKED_TREE
        assert met(conflicts(a, b, True, version)) == MARKED_TREE


@pytest.mark.parametrize(("a", "b"), [*product([PROMOTE], W), *product(W, [PROMOTE])])
def test_promote_and_a_writer_leave_a_mark_on_the_tree(a: Party, b: Party) -> None:
    assert met(conflicts(a, b, False, "1.5.06")) == PLAIN_TREE
    for version in SHARING:
        assert met(conflicts(a, b, False, version)) == MARKED_TREE


def test_two_promotes_meet_on_the_tree_alone() -> None:
    assert conflicts(PROMOTE, PROMOTE, False, "1.5.06") == []
    for version in SHARING:
        assert met(conflicts(PROMOTE, PROMOTE, True, version)) == MARKED_TREE


@pytest.mark.parametrize("reader", [*ON_ONE_ENTRY, *READING])
@pytest.mark.parametrize("version", SHARING)
def test_nobody_comes_to_promotes_children_any_more(version: str, reader: Leaf) -> None:
    for a, b in ((PROMOTE, reader), (reader, PROMOTE)):
        assert [one.lock for one in conflicts_on_merged(a, b, version)] == [Lock.TREE]


@pytest.mark.parametrize(("a", "b"), list(product([*LISTS], [*W, PROMOTE])))
@pytest.mark.parametrize("version", NEWEST)
def test_list_gives_way_to_a_waiting_writer(version: str, a: Leaf, b: Leaf) -> None:
    (conflict,) = conflicts(a, b, False, version)
    assert "ends after its current entry (INTERRUPTED_RESUMABLE)" in conflict.note
    assert "current entry" not in str(conflicts(a, b, False, "1.5.28"))


@pytest.mark.parametrize("b", [*W, PROMOTE])
@pytest.mark.parametrize("version", NEWEST)
def test_scan_gives_way_to_a_waiting_writer(version: str, b: Leaf) -> None:
    (conflict,) = conflicts(Leaf.MEM_SCAN_RANGE, b, False, version)
    assert met([conflict]) == MARKED_TREE
    assert "20 µs after its last check" in conflict.note
    assert "INTERRUPTED_BUSY|SEPT_ENTRY" in conflict.note


@pytest.mark.parametrize("b", [Leaf.MEM_PAGE_REMOVE, Leaf.MEM_PAGE_DEMOTE, W[0]])
def test_accept_keeps_the_mark_of_the_host_that_it_refused(b: Leaf) -> None:
    for version in ("1.5.01", "1.5.06"):
        assert met(conflicts(Leaf.ACCEPT, b, True, version)) == [Met(ENTRY, True, False)]
    for version in SHARING:
        assert met(conflicts(Leaf.ACCEPT, b, True, version)) == [Met(ENTRY, True, True)]


@pytest.mark.parametrize(("a", "b"), list(product(ON_ONE_ENTRY, ON_ONE_ENTRY)))
def test_host_call_that_commits_keeps_the_mark_of_the_next(a: Leaf, b: Leaf) -> None:
    assert met(conflicts(a, b, True, "1.5.06")) == [Met(ENTRY, True, False)]
    for version in SHARING:
        assert met(conflicts(a, b, True, version)) == [Met(ENTRY, True, True)]


@pytest.mark.parametrize("other", [*R, Leaf.MEM_TRACK, *W])
@pytest.mark.parametrize("version", WITH_INIT_1)
def test_init_version_1_excludes_every_call_of_the_td(version: str, other: Leaf) -> None:
    if other == Leaf.MEM_TRACK:
        assert met(conflicts(INIT, other, False, version)) == [Met(B | 1, True, True)]
    else:
        assert met(conflicts(INIT, other, False, version)) == [Met(TDR, True, True)]
    assert met(conflicts(other, INIT, False, version)) == [Met(TDR_OF_VCPU, True, True)]
    assert conflicts(other, INIT, False, "1.5.01") == []


@pytest.mark.parametrize("version", WITH_INIT_1)
def test_init_version_1_and_other_vcpus_exclude_each_other(version: str) -> None:
    assert met(conflicts(IN_GUEST, INIT, False, version)) == [Met(TDR_OF_VCPU, True, True)]
    for other in (Leaf.VP_ENTER, Leaf.VP_FLUSH, INIT, INIT_0):
        assert met(conflicts(INIT, other, False, version)) == [Met(TDR_OF_VCPU, True, True)]
    assert INIT_0 not in parties("1.5.01")


@pytest.mark.parametrize("version", WITH_INIT_1)
def test_init_version_0_shares_the_tdr(version: str) -> None:
    for other in (IN_GUEST, Leaf.MEM_PAGE_AUG, Leaf.VP_ENTER, INIT_0):
        assert conflicts(INIT_0, other, False, version) == []
        assert conflicts(other, INIT_0, False, version) == []


WALKS = {  # who walks to a 4K page, and the operand that names it
    Leaf.MEM_PAGE_AUG: 8,
    Leaf.MEM_SEPT_ADD: 8,
    Leaf.MEM_PAGE_DEMOTE: 8,
    Leaf.MEM_PAGE_RELOCATE: 8,
    Leaf.MEM_PAGE_ADD: 8,
    Leaf.VP_CREATE: 1,
    Leaf.VP_ADDCX: 1,
    Leaf.MNG_ADDCX: 1,
    Leaf.IMPORT_MEM: 99,
}


@pytest.mark.parametrize("alone", [ADD, REMOVE])
@pytest.mark.parametrize(("walker", "operand"), WALKS.items())
@pytest.mark.parametrize("version", SHARING)
def test_pamt_add_and_walks_in_its_range_exclude_each_other(
    version: str, walker: Leaf, operand: int, alone: Leaf
) -> None:
    assert met(conflicts_in_range(alone, walker, version)) == [Met(B | operand, True, True)]
    assert met(conflicts_in_range(walker, alone, version)) == [Met(B | 1, True, True)]


@pytest.mark.parametrize("version", SHARING)
def test_walks_share_a_range_and_pamt_add_does_not(version: str) -> None:
    for a, b in product(WALKS, WALKS):
        assert conflicts_in_range(a, b, version) == []
    for a, b in product([ADD, REMOVE], [ADD, REMOVE]):
        assert met(conflicts_in_range(a, b, version)) == [Met(B | 1, True, True)]


@pytest.mark.parametrize("other", [Leaf.MEM_PAGE_REMOVE, Leaf.MEM_SEPT_REMOVE, *W[:2], Leaf.ACCEPT])
def test_call_that_reaches_its_page_directly_meets_no_pamt_add(other: Leaf) -> None:
    assert conflicts_in_range(ADD, other, "1.5.34") == []


@pytest.mark.parametrize(("a", "b"), list(product([ADD, REMOVE], [*R, *W, *G, ARMED, INIT])))
@pytest.mark.parametrize("same_entry", [False, True])
def test_pamt_add_takes_no_lock_of_a_td(a: Leaf, b: Party, same_entry: bool) -> None:
    assert conflicts(a, b, same_entry, "1.5.34") == conflicts(b, a, same_entry, "1.5.34") == []


# What is unchanged.
EPOCH = [(Leaf.MEM_TRACK, Leaf.VP_ENTER), (Leaf.VP_ENTER, Leaf.MEM_TRACK)]


@pytest.mark.parametrize(("a", "b"), [*EPOCH, (Leaf.MEM_TRACK, Leaf.MEM_TRACK)])
@pytest.mark.parametrize("version", ["1.5.01", *WITH_INIT_1])
def test_epoch_is_as_it_was(version: str, a: Leaf, b: Leaf) -> None:
    (conflict,) = conflicts(a, b, False, version)
    assert (conflict.status, conflict.is_momentary, conflict.leaves_mark) == (B | 169, True, False)


@pytest.mark.parametrize(("a", "b"), [*product([*R, *W, PROMOTE], G), *product(G, [*R, *W])])
@pytest.mark.parametrize("version", ["1.5.01", *WITH_INIT_1])
def test_guest_meets_nobody_on_other_entries(version: str, a: Leaf, b: Leaf) -> None:
    assert conflicts(a, b, False, version) == []


@pytest.mark.parametrize(("a", "b"), list(product(G, G)))
@pytest.mark.parametrize("version", ["1.5.01", *WITH_INIT_1])
def test_two_guests_on_one_entry_leave_no_mark(version: str, a: Leaf, b: Leaf) -> None:
    assert met(conflicts(a, b, True, version)) == [Met(ENTRY, False, False)]


@pytest.mark.parametrize("version", ["1.5.01", *WITH_INIT_1])
def test_accept_of_a_free_entry_meets_its_aug(version: str) -> None:
    assert met(conflicts(Leaf.ACCEPT, Leaf.MEM_PAGE_AUG, True, version)) == [Met(ENTRY, True, True)]
    assert met(conflicts(Leaf.MEM_PAGE_AUG, Leaf.ACCEPT, True, version)) == [
        Met(ENTRY, False, False)
    ]


@pytest.mark.parametrize("other", [*R, *W, Leaf.VP_ENTER, ARMED, Leaf.MEM_TRACK])
@pytest.mark.parametrize("version", ["1.5.01", *WITH_INIT_1])
def test_calls_that_need_the_td_alone_exclude_all(version: str, other: Party) -> None:
    for alone in (Leaf.EXPORT_PAUSE, Leaf.MEM_PAGE_ADD):
        assert [one.lock for one in conflicts(alone, other, False, version)] == [Lock.TDR]
        assert [one.lock for one in conflicts(other, alone, False, version)] == [Lock.TDR]


def test_changes_are_exactly_where_the_cells_differ() -> None:
    among = (Leaf.MEM_PAGE_AUG, W[0], ARMED)
    found = {(one.first, one.second, one.case) for one in changes("1.5.01", "1.5.34", among)}
    everywhere = "different_entries"
    assert found == {
        (W[0], W[0], everywhere),
        *((a, b, everywhere) for a, b in [(among[0], W[0]), (W[0], among[0])]),
        *((a, b, everywhere) for a, b in [(ARMED, W[0]), (W[0], ARMED)]),
        *((a, b, everywhere) for a, b in [(ARMED, among[0]), (among[0], ARMED), (ARMED, ARMED)]),
        (among[0], among[0], "same_entry"),
    }


def test_armed_vcpu_before_and_after() -> None:
    (change,) = [
        one
        for one in changes("1.5.01", "1.5.34", (ARMED, Leaf.MEM_PAGE_AUG))
        if (one.first, one.second) == (ARMED, Leaf.MEM_PAGE_AUG)
    ]
    assert change.before == "TDX_OPERAND_BUSY | SEPT_TREE on the S-EPT tree"
    assert change.after == "no conflict"


def test_call_that_one_version_lacks_says_so() -> None:
    found = changes("1.5.06", "1.5.34", (ADD, Leaf.MEM_PAGE_AUG))
    assert [(one.case, one.before) for one in found if one.first == ADD] == [
        ("same_range", "no such call")
    ] * 2


def test_1_5_34_and_2_0_18_differ_in_no_conflict_but_in_the_iotlb() -> None:
    among = tuple(parties("1.5.34"))[:30]
    assert changes("1.5.34", "2.0.18", among) == []
    assert [one.rule.name for one in changed_rules("1.5.34", "2.0.18")] == ["has_iotlb_tracking"]


def test_rules_change_with_their_evidence() -> None:
    text = changes_text("1.5.28", "1.5.34", (Leaf.ATTR_RD,))
    assert "lists_yield_to_writers" in text
    assert "no (unseen, as in the next older release) -> yes (read)" in text


def test_json_names_every_changed_rule() -> None:
    record = json.loads(changes_json("1.5.01", "2.0.18", (Leaf.ATTR_RD,)))
    assert [one["rule"] for one in record["rules"]] == list(RULES)
    assert all(leaf in calls("2.0.18") for leaf in Leaf)
