"""Lines of logs taken apart: who called what, which status came back, and what stands beside it.

Source: Linux 6.16 to 7.x, arch/x86/kvm/vmx/tdx.c, pr_tdx_error and TDX_BUG_ON;
arch/x86/virt/vmx/tdx, seamcall_internal.h; QEMU, target/i386/kvm/tdx.c and accel/kvm/kvm-all.c.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tdx_env.errors import StatusError
from tdx_env.status.codes import Status
from tdx_env.status.decoder import Decoded, decode_value, is_known, status_or_none
from tdx_env.status.leaf_numbers import (
    TDCALLS,
    CalledLeaf,
    leaf_of_name,
    leaf_of_number,
)
from tdx_env.status.messages import ERRNO_NUMBERS, ERRNOS, MESSAGES
from tdx_env.status.numbers import MAX_STATUS, named_status, number_of, status_of, unsigned
from tdx_env.status.registers import register_notes

_STATUS = r"(?P<status>0x[0-9a-f_]{1,17}|(?<!\w)[0-9a-f]{16}(?!\w)|-?\d{1,20}(?!\w))"
_CALL = (
    r"(?:(?P<name>TD[HG][._][A-Z0-9._]*[A-Z0-9]|(?<=SEAMCALL )[A-Z]+(?:[._][A-Z]+)+)"
    r"|SEAMCALL\s*\(?(?P<number>0x[0-9a-f]+|\d+)\)?)"
)
_FAILED = re.compile(
    rf"{_CALL}(?P<field>\[[^\]\s]+\])?[^\n]{{0,40}}?\bfailed(?: with status)?:?\s+{_STATUS}", re.I
)
_OLD_FAILED = re.compile(
    rf"SEAMCALL failed: CPU (?P<cpu>\d+): leaf (?P<number>0x[0-9a-f]+|\d+), error {_STATUS}", re.I
)
_EXIT = re.compile(r"(?:vp_enter_ret|hardware reason) (?:0x)?(?P<status>[0-9a-f]{1,16})\b", re.I)
_DUMP = re.compile(r"\bRAX:?\s*(?:0x)?(?P<status>[0-9a-f]{16})\b", re.I)
_IOCTL = re.compile(
    r"(?P<ioctl>KVM_TDX_\w+) failed(?:, hw_errors: (?P<status>0x[0-9a-f]+))?:? ?(?P<errno>[^\n]*)",
    re.I,
)
_OTHER_VMM = re.compile(
    r"Failed to (?P<what>init(?:ialize)? (?:TDX )?memory region|finalize|init(?:ialize)?)(?: TDX)?"
    r"(?P<errno>:? ?[^\n]*)",
    re.I,
)
_REGISTER = re.compile(
    r"\b(rcx|rdx|r0?8|r0?9|r10|r11|entry|level_state)\b[,:]?\s*(?:0x)?([0-9a-f]{1,16})\b", re.I
)
_OS_ERROR = re.compile(r"os error (\d+)|\((-\d+)\)")
_ANY = re.compile(
    r"(?<![\w-])(?:0x[0-9a-f]{8}_?[0-9a-f]{8}(?:u?ll?)?|[0-9a-f]{8}_?[0-9a-f]{8}|-\d{19}|\d{19,20})(?![\w-])",
    re.I,
)
_ALONE = re.compile(r"\s*0x[0-9a-f]{8}_?[0-9a-f]{8}\s*", re.I)
_NAMES = re.compile(r"\bTDX_[A-Z_]{3,}(?:\s*\|\s*(?:TDX_OPERAND_ID_)?[A-Z0-9_x]+)?")
_ALIASES = {"entry": "rcx", "level_state": "rdx", "r08": "r8", "r09": "r9"}
_IOCTLS = {
    "KVM_TDX_INIT_MEM_REGION": "adds the TD's first pages (PAGE.ADD, SEPT.ADD, MR.EXTEND)",
    "KVM_TDX_INIT_VM": "makes the TD (MNG.CREATE, KEY.CONFIG, ADDCX, MNG.INIT)",
    "KVM_TDX_INIT_VCPU": "makes a vCPU (VP.CREATE, ADDCX, VP.INIT)",
    "KVM_TDX_FINALIZE_VM": "ends the building (MR.FINALIZE)",
    "KVM_TDX_GET_CPUID": "reads the TD's CPUID (MNG.RD)",
    "KVM_TDX_CAPABILITIES": "asks what KVM and the module can do",
}
_KVM_MARK = "kvm_intel"


@dataclass(frozen=True)
class Finding:
    """What a line says.

    Attributes:
        title: What happened, in a few words.
        call: The call that the line names; None if it names none.
        decoded: The status in it, taken apart; None for a message without one.
        notes: What else it says: registers, CPU, errno.
        is_kvm: KVM printed it, so that its own repeats had failed.
        is_core: The core kernel printed it, and registers may follow in lines of their own.
        is_fatal: The TD is lost or never began, as far as the line alone says.
    """

    title: str
    call: CalledLeaf | None = None
    decoded: Decoded | None = None
    notes: tuple[str, ...] = ()
    is_kvm: bool = False
    is_core: bool = False
    is_fatal: bool = False

    @property
    def status(self) -> Status | None:
        """The module's status without its operand, or None."""
        return None if self.decoded is None else status_or_none(self.decoded.value)


