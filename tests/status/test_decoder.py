"""Completion statuses: the source's numbers, and texts taken apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_env.errors import StatusError
from tdx_env.module.operands import Operand
from tdx_env.state.calls import Outcome
from tdx_env.status.codes import GpaListStatus, Status, StatusClass
from tdx_env.status.decoder import OUTCOME_STATUS, encode, encode_outcome
from tdx_env.status.lines import decode

B_RCX = 0x8000020000000001
VALUES = {
    "SUCCESS": 0x00000000_00000000,
    "INTERRUPTED_RESUMABLE": 0x80000003_00000000,
    "INTERRUPTED_RESTARTABLE": 0x80000004_00000000,
    "OPERAND_INVALID": 0xC0000100_00000000,
    "OPERAND_ADDR_RANGE_ERROR": 0xC0000101_00000000,
    "OPERAND_BUSY": 0x80000200_00000000,
    "PREVIOUS_TLB_EPOCH_BUSY": 0x80000201_00000000,
    "SYS_BUSY": 0x80000202_00000000,
    "RND_NO_ENTROPY": 0x80000203_00000000,
    "OPERAND_BUSY_HOST_PRIORITY": 0x80000204_00000000,
    "HOST_PRIORITY_BUSY_TIMEOUT": 0x90000205_00000000,
    "CROSS_TD_TRAP": 0x90000009_00000000,
    "PAGE_METADATA_INCORRECT": 0xC0000300_00000000,
    "TD_ASSOCIATED_PAGES_EXIST": 0xC0000400_00000000,
    "SYS_NOT_READY": 0xC0000505_00000000,
    "SYS_SHUTDOWN": 0xC0000506_00000000,
    "TD_FATAL": 0xE0000604_00000000,
    "LIFECYCLE_STATE_INCORRECT": 0xC0000607_00000000,
    "OP_STATE_INCORRECT": 0xC0000608_00000000,
    "VCPU_STATE_INCORRECT": 0xC0000700_00000000,
    "VCPU_ASSOCIATED": 0x80000701_00000000,
    "VCPU_NOT_ASSOCIATED": 0x80000702_00000000,
    "TSC_ROLLBACK": 0xC0000706_00000000,
    "TD_KEYS_NOT_CONFIGURED": 0x80000810_00000000,
    "FLUSHVP_NOT_DONE": 0x80000824_00000000,
    "EPT_WALK_FAILED": 0xC0000B00_00000000,
    "EPT_ENTRY_FREE": 0xC0000B01_00000000,
    "EPT_ENTRY_NOT_FREE": 0xC0000B02_00000000,
    "EPT_ENTRY_NOT_PRESENT": 0xC0000B03_00000000,
    "EPT_ENTRY_NOT_LEAF": 0xC0000B04_00000000,
    "EPT_ENTRY_LEAF": 0xC0000B05_00000000,
    "GPA_RANGE_NOT_BLOCKED": 0xC0000B06_00000000,
    "GPA_RANGE_ALREADY_BLOCKED": 0x00000B07_00000000,
    "TLB_TRACKING_NOT_DONE": 0xC0000B08_00000000,
    "EPT_INVALID_PROMOTE_CONDITIONS": 0xC0000B09_00000000,
    "PAGE_ALREADY_ACCEPTED": 0x00000B0A_00000000,
    "PAGE_SIZE_MISMATCH": 0xC0000B0B_00000000,
    "GPA_RANGE_BLOCKED": 0xC0000B0C_00000000,
    "EPT_ENTRY_STATE_INCORRECT": 0xC0000B0D_00000000,
    "EPT_PAGE_NOT_FREE": 0xC0000B0E_00000000,
    "NON_RECOVERABLE_VCPU": 0x40000001_00000000,
    "NON_RECOVERABLE_TD": 0x60000002_00000000,
    "NON_RECOVERABLE_TD_NON_ACCESSIBLE": 0x60000005_00000000,
    "NON_RECOVERABLE_TD_WRONG_APIC_MODE": 0xE0000007_00000000,
}
HANDY = {
    0x80000200_00000092: ("TDX_OPERAND_BUSY", "SEPT_TREE"),
    0x80000200_00000001: ("TDX_OPERAND_BUSY", "RCX"),
    0x80000200_000000A9: ("TDX_OPERAND_BUSY", "TD_EPOCH"),
    0x80000200_00000002: ("TDX_OPERAND_BUSY", "RDX"),
    0x80000200_00000080: ("TDX_OPERAND_BUSY", "TDR"),
    0x80000200_000000AC: ("TDX_OPERAND_BUSY", "OP_STATE"),
    0x80000200_00000008: ("TDX_OPERAND_BUSY", "R8"),
    0x80000201_00000000: ("TDX_PREVIOUS_TLB_EPOCH_BUSY", None),
    0xC0000B0D_00000001: ("TDX_EPT_ENTRY_STATE_INCORRECT", "RCX"),
    0x00000B07_00000001: ("TDX_GPA_RANGE_ALREADY_BLOCKED", "RCX"),
    0xC0000B06_00000001: ("TDX_GPA_RANGE_NOT_BLOCKED", "RCX"),
    0xC0000B08_00000001: ("TDX_TLB_TRACKING_NOT_DONE", "RCX"),
    0xC0000B08_00000092: ("TDX_TLB_TRACKING_NOT_DONE", "SEPT_TREE"),
    0x00000B0A_00000001: ("TDX_PAGE_ALREADY_ACCEPTED", "level 1"),
    0xC0000B0B_00000001: ("TDX_PAGE_SIZE_MISMATCH", "level 1"),
    48: ("TDX_SUCCESS", "exit reason 48 (EPT violation)"),
    0: ("TDX_SUCCESS", None),
}
TREE_BUSY = 0x80000200_00000092


@pytest.mark.parametrize(("name", "value"), VALUES.items())
def test_status_has_the_modules_number(name: str, value: int) -> None:
    assert Status[name] == value


def test_no_two_statuses_share_a_number() -> None:
    assert len(Status) == len(Status.__members__)


@pytest.mark.parametrize(("value", "names"), HANDY.items())
def test_handy_values_decode(value: int, names: tuple[str, str | None]) -> None:
    decoded = decode(value)
    assert (decoded.name, decoded.operand_name) == names


@given(status=st.sampled_from(Status), operand=st.sampled_from(Operand))
def test_decode_undoes_encode(status: Status, operand: Operand) -> None:
    decoded = decode(encode(status, operand))
    assert (decoded.name, decoded.operand) == (f"TDX_{status.name}", operand)


@given(value=st.integers(0, (1 << 64) - 1))
def test_every_64_bit_number_decodes_from_its_text(value: int) -> None:
    assert decode(f"0x{value:016X}").value == decode(f"{value:016X}").value == value
    if len(str(value)) != 16:  # 16 digits are read as hex, as logs and sheets write them
        assert decode(str(value)).value == value


@pytest.mark.parametrize(
    "text",
    [
        "0x8000020000000092",
        "0X8000020000000092",
        "0x80000200_00000092",
        "8000020000000092",
        "80000200_00000092",
        " 9223374235878031506 ",
        "TDX_OPERAND_BUSY|SEPT_TREE",
        "operand_busy | 146",
        "TDX_OPERAND_BUSY|0x92",
        "SEAMCALL TDH_MEM_PAGE_AUG failed: 0x8000020000000092",
        "kvm_intel: SEAMCALL (0x0000000000000006) failed: 0x8000020000000092",
    ],
)
def test_text_forms_mean_the_same(text: str) -> None:
    assert decode(text).value == TREE_BUSY


@pytest.mark.parametrize(
    "text", ["", "busy", "0x", "0x1G", "-5", "0x18000020000000092", "TDX_NO|RCX", "failed: no"]
)
def test_text_without_a_status_is_refused(text: str) -> None:
    with pytest.raises(StatusError, match="status .* must be"):
        decode(text)


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_number_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(StatusError, match="must be from 0 to 0xFFFFFFFFFFFFFFFF"):
        decode(value)


@pytest.mark.parametrize("operand", [-1, 1 << 32])
def test_operand_out_of_range_is_refused(operand: int) -> None:
    with pytest.raises(StatusError, match="must be from 0 to 0xFFFFFFFF"):
        encode(Status.OPERAND_BUSY, operand)


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        (Status.SUCCESS, (False, False, False, False)),
        (Status.OPERAND_BUSY, (True, False, False, False)),
        (Status.HOST_PRIORITY_BUSY_TIMEOUT, (True, False, False, True)),
        (Status.EPT_WALK_FAILED, (True, True, False, False)),
        (Status.GPA_RANGE_ALREADY_BLOCKED, (False, False, False, False)),
        (Status.TD_FATAL, (True, True, True, False)),
        (Status.NON_RECOVERABLE_VCPU, (False, True, False, False)),
        (Status.NON_RECOVERABLE_TD, (False, True, True, False)),
    ],
)
def test_flags_are_bits_63_to_60(status: Status, flags: tuple[bool, ...]) -> None:
    decoded = decode(status)
    assert flags == (
        decoded.is_error,
        decoded.is_non_recoverable,
        decoded.is_fatal,
        decoded.has_host_recoverability_hint,
    )


@pytest.mark.parametrize(
    ("status", "status_class"),
    [
        (Status.SUCCESS, StatusClass.GENERAL),
        (Status.OPERAND_BUSY, StatusClass.BUSY),
        (Status.VCPU_STATE_INCORRECT, StatusClass.VCPU_STATE),
        (Status.EPT_WALK_FAILED, StatusClass.SECURE_EPT),
        (Status.INVALID_MBMD, StatusClass.MIGRATION),
    ],
)
def test_class_is_bits_47_to_40(status: Status, status_class: StatusClass) -> None:
    assert decode(status).status_class == status_class


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_class_and_an_explanation(status: Status) -> None:
    decoded = decode(status)
    assert decoded.status_class is not None
    assert decoded.explanation


def test_rcx_may_be_five_locks_and_more() -> None:
    meanings = "\n".join(decode(0x80000200_00000001).meanings)
    for lock in ["vCPU (TDVPR)", "TD (TDR)", "S-EPT entry", "page's PAMT entry", "child entries"]:
        assert lock in meanings
    assert "Which one depends on the call" in decode(0x80000200_00000001).explanation


@pytest.mark.parametrize(
    ("call", "lock"),
    [("TDH_MEM_TRACK", "TDR"), ("TDH_VP_FLUSH", "TDVPR"), ("PAGE.AUG", "S-EPT entry")],
)
def test_log_line_that_names_the_call_settles_the_lock(call: str, lock: str) -> None:
    decoded = decode(f"SEAMCALL {call} failed: 0x8000020000000001")
    assert len(decoded.meanings) == 1
    assert lock in decoded.meanings[0]


def test_remove_still_has_two_locks_for_rcx() -> None:
    decoded = decode("SEAMCALL TDH_MEM_PAGE_REMOVE failed: 0x8000020000000001")
    assert len(decoded.meanings) == 2


@pytest.mark.parametrize(
    ("value", "name", "calls"),
    [
        (0x80000003_00000000, "TDX_INTERRUPTED_RESUMABLE", ["EXPORT.MEM", "SEPT.ADD version 1"]),
        (0x80000004_00000000, "TDX_INTERRUPTED_RESTARTABLE", ["PAGE.PROMOTE", "PAGE.DEMOTE"]),
    ],
)
def test_interrupted_status_is_an_error_that_a_repeat_mends(
    value: int, name: str, calls: list[str]
) -> None:
    decoded = decode(value)
    assert (decoded.name, decoded.operand_name) == (name, None)
    assert (decoded.is_error, decoded.is_non_recoverable) == (True, False)
    assert all(call in decoded.explanation for call in calls)


@pytest.mark.parametrize(
    ("call", "status", "place"),
    [
        ("TDH_MEM_PAGE_DEMOTE", 0x80000004_00000000, "before it takes the large page's PAMT"),
        ("TDH_EXPORT_BLOCKW", 0x80000003_00000000, "after each entry of its list but the last"),
    ],
)
def test_log_line_of_an_interrupted_call_says_where_it_looked(
    call: str, status: int, place: str
) -> None:
    assert place in decode(f"SEAMCALL {call} failed: 0x{status:016X}").explanation


def test_interrupted_status_of_a_call_that_never_polls_names_no_other() -> None:
    text = decode("SEAMCALL TDH_MEM_PAGE_AUG failed: 0x8000000400000000").explanation
    assert "DEMOTE" not in text


@pytest.mark.parametrize(
    ("operand", "lock"),
    [
        (168, "the run-time measurements (RTMR)"),
        (174, "the table of bound service TDs"),
        (128, "the other TD (its TDR)"),
        (172, "the other TD's OP_STATE"),
    ],
)
def test_locks_of_service_td_calls_are_named(operand: int, lock: str) -> None:
    assert lock in decode(0x80000200_00000000 | operand).explanation


def test_tree_busy_names_the_tree() -> None:
    assert "the S-EPT tree" in decode(TREE_BUSY).explanation


def test_unknown_number_keeps_flags_and_class() -> None:
    decoded = decode(0x80000277_00000001)
    assert (decoded.name, decoded.is_error, decoded.status_class) == (None, True, StatusClass.BUSY)
    assert str(decoded) == "0x8000027700000001 unknown status | RCX"


def test_number_with_reserved_bits_has_no_class() -> None:
    assert decode(0x81000200_00000001).status_class is None


def test_unknown_operand_id_is_shown_as_a_number() -> None:
    assert decode(0x80000200_0000004D).operand_name == "operand id 77"


def test_hint_bit_does_not_hide_the_status() -> None:
    decoded = decode(0x90000200_00000001)
    assert (decoded.name, decoded.has_host_recoverability_hint) == ("TDX_OPERAND_BUSY", True)


def test_linux_status_is_not_the_modules() -> None:
    decoded = decode(0x8000FF00_FFFF0000)
    assert decoded.name == "TDX_SEAMCALL_VMFAILINVALID"
    assert decoded.status_class == StatusClass.LINUX
    assert decoded.operand_name is None


@pytest.mark.parametrize("value", [0x40000002_00000000, 0x60000007_00000000])
def test_values_of_linux_that_no_module_returns(value: int) -> None:
    """Linux, arch/x86/include/asm/shared/tdx_errno.h: the TD's two non-recoverable statuses."""
    decoded = decode(value)
    assert value not in [int(status) for status in Status]
    assert f"Linux writes it 0x{value:016X}" in decoded.explanation


