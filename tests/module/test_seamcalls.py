"""The table of calls: each row of the lock matrix, and what holds for all rows."""

import numpy as np
import pytest

from tdx_env.errors import ScenarioError
from tdx_env.module.operands import Operand
from tdx_env.module.seamcalls import (
    IS_GUEST,
    MODULE_VERSIONS,
    STORES_ENTRY,
    calls,
    module_version,
    program,
    row_of,
)
from tdx_env.module.steps import Step
from tdx_env.state.calls import MAX_STEPS, N_LEAVES, NONE, STEP, Delay, Leaf, Lock, Mode, Op

GUEST = {
    Leaf.ACCEPT,
    Leaf.ATTR_RD,
    Leaf.ATTR_WR,
    Leaf.RTMR_EXTEND,
    Leaf.MR_REPORT,
    Leaf.SERVTD_RD_WR,
    Leaf.VP_VMCALL,
    Leaf.VP_INVEPT,
}
OLDEST = "1.5.01"  # whose table the older ones of the tests spell out
LIST_CALLS = [Leaf.EXPORT_BLOCKW, Leaf.EXPORT_MEM, Leaf.EXPORT_RESTORE, Leaf.IMPORT_MEM]
NEWER = [leaf for leaf in Leaf if leaf >= Leaf.PHYMEM_PAMT_ADD]
OLD = [leaf for leaf in Leaf if leaf not in NEWER]
TRIES = (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED)

