"""S-EPT entry states: the source's table of allowed states, transitions and refusals."""

import itertools

import pytest

from tdx_env.module import sept
from tdx_env.module.operands import Operand
from tdx_env.module.sept import Level
from tdx_env.state.calls import EntryState, Leaf, Outcome

S = EntryState
OK = Outcome.SUCCESS
WRONG = Outcome.EPT_ENTRY_STATE_INCORRECT
NOT_BLOCKED = Outcome.GPA_RANGE_NOT_BLOCKED
NOT_TRACKED = Outcome.TLB_TRACKING_NOT_DONE
EXITS = Outcome.EPT_VIOLATION

# The columns of the source's tables (sept_state_lookup.c), and its rows.
COLUMNS = [
    S.FREE,
    S.REMOVED,
    S.NL_MAPPED,
    S.NL_BLOCKED,
    S.MAPPED,
    S.BLOCKED,
    S.BLOCKEDW,
    S.EXPORTED_BLOCKEDW,
    S.EXPORTED_DIRTY,
    S.EXPORTED_DIRTY_BLOCKEDW,
    S.PENDING,
    S.PENDING_BLOCKED,
    S.PENDING_BLOCKEDW,
    S.PENDING_EXPORTED_BLOCKEDW,
    S.PENDING_EXPORTED_DIRTY,
    S.PENDING_EXPORTED_DIRTY_BLOCKEDW,
]
ALLOWED = {
    Leaf.MEM_PAGE_ADD: "1000 0000 0000 0000",
    Leaf.MEM_SEPT_ADD: "1000 0000 0000 0000",  # NL_MAPPED too, with the allow-existing flag
    Leaf.MEM_PAGE_RELOCATE: "0000 1111 1111 1111",
    Leaf.MEM_PAGE_AUG: "1100 0000 0000 0000",
    Leaf.MEM_RANGE_BLOCK: "0010 1010 0010 1000",
    Leaf.MEM_RD_WR: "0000 1011 1100 0000",
    Leaf.MEM_PAGE_DEMOTE: "0000 1100 0011 0000",
    Leaf.MR_EXTEND: "0000 1000 0000 0000",
    Leaf.MEM_PAGE_PROMOTE: "0011 0000 0000 0000",
    Leaf.MEM_SEPT_RD: "1111 1111 1111 1111",
    Leaf.MEM_PAGE_REMOVE: "0000 1110 0011 1000",
    Leaf.MEM_SEPT_REMOVE: "0011 0000 0000 0000",
    Leaf.MEM_RANGE_UNBLOCK: "0001 0100 0001 0000",
    Leaf.EXPORT_BLOCKW: "0000 1000 1010 0010",
    Leaf.EXPORT_RESTORE: "0000 0001 1100 0111",
    Leaf.EXPORT_MEM: "0000 1011 1110 1111",
    Leaf.EXPORT_UNBLOCKW: "0000 0011 0100 1101",
    Leaf.IMPORT_MEM: "1100 1000 0010 0000",
    Leaf.ACCEPT: "0000 0000 0010 0010",
    Leaf.ATTR_RD: "0000 1011 1110 1111",
    Leaf.ATTR_WR: "0000 1000 1010 0010",
}
CELLS = [
    (leaf, state, bit == "1")
    for leaf, bits in ALLOWED.items()
    for state, bit in zip(COLUMNS, bits.replace(" ", ""), strict=True)
]
NEED_BLOCK = [
    Leaf.MEM_PAGE_REMOVE,
    Leaf.MEM_SEPT_REMOVE,
    Leaf.MEM_PAGE_PROMOTE,
    Leaf.MEM_PAGE_DEMOTE,
    Leaf.MEM_PAGE_RELOCATE,
]
UNTRACKED_STATES = {S.FREE, S.REMOVED, S.EXPORTED_BLOCKEDW, S.PENDING_EXPORTED_BLOCKEDW}


@pytest.mark.parametrize(("leaf", "state", "allowed"), CELLS)
def test_call_accepts_the_states_of_the_source(
    leaf: Leaf, state: EntryState, allowed: bool
) -> None:
    assert (sept.check_entry(leaf, state, False, False) == OK) is allowed


