"""Conflicts between calls: every cell of the conflict matrix, with status and what is left."""

import functools
import itertools

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.matrix.cells import LETTERS
from tdx_env.matrix.conflicts import Conflict, conflicts, conflicts_on_merged
from tdx_env.matrix.parties import Party, Pseudo, parties, party_name
from tdx_env.module.seamcalls import MODULE_VERSIONS, calls
from tdx_env.state.calls import Leaf, Lock, Mode, Op

OLDEST = "1.5.01"
PARTIES = parties(OLDEST)
ARMED, IN_GUEST = Pseudo.ARMED_VP_ENTER, Pseudo.VCPU_IN_GUEST
T, E, PROMOTE = Leaf.MEM_TRACK, Leaf.VP_ENTER, Leaf.MEM_PAGE_PROMOTE
B = 0x80000200_00000000
WALK_FAILED = 0xC0000B00_00000000
STATE_INCORRECT = 0xC0000700_00000000

# Lists note a busy entry and go on.
LISTS = [Leaf.EXPORT_BLOCKW, Leaf.EXPORT_MEM, Leaf.EXPORT_RESTORE]
R = [
    Leaf.MEM_SEPT_ADD,
    Leaf.MEM_SEPT_RD,
    Leaf.MEM_PAGE_AUG,
    Leaf.MEM_PAGE_REMOVE,
    Leaf.MEM_PAGE_PROMOTE,
    Leaf.MEM_PAGE_DEMOTE,
    Leaf.MEM_PAGE_RELOCATE,
    Leaf.MEM_RD_WR,
    Leaf.EXPORT_UNBLOCKW,
]
W = [Leaf.MEM_RANGE_BLOCK, Leaf.MEM_RANGE_UNBLOCK, Leaf.MEM_SEPT_REMOVE]
G = [Leaf.ACCEPT, Leaf.ATTR_RD, Leaf.ATTR_WR]
X = [
    Leaf.MEM_PAGE_ADD,
    Leaf.MR_EXTEND,
    Leaf.MR_FINALIZE,
    Leaf.MNG_INIT,
    Leaf.MNG_ADDCX,
    Leaf.EXPORT_PAUSE,
    Leaf.IMPORT_TRACK,
    Leaf.IMPORT_COMMIT,
    Leaf.IMPORT_END,
    Leaf.IMPORT_ABORT,
    Leaf.IMPORT_STATE_IMMUTABLE,
    Leaf.IMPORT_STATE_TD,
]
OP_STATE_EXCLUSIVE = [
    Leaf.EXPORT_ABORT,
    Leaf.EXPORT_TRACK,
    Leaf.EXPORT_STATE_IMMUTABLE,
    Leaf.EXPORT_STATE_TD,
    Leaf.MIG_STREAM_CREATE,
]
VCPU_ALONE = [  # TDVPR exclusive
    Leaf.VP_FLUSH,
    Leaf.VP_INIT,
    Leaf.VP_ADDCX,
    Leaf.EXPORT_STATE_VP,
    Leaf.IMPORT_STATE_VP,
    Pseudo.VP_INIT_VERSION_0,
]
NO_LOCK = [IN_GUEST, Leaf.VP_VMCALL, Leaf.VP_INVEPT]  # in the guest, and no lock beyond that
SERVTD = [Leaf.RTMR_EXTEND, Leaf.MR_REPORT, Leaf.SERVTD_RD_WR]
NEVER_STORE = [Leaf.MEM_SEPT_RD, Leaf.MEM_RD_WR, Leaf.ATTR_RD, Leaf.ATTR_WR]