# Locks in order: lock, mode, operand id. A row of the source's order for each call.
S_EPT_SHARED = "TDR sh 2, OP_STATE sh 172, TREE sh 146, ENTRY ex 1"
S_EPT_EXCLUSIVE = "TDR sh 2, OP_STATE sh 172, TREE ex 146, ENTRY ex 1"
LIST = "TDR sh 2, OP_STATE sh 172, TREE sh 146, ENTRY ex 97"
STREAM = "TDR sh 2, OP_STATE sh 172, MIG sh 173, MIGSC ex 171, TREE sh 146, ENTRY ex 97"
SESSION = "TDR sh 1, OP_STATE ex 172, MIG ex 173, MIGSC ex 171"
ACQUIRES = {
    Leaf.MEM_SEPT_ADD: f"{S_EPT_SHARED}, PAGE ex 8",
    Leaf.MEM_SEPT_REMOVE: f"{S_EPT_EXCLUSIVE}, PAGE ex 1",
    Leaf.MEM_SEPT_RD: S_EPT_SHARED,
    Leaf.MEM_PAGE_ADD: "TDR ex 2, PAGE ex 8",
    Leaf.MEM_PAGE_AUG: f"{S_EPT_SHARED}, PAGE ex 8",
    Leaf.MEM_PAGE_REMOVE: f"{S_EPT_SHARED}, PAGE ex 1",
    Leaf.MEM_PAGE_PROMOTE: f"{S_EPT_SHARED}, NEW_PAGE ex 1, CHILDREN ex 1, PAGE ex 1",
    Leaf.MEM_PAGE_DEMOTE: f"{S_EPT_SHARED}, NEW_PAGE ex 8, PAGE ex 1",
    Leaf.MEM_PAGE_RELOCATE: f"{S_EPT_SHARED}, PAGE ex 1, NEW_PAGE ex 8",
    Leaf.MEM_RANGE_BLOCK: S_EPT_EXCLUSIVE,
    Leaf.MEM_RANGE_UNBLOCK: S_EPT_EXCLUSIVE,
    Leaf.MEM_TRACK: "TDR sh 1, OP_STATE sh 172, EPOCH ex 169",
    Leaf.MEM_RD_WR: S_EPT_SHARED,
    Leaf.MR_EXTEND: "TDR ex 2",
    Leaf.MR_FINALIZE: "TDR ex 1",
    Leaf.MNG_INIT: "TDR ex 1",
    Leaf.MNG_ADDCX: "TDR ex 2, PAGE ex 1",
    Leaf.MNG_RD_WR: "TDR sh 1, OP_STATE sh 172",
    Leaf.VP_ENTER: "TDVPR sh 1, TDR sh 128, OP_STATE sh 172, EPOCH sh 169, TREE ex 146",
    Leaf.VP_FLUSH: "TDVPR ex 1, TDR sh 128",
    Leaf.VP_INIT: "TDVPR ex 1, TDR sh 128, OP_STATE sh 172",
    Leaf.VP_RD_WR: "TDVPR sh 1, TDR sh 128, OP_STATE sh 172",
    Leaf.VP_CREATE: "TDR sh 2, OP_STATE sh 172, PAGE ex 1",
    Leaf.VP_ADDCX: "TDVPR ex 2, TDR sh 128, OP_STATE sh 172, PAGE ex 1",
    Leaf.PHYMEM_PAGE_RECLAIM: "PAGE ex 1, TDR sh 128",
    Leaf.PHYMEM_PAGE_WBINVD: "PAGE sh 1",
    Leaf.PHYMEM_PAGE_RDMD: "PAGE sh 1",
    Leaf.EXPORT_BLOCKW: LIST,
    Leaf.EXPORT_MEM: STREAM,
    Leaf.EXPORT_RESTORE: LIST,
    Leaf.EXPORT_UNBLOCKW: S_EPT_SHARED,
    Leaf.IMPORT_MEM: f"{STREAM}, PAGE ex 99",
    Leaf.EXPORT_PAUSE: "TDR ex 1",
    Leaf.IMPORT_TRACK: "TDR ex 1, MIGSC ex 171",
    Leaf.IMPORT_COMMIT: "TDR ex 1",
    Leaf.IMPORT_END: "TDR ex 1",
    Leaf.IMPORT_ABORT: "TDR ex 1, MIGSC ex 171",
    Leaf.IMPORT_STATE_IMMUTABLE: "TDR ex 1, MIGSC ex 171",
    Leaf.IMPORT_STATE_TD: "TDR ex 1, MIGSC ex 171",
    Leaf.EXPORT_TRACK: SESSION,
    Leaf.EXPORT_ABORT: SESSION,
    Leaf.EXPORT_STATE_IMMUTABLE: SESSION,
    Leaf.EXPORT_STATE_TD: "TDR sh 1, OP_STATE ex 172, MIGSC ex 171",
    Leaf.EXPORT_STATE_VP: "TDVPR ex 1, TDR sh 128, OP_STATE sh 172, MIGSC ex 171",
    Leaf.IMPORT_STATE_VP: "TDVPR ex 1, TDR sh 128, OP_STATE sh 172, MIGSC ex 171",
    Leaf.MIG_STREAM_CREATE: "TDR sh 2, OP_STATE ex 172, MIG ex 173, PAGE ex 1",
    Leaf.SERVTD_BIND: (
        "TDR sh 1, OP_STATE sh 172, OTHER_TDR sh 2, OTHER_OP_STATE sh 172, SERVTD_BINDINGS ex 174, "
        "RTMR sh 168"
    ),
    Leaf.SERVTD_PREBIND: "TDR sh 1, OP_STATE sh 172, SERVTD_BINDINGS ex 174",
    Leaf.ACCEPT: "ENTRY ex 1",
    Leaf.ATTR_RD: "ENTRY ex 1",
    Leaf.ATTR_WR: "ENTRY ex 1",
    Leaf.RTMR_EXTEND: "RTMR ex 168",
    Leaf.MR_REPORT: "RTMR sh 168",
    Leaf.SERVTD_RD_WR: (
        "OTHER_TDR sh 128, OTHER_OP_STATE sh 172, SERVTD_BINDINGS sh 174, RTMR sh 168"
    ),
    Leaf.VP_VMCALL: "",
    Leaf.VP_INVEPT: "",
}
RELEASES = {
    Leaf.MEM_SEPT_ADD: "ENTRY PAGE TREE OP_STATE TDR",
    Leaf.MEM_SEPT_REMOVE: "ENTRY PAGE TREE OP_STATE TDR",
    Leaf.MEM_SEPT_RD: "ENTRY TREE OP_STATE TDR",
    Leaf.MEM_PAGE_ADD: "PAGE TDR",
    Leaf.MEM_PAGE_AUG: "ENTRY PAGE TREE OP_STATE TDR",
    Leaf.MEM_PAGE_REMOVE: "ENTRY PAGE TREE OP_STATE TDR",
    Leaf.MEM_PAGE_PROMOTE: "PAGE CHILDREN NEW_PAGE ENTRY TREE OP_STATE TDR",
    Leaf.MEM_PAGE_DEMOTE: "PAGE NEW_PAGE ENTRY TREE OP_STATE TDR",
    Leaf.MEM_PAGE_RELOCATE: "NEW_PAGE PAGE ENTRY TREE OP_STATE TDR",
    Leaf.MEM_RANGE_BLOCK: "ENTRY TREE OP_STATE TDR",
    Leaf.MEM_RANGE_UNBLOCK: "ENTRY TREE OP_STATE TDR",
    Leaf.MEM_TRACK: "EPOCH OP_STATE TDR",
    Leaf.MEM_RD_WR: "TDR ENTRY TREE OP_STATE",
    Leaf.MNG_RD_WR: "OP_STATE TDR",
    Leaf.VP_ENTER: "EPOCH OP_STATE TREE",
    Leaf.EXPORT_MEM: "ENTRY MIGSC TREE MIG OP_STATE TDR",
    Leaf.IMPORT_MEM: "ENTRY PAGE MIGSC MIG TREE OP_STATE TDR",
    Leaf.EXPORT_ABORT: "MIGSC MIG OP_STATE TDR",
    Leaf.EXPORT_STATE_IMMUTABLE: "MIGSC MIG OP_STATE TDR",
    Leaf.EXPORT_STATE_TD: "MIGSC OP_STATE TDR",
    Leaf.EXPORT_STATE_VP: "MIGSC OP_STATE TDR TDVPR",
    Leaf.IMPORT_ABORT: "MIGSC TDR",
    Leaf.IMPORT_STATE_VP: "MIGSC TDR TDVPR OP_STATE",
    Leaf.MIG_STREAM_CREATE: "OP_STATE TDR MIG PAGE",
    Leaf.SERVTD_BIND: "RTMR SERVTD_BINDINGS OTHER_OP_STATE OTHER_TDR OP_STATE TDR",
    Leaf.SERVTD_PREBIND: "SERVTD_BINDINGS OP_STATE TDR",
    Leaf.SERVTD_RD_WR: "RTMR SERVTD_BINDINGS OTHER_OP_STATE OTHER_TDR",
}
STORING = {
    Leaf.ACCEPT,
    Leaf.MEM_PAGE_ADD,
    Leaf.MEM_PAGE_AUG,
    Leaf.MEM_RANGE_BLOCK,
    Leaf.MEM_RANGE_UNBLOCK,
    Leaf.MEM_PAGE_REMOVE,
    Leaf.MEM_SEPT_ADD,
    Leaf.MEM_SEPT_REMOVE,
    Leaf.MEM_PAGE_DEMOTE,
    Leaf.MEM_PAGE_PROMOTE,
    Leaf.MEM_PAGE_RELOCATE,
    Leaf.EXPORT_BLOCKW,
    Leaf.EXPORT_UNBLOCKW,
    Leaf.EXPORT_MEM,
    Leaf.EXPORT_RESTORE,
    Leaf.IMPORT_MEM,
}