def test_every_call_that_checks_an_entry_is_in_the_table() -> None:
    assert set(ALLOWED) == set(sept.TRANSITIONS)


@pytest.mark.parametrize(
    ("leaf", "state", "following"),
    [
        (Leaf.MEM_SEPT_ADD, S.FREE, S.NL_MAPPED),
        (Leaf.MEM_SEPT_REMOVE, S.NL_BLOCKED, S.FREE),
        (Leaf.MEM_PAGE_ADD, S.FREE, S.MAPPED),
        (Leaf.MEM_PAGE_AUG, S.FREE, S.PENDING),
        (Leaf.MEM_PAGE_AUG, S.REMOVED, S.PENDING),
        (Leaf.ACCEPT, S.PENDING, S.MAPPED),
        (Leaf.ACCEPT, S.PENDING_EXPORTED_DIRTY, S.EXPORTED_DIRTY),
        (Leaf.ATTR_WR, S.PENDING, S.PENDING),
        (Leaf.ATTR_RD, S.BLOCKEDW, S.BLOCKEDW),
        (Leaf.MEM_RANGE_BLOCK, S.NL_MAPPED, S.NL_BLOCKED),
        (Leaf.MEM_RANGE_BLOCK, S.MAPPED, S.BLOCKED),
        (Leaf.MEM_RANGE_BLOCK, S.BLOCKEDW, S.BLOCKED),
        (Leaf.MEM_RANGE_BLOCK, S.PENDING, S.PENDING_BLOCKED),
        (Leaf.MEM_RANGE_BLOCK, S.PENDING_BLOCKEDW, S.PENDING_BLOCKED),
        (Leaf.MEM_RANGE_UNBLOCK, S.NL_BLOCKED, S.NL_MAPPED),
        (Leaf.MEM_RANGE_UNBLOCK, S.BLOCKED, S.MAPPED),
        (Leaf.MEM_RANGE_UNBLOCK, S.PENDING_BLOCKED, S.PENDING),
        (Leaf.MEM_PAGE_REMOVE, S.BLOCKED, S.FREE),
        (Leaf.MEM_PAGE_REMOVE, S.PENDING_BLOCKED, S.FREE),
        (Leaf.MEM_PAGE_RELOCATE, S.BLOCKED, S.MAPPED),
        (Leaf.MEM_PAGE_RELOCATE, S.PENDING_BLOCKED, S.PENDING),
        (Leaf.MEM_PAGE_RELOCATE, S.EXPORTED_BLOCKEDW, S.EXPORTED_BLOCKEDW),
        (Leaf.MEM_PAGE_PROMOTE, S.NL_BLOCKED, S.MAPPED),
        (Leaf.MEM_PAGE_DEMOTE, S.BLOCKED, S.NL_MAPPED),
        (Leaf.MEM_PAGE_DEMOTE, S.PENDING_BLOCKED, S.NL_MAPPED),
        (Leaf.EXPORT_BLOCKW, S.MAPPED, S.BLOCKEDW),
        (Leaf.EXPORT_BLOCKW, S.PENDING, S.PENDING_BLOCKEDW),
        (Leaf.EXPORT_BLOCKW, S.EXPORTED_DIRTY, S.EXPORTED_DIRTY_BLOCKEDW),
        (Leaf.EXPORT_UNBLOCKW, S.BLOCKEDW, S.MAPPED),
        (Leaf.EXPORT_UNBLOCKW, S.EXPORTED_BLOCKEDW, S.EXPORTED_DIRTY),
        (Leaf.EXPORT_UNBLOCKW, S.EXPORTED_DIRTY_BLOCKEDW, S.EXPORTED_DIRTY),
        (Leaf.EXPORT_UNBLOCKW, S.PENDING_EXPORTED_BLOCKEDW, S.PENDING_EXPORTED_DIRTY),
        (Leaf.EXPORT_MEM, S.BLOCKEDW, S.EXPORTED_BLOCKEDW),
        (Leaf.EXPORT_MEM, S.PENDING_BLOCKEDW, S.PENDING_EXPORTED_BLOCKEDW),
        (Leaf.EXPORT_RESTORE, S.EXPORTED_DIRTY, S.MAPPED),
        (Leaf.EXPORT_RESTORE, S.PENDING_EXPORTED_BLOCKEDW, S.PENDING),
        (Leaf.IMPORT_MEM, S.FREE, S.MAPPED),
    ],
)
def test_successful_call_changes_the_state(
    leaf: Leaf, state: EntryState, following: EntryState
) -> None:
    assert sept.next_state(leaf, state) == following