CLASSES: dict[str, list[Party]] = {
    "R": [*R, *LISTS, Leaf.IMPORT_MEM],
    "W": [*W],
    "X": [*X],
    "T": [T],
    "E": [E],
    "A": [ARMED],
    "V": [*VCPU_ALONE[1:], Leaf.VP_RD_WR, Leaf.VP_CREATE, Leaf.MNG_RD_WR],
    "F": [Leaf.VP_FLUSH],  # as V, but without OP_STATE
    "O": [*OP_STATE_EXCLUSIVE],
    "G": [*G],
    "N": [*NO_LOCK],
    "Q": [Leaf.RTMR_EXTEND],
    "q": [Leaf.MR_REPORT],
    "S": [Leaf.SERVTD_RD_WR],
    "B": [Leaf.SERVTD_BIND],
    "b": [Leaf.SERVTD_PREBIND],
    "P": [Leaf.PHYMEM_PAGE_RECLAIM],
    "C": [Leaf.PHYMEM_PAGE_WBINVD, Leaf.PHYMEM_PAGE_RDMD],
}
# A row is the class that came first, a column the one that arrives; letters as in `LETTERS`. In
# brackets: only about the same entry. Page (PAMT) locks are left out: a legal VMM names no page in
# two calls at a time. B meeting X or O: about the TD, or about the service TD.
SECTION_3 = """
     R   W   X  T  E  A  V  F  O   G   N  Q  q  S  B   b  P  C
R   (E)  T   R  .  .  T  .  .  O  (E)  .  .  .  .  .   .  .  .
W    T   T   R  .  .  T  .  .  O  (E)  .  .  .  .  .   .  .  .
X    R   R   R  R  R  R  R  R  R   .   .  .  .  D  RD  R  R  .
T    .   .   R  C  C  C  .  .  O   .   .  .  .  .  .   .  .  .
E    .   .   R  C  .  .  .  .  O   .   .  .  .  .  .   .  .  .
A    T   T   R  C  .  T  .  .  O   .   .  .  .  .  .   .  .  .
V    .   .   R  .  .  .  .  .  O   .   .  .  .  .  .   .  .  .
F    .   .   R  .  .  .  .  .  .   .   .  .  .  .  .   .  .  .
O    O   O   R  O  O  O  O  .  O   .   .  .  .  S  OS  O  .  .
G   (E) (E)  R  .  .  .  .  .  .  (E)  .  .  .  .  .   .  .  .
N    .   .   R  .  .  .  .  .  .   .   .  .  .  .  .   .  .  .
Q    .   .   R  .  .  .  .  .  .   .   .  Q  Q  Q  Q   .  .  .
q    .   .   R  .  .  .  .  .  .   .   .  Q  .  .  .   .  .  .
S    .   .   R  .  .  .  .  .  O   .   .  Q  .  .  B   B  .  .
B    .   .   R  .  .  .  .  .  O   .   .  Q  .  B  B   B  .  .
b    .   .   R  .  .  .  .  .  O   .   .  .  .  B  B   B  .  .
P    .   .   R  .  .  .  .  .  .   .   .  .  .  .  .   .  .  .
C    .   .   .  .  .  .  .  .  .   .   .  .  .  .  .   .  .  .
"""
OPERANDS = {
    "N": 190,
    "V": 1,
    "R": 1,
    "O": 172,
    "T": 146,
    "E": 1,
    "C": 169,
    "Q": 168,
    "B": 174,
    "S": 172,
}
OPERANDS_OF_CALL = {
    **{(leaf, "R"): 2 for leaf in [*R, *LISTS, *W, Leaf.IMPORT_MEM]},
    **{(leaf, "R"): 2 for leaf in [Leaf.MEM_PAGE_ADD, Leaf.MR_EXTEND, Leaf.MNG_ADDCX]},
    **{(leaf, "R"): 2 for leaf in [Leaf.VP_CREATE, Leaf.MIG_STREAM_CREATE]},
    (Leaf.MEM_SCAN_RANGE, "R"): 2,
    (Leaf.MEM_SCAN_COMP, "R"): 2,
    **{(leaf, "R"): 128 for leaf in [E, ARMED, *VCPU_ALONE, Leaf.VP_RD_WR]},
    (Leaf.PHYMEM_PAGE_RECLAIM, "R"): 128,
    (Leaf.VP_ADDCX, "V"): 2,
    (Leaf.SERVTD_BIND, "D"): 2,
    (Leaf.SERVTD_RD_WR, "D"): 128,
    (Leaf.IMPORT_MEM, "E"): 97,
}
# What each version changes: a call's class, or single pairs. Class a is an armed vCPU that shares
# the tree; K and M are MEM.SCAN.COMP, CONFIG and RESET, which have a lock of their own, N.
INIT_V1: dict[Party, str] = {Leaf.VP_INIT: "X"}
SHARED_WALKS: dict[Party, str] = {
    **INIT_V1,
    PROMOTE: "W",
    ARMED: "a",
    Leaf.PHYMEM_PAMT_ADD: "C",
    Leaf.PHYMEM_PAMT_REMOVE: "C",
}
NEWEST: dict[Party, str] = {
    **SHARED_WALKS,
    Leaf.MEM_SCAN_RANGE: "R",
    Leaf.MEM_SCAN_COMP: "K",
    Leaf.MEM_SCAN_CONFIG: "M",
}
MOVED: dict[str, dict[Party, str]] = {
    "1.5.06": INIT_V1,
    "1.5.28": SHARED_WALKS,
    "1.5.34": NEWEST,
    "2.0.18": NEWEST,
    "hypothetical-remove-exclusive": {Leaf.MEM_PAGE_REMOVE: "W"},
    "hypothetical-vp-init-v1": INIT_V1,
}
NO_CONFLICT = {"hypothetical-no-free-lock": set(itertools.product(G, [Leaf.MEM_PAGE_AUG, R[0]]))}