def acquires(leaf: Leaf, version: str = OLDEST) -> str:
    """Return a call's locks in order as the table above has them."""
    short = {Mode.SHARED: "sh", Mode.EXCLUSIVE: "ex"}
    return ", ".join(
        f"{Lock(step.lock).name} {short[step.mode]} {step.operand}"
        for step in calls(version)[leaf].steps
        if step.op in TRIES
    )


@pytest.mark.parametrize("leaf", OLD)
def test_locks_are_taken_as_in_the_source(leaf: Leaf) -> None:
    assert acquires(leaf) == ACQUIRES[leaf]


@pytest.mark.parametrize(("leaf", "order"), RELEASES.items())
def test_locks_are_released_as_in_the_source(leaf: Leaf, order: str) -> None:
    released = [Lock(step.lock).name for step in calls(OLDEST)[leaf].steps if step.op == Op.RELEASE]
    assert " ".join(released) == order


@pytest.mark.parametrize("leaf", OLD)
def test_what_is_taken_is_released_in_its_mode_or_kept(leaf: Leaf) -> None:
    call = calls(OLDEST)[leaf]
    taken = {step.lock: step.mode for step in call.steps if step.op in TRIES}
    released = {step.lock: step.mode for step in call.steps if step.op == Op.RELEASE}
    kept = call.holds_after_return
    assert released.keys() | kept == taken.keys()
    assert not released.keys() & kept
    assert all(taken[lock] == released.get(lock, Mode.SHARED) for lock in taken)