@pytest.mark.parametrize("state", EntryState)
def test_pending_pages_stay_pending_through_block_and_unblock(state: EntryState) -> None:
    blocked = sept.next_state(Leaf.MEM_RANGE_BLOCK, state)
    assert ("PENDING" in EntryState(blocked).name) == ("PENDING" in state.name)


@pytest.mark.parametrize("leaf", [Leaf.MEM_TRACK, Leaf.VP_ENTER, Leaf.PHYMEM_PAGE_WBINVD])
def test_calls_without_an_entry_check_none(leaf: Leaf) -> None:
    for state in EntryState:
        assert sept.check_entry(leaf, state, True, False) == OK
        assert sept.next_state(leaf, state) == state


@pytest.mark.parametrize(("leaf", "state"), list(itertools.product(NEED_BLOCK, EntryState)))
def test_blocking_and_tracking_are_checked_in_order(leaf: Leaf, state: EntryState) -> None:
    """First the state, then blocked, then tracked; some states need neither."""
    results = [sept.check_entry(leaf, state, True, is_tracked) for is_tracked in (False, True)]
    if state not in sept.TRANSITIONS[leaf]:
        assert results == [WRONG, WRONG]
    elif state in UNTRACKED_STATES:
        assert results == [OK, OK]
    elif not sept.is_any_blocked(state):
        assert results == [NOT_BLOCKED, NOT_BLOCKED]
    else:
        assert results == [NOT_TRACKED, OK]


@pytest.mark.parametrize("state", [S.BLOCKED, S.NL_BLOCKED, S.PENDING_BLOCKED])
def test_blocking_twice_is_no_error(state: EntryState) -> None:
    outcome = sept.check_entry(Leaf.MEM_RANGE_BLOCK, state, True, False)
    assert outcome == Outcome.GPA_RANGE_ALREADY_BLOCKED


@pytest.mark.parametrize("state", [S.FREE, S.REMOVED, S.EXPORTED_DIRTY, S.EXPORTED_BLOCKEDW])
def test_block_refuses_other_states(state: EntryState) -> None:
    assert sept.check_entry(Leaf.MEM_RANGE_BLOCK, state, True, False) == WRONG


def test_block_needs_no_tracking() -> None:
    assert sept.check_entry(Leaf.MEM_RANGE_BLOCK, S.MAPPED, True, False) == OK


def test_unblock_needs_tracking_while_the_td_runs() -> None:
    results = [
        sept.check_entry(Leaf.MEM_RANGE_UNBLOCK, S.BLOCKED, required, is_tracked)
        for required, is_tracked in [(True, False), (True, True), (False, False)]
    ]
    assert results == [NOT_TRACKED, OK, OK]


@pytest.mark.parametrize("state", [S.PENDING, S.MAPPED, S.BLOCKED, S.NL_MAPPED, S.NL_BLOCKED])
def test_aug_over_something_is_a_wrong_state(state: EntryState) -> None:
    assert sept.check_entry(Leaf.MEM_PAGE_AUG, state, True, True) == WRONG