def test_decoded_status_reads_as_in_a_log() -> None:
    assert str(decode(TREE_BUSY)) == "0x8000020000000092 TDX_OPERAND_BUSY | SEPT_TREE"


def test_every_outcome_has_a_status() -> None:
    assert set(OUTCOME_STATUS) == set(Outcome)


@pytest.mark.parametrize(
    ("outcome", "operand", "value"),
    [
        (Outcome.SUCCESS, 0, 0),
        (Outcome.OPERAND_BUSY, 146, TREE_BUSY),
        (Outcome.PREVIOUS_TLB_EPOCH_BUSY, 0, 0x80000201_00000000),
        (Outcome.EPT_VIOLATION, 0, 48),
        (Outcome.INTERRUPTED, 0, 0x80000004_00000000),
        (Outcome.INTERRUPTED_RESUMABLE, 0, 0x80000003_00000000),
        (Outcome.HOST_PRIORITY_BUSY_TIMEOUT, 0, 0x90000205_00000000),
    ],
)
def test_outcome_becomes_the_modules_status(outcome: Outcome, operand: int, value: int) -> None:
    assert encode_outcome(outcome, operand) == value


def test_gpa_list_statuses_have_their_numbers() -> None:
    assert GpaListStatus.SEPT_ENTRY_BUSY_HOST_PRIORITY == 3
    assert GpaListStatus.TLB_TRACKING_NOT_DONE == 5
    assert GpaListStatus.GPA_LIST_ENTRY_INVALID == 15