LISTS_OF_ALL = [*LISTS, Leaf.MEM_SCAN_RANGE]
Met = set[tuple[str, int]]  # letter and status


def class_of(party: Party, version: str) -> str:
    """Return the class of a party in a version."""
    if party in MOVED.get(version, {}):
        return MOVED[version][party]
    return next(name for name, members in CLASSES.items() if party in members)


@functools.cache
def grid() -> dict[tuple[str, str], str]:
    """Return the cells of the table above."""
    head, *rows = [line.split() for line in SECTION_3.strip().splitlines()]
    return {
        (row[0], second): text for row in rows for second, text in zip(head, row[1:], strict=True)
    }


def cell_of(a: str, b: str) -> str:
    """Return the cell of two classes; those that only newer versions have follow from the table."""
    if "M" in (a, b):
        return "N" if {a, b} <= {"M", "K"} else "."
    if "K" in (a, b):
        text = cell_of("R" if a == "K" else a, "R" if b == "K" else b)
        return text.replace("(E)", ".")
    if "a" in (a, b) and {a, b} <= {"a", "R"}:
        return "."
    return grid()[a.replace("a", "A"), b.replace("a", "A")]


def status_of(party: Party, letter: str) -> int:
    """Return the status with which a party fails on a lock."""
    if letter == "E" and party in LISTS_OF_ALL:
        return 0
    return B | OPERANDS_OF_CALL.get((party, letter), OPERANDS.get(letter, 0))


def expected(a: Party, b: Party, version: str, same_entry: bool) -> Met:
    """Return what the table says of a pair."""
    text = cell_of(class_of(a, version), class_of(b, version))
    if same_entry and {(a, b), (b, a)} & NO_CONFLICT.get(version, set()):
        text = "."
    if not same_entry and "(" in text:
        text = "."
    return {(letter, status_of(b, letter)) for letter in text.strip("().")}


def letters(found: list[Conflict]) -> Met:
    """Return letter and status of each conflict, pages left out, # for the vCPU's state."""
    return {
        ("#" if one.lock is None else LETTERS[one.lock], one.status)
        for one in found
        if one.lock != Lock.PAGE
    }


def only(a: Party, b: Party, same_entry: bool = True, version: str = "1.5.01") -> Conflict:
    """Return the one conflict that there is."""
    (conflict,) = conflicts(a, b, same_entry, version)
    return conflict


def pairs(first: list[Leaf], second: list[Leaf]) -> list[tuple[Leaf, Leaf]]:
    """Return all pairs of two classes."""
    return list(itertools.product(first, second))


def test_classes_hold_every_party_once() -> None:
    assert sorted(itertools.chain(*CLASSES.values())) == sorted([*PARTIES, *VCPU_ALONE[-1:]])
    assert set(grid()) == set(itertools.product(CLASSES, CLASSES))