@pytest.mark.parametrize("leaf", OLD)
def test_release_comes_after_its_acquire(leaf: Leaf) -> None:
    held: set[int] = set()
    for step in calls(OLDEST)[leaf].steps:
        if step.op in TRIES:
            assert step.lock not in held
            held.add(step.lock)
        if step.op == Op.RELEASE:
            held.remove(step.lock)
    assert held == calls(OLDEST)[leaf].holds_after_return


@pytest.mark.parametrize("leaf", OLD)
def test_call_commits_once_and_returns_last(leaf: Leaf) -> None:
    steps = calls(OLDEST)[leaf].steps
    ops = [step.op for step in steps]
    assert ops.count(Op.COMMIT) == 1
    assert ops.count(Op.RETURN) == 1
    assert steps[-1].op == Op.RETURN
    assert steps[-1].delay == Delay.LEAVE


@pytest.mark.parametrize("leaf", OLD)
def test_call_spends_its_body_once(leaf: Leaf) -> None:
    delays = [step.delay for step in calls(OLDEST)[leaf].steps]
    assert delays.count(Delay.BODY) == 1


@pytest.mark.parametrize("leaf", sorted(set(OLD) - GUEST))
def test_host_call_begins_with_the_way_to_its_first_lock(leaf: Leaf) -> None:
    assert calls(OLDEST)[leaf].steps[0].delay == Delay.TO_TDR


def test_names_and_files_are_the_sources() -> None:
    call = calls(OLDEST)[Leaf.MEM_PAGE_AUG]
    assert call.name == "TDH.MEM.PAGE.AUG"
    assert call.source == "src/vmm_dispatcher/api_calls/tdh_mem_page_aug.c"
    assert all(call.source.startswith("src/") for call in calls(OLDEST).values())


def test_table_has_each_leaf_once_in_order() -> None:
    assert list(calls(OLDEST)) == OLD
    assert [call.leaf for call in calls(OLDEST).values()] == OLD
    assert [row_of(leaf).leaf for leaf in Leaf] == list(Leaf)


def test_guest_calls_are_those_of_tdg() -> None:
    assert {leaf for leaf, call in calls(OLDEST).items() if call.name.startswith("TDG.")} == GUEST


def test_array_of_guest_calls_agrees_with_the_rows() -> None:
    assert set(np.flatnonzero(IS_GUEST)) == GUEST


def test_calls_that_erase_the_mark_are_those_that_store_the_entry() -> None:
    assert set(np.flatnonzero(STORES_ENTRY)) == STORING | {Leaf.ATTR_WR, Leaf.MEM_SCAN_RANGE}