def registers_of(text: str) -> dict[str, int]:
    """Return the registers that a text shows, by name in small letters."""
    found: dict[str, int] = {}
    for name, digits in _REGISTER.findall(text):
        small = name.lower()
        found.setdefault(_ALIASES.get(small, small), int(digits, 16))
    return found


def _value(text: str) -> int | None:
    """Return the 64 bits that a text writes, or None."""
    number = number_of(text)
    try:
        value = None if number is None else unsigned(number)
    except StatusError:
        return None
    return value if value is not None and 0 <= value <= MAX_STATUS else None


def _of_call(
    call: CalledLeaf | None, value: int, registers: Mapping[str, int], line: str
) -> Finding:
    """Return the finding of a status that a call returned."""
    decoded = decode_value(value, None if call is None else call.leaf)
    return Finding(
        title="" if call is None else f"{call} failed",
        call=call,
        decoded=decoded,
        notes=register_notes(call, registers, status_or_none(value)),
        is_kvm=_KVM_MARK in line,
    )


def _failed(match: re.Match[str], line: str) -> Finding | None:
    """Return the finding of a SEAMCALL that failed, in the forms of today's kernels."""
    value = _value(match["status"])
    if value is None:
        return None
    number = match["number"]
    call = leaf_of_name(match["name"]) if number is None else leaf_of_number(int(number, 0))
    found = _of_call(call, value, registers_of(line[match.end() :]), line)
    notes = found.notes
    if match["field"]:
        notes = (f"field {match['field'].strip('[]')}", *notes)
    is_core = number is not None and _KVM_MARK not in line
    return Finding(found.title, call, found.decoded, notes, found.is_kvm, is_core)


def _old_failed(match: re.Match[str], line: str) -> Finding | None:
    """Return the finding of a SEAMCALL that failed, in the form of early series."""
    value = _value(match["status"])
    if value is None:
        return None
    call = leaf_of_number(int(match["number"], 0))
    found = _of_call(call, value, {}, line)
    return Finding(found.title, call, found.decoded, (f"on CPU {match['cpu']}",), is_core=True)


def _exit(match: re.Match[str], line: str) -> Finding | None:
    """Return the finding of a result of VP.ENTER that KVM did not know what to do with."""
    call = leaf_of_number(0)
    decoded = decode_value(int(match["status"], 16), call.leaf)
    is_killed = decoded.is_non_recoverable or decoded.is_error
    title = "unhandled result of TDH.VP.ENTER"
    return Finding(title, call, decoded, (), _KVM_MARK in line, is_fatal=is_killed)


def _dump(match: re.Match[str], line: str) -> Finding | None:
    """Return the finding of a register dump, if RAX is a status."""
    value = int(match["status"], 16)
    if not is_known(value):
        return None
    return Finding("register dump: RAX", decoded=decode_value(value))