@pytest.mark.parametrize("same_entry", [False, True], ids=["different entries", "same entry"])
@pytest.mark.parametrize("version", MODULE_VERSIONS)
def test_every_pair_is_as_in_the_matrix(version: str, same_entry: bool) -> None:
    """All calls and pseudo-calls, in both orders, of different vCPUs.

    A page that both name can stop the second one before it comes to the lock of the table.
    """
    wrong = {
        (party_name(a), party_name(b)): (found, wanted)
        for a, b in itertools.product(parties(version), parties(version))
        if (found := letters(every := conflicts(a, b, same_entry, version)))
        != (wanted := expected(a, b, version, same_entry))
        and not (found < wanted and any(one.lock == Lock.PAGE for one in every))
    }
    assert wrong == {}


IN_TD = [*G, *SERVTD, *NO_LOCK]  # the vCPU runs
ABOUT_VCPU = [E, ARMED, Leaf.VP_RD_WR, *VCPU_ALONE, *IN_TD]


def about_vcpu(version: str) -> list[Party]:
    """Return the parties of a version that are about a vCPU."""
    return [party for party in ABOUT_VCPU if party in parties(version)]


def expected_on_same_vcpu(a: Party, b: Party, version: str) -> Met:
    """Return what becomes of a pair about one vCPU, which each of both is about."""
    if b in IN_TD:  # it runs, so nothing that needs it has begun
        return expected(a, b, version, same_entry=False)
    if a in VCPU_ALONE or b in VCPU_ALONE:
        about_its_target = expected(a, b, version, False) if a == Leaf.SERVTD_RD_WR else set()
        return {("V", status_of(b, "V"))} | about_its_target
    if a in [E, ARMED, *IN_TD]:
        return {("#", STATE_INCORRECT)}
    return expected(a, b, version, same_entry=False)


@pytest.mark.parametrize("version", MODULE_VERSIONS)
def test_calls_about_the_same_vcpu_meet_on_the_tdvpr_or_its_state(version: str) -> None:
    wrong = {
        (party_name(a), party_name(b)): (found, wanted)
        for a, b in itertools.product(about_vcpu(version), about_vcpu(version))
        if (found := letters(conflicts(a, b, False, version, same_vcpu=True)))
        != (wanted := expected_on_same_vcpu(a, b, version))
    }
    assert wrong == {}


@pytest.mark.parametrize("other", [party for party in PARTIES if party not in ABOUT_VCPU])
def test_the_vcpu_matters_to_no_other_call(other: Party) -> None:
    for party in about_vcpu(OLDEST):
        for a, b in ((other, party), (party, other)):
            assert conflicts(a, b, False, OLDEST, same_vcpu=True) == conflicts(a, b, False, OLDEST)


def page_modes(party: Party) -> set[Mode]:
    """Return the mode in which a party takes the lock of a page, if it takes one."""
    steps = () if isinstance(party, Pseudo) else calls(OLDEST)[party].steps
    return {step.mode for step in steps if step.lock == Lock.PAGE and step.op == Op.ACQUIRE}


def test_calls_that_nothing_else_keeps_apart_meet_on_the_page_that_both_name() -> None:
    for a, b in itertools.product(PARTIES, PARTIES):
        found = conflicts(a, b, True, OLDEST)
        modes = [page_modes(a), page_modes(b)]
        excludes = all(modes) and Mode.EXCLUSIVE in set.union(*modes)
        assert excludes or all(one.lock != Lock.PAGE for one in found)
        if excludes and letters(found) == set():
            assert [one.lock for one in found] == [Lock.PAGE]
        assert all(one.lock != Lock.PAGE for one in conflicts(a, b, False, OLDEST))


@pytest.mark.parametrize(("a", "b"), pairs(R, R))
def test_reader_that_never_stores_the_entry_leaves_the_mark_of_the_next(a: Leaf, b: Leaf) -> None:
    conflict = only(a, b)
    assert conflict.leaves_mark
    assert conflict.mark_survives == (a in NEVER_STORE)


@pytest.mark.parametrize(("a", "b"), pairs(R, LISTS))
def test_list_notes_a_busy_entry_and_goes_on(a: Leaf, b: Leaf) -> None:
    assert "status 3" in only(a, b).note


@pytest.mark.parametrize("a", R)
def test_import_that_meets_a_busy_entry_may_end(a: Leaf) -> None:
    assert "ends the whole import" in only(a, Leaf.IMPORT_MEM).note