def test_sept_add_over_a_table_is_a_wrong_state() -> None:
    assert sept.check_entry(Leaf.MEM_SEPT_ADD, S.NL_MAPPED, True, True) == WRONG


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (S.PENDING, OK),
        (S.PENDING_EXPORTED_DIRTY, OK),
        (S.NL_MAPPED, Outcome.PAGE_SIZE_MISMATCH),
        (S.NL_BLOCKED, Outcome.PAGE_SIZE_MISMATCH),
        (S.MAPPED, Outcome.PAGE_ALREADY_ACCEPTED),
        (S.BLOCKEDW, Outcome.PAGE_ALREADY_ACCEPTED),
        (S.EXPORTED_BLOCKEDW, Outcome.PAGE_ALREADY_ACCEPTED),
        (S.EXPORTED_DIRTY, Outcome.PAGE_ALREADY_ACCEPTED),
        (S.EXPORTED_DIRTY_BLOCKEDW, Outcome.PAGE_ALREADY_ACCEPTED),
        (S.FREE, EXITS),
        (S.REMOVED, Outcome.PAGE_SIZE_MISMATCH),
        (S.BLOCKED, EXITS),
        (S.PENDING_BLOCKED, EXITS),
        (S.PENDING_BLOCKEDW, EXITS),
        (S.PENDING_EXPORTED_BLOCKEDW, EXITS),
        (S.PENDING_EXPORTED_DIRTY_BLOCKEDW, EXITS),
    ],
)
def test_accept_ends_by_state(state: EntryState, outcome: Outcome) -> None:
    assert sept.check_entry(Leaf.ACCEPT, state, True, False) == outcome


@pytest.mark.parametrize("state", [S.FREE, S.BLOCKED, S.NL_BLOCKED, S.PENDING_BLOCKED])
def test_attr_rd_of_a_blocked_or_free_entry_exits(state: EntryState) -> None:
    assert sept.check_entry(Leaf.ATTR_RD, state, True, False) == EXITS


@pytest.mark.parametrize(
    ("state", "outcome"),
    [(S.NL_MAPPED, Outcome.PAGE_SIZE_MISMATCH), (S.FREE, EXITS), (S.BLOCKEDW, EXITS)],
)
def test_attr_wr_ends_by_state(state: EntryState, outcome: Outcome) -> None:
    assert sept.check_entry(Leaf.ATTR_WR, state, True, False) == outcome


@pytest.mark.parametrize(
    ("state", "required", "is_tracked", "outcome"),
    [
        (S.MAPPED, False, False, OK),
        (S.MAPPED, True, True, WRONG),
        (S.EXPORTED_BLOCKEDW, True, True, WRONG),  # exported and clean
        (S.BLOCKEDW, True, False, NOT_TRACKED),
        (S.BLOCKEDW, True, True, OK),
        (S.PENDING_EXPORTED_DIRTY_BLOCKEDW, True, True, OK),
    ],
)
def test_live_export_needs_a_write_blocked_and_tracked_page(
    state: EntryState, required: bool, is_tracked: bool, outcome: Outcome
) -> None:
    assert sept.check_entry(Leaf.EXPORT_MEM, state, required, is_tracked) == outcome


def test_any_blocked_is_three_states() -> None:
    blocked = {state for state in EntryState if sept.is_any_blocked(state)}
    assert blocked == {S.NL_BLOCKED, S.BLOCKED, S.PENDING_BLOCKED}


def test_guest_accessible_is_five_states() -> None:
    accessible = {state for state in EntryState if sept.is_guest_accessible(state)}
    assert accessible == {
        S.MAPPED,
        S.BLOCKEDW,
        S.EXPORTED_BLOCKEDW,
        S.EXPORTED_DIRTY,
        S.EXPORTED_DIRTY_BLOCKEDW,
    }


def test_acceptable_is_two_states() -> None:
    acceptable = {state for state in EntryState if sept.is_acceptable(state)}
    assert acceptable == {S.PENDING, S.PENDING_EXPORTED_DIRTY}


def test_tracking_is_required_of_all_but_four_states() -> None:
    assert frozenset(EntryState) - sept.TRACKING_REQUIRED == UNTRACKED_STATES