def test_running_vcpu_keeps_tdvpr_and_tdr() -> None:
    assert calls(OLDEST)[Leaf.VP_ENTER].holds_after_return == {Lock.TDVPR, Lock.TDR}


def test_aug_takes_five_locks() -> None:
    assert acquires(Leaf.MEM_PAGE_AUG).count(",") == 4


def test_track_steps_are_these() -> None:
    steps = [(step.op, step.lock, step.delay) for step in calls(OLDEST)[Leaf.MEM_TRACK].steps]
    assert steps == [
        (Op.ACQUIRE, Lock.TDR, Delay.TO_TDR),
        (Op.ACQUIRE, Lock.OP_STATE, Delay.NONE),
        (Op.ACQUIRE, Lock.EPOCH, Delay.TO_EPOCH),
        (Op.CHECK, NONE, Delay.NONE),
        (Op.COMMIT, NONE, Delay.EPOCH_HOLD),
        (Op.RELEASE, Lock.EPOCH, Delay.NONE),
        (Op.RELEASE, Lock.OP_STATE, Delay.BODY),
        (Op.RELEASE, Lock.TDR, Delay.NONE),
        (Op.RETURN, NONE, Delay.LEAVE),
    ]


def test_enter_steps_are_these() -> None:
    steps = [(step.op, step.lock, step.delay) for step in calls(OLDEST)[Leaf.VP_ENTER].steps]
    assert steps == [
        (Op.ACQUIRE, Lock.TDVPR, Delay.TO_TDR),
        (Op.ACQUIRE, Lock.TDR, Delay.NONE),
        (Op.ACQUIRE, Lock.OP_STATE, Delay.NONE),
        (Op.ACQUIRE, Lock.EPOCH, Delay.TO_EPOCH),
        (Op.COMMIT, NONE, Delay.NONE),
        (Op.RELEASE, Lock.EPOCH, Delay.EPOCH_HOLD),
        (Op.ACQUIRE_IF_ARMED, Lock.TREE, Delay.NONE),
        (Op.CHECK, NONE, Delay.ARMED_WALK),
        (Op.RELEASE, Lock.OP_STATE, Delay.BODY),
        (Op.RELEASE, Lock.TREE, Delay.NONE),
        (Op.RETURN, NONE, Delay.LEAVE),
    ]


def test_aug_steps_are_these() -> None:
    steps = [(step.op, step.lock, step.delay) for step in calls(OLDEST)[Leaf.MEM_PAGE_AUG].steps]
    assert steps == [
        (Op.ACQUIRE, Lock.TDR, Delay.TO_TDR),
        (Op.ACQUIRE, Lock.OP_STATE, Delay.NONE),
        (Op.ACQUIRE, Lock.TREE, Delay.TO_TREE),
        (Op.ACQUIRE, Lock.ENTRY, Delay.TO_ENTRY),
        (Op.CHECK, NONE, Delay.NONE),
        (Op.ACQUIRE, Lock.PAGE, Delay.NONE),
        (Op.COMMIT, NONE, Delay.BODY),
        (Op.RELEASE, Lock.ENTRY, Delay.NONE),
        (Op.RELEASE, Lock.PAGE, Delay.NONE),
        (Op.RELEASE, Lock.TREE, Delay.NONE),
        (Op.RELEASE, Lock.OP_STATE, Delay.NONE),
        (Op.RELEASE, Lock.TDR, Delay.NONE),
        (Op.RETURN, NONE, Delay.LEAVE),
    ]