@pytest.mark.parametrize(("a", "b"), [(R[0], W[0]), (W[0], W[1]), (W[2], R[2]), (ARMED, R[0])])
def test_loser_on_the_tree_leaves_nothing(a: Party, b: Party) -> None:
    conflict = only(a, b)
    assert (conflict.lock, conflict.leaves_mark, conflict.is_momentary) == (Lock.TREE, False, False)


@pytest.mark.parametrize(("a", "b"), pairs(G, [*R, *W]))
def test_host_that_meets_a_guest_on_the_entry_leaves_its_mark(a: Leaf, b: Leaf) -> None:
    assert only(a, b).leaves_mark


@pytest.mark.parametrize(("a", "b"), pairs([*R, *W], G) + pairs(G, G))
def test_guest_that_meets_a_holder_of_the_entry_leaves_nothing(a: Leaf, b: Leaf) -> None:
    assert not only(a, b).leaves_mark


@pytest.mark.parametrize("b", [Leaf.MEM_RANGE_BLOCK, Leaf.MEM_PAGE_REMOVE, Leaf.MEM_PAGE_DEMOTE])
def test_successful_accept_erases_the_hosts_mark(b: Leaf) -> None:
    assert not only(Leaf.ACCEPT, b).mark_survives


@pytest.mark.parametrize("b", [Leaf.MEM_PAGE_AUG, Leaf.MEM_SEPT_ADD])
def test_accept_of_a_free_entry_fails_and_keeps_the_mark(b: Leaf) -> None:
    """Both want the entry FREE, so the ACCEPT in the way can't succeed."""
    assert only(Leaf.ACCEPT, b).mark_survives


@pytest.mark.parametrize(("a", "b"), pairs([Leaf.ATTR_RD, Leaf.ATTR_WR], [*R, *W]))
def test_attr_never_erases_the_hosts_mark(a: Leaf, b: Leaf) -> None:
    conflict = only(a, b)
    assert conflict.mark_survives
    assert conflict.is_momentary


@pytest.mark.parametrize(("a", "b"), [(T, E), (E, T), (T, T), (T, ARMED), (ARMED, T)])
def test_the_epoch_is_held_for_an_instant_and_its_loser_leaves_nothing(a: Party, b: Party) -> None:
    conflict = only(a, b, same_entry=False)
    assert (conflict.is_momentary, conflict.leaves_mark) == (True, False)


@pytest.mark.parametrize(("x", "second"), [(X[0], R[0]), (X[2], E), (X[5], T), (X[6], ARMED)])
def test_loser_on_the_tdr_leaves_a_mark_that_stays(x: Leaf, second: Party) -> None:
    conflict = only(x, second, same_entry=False)
    assert (conflict.leaves_mark, conflict.mark_survives) == (True, True)


def test_running_vcpu_meets_nothing_but_what_needs_the_tdr_alone() -> None:
    assert {b for b in PARTIES if conflicts(IN_GUEST, b, True, OLDEST)} == set(X)


@pytest.mark.parametrize(("same_page", "expected_lock"), [(False, []), (True, [Lock.PAGE])])
def test_reclaims_meet_on_the_same_page_alone(same_page: bool, expected_lock: list[Lock]) -> None:
    found = conflicts(Leaf.PHYMEM_PAGE_RECLAIM, Leaf.PHYMEM_PAGE_RECLAIM, same_page, OLDEST)
    assert [one.lock for one in found] == expected_lock


def test_cache_flush_meets_the_page_that_demote_splits_for_an_instant() -> None:
    assert only(Leaf.MEM_PAGE_DEMOTE, Leaf.PHYMEM_PAGE_WBINVD).is_momentary


@pytest.mark.parametrize("reader", [leaf for leaf in R if leaf != PROMOTE])
def test_reader_meets_a_child_of_promote_or_fails_to_walk_there(reader: Leaf) -> None:
    busy, walk = conflicts_on_merged(PROMOTE, reader, OLDEST)
    assert (busy.lock, busy.status, busy.leaves_mark) == (Lock.ENTRY, B | 1, True)
    assert "only where tracking is not required" in busy.note
    not_present = reader == Leaf.MEM_RD_WR
    assert (walk.lock, walk.status) == (None, WALK_FAILED + 1 + (not_present * 3 << 32))


