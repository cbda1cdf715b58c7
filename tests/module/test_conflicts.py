"""Conflicts between calls: every cell of the conflict matrix, with status and what is left."""

import itertools

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.module.conflicts import Conflict, conflicts
from tdx_env.module.parties import PARTIES, Party, Pseudo
from tdx_env.state.calls import Leaf, Lock

ARMED, IN_GUEST = Pseudo.ARMED_VP_ENTER, Pseudo.VCPU_IN_GUEST
B = 0x80000200_00000000
RCX, RDX, TDR, TREE, EPOCH, OP_STATE = 1, 2, 128, 146, 169, 172

# The classes of the matrix. Lists note a busy entry and go on.
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
X_RDX = [Leaf.MEM_PAGE_ADD, Leaf.MR_EXTEND]
X_RCX = [
    Leaf.MR_FINALIZE,
    Leaf.EXPORT_PAUSE,
    Leaf.IMPORT_TRACK,
    Leaf.IMPORT_COMMIT,
    Leaf.IMPORT_END,
    Leaf.IMPORT_ABORT,
    Leaf.IMPORT_STATE_IMMUTABLE,
    Leaf.IMPORT_STATE_TD,
]
G = [Leaf.ACCEPT, Leaf.ATTR_RD, Leaf.ATTR_WR]
V = [Leaf.VP_RD_WR, Leaf.VP_FLUSH, Leaf.VP_INIT]
T, E = Leaf.MEM_TRACK, Leaf.VP_ENTER
NEVER_STORE = [Leaf.MEM_SEPT_RD, Leaf.MEM_RD_WR, Leaf.ATTR_RD, Leaf.ATTR_WR]


def pairs(first: list[Leaf], second: list[Leaf]) -> list[tuple[Leaf, Leaf]]:
    """Return all pairs of two classes."""
    return list(itertools.product(first, second))


def met(
    a: Party, b: Party, same_entry: bool = False, same_vcpu: bool = False
) -> list[tuple[Lock | None, int]]:
    """Return lock and status of each conflict of ``b`` arriving at ``a``."""
    found = conflicts(a, b, same_entry, same_vcpu=same_vcpu)
    return [(one.lock, one.status) for one in found]


def only(a: Party, b: Party, same_entry: bool = True, version: str = "1.5") -> Conflict:
    """Return the one conflict that there is."""
    (conflict,) = conflicts(a, b, same_entry, version)
    return conflict


@pytest.mark.parametrize(("a", "b"), [(E, E), *pairs(V, V)])
def test_calls_of_different_vcpus_share_all(a: Leaf, b: Leaf) -> None:
    assert met(a, b) == []


@pytest.mark.parametrize(("a", "b"), pairs([*R, *LISTS, Leaf.IMPORT_MEM], [*R, *LISTS]))
def test_readers_of_the_tree_meet_on_no_other_entry(a: Leaf, b: Leaf) -> None:
    assert met(a, b) == []


@pytest.mark.parametrize(("a", "b"), pairs(R, R))
def test_readers_of_the_tree_meet_on_the_same_entry(a: Leaf, b: Leaf) -> None:
    conflict = only(a, b)
    assert (conflict.lock, conflict.status) == (Lock.ENTRY, B | RCX)
    assert conflict.leaves_mark
    assert conflict.mark_survives == (a in NEVER_STORE)


@pytest.mark.parametrize(("a", "b"), pairs(R, LISTS))
def test_list_notes_a_busy_entry_and_goes_on(a: Leaf, b: Leaf) -> None:
    conflict = only(a, b)
    assert (conflict.lock, conflict.status) == (Lock.ENTRY, 0)
    assert "status 3" in conflict.note


@pytest.mark.parametrize("a", R)
def test_import_meets_a_busy_entry_with_the_lists_operand(a: Leaf) -> None:
    conflict = only(a, Leaf.IMPORT_MEM)
    assert (conflict.lock, conflict.status) == (Lock.ENTRY, B | 97)
    assert "ends the whole import" in conflict.note


@pytest.mark.parametrize(("a", "b"), pairs([*R, *LISTS], W) + pairs(W, [*R, *LISTS]) + pairs(W, W))
@pytest.mark.parametrize("same_entry", [False, True])
def test_a_writer_of_the_tree_excludes_all_others(a: Leaf, b: Leaf, same_entry: bool) -> None:
    conflict = only(a, b, same_entry)
    assert (conflict.lock, conflict.status) == (Lock.TREE, B | TREE)
    assert not conflict.leaves_mark
    assert not conflict.is_momentary