@pytest.mark.parametrize(
    ("leaf", "levels"),
    [
        (Leaf.MEM_PAGE_ADD, [0]),
        (Leaf.MEM_PAGE_AUG, [0, 1]),
        (Leaf.MEM_PAGE_REMOVE, [0, 1, 2]),
        (Leaf.MEM_SEPT_ADD, [1, 2, 3, 4]),
        (Leaf.MEM_SEPT_REMOVE, [1, 2, 3, 4]),
        (Leaf.MEM_PAGE_PROMOTE, [1, 2]),
        (Leaf.MEM_PAGE_DEMOTE, [1, 2]),
        (Leaf.MEM_PAGE_RELOCATE, [0]),
        (Leaf.MEM_RANGE_BLOCK, [0, 1, 2, 3, 4]),
        (Leaf.MEM_RANGE_UNBLOCK, [0, 1, 2, 3, 4]),
        (Leaf.MEM_SEPT_RD, [0, 1, 2, 3, 4]),
        (Leaf.ACCEPT, [0, 1]),
        (Leaf.ATTR_WR, [0, 1, 2]),
        (Leaf.EXPORT_BLOCKW, [0]),
        (Leaf.EXPORT_MEM, [0]),
        (Leaf.EXPORT_RESTORE, [0]),
        (Leaf.IMPORT_MEM, [0]),
    ],
)
def test_call_accepts_these_levels(leaf: Leaf, levels: list[int]) -> None:
    assert sept.LEVELS[leaf] == tuple(Level(level) for level in levels)


@pytest.mark.parametrize(
    ("leaf", "outcome", "operand"),
    [
        (Leaf.MEM_PAGE_AUG, WRONG, Operand.RCX),
        (Leaf.MEM_PAGE_REMOVE, NOT_BLOCKED, Operand.RCX),
        (Leaf.MEM_PAGE_REMOVE, NOT_TRACKED, Operand.RCX),
        (Leaf.MEM_RANGE_UNBLOCK, NOT_TRACKED, Operand.SEPT_TREE),
        (Leaf.MEM_RANGE_BLOCK, Outcome.GPA_RANGE_ALREADY_BLOCKED, Operand.RCX),
        (Leaf.MEM_PAGE_AUG, Outcome.EPT_WALK_FAILED, Operand.RCX),
        (Leaf.MEM_TRACK, Outcome.PREVIOUS_TLB_EPOCH_BUSY, 0),
        (Leaf.ACCEPT, EXITS, 0),
    ],
)
def test_refusal_has_the_sources_operand(leaf: Leaf, outcome: Outcome, operand: int) -> None:
    assert sept.check_operand(leaf, outcome) == operand


def test_accept_of_a_removed_entry_exits_in_newer_releases() -> None:
    assert sept.check_entry(Leaf.ACCEPT, S.REMOVED, True, False, True) == EXITS
    assert sept.check_entry(Leaf.ATTR_WR, S.REMOVED, True, False, True) == EXITS


def test_unblock_names_the_entry_in_newer_releases() -> None:
    outcome = Outcome.TLB_TRACKING_NOT_DONE
    assert sept.check_operand(Leaf.MEM_RANGE_UNBLOCK, outcome) == Operand.SEPT_TREE
    assert sept.check_operand(Leaf.MEM_RANGE_UNBLOCK, outcome, True) == Operand.RCX
    assert sept.check_operand(Leaf.MEM_PAGE_REMOVE, outcome, True) == Operand.RCX


def test_table_with_removed_entries_may_go_in_newer_releases() -> None:
    assert sept.removable_children(False) == {S.FREE}
    assert sept.removable_children(True) == {S.FREE, S.REMOVED}


def test_compiled_equals_plain_python() -> None:
    check, follow = sept.check_entry, sept.next_state
    plain_check = getattr(check, "py_func", check)
    plain_follow = getattr(follow, "py_func", follow)
    for leaf in [Leaf.MEM_PAGE_REMOVE, Leaf.MEM_RANGE_UNBLOCK, Leaf.EXPORT_MEM, Leaf.ACCEPT]:
        for state in EntryState:
            assert follow(leaf, state) == plain_follow(leaf, state)
            for required, tracked in itertools.product((False, True), repeat=2):
                arguments = (leaf, state, required, tracked)
                assert check(*arguments) == plain_check(*arguments)