@pytest.mark.parametrize("reader", [*(leaf for leaf in R if leaf != PROMOTE), *LISTS])
def test_promote_meets_the_reader_of_a_child(reader: Leaf) -> None:
    (conflict,) = conflicts_on_merged(reader, PROMOTE, OLDEST)
    assert (conflict.lock, conflict.status) == (Lock.CHILDREN, B | 1)


def test_lists_and_imports_fail_on_a_child_in_their_own_way() -> None:
    for leaf in LISTS:
        assert [one.status for one in conflicts_on_merged(PROMOTE, leaf, OLDEST)] == [0, 0]
    statuses = [one.status for one in conflicts_on_merged(PROMOTE, Leaf.IMPORT_MEM, OLDEST)]
    assert statuses == [B | 97, WALK_FAILED | 97]


@pytest.mark.parametrize(("a", "b"), [*pairs([PROMOTE], W), *pairs(W, [PROMOTE])])
def test_writer_meets_promote_on_the_tree_wherever_it_works(a: Leaf, b: Leaf) -> None:
    assert letters(conflicts_on_merged(a, b, OLDEST)) == {("T", B | 146)}


@pytest.mark.parametrize("other", [*G, T, E, IN_GUEST, *X])
def test_nobody_else_meets_the_child_entries(other: Party) -> None:
    assert (
        conflicts_on_merged(PROMOTE, other, OLDEST)
        == conflicts_on_merged(other, PROMOTE, OLDEST)
        == []
    )


def test_rtmr_is_met_only_in_the_service_td() -> None:
    conflict = only(Leaf.RTMR_EXTEND, Leaf.SERVTD_BIND)
    assert (conflict.lock, conflict.status) == (Lock.RTMR, B | 168)
    assert conflict.note == "only about the service TD"


def test_bind_names_either_td_in_its_status() -> None:
    about_td, about_service_td = conflicts(Leaf.MEM_PAGE_ADD, Leaf.SERVTD_BIND, False, OLDEST)
    assert (about_td.status, about_td.note) == (B | 1, "")
    assert (about_service_td.status, about_service_td.note) == (B | 2, "only about the service TD")


def test_host_that_meets_a_service_tds_read_leaves_its_mark() -> None:
    """The one place where the mark on a TDR or on OP_STATE turns a guest away."""
    assert only(Leaf.SERVTD_RD_WR, Leaf.EXPORT_ABORT).mark_survives
    assert only(Leaf.SERVTD_RD_WR, Leaf.MEM_PAGE_ADD).mark_survives


def test_import_that_takes_an_entry_besides_free_ones_still_meets_guests() -> None:
    assert (
        only(Leaf.ACCEPT, Leaf.IMPORT_MEM, version="hypothetical-no-free-lock").lock == Lock.ENTRY
    )


@pytest.mark.parametrize("same_entry", [False, True])
def test_no_pair_of_parties_breaks_a_locks_rules(same_entry: bool) -> None:
    """A FATAL release would fail an assertion; a conflict has a mark only where locks have one."""
    for a, b in itertools.product(PARTIES, PARTIES):
        for conflict in conflicts(a, b, same_entry, OLDEST):
            assert conflict.leaves_mark or not conflict.mark_survives
            assert not (conflict.leaves_mark and conflict.lock in (Lock.TREE, Lock.EPOCH, Lock.MIG))


def test_conflict_reads_as_a_sentence() -> None:
    text = str(only(Leaf.ACCEPT, Leaf.MEM_PAGE_REMOVE))
    assert text == (
        "PAGE.REMOVE meets PAGE.ACCEPT: 0x8000020000000001 TDX_OPERAND_BUSY | RCX, on the S-EPT "
        "entry; its host-priority mark is erased if the first one succeeds"
    )


def test_unknown_version_lists_the_known_ones_nearest_first() -> None:
    with pytest.raises(ScenarioError, match=r"'2\.0' is unknown, must be one of: 2\.0\.18, "):
        conflicts(T, T, False, "2.0")
