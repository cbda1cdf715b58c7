"""Completion statuses in words: encoding, decoding, and what an operand id may mean."""

from collections import defaultdict
from dataclasses import dataclass

from tdx_env.errors import StatusError, shown
from tdx_env.module.names import short_name
from tdx_env.module.operands import Operand
from tdx_env.module.seamcalls import MODULE_VERSIONS, calls
from tdx_env.state.calls import Leaf, Lock, Op, Outcome
from tdx_env.status.codes import (
    CLASS_MASK,
    CLASS_SHIFT,
    CODE_MASK,
    CODE_SHIFT,
    DETAILS_MASK,
    ERROR,
    EXIT_REASON_EPT_VIOLATION,
    FATAL,
    HOST_RECOVERABILITY_HINT,
    LINUX_VALUES,
    NON_RECOVERABLE,
    RESERVED_ABOVE_CLASS,
    LinuxStatus,
    SeamldrStatus,
    Status,
    StatusClass,
)
from tdx_env.status.exit_reasons import ENTRY_FAILURE, exit_reason_text
from tdx_env.status.explanations import (
    CLASS_MEANINGS,
    LINUX_MEANINGS,
    LOCK_NAMES,
    MEANINGS,
    MSRS,
    SEAMLDR_MEANINGS,
)
from tdx_env.status.numbers import MAX_STATUS
from tdx_env.status.polling import POLLING_POINTS, SCAN_POINTS

OUTCOME_STATUS: dict[Outcome, Status] = {
    Outcome.SUCCESS: Status.SUCCESS,
    Outcome.OPERAND_BUSY: Status.OPERAND_BUSY,
    Outcome.OPERAND_BUSY_HOST_PRIORITY: Status.OPERAND_BUSY_HOST_PRIORITY,
    Outcome.PREVIOUS_TLB_EPOCH_BUSY: Status.PREVIOUS_TLB_EPOCH_BUSY,
    Outcome.GPA_RANGE_NOT_BLOCKED: Status.GPA_RANGE_NOT_BLOCKED,
    Outcome.GPA_RANGE_ALREADY_BLOCKED: Status.GPA_RANGE_ALREADY_BLOCKED,
    Outcome.TLB_TRACKING_NOT_DONE: Status.TLB_TRACKING_NOT_DONE,
    Outcome.EPT_ENTRY_STATE_INCORRECT: Status.EPT_ENTRY_STATE_INCORRECT,
    Outcome.EPT_WALK_FAILED: Status.EPT_WALK_FAILED,
    Outcome.PAGE_ALREADY_ACCEPTED: Status.PAGE_ALREADY_ACCEPTED,
    Outcome.PAGE_SIZE_MISMATCH: Status.PAGE_SIZE_MISMATCH,
    Outcome.EPT_VIOLATION: Status.SUCCESS,  # of VP.ENTER, with the exit reason in the low bits
    Outcome.HOST_PRIORITY_BUSY_TIMEOUT: Status.HOST_PRIORITY_BUSY_TIMEOUT,
    Outcome.INTERRUPTED: Status.INTERRUPTED_RESTARTABLE,
    Outcome.OP_STATE_INCORRECT: Status.OP_STATE_INCORRECT,
    Outcome.INTERRUPTED_RESUMABLE: Status.INTERRUPTED_RESUMABLE,
}

# Of the statuses MEM_SCAN_* the numbers are known, not which name goes with which.
_MEM_SCAN_DETAILS = (0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1F, 0x21)
_MEM_SCAN_STATUSES = frozenset(0x80000E00_00000000 | part << 32 for part in _MEM_SCAN_DETAILS)
_MEM_SCAN_MEANING = "One of the statuses MEM_SCAN_* of a memory scan."

_STATUSES = frozenset(int(status) for status in Status)
_LINUX_STATUSES = frozenset(int(status) for status in LinuxStatus)
_SEAMLDR_STATUSES = frozenset(int(status) for status in SeamldrStatus)
_BY_CODE = {int(one) >> CODE_SHIFT & CODE_MASK: one for one in Status if one != Status.SUCCESS}
_CLASSES = frozenset(int(status_class) for status_class in StatusClass)

# The low bits of these are no operand id.
_LEVEL_STATUSES = frozenset({Status.PAGE_ALREADY_ACCEPTED, Status.PAGE_SIZE_MISMATCH})
_NUMBER_STATUSES = {Status.INTERRUPTED_PAMT: "list entry", Status.PAMT_PAGE_NOT_EMPTY: "PAMT page"}
_MSR_STATUSES = frozenset({Status.INCORRECT_MSR_VALUE, Status.INCONSISTENT_MSR})
_BUSY_STATUSES = frozenset({Status.OPERAND_BUSY, Status.OPERAND_BUSY_HOST_PRIORITY})
_EXIT_STATUSES = frozenset(
    {
        Status.SUCCESS,
        Status.NON_RECOVERABLE_VCPU,
        Status.NON_RECOVERABLE_TD,
        Status.NON_RECOVERABLE_TD_NON_ACCESSIBLE,
        Status.NON_RECOVERABLE_TD_WRONG_APIC_MODE,
    }
)