@pytest.mark.parametrize("leaf", [Leaf.MEM_PAGE_DEMOTE, Leaf.MEM_PAGE_PROMOTE])
def test_poll_comes_after_the_body_just_before_the_large_pages_lock(leaf: Leaf) -> None:
    steps = calls(OLDEST)[leaf].steps
    (poll,) = [place for place, step in enumerate(steps) if step.op == Op.POLL]
    assert steps[poll] == Step(Op.POLL, delay=Delay.BODY)
    assert steps[poll + 1] == Step(Op.ACQUIRE, Lock.PAGE, Mode.EXCLUSIVE, Operand.RCX)
    assert all(step.op != Op.COMMIT for step in steps[:poll])


def test_uninterruptible_demote_takes_the_large_pages_lock_after_the_body() -> None:
    steps = calls("hypothetical-demote-uninterruptible")[Leaf.MEM_PAGE_DEMOTE].steps
    polled = calls(OLDEST)[Leaf.MEM_PAGE_DEMOTE].steps
    place = [step.op for step in polled].index(Op.POLL)
    late = Step(Op.ACQUIRE, Lock.PAGE, Mode.EXCLUSIVE, Operand.RCX, Delay.BODY)
    assert steps == (*polled[:place], late, *polled[place + 2 :])


def test_uninterruptible_demote_leaves_promote_its_poll() -> None:
    steps = calls("hypothetical-demote-uninterruptible")[Leaf.MEM_PAGE_PROMOTE].steps
    assert Op.POLL in [step.op for step in steps]


@pytest.mark.parametrize("leaf", LIST_CALLS)
def test_list_call_lets_go_of_the_entry_before_the_next_and_keeps_the_rest(leaf: Leaf) -> None:
    steps = calls(OLDEST)[leaf].steps
    (place,) = [number for number, step in enumerate(steps) if step.op == Op.NEXT]
    before = {step.lock for step in steps[:place] if step.op == Op.RELEASE}
    assert before == ({Lock.ENTRY, Lock.PAGE} if leaf == Leaf.IMPORT_MEM else {Lock.ENTRY})
    assert Lock.TREE in {step.lock for step in steps[place:]}
    assert steps[place] == Step(Op.NEXT)


def test_other_calls_have_neither_poll_nor_next() -> None:
    polling = {leaf for leaf in OLD for step in calls(OLDEST)[leaf].steps if step.op >= Op.POLL}
    assert polling == {*LIST_CALLS, Leaf.MEM_PAGE_DEMOTE, Leaf.MEM_PAGE_PROMOTE}


@pytest.mark.parametrize("version", MODULE_VERSIONS)
def test_program_holds_the_rows_and_is_filled_with_return(version: str) -> None:
    steps = program(version)
    assert steps.shape == (N_LEAVES, MAX_STEPS)
    assert steps.dtype == STEP
    for leaf, call in calls(version).items():
        assert [tuple(step) for step in steps[leaf].tolist()][: len(call.steps)] == list(call.steps)
        rest = steps[leaf, len(call.steps) :]
        assert set(rest["op"]) <= {Op.RETURN}
        assert set(rest["lock"]) <= {NONE}
        assert set(rest["delay"]) <= {Delay.NONE}


@pytest.mark.parametrize(
    ("version", "leaf", "locks"),
    [
        (
            "hypothetical-remove-exclusive",
            Leaf.MEM_PAGE_REMOVE,
            f"{S_EPT_EXCLUSIVE}, PAGE ex 1",
        ),
        ("hypothetical-vp-init-v1", Leaf.VP_INIT, "TDVPR ex 1, TDR ex 128, OP_STATE sh 172"),
        (
            "hypothetical-demote-uninterruptible",
            Leaf.MEM_PAGE_DEMOTE,
            ACQUIRES[Leaf.MEM_PAGE_DEMOTE],
        ),
    ],
)
def test_variant_differs_in_one_call(version: str, leaf: Leaf, locks: str) -> None:
    assert acquires(leaf, version) == locks
    assert [other for other in OLD if calls(version)[other] != calls(OLDEST)[other]] == [leaf]


def test_variant_that_spares_free_entries_has_the_same_steps() -> None:
    assert calls("hypothetical-no-free-lock") == calls(OLDEST)
    assert module_version("hypothetical-no-free-lock") != module_version("1.5.01")