@pytest.mark.parametrize(("a", "b"), pairs([*R, *W], G) + pairs(G, [*R, *W]) + pairs(G, G))
def test_guest_meets_nobody_on_other_entries(a: Leaf, b: Leaf) -> None:
    assert met(a, b) == []


@pytest.mark.parametrize(("a", "b"), pairs(G, [*R, *W]))
def test_host_meets_a_guest_on_the_same_entry(a: Leaf, b: Leaf) -> None:
    conflict = only(a, b)
    assert (conflict.lock, conflict.status) == (Lock.ENTRY, B | RCX)
    assert conflict.leaves_mark


@pytest.mark.parametrize(("a", "b"), pairs([*R, *W], G) + pairs(G, G))
def test_guest_meets_a_holder_of_the_same_entry_and_leaves_nothing(a: Leaf, b: Leaf) -> None:
    conflict = only(a, b)
    assert (conflict.lock, conflict.status) == (Lock.ENTRY, B | RCX)
    assert not conflict.leaves_mark


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
def test_track_and_enter_meet_on_the_epoch_for_an_instant(a: Party, b: Party) -> None:
    conflict = only(a, b, same_entry=False)
    assert (conflict.lock, conflict.status) == (Lock.EPOCH, B | EPOCH)
    assert conflict.is_momentary
    assert not conflict.leaves_mark


@pytest.mark.parametrize("other", [*R, *W, *G, *LISTS])
@pytest.mark.parametrize("same_entry", [False, True])
def test_track_meets_no_s_ept_call(other: Leaf, same_entry: bool) -> None:
    assert met(T, other, same_entry) == met(other, T, same_entry) == []


@pytest.mark.parametrize("other", [*R, *W, *G, *LISTS])
def test_unarmed_enter_meets_no_s_ept_call(other: Leaf) -> None:
    assert met(E, other) == met(other, E) == []


@pytest.mark.parametrize("other", [*R, *W, *LISTS, ARMED])
def test_armed_enter_is_a_writer_of_the_tree(other: Party) -> None:
    assert met(ARMED, other) == met(other, ARMED) == [(Lock.TREE, B | TREE)]


@pytest.mark.parametrize("guest", G)
def test_armed_enter_meets_no_guest_call(guest: Leaf) -> None:
    assert met(ARMED, guest, same_entry=True) == met(guest, ARMED, same_entry=True) == []


@pytest.mark.parametrize("holder", [*R, *W, T, E, ARMED, IN_GUEST, *G, *V])
def test_exclusive_tdr_fails_at_whoever_shares_it(holder: Party) -> None:
    assert {met(holder, x)[0] for x in X_RDX} == {(Lock.TDR, B | RDX)}
    assert {met(holder, x)[0] for x in X_RCX} == {(Lock.TDR, B | RCX)}


@pytest.mark.parametrize("x", [*X_RDX, *X_RCX])
@pytest.mark.parametrize(
    ("second", "operand"),
    [
        *((leaf, RDX) for leaf in [*R, *W]),
        *((party, TDR) for party in [E, ARMED, *V]),
        (T, RCX),
        (Leaf.MEM_PAGE_ADD, RDX),
        (Leaf.MR_FINALIZE, RCX),
        (Leaf.EXPORT_PAUSE, RCX),
    ],
)
def test_exclusive_tdr_refuses_everybody(x: Leaf, second: Party, operand: int) -> None:
    (conflict,) = conflicts(x, second, same_entry=False)
    assert (conflict.lock, conflict.status) == (Lock.TDR, B | operand)
    assert conflict.leaves_mark
    assert conflict.mark_survives


@pytest.mark.parametrize("x", [*X_RDX, *X_RCX])
@pytest.mark.parametrize("guest", G)
def test_exclusive_tdr_and_a_guest_call_never_coexist(x: Leaf, guest: Leaf) -> None:
    """The vCPU holds the TDR while it runs, so the guest's call can't be second."""
    assert met(x, guest, same_entry=True) == []


@pytest.mark.parametrize(
    "other", [*R, *W, T, E, Leaf.VP_INIT, Leaf.VP_RD_WR, Leaf.MNG_RD_WR, Leaf.EXPORT_TRACK]
)
def test_exclusive_op_state_meets_all_that_share_it(other: Leaf) -> None:
    assert met(Leaf.EXPORT_TRACK, other) == [(Lock.OP_STATE, B | OP_STATE)]
    assert met(other, Leaf.EXPORT_TRACK) == [(Lock.OP_STATE, B | OP_STATE)]


@pytest.mark.parametrize("other", [*G, Leaf.VP_FLUSH, IN_GUEST])
def test_exclusive_op_state_leaves_guests_and_flush_alone(other: Party) -> None:
    assert met(Leaf.EXPORT_TRACK, other) == met(other, Leaf.EXPORT_TRACK) == []