@dataclass(frozen=True)
class Decoded:
    """A completion status taken apart.

    Attributes:
        value: The 64-bit status.
        name: The module's name of it, or None if it is not known.
        operand: Bits 31:0: an operand id, or a level or exit reason where the status has those.
        operand_name: Name of the operand id, level or exit reason; None if there is none.
        meanings: What the operand may stand for; more than one if it depends on the call.
        is_error: Bit 63.
        is_non_recoverable: Bit 62.
        is_fatal: Bit 61.
        has_host_recoverability_hint: Bit 60.
        status_class: Bits 47:40, or None if the class is not known.
        explanation: What it means, in words.
    """

    value: int
    name: str | None
    operand: int
    operand_name: str | None
    meanings: tuple[str, ...]
    is_error: bool
    is_non_recoverable: bool
    is_fatal: bool
    has_host_recoverability_hint: bool
    status_class: StatusClass | None
    explanation: str

    def __str__(self) -> str:
        """Return it as log lines have it: number, name and operand."""
        name = self.name or "unknown status"
        operand = f" | {self.operand_name}" if self.operand_name else ""
        return f"0x{self.value:016X} {name}{operand}"


def encode(status: Status, operand: int = 0) -> int:
    """Return a status with an operand id, a level or an exit reason in its low bits.

    Raises:
        StatusError: The operand doesn't fit into 32 bits.
    """
    if not 0 <= operand <= DETAILS_MASK:
        raise StatusError(f"operand = {operand}, must be from 0 to 0x{DETAILS_MASK:X}")
    return int(status) + int(operand)


def encode_outcome(outcome: Outcome, operand: int = 0) -> int:
    """Return the module's status for an outcome of the simulator."""
    if outcome == Outcome.EPT_VIOLATION:
        return encode(Status.SUCCESS, EXIT_REASON_EPT_VIOLATION)
    return encode(OUTCOME_STATUS[outcome], operand)


def busy_locks(operand: int, leaf: Leaf | None = None) -> dict[Lock, list[str]]:
    """Return which locks a busy status with this operand id can speak of, and in which calls.

    Args:
        operand: An operand id.
        leaf: The call that returned it; None for any.
    """
    by_lock: dict[Lock, list[str]] = defaultdict(list)
    for one in Leaf if leaf is None else (leaf,):
        for lock in _locks_named(one, operand):
            by_lock[lock].append(short_name(one))
    return dict(sorted(by_lock.items()))


def _locks_named(leaf: Leaf, operand: int) -> set[Lock]:
    """Return the locks that a call names with an operand id, in whatever version of the module."""
    rows = [calls(version)[leaf] for version in MODULE_VERSIONS if leaf in calls(version)]
    tries = (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED)
    steps = {step for row in rows for step in row.steps if step.op in tries}
    return {Lock(step.lock) for step in steps if step.operand == operand}


def _operand_name(status: int, details: int) -> str | None:
    """Return the name of what the low bits hold."""
    if status in _LEVEL_STATUSES:
        return f"level {details}"
    if status in _NUMBER_STATUSES:
        return f"{_NUMBER_STATUSES[Status(status)]} {details}"
    if status in _MSR_STATUSES:
        return f"MSR 0x{details:X}" + (f" ({MSRS[details]})" if details in MSRS else "")
    if status in _EXIT_STATUSES or (status == ERROR and details & ENTRY_FAILURE):
        return f"exit reason {exit_reason_text(details)}" if details else None
    status_class = status >> CLASS_SHIFT & CLASS_MASK
    if status_class == StatusClass.LINUX or status + details in _SEAMLDR_STATUSES:
        return None
    if status_class == StatusClass.PLATFORM:
        return f"details 0x{details:X}" if details else None
    if status in _BUSY_STATUSES or details:
        names = {int(operand): operand.name for operand in Operand}
        return names.get(details, f"operand id {details}")
    return None


def _status_class(value: int) -> StatusClass | None:
    """Return the class of a status, or None if there is none of that number."""
    number = value >> CLASS_SHIFT & (CLASS_MASK | RESERVED_ABOVE_CLASS)
    return StatusClass(number) if number in _CLASSES else None


def _polling(base: int, leaf: Leaf | None) -> str:
    """Return which calls end so at a polling point and, if there is just one, where it looks."""
    everywhere = (*POLLING_POINTS, *SCAN_POINTS)
    points = [point for point in everywhere if base in (point.status, point.yields)]
    if leaf is not None:
        points = [point for point in points if point.leaf == leaf]
    if len(points) == 1:
        return f" {points[0].call} looks {points[0].place}."
    return f" Calls that return it: {', '.join(point.call for point in points)}." if points else ""


def _known_base(base: int) -> int:
    """Return the module's number of a status that differs from it in the flags alone.

    VP.ENTER can add the hint to the guest's status; Linux and older texts write other flags.
    """
    if base in _STATUSES or base >> CLASS_SHIFT & RESERVED_ABOVE_CLASS:
        return base
    return int(_BY_CODE.get(base >> CODE_SHIFT & CODE_MASK, base))