# The rows of the newer sources that differ from the table above, by version.
ENTER_SHARED = "TDVPR sh 1, TDR sh 128, OP_STATE sh 172, EPOCH sh 169, TREE sh 146"
INIT_V1 = "TDVPR ex 1, TDR ex 128, OP_STATE sh 172"
DEMOTE = f"{S_EPT_SHARED}, NEW_PAGE ex 8, PAGE ex 1, PAMT_PAGE_0 sh 12, PAMT_PAGE_1 sh 13"
PAMT = {
    Leaf.MEM_PAGE_DEMOTE: DEMOTE,
    Leaf.PHYMEM_PAMT_ADD: "PAMT_2M ex 1, PAMT_PAGE_0 sh 2, PAMT_PAGE_1 sh 8",
    Leaf.PHYMEM_PAMT_REMOVE: "PAMT_2M ex 1",
}
CURRENT = {
    **PAMT,
    Leaf.VP_ENTER: ENTER_SHARED,
    Leaf.VP_INIT: INIT_V1,
    Leaf.MEM_PAGE_PROMOTE: f"{S_EPT_EXCLUSIVE}, NEW_PAGE ex 1, PAGE ex 1",
    Leaf.MEM_SCAN_RANGE: "TDR sh 2, OP_STATE sh 172, TREE sh 146, ENTRY ex 106",
    Leaf.MEM_SCAN_COMP: (
        "TDR sh 2, OP_STATE sh 172, MEM_SCAN sh 190, SCAN_CONTEXT ex 105, TREE sh 146"
    ),
    Leaf.MEM_SCAN_CONFIG: "MEM_SCAN ex 190",
}
NEWER_ACQUIRES = {
    "1.5.01": {},
    "1.5.06": {Leaf.VP_INIT: INIT_V1},
    "1.5.28": {  # its scan of PROMOTE's children was not seen
        **PAMT,
        Leaf.VP_ENTER: ENTER_SHARED,
        Leaf.VP_INIT: INIT_V1,
        Leaf.MEM_PAGE_PROMOTE: f"{S_EPT_EXCLUSIVE}, NEW_PAGE ex 1, CHILDREN ex 1, PAGE ex 1",
    },
    "1.5.34": CURRENT,
    "2.0.18": CURRENT,
}


@pytest.mark.parametrize("version", NEWER_ACQUIRES)
def test_locks_of_a_release_are_taken_as_in_its_source(version: str) -> None:
    expected = {**ACQUIRES, **NEWER_ACQUIRES[version]}
    assert {leaf: acquires(leaf, version) for leaf in calls(version)} == expected


@pytest.mark.parametrize("version", MODULE_VERSIONS)
def test_rows_of_every_version_release_what_they_take_and_fit(version: str) -> None:
    for call in calls(version).values():
        taken = {step.lock: step.mode for step in call.steps if step.op in TRIES}
        freed = {step.lock: step.mode for step in call.steps if step.op == Op.RELEASE}
        assert {**freed, **dict.fromkeys(call.holds_after_return, Mode.SHARED)} == taken
        assert [step.delay for step in call.steps].count(Delay.BODY) == 1
        assert len(call.steps) <= MAX_STEPS


@pytest.mark.parametrize("version", ["1.5.01", "1.5.06", "hypothetical-vp-init-v1"])
def test_old_commits_erase_the_mark_on_the_entry(version: str) -> None:
    assert {leaf for leaf, call in calls(version).items() if call.erases_mark} == STORING


@pytest.mark.parametrize("version", ["1.5.28", "1.5.34", "2.0.18"])
def test_newer_commits_keep_the_mark_on_the_entry(version: str) -> None:
    """PAGE.ADD locks no entry: there is nobody whose mark it could erase."""
    erasing = {leaf for leaf, call in calls(version).items() if call.erases_mark}
    assert erasing == {Leaf.MEM_PAGE_ADD}
    keeping = {leaf for leaf, call in calls(version).items() if call.keeps_mark}
    assert STORING - {Leaf.MEM_PAGE_ADD} <= keeping