@pytest.mark.parametrize("second", [Leaf.VP_FLUSH, Leaf.VP_INIT, Leaf.EXPORT_STATE_VP])
@pytest.mark.parametrize("first", [E, ARMED, IN_GUEST, *G])
def test_flush_meets_the_same_vcpu_while_it_runs(first: Party, second: Leaf) -> None:
    assert met(first, second, same_vcpu=True) == [(Lock.TDVPR, B | RCX)]


@pytest.mark.parametrize("first", [Leaf.VP_FLUSH, Leaf.VP_INIT])
def test_enter_meets_a_flush_of_the_same_vcpu(first: Leaf) -> None:
    assert met(first, E, same_vcpu=True) == [(Lock.TDVPR, B | RCX)]


@pytest.mark.parametrize("second", [E, ARMED, Leaf.VP_RD_WR])
@pytest.mark.parametrize("first", [E, ARMED, IN_GUEST])
def test_entering_a_running_vcpu_is_a_wrong_state_and_no_lock(first: Party, second: Party) -> None:
    assert met(first, second, same_vcpu=True) == [(None, 0xC0000700_00000000)]


def test_running_vcpu_meets_nothing_but_what_needs_it_or_the_tdr() -> None:
    met_by = {b for b in PARTIES if conflicts(IN_GUEST, b, same_entry=True)}
    assert met_by == {*X_RDX, *X_RCX, Leaf.MNG_INIT, Leaf.MNG_ADDCX}


@pytest.mark.parametrize(("same_page", "expected"), [(False, []), (True, [(Lock.PAGE, B | RCX)])])
def test_reclaims_meet_on_the_same_page_alone(
    same_page: bool, expected: list[tuple[Lock, int]]
) -> None:
    assert met(Leaf.PHYMEM_PAGE_RECLAIM, Leaf.PHYMEM_PAGE_RECLAIM, same_page) == expected


def test_cache_flush_meets_the_page_that_demote_splits_for_an_instant() -> None:
    assert only(Leaf.MEM_PAGE_DEMOTE, Leaf.PHYMEM_PAGE_WBINVD).is_momentary


def test_remove_that_takes_the_tree_alone_excludes_aug() -> None:
    conflict = only(
        Leaf.MEM_PAGE_AUG, Leaf.MEM_PAGE_REMOVE, same_entry=False, version="1.5-remove-exclusive"
    )
    assert conflict.lock == Lock.TREE


def test_init_that_takes_the_tdr_alone_fails_while_a_vcpu_runs() -> None:
    conflict = only(IN_GUEST, Leaf.VP_INIT, same_entry=False, version="1.5-vp-init-v1")
    assert (conflict.lock, conflict.status) == (Lock.TDR, B | TDR)


@pytest.mark.parametrize(("guest", "host"), pairs(G, [Leaf.MEM_PAGE_AUG, Leaf.MEM_SEPT_ADD]))
def test_guests_that_pass_by_free_entries_meet_no_aug(guest: Leaf, host: Leaf) -> None:
    assert conflicts(guest, host, True, "1.5-no-free-lock") == []
    assert conflicts(host, guest, True, "1.5-no-free-lock") == []


def test_guests_that_pass_by_free_entries_still_meet_block() -> None:
    conflict = only(Leaf.ACCEPT, Leaf.MEM_RANGE_BLOCK, version="1.5-no-free-lock")
    assert conflict.lock == Lock.ENTRY


@pytest.mark.parametrize("same_entry", [False, True])
def test_no_pair_of_parties_breaks_a_locks_rules(same_entry: bool) -> None:
    """A FATAL release would fail an assertion; a conflict has a mark only where locks have one."""
    for a, b in itertools.product(PARTIES, PARTIES):
        for conflict in conflicts(a, b, same_entry):
            assert conflict.leaves_mark or not conflict.mark_survives
            assert not (conflict.leaves_mark and conflict.lock in (Lock.TREE, Lock.EPOCH, Lock.MIG))


def test_conflict_reads_as_a_sentence() -> None:
    text = str(only(Leaf.ACCEPT, Leaf.MEM_PAGE_REMOVE))
    assert text == (
        "PAGE.REMOVE meets PAGE.ACCEPT: 0x8000020000000001 TDX_OPERAND_BUSY | RCX, on the S-EPT "
        "entry; its host-priority mark is erased if the first one succeeds"
    )


def test_unknown_version_is_refused() -> None:
    with pytest.raises(ScenarioError, match="is unknown"):
        conflicts(T, T, False, "2.0")