def errno_note(text: str) -> str | None:
    """Return what the errno in a text means, or None if it names none."""
    number = _OS_ERROR.search(text)
    if number is not None:
        text = ERRNO_NUMBERS.get(abs(int(number[1] or number[2])), text)
    for words, (name, meaning) in ERRNOS.items():
        if words.lower() in text.lower():
            return f"-{name} ({words}): {meaning}"
    return None


def _ioctl(match: re.Match[str], line: str) -> Finding | None:
    """Return the finding of a TDX ioctl that failed, as QEMU prints it."""
    ioctl = match["ioctl"].upper()
    value = None if match["status"] is None else _value(match["status"])
    decoded = None if value is None else decode_value(value)
    note = errno_note(match["errno"])
    what = _IOCTLS.get(ioctl, "an ioctl of KVM for TDX")
    notes = (f"{ioctl} {what}", *([note] if note else []))
    return Finding(f"{ioctl} failed", None, decoded, notes)


def _other_vmm(match: re.Match[str], line: str) -> Finding | None:
    """Return the finding of a step of building that failed, as cloud-hypervisor prints it."""
    if "tdx" not in line.lower():
        return None
    what = match["what"].lower()
    ioctl = "KVM_TDX_INIT_VM"
    if "region" in what:
        ioctl = "KVM_TDX_INIT_MEM_REGION"
    elif "finalize" in what:
        ioctl = "KVM_TDX_FINALIZE_VM"
    note = errno_note(match["errno"])
    notes = (f"{ioctl} {_IOCTLS[ioctl]}", *([note] if note else []))
    return Finding(f"the VMM failed at {ioctl}", notes=notes)


_Reader = Callable[[re.Match[str], str], Finding | None]
_FORMATS: tuple[tuple[re.Pattern[str], _Reader], ...] = (
    (_OLD_FAILED, _old_failed),
    (_IOCTL, _ioctl),
    (_FAILED, _failed),
    (_EXIT, _exit),
    (_OTHER_VMM, _other_vmm),
    (_DUMP, _dump),
)


def _bare(line: str) -> list[Finding]:
    """Return the statuses that stand in a line of no known form, as numbers or names."""
    values = [_value(text) for text in _ANY.findall(line)]
    is_alone = _ALONE.fullmatch(line) is not None
    found = [one for one in values if one is not None and (is_alone or is_known(one))]
    if not found:
        names = [_named(text) for text in _NAMES.findall(line)]
        found = [value for value in names if value is not None]
    return [Finding("", decoded=decode_value(value)) for value in dict.fromkeys(found)]


def _named(text: str) -> int | None:
    """Return the status that a text names, or None if it names none, or an unknown operand."""
    try:
        return named_status(text)
    except StatusError:
        return None


def read_line(line: str) -> list[Finding]:
    """Return what a line of a log says about TDX; nothing if it says nothing."""
    for pattern, reader in _FORMATS:
        match = pattern.search(line)
        found = None if match is None else reader(match, line)
        if found is not None:
            return [found]
    for message in MESSAGES:
        match = message.pattern.search(line)
        if match is not None:
            note = errno_note(match[0]) if "initialisation" in message.name else None
            if "TDCALL" in message.name:
                note = str(leaf_of_number(int(match[1]), TDCALLS))
            notes = (message.meaning, *([note] if note else []))
            return [Finding(message.name, notes=notes, is_fatal=message.is_fatal)]
    return _bare(line)


def read_text(text: str) -> Finding:
    """Return what a text of one line says: a number in any form, a name, or a line of a log.

    Raises:
        StatusError: There is no status in it.
    """
    try:
        return Finding("", decoded=decode_value(status_of(text)))
    except StatusError:
        found = read_line(text)
        if not found:
            raise
        return found[0]


def decode(status: str | int) -> Decoded:
    """Take a completion status apart.

    Args:
        status: A 64-bit number, or a text: such a number (16 digits without 0x are hex too, a
            negative one is the same bits), a name as ``TDX_OPERAND_BUSY|SEPT_TREE``, or a line
            of a log that has one.

    Raises:
        StatusError: It is none of these.
    """
    if isinstance(status, str):
        found = read_text(status).decoded
        if found is None:
            raise StatusError("status: the line is known but has none, must be a line with one")
        return found
    return decode_value(int(status))
