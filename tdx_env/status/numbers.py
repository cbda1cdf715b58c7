"""Statuses as people and programs write them: hex, decimal, signed decimal, names."""

import errno
import os
import re

from tdx_env.errors import StatusError, shown
from tdx_env.module.operands import Operand
from tdx_env.status.codes import DETAILS_MASK, LinuxStatus, SeamldrStatus, Status

MAX_STATUS = (1 << 64) - 1
_MAX_ERRNO = 4095
_SIGN = 1 << 63
_HEX = re.compile(r"(?:0x)?([0-9a-f]{8})_?([0-9a-f]{8})(?:u?ll?)?", re.I)
_OPERAND_PREFIX = "TDX_OPERAND_ID_"
_LINUX_OPERANDS = {"SEPT": Operand.SEPT_TREE}  # asm/shared/tdx_errno.h
_MUST = (
    "must be a 64-bit number as 0x8000020000000092, a name as TDX_OPERAND_BUSY|SEPT_TREE, or a "
    "kernel log line with one"
)


def number_of(text: str) -> int | None:
    """Return the number that a text writes, or None.

    16 hex digits need no 0x; 0X, an underscore in the middle, grave accents as debuggers write
    them and C's suffixes may stand too.
    """
    digits = text.strip().strip(".,;:()[]").replace("`", "")
    long_hex = _HEX.fullmatch(digits)
    if long_hex:
        return int(long_hex[1] + long_hex[2], 16)
    try:
        return int(re.sub(r"(?<=[0-9a-f])u?ll?$", "", digits, flags=re.I), 0)
    except ValueError:
        return None


def unsigned(number: int) -> int:
    """Return a number that is signed, as bpftrace and Python print it, as the 64 bits that it is.

    Raises:
        StatusError: It is a small negative number: an errno of Linux.
    """
    if -_SIGN <= number < -_MAX_ERRNO:
        return number + MAX_STATUS + 1
    if -_MAX_ERRNO <= number < 0:
        name = errno.errorcode.get(-number, "unknown")
        what = os.strerror(-number)
        raise StatusError(
            f"status {number} is the errno {name} ({what}), not the module's: {_MUST}"
        )
    return number


def operand_of(text: str) -> int | None:
    """Return the operand id that a name or number means, or None."""
    name = text.strip().upper().removeprefix(_OPERAND_PREFIX)
    if name in _LINUX_OPERANDS:
        return _LINUX_OPERANDS[name]
    if name in Operand.__members__:
        return Operand[name]
    return number_of(text)


def _base_of(text: str) -> int | None:
    """Return the status that a name means, without an operand, or None."""
    name = text.strip().upper()
    if name.startswith("P_SEAMLDR_"):
        found = SeamldrStatus.__members__.get(name.removeprefix("P_SEAMLDR_"))
        return None if found is None else int(found)
    name = name.removeprefix("TDX_")
    if name in LinuxStatus.__members__:
        return int(LinuxStatus[name])
    return int(Status[name]) if name in Status.__members__ else None


def named_status(text: str) -> int | None:
    """Return the status that a text names as NAME or NAME|OPERAND, or None."""
    name, bar, operand = text.partition("|")
    status = _base_of(name)
    if status is None or not bar:
        return status
    number = operand_of(operand)
    if number is None or not 0 <= number <= DETAILS_MASK:
        raise StatusError(f"operand {shown(operand.strip())} of {name.strip()} is unknown, {_MUST}")
    return status + number


def status_of(text: str) -> int:
    """Return the status that a whole text writes.

    Raises:
        StatusError: It writes none.
    """
    named = named_status(text)
    if named is not None:
        return named
    number = number_of(text)
    if number is None:
        raise StatusError(f"status {shown(text)} is not understood, {_MUST}")
    value = unsigned(number)
    if not 0 <= value <= MAX_STATUS:
        raise StatusError(
            f"status {shown(text)} is out of range, must be from 0 to 0x{MAX_STATUS:X}"
        )
    return value