def _locks_in_words(locks: dict[Lock, list[str]]) -> str:
    """Return which lock a busy status means, as the end of its explanation."""
    names = [LOCK_NAMES[lock] for lock in locks]
    if len(names) == 1:
        return f" Here it is {names[0]}."
    return f" Which one depends on the call: {', '.join(names)}."


def _flags_note(value: int, base: int) -> str:
    """Return what there is to say if a status is not written as the module writes it."""
    given = value - (value & DETAILS_MASK)
    if base not in _STATUSES:
        return ""
    other = [number for number, status in LINUX_VALUES.items() if status == base]
    if other:
        return (
            f" Linux writes it 0x{other[0]:016X} (asm/shared/tdx_errno.h), module 1.5 "
            f"0x{base:016X}."
        )
    if given in (base, base | HOST_RECOVERABILITY_HINT):
        return ""
    return f" The module writes it 0x{base:016X}: bits 63:60 differ."


def _foreign(value: int) -> str | None:
    """Return what a status means that is not the module's, or None if it may be."""
    if value in _LINUX_STATUSES:
        made = CLASS_MEANINGS[StatusClass.LINUX]
        return f"{made} {LINUX_MEANINGS[LinuxStatus(value)]}"
    if value & ~DETAILS_MASK == LinuxStatus.SW_ERROR:
        return f"{CLASS_MEANINGS[StatusClass.LINUX]} Trap {value & DETAILS_MASK}."
    if value & ~DETAILS_MASK == ERROR and value & ENTRY_FAILURE:
        reason = exit_reason_text(value & DETAILS_MASK)
        return (
            "No status of the module: class and number are TDX_SUCCESS's, but the error bit is "
            "set. Bit 31 is set, so that the low half is the exit reason of a VM entry that "
            f"failed: basic reason {reason}."
        )
    if value in _SEAMLDR_STATUSES:
        return f"Not the module's but the P-SEAMLDR's. {SEAMLDR_MEANINGS[SeamldrStatus(value)]}"
    return None


def _explanation(value: int, base: int, locks: dict[Lock, list[str]], leaf: Leaf | None) -> str:
    """Return what a status means, in words."""
    foreign = _foreign(value)
    if foreign is not None:
        return foreign
    status_class = _status_class(base)
    text = "Neither the status nor its class is known."
    if status_class is not None:
        text = CLASS_MEANINGS[status_class]
    if base in _MEM_SCAN_STATUSES:
        text = _MEM_SCAN_MEANING
    if base in _STATUSES:
        text = MEANINGS.get(Status(base), text)
    if base in _EXIT_STATUSES and value & ENTRY_FAILURE:
        text += " Bit 31 of the exit reason is set: the VM entry failed."
    text += _locks_in_words(locks) if locks else _polling(base, leaf)
    return text + _flags_note(value, base)


def _name(value: int, base: int) -> str | None:
    """Return the name of a status: the module's, Linux's or the P-SEAMLDR's; or None."""
    if value in _LINUX_STATUSES:
        return f"TDX_{LinuxStatus(value).name}"
    if value in _SEAMLDR_STATUSES:
        return f"P_SEAMLDR_{SeamldrStatus(value).name}"
    if base in _STATUSES:
        return f"TDX_{Status(base).name}"
    return None


def is_known(value: int) -> bool:
    """Say whether a number is a status by itself, as it may stand in any line.

    Success and the module's informational statuses are not: small numbers are too often others.
    """
    base = value - (value & DETAILS_MASK)
    if not value >> 62 and base not in LINUX_VALUES:
        return False
    return value in _LINUX_STATUSES or _known_base(base) in _STATUSES


def decode_value(value: int, leaf: Leaf | None = None) -> Decoded:
    """Take a 64-bit status apart.

    Args:
        value: It.
        leaf: The call that returned it; None if it is not known.

    Raises:
        StatusError: The number has more than 64 bits, or is negative.
    """
    if not 0 <= value <= MAX_STATUS:
        raise StatusError(
            f"status {shown(value)} is out of range, must be from 0 to 0x{MAX_STATUS:X}"
        )
    details = value & DETAILS_MASK
    base = _known_base(value - details)
    locks = busy_locks(details, leaf) if base in _BUSY_STATUSES else {}
    return Decoded(
        value=value,
        name=_name(value, base),
        operand=details,
        operand_name=_operand_name(base, details),
        meanings=tuple(f"{LOCK_NAMES[lock]} in {', '.join(locks[lock])}" for lock in locks),
        is_error=bool(value & ERROR),
        is_non_recoverable=bool(value & NON_RECOVERABLE),
        is_fatal=bool(value & FATAL),
        has_host_recoverability_hint=bool(value & HOST_RECOVERABILITY_HINT),
        status_class=_status_class(value),
        explanation=_explanation(value, base, locks, leaf),
    )


def status_or_none(value: int) -> Status | None:
    """Return the module's status that a number is, without its operand; None if there is none."""
    base = _known_base(value - (value & DETAILS_MASK))
    return Status(base) if base in _STATUSES else None