@pytest.mark.parametrize("version", ["1.5.34", "2.0.18"])
def test_attr_wr_rewrites_the_entry_in_the_newest_releases(version: str) -> None:
    assert calls(version)[Leaf.ATTR_WR].keeps_mark
    assert not calls("1.5.28")[Leaf.ATTR_WR].stores_entry


@pytest.mark.parametrize("version", MODULE_VERSIONS)
def test_lists_look_at_the_tree_between_entries_in_the_newest_releases(version: str) -> None:
    yields = version in ("1.5.34", "2.0.18")
    for call in calls(version).values():
        places = [step for step in call.steps if step.op == Op.NEXT]
        assert all(step == Step(Op.NEXT, Lock.TREE if yields else NONE) for step in places)


@pytest.mark.parametrize("version", MODULE_VERSIONS)
def test_demote_polls_in_the_old_releases_alone(version: str) -> None:
    polls = Op.POLL in [step.op for step in calls(version)[Leaf.MEM_PAGE_DEMOTE].steps]
    old = ("1.5.01", "1.5.06")
    assert polls == (version in old or version.startswith("hypothetical-")) - (
        version == "hypothetical-demote-uninterruptible"
    )
    assert Op.POLL in [step.op for step in calls(version)[Leaf.MEM_PAGE_PROMOTE].steps]


def test_row_of_a_call_that_a_version_lacks_is_empty() -> None:
    assert set(program("1.5.01")[NEWER]["op"].ravel()) == {Op.RETURN}


def test_pages_reached_by_a_walk_are_those_whose_range_pamt_add_can_block() -> None:
    walking = {
        leaf: {Lock(lock).name for lock in row_of(leaf).walked}
        for leaf in Leaf
        if row_of(leaf).walked
    }
    assert walking == {
        **dict.fromkeys(
            [
                Leaf.MEM_SEPT_ADD,
                Leaf.MEM_PAGE_ADD,
                Leaf.MEM_PAGE_AUG,
                Leaf.PHYMEM_PAGE_WBINVD,
                Leaf.PHYMEM_PAGE_RDMD,
                Leaf.PHYMEM_PAGE_RECLAIM,
                Leaf.MNG_ADDCX,
                Leaf.VP_CREATE,
                Leaf.VP_ADDCX,
                Leaf.IMPORT_MEM,
                Leaf.MIG_STREAM_CREATE,
            ],
            {"PAGE"},
        ),
        Leaf.MEM_PAGE_DEMOTE: {"NEW_PAGE"},
        Leaf.MEM_PAGE_RELOCATE: {"NEW_PAGE"},
    }


def test_unknown_version_lists_the_known_ones_nearest_first() -> None:
    with pytest.raises(ScenarioError, match=r"'1\.5\.3' is unknown, must be one of: 1\.5\.34, "):
        program("1.5.3")


@pytest.mark.parametrize("name", ["1.5", "1.5-vp-init-v1"])
def test_old_name_of_a_version_warns(name: str) -> None:
    with pytest.warns(FutureWarning, match=f"'{name}' is an old name"):
        assert calls(name) == calls({"1.5": "1.5.01"}.get(name, "hypothetical-vp-init-v1"))


def test_operand_ids_are_the_modules() -> None:
    ids = [Operand.RCX, Operand.R8, Operand.TDR, Operand.SEPT_TREE, Operand.TD_EPOCH]
    assert ids == [1, 8, 128, 146, 169]
    assert [Operand.OP_STATE, Operand.MIG, Operand.MIGSC] == [172, 173, 171]
    assert [Operand.RTMR, Operand.SERVTD_BINDINGS] == [168, 174]