NEWER = {  # of the headers of 1.5.34 and 2.0.18
    "INTERRUPTED_BUSY": 0x80000206,
    "INTERRUPTED_LIST_FULL": 0x8000000C,
    "PAGE_NOT_FREE": 0xC0000303,
    "HPA_RANGE_NOT_FREE": 0xC0000304,
    "NO_PAMT_PAGE_PAIR": 0xC0000305,
    "PAMT_PAGE_NOT_EMPTY": 0xC0000306,
    "INTERRUPTED_PAMT": 0x80000307,
    "MISSING_PAMT_PAGE_PAIR": 0x80000308,
    "X2APIC_ID_NOT_UNIQUE": 0xC0000621,
    "BLOCKED_MEMORY_EXISTS": 0x80000B13,
    "BLOCKING_DISALLOWED": 0xC0000E20,
    "MEM_SCAN_SUCCESS": 0x00000E17,
    "MEM_RANGE_SCAN_SUCCESS": 0x00000E18,
    "INCOMPATIBLE_EXPORT_MODE_TD_NON_ACCESSIBLE": 0xE0000E23,
    "IOMMU_IOTLB_TRACKING_NOT_DONE": 0xC0000F03,
}


@pytest.mark.parametrize(("name", "upper"), NEWER.items())
def test_newer_status_has_its_number(name: str, upper: int) -> None:
    assert Status[name] == upper << 32
    assert decode(upper << 32).name == f"TDX_{name}"


