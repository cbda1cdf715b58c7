"""What the registers beside a status say: S-EPT entry and state, page type, metadata field.

Source: TDX module 1.5.34, sept_manager.h, sept_entry_arch_info_t; pamt_manager.h, page_type_t and
page_size_t; tdx_api_defs.h, md_field_id_t. The fields' names: Linux 6.16, tdx_global_metadata.c.
"""

from collections.abc import Mapping

from tdx_env.module.sept import ANY_BLOCKED, Level
from tdx_env.state.calls import EntryState
from tdx_env.status.codes import Status
from tdx_env.status.leaf_numbers import CalledLeaf

_LEVEL_MASK = 0x7
_STATE_SHIFT = 8
_STATE_MASK = 0xFF
_VM_SHIFT = 16
_VM_MASK = 0x3
_FIELD_CODE = 0xFF_FFFF
_CLASS_CODE_SHIFT = 56
_CLASS_CODE_MASK = 0x3F

_SIZES = {0: "4K", 1: "2M", 2: "1G"} | {
    int(level): level.name for level in Level if level > Level.PDPT
}
_PAGE_SIZES = {0: "4K", 1: "2M", 2: "1G"}
_PAGE_TYPES = {
    0: "NDA: free, the page is no TD's any more",
    1: "RSVD: not to be used",
    3: "REG: a TD's memory",
    4: "TDR",
    5: "TDCX",
    6: "TDVPR",
    7: "TDVPX",
    8: "EPT: an S-EPT page",
    15: "PAMT: holds the PAMT of a 2M range",
}
_STATE_NOTES = {
    EntryState.FREE: "no page here",
    EntryState.MAPPED: "mapped: it is not blocked",
    EntryState.NL_MAPPED: "points to a table, not blocked",
    EntryState.PENDING: "given to the TD, not accepted yet, not blocked",
    EntryState.BLOCKED: "blocked",
    EntryState.PENDING_BLOCKED: "not accepted yet, and blocked",
    EntryState.NL_BLOCKED: "points to a table, blocked",
}
_FIELDS = {
    0x9100000100000008: "MAX_TDMRS",
    0x9100000100000009: "MAX_RESERVED_PER_TDMR",
    0x9100000100000010: "PAMT_4K_ENTRY_SIZE",
    0x9100000100000011: "PAMT_2M_ENTRY_SIZE",
    0x9100000100000012: "PAMT_1G_ENTRY_SIZE",
}
_FIELD_CALLS = ("TDH.SYS.RD", "TDH.SYS.RDALL", "TDH.MNG.RD", "TDH.MNG.WR", "TDH.VP.RD", "TDH.VP.WR")
_PAGE_CALLS = ("TDH.PHYMEM.PAGE.RECLAIM", "TDH.PHYMEM.PAGE.RDMD")
_SEPT_CALLS = ("TDH.MEM.", "TDH.EXPORT.", "TDH.IMPORT.")
_NOT_BLOCKED = frozenset(EntryState) - ANY_BLOCKED - {EntryState.FREE}
_STATE_CHECKED = {Status.TLB_TRACKING_NOT_DONE, Status.EPT_ENTRY_STATE_INCORRECT}


def sept_state_text(level_state: int) -> str:
    """Return what RDX says of an S-EPT entry: bits 2:0 its level, 15:8 its state, 17:16 the VM."""
    level, state = level_state & _LEVEL_MASK, level_state >> _STATE_SHIFT & _STATE_MASK
    size = _SIZES.get(level, "unknown")
    name, note = f"state {state}", "unknown"
    if state in list(EntryState):
        known = EntryState(state)
        name, note = f"state {state} {known.name}", _STATE_NOTES.get(known, "")
    vm = level_state >> _VM_SHIFT & _VM_MASK
    where = f", L2 VM {vm}" if vm else ""
    return f"level {level} ({size}), {name}{where}" + (f": {note}" if note else "")


def field_text(field: int) -> str:
    """Return a metadata field's id in words."""
    name = _FIELDS.get(field)
    if name is not None:
        return f"0x{field:016X} {name}"
    class_code = field >> _CLASS_CODE_SHIFT & _CLASS_CODE_MASK
    return f"0x{field:016X}, class {class_code}, field 0x{field & _FIELD_CODE:X}"


def _sept_notes(registers: Mapping[str, int], status: Status | None) -> list[str]:
    """Return what RCX and RDX of an S-EPT call say."""
    level_state = registers.get("rdx")
    if level_state is None:
        return []
    if status in (Status.OPERAND_BUSY, None) and not level_state and not registers.get("rcx"):
        return ["S-EPT: entry and state are 0, the call ended before it read them"]
    entry = f"entry 0x{registers['rcx']:X}, " if "rcx" in registers else ""
    notes = [f"S-EPT: {entry}{sept_state_text(level_state)}"]
    state = level_state >> _STATE_SHIFT & _STATE_MASK
    if status in _STATE_CHECKED and state in _NOT_BLOCKED:
        notes.append("S-EPT: the entry had never been blocked, or was unblocked since")
    return notes


def _page_notes(registers: Mapping[str, int]) -> list[str]:
    """Return what the registers of PHYMEM.PAGE.RECLAIM and RDMD say."""
    notes = []
    if "rcx" in registers:
        page_type = registers["rcx"]
        notes.append(f"RCX: page type {page_type} ({_PAGE_TYPES.get(page_type, 'unknown')})")
    if registers.get("rdx"):
        notes.append(f"RDX: owner's TDR page 0x{registers['rdx']:X}")
    if registers.get("r8"):
        size = registers["r8"]
        notes.append(f"R8: page size {size} ({_PAGE_SIZES.get(size, 'unknown')})")
    return notes


def register_notes(
    call: CalledLeaf | None, registers: Mapping[str, int], status: Status | None
) -> tuple[str, ...]:
    """Return what the registers beside a call's status say.

    Args:
        call: The call; None if the line doesn't name it, then nothing is known of them.
        registers: Their values by name, small letters: rcx, rdx, r8.
        status: The status without its operand; None if it is unknown.
    """
    if call is None or not registers:
        return ()
    if call.name in _PAGE_CALLS:
        return tuple(_page_notes(registers))
    if call.name in _FIELD_CALLS and registers.get("rdx"):
        asked = f"RDX: the field that was asked for, {field_text(registers['rdx'])}"
        return (asked, "the call gave no output") if status != Status.SUCCESS else (asked,)
    if call.name == "TDH.MNG.INIT" and status == Status.OPERAND_INVALID and "rcx" in registers:
        return (f"RCX: the CPUID leaf that was refused, 0x{registers['rcx']:X}",)
    if call.name.startswith(_SEPT_CALLS):
        return tuple(_sept_notes(registers, status))
    return tuple(f"{name.upper()}: 0x{value:X}" for name, value in registers.items() if value)