@pytest.mark.parametrize(
    ("operand", "number"),
    [
        ("MEM_SCAN_CONTEXT", 105),
        ("GPA_RANGE_LIST_ENTRY", 106),
        ("GPA_LIST_INFO_ENTRY", 107),
        ("PASID_TRK", 175),
        ("METADATA_FIELD", 176),
        ("NUM_VCPUS", 177),
        ("CPUID_FIXED0_BITMAP", 178),
        ("MEM_SCAN_STATE", 190),
    ],
)
def test_newer_operand_has_its_number(operand: str, number: int) -> None:
    assert Operand[operand] == number


@pytest.mark.parametrize(
    ("value", "name", "operand"),
    [
        (0x8000020000000080, "TDX_OPERAND_BUSY", "TDR"),
        (0x8000020600000093, "TDX_INTERRUPTED_BUSY", "SEPT_ENTRY"),
        (0x80000200000000BE, "TDX_OPERAND_BUSY", "MEM_SCAN_STATE"),
        (0x8000030700000005, "TDX_INTERRUPTED_PAMT", "list entry 5"),
        (0xC000030600000001, "TDX_PAMT_PAGE_NOT_EMPTY", "PAMT page 1"),
        (0xC0000F0300000001, "TDX_IOMMU_IOTLB_TRACKING_NOT_DONE", "RCX"),
    ],
)
def test_full_values_of_newer_releases_are_understood(value: int, name: str, operand: str) -> None:
    decoded = decode(value)
    assert (decoded.name, decoded.operand_name) == (name, operand)


def test_busy_names_the_locks_of_calls_that_newer_releases_have() -> None:
    assert any("PHYMEM.PAMT.ADD" in meaning for meaning in decode(B_RCX).meanings)
    assert any("PAGE.DEMOTE" in meaning for meaning in decode(0x800002000000000C).meanings)


@pytest.mark.parametrize("upper", [0x80000E19, 0x80000E1D, 0x80000E1F, 0x80000E21])
def test_status_of_a_memory_scan_without_known_name_says_what_it_is(upper: int) -> None:
    decoded = decode(upper << 32)
    assert decoded.name is None
    assert "memory scan" in decoded.explanation


def test_list_entry_statuses_of_newer_releases_have_their_numbers() -> None:
    assert [GpaListStatus.MIG_BUFFER_HPA_INVALID, GpaListStatus.PAGE_DIRTY] == [16, 17]
