"""Numbers of the module's calls, as RAX has them and as kernels without names log them.

Source: TDX module 1.5.34 and 2.0.18, include/tdx_api_defs.h, seamcall_leaf_opcode_t,
tdcall_leaf_opcode_t and tdx_leaf_and_version_t.
"""

from dataclasses import dataclass

from tdx_env.errors import ScenarioError
from tdx_env.module.names import find_leaf, normal_form
from tdx_env.module.seamcalls import row_of
from tdx_env.state.calls import Leaf

LEAF_MASK = 0xFFFF
VERSION_SHIFT = 16
VERSION_MASK = 0xFF
_SEAMLDR = 1 << 63  # a leaf of the P-SEAMLDR, not of the module

SEAMCALLS: dict[int, str] = {
    0: "TDH.VP.ENTER",
    1: "TDH.MNG.ADDCX",
    2: "TDH.MEM.PAGE.ADD",
    3: "TDH.MEM.SEPT.ADD",
    4: "TDH.VP.ADDCX",
    5: "TDH.MEM.PAGE.RELOCATE",
    6: "TDH.MEM.PAGE.AUG",
    7: "TDH.MEM.RANGE.BLOCK",
    8: "TDH.MNG.KEY.CONFIG",
    9: "TDH.MNG.CREATE",
    10: "TDH.VP.CREATE",
    11: "TDH.MNG.RD",
    12: "TDH.MEM.RD",
    13: "TDH.MNG.WR",
    14: "TDH.MEM.WR",
    15: "TDH.MEM.PAGE.DEMOTE",
    16: "TDH.MR.EXTEND",
    17: "TDH.MR.FINALIZE",
    18: "TDH.VP.FLUSH",
    19: "TDH.MNG.VPFLUSHDONE",
    20: "TDH.MNG.KEY.FREEID",
    21: "TDH.MNG.INIT",
    22: "TDH.VP.INIT",
    23: "TDH.MEM.PAGE.PROMOTE",
    24: "TDH.PHYMEM.PAGE.RDMD",
    25: "TDH.MEM.SEPT.RD",
    26: "TDH.VP.RD",
    27: "TDH.MNG.KEY.RECLAIMID",
    28: "TDH.PHYMEM.PAGE.RECLAIM",
    29: "TDH.MEM.PAGE.REMOVE",
    30: "TDH.MEM.SEPT.REMOVE",
    31: "TDH.SYS.KEY.CONFIG",
    32: "TDH.SYS.INFO",
    33: "TDH.SYS.INIT",
    34: "TDH.SYS.RD",
    35: "TDH.SYS.LP.INIT",
    36: "TDH.SYS.TDMR.INIT",
    37: "TDH.SYS.RDALL",
    38: "TDH.MEM.TRACK",
    39: "TDH.MEM.RANGE.UNBLOCK",
    40: "TDH.PHYMEM.CACHE.WB",
    41: "TDH.PHYMEM.PAGE.WBINVD",
    42: "TDH.MEM.SEPT.WR",
    43: "TDH.VP.WR",
    44: "TDH.SYS.LP.SHUTDOWN",
    45: "TDH.SYS.CONFIG",
    48: "TDH.SERVTD.BIND",
    49: "TDH.SERVTD.PREBIND",
    52: "TDH.SYS.SHUTDOWN",
    53: "TDH.SYS.UPDATE",
    58: "TDH.PHYMEM.PAMT.ADD",
    59: "TDH.PHYMEM.PAMT.REMOVE",
    64: "TDH.EXPORT.ABORT",
    65: "TDH.EXPORT.BLOCKW",
    66: "TDH.EXPORT.RESTORE",
    68: "TDH.EXPORT.MEM",
    69: "TDH.SYS.DISABLE",  # Linux 7.1; in no public source of the module
    70: "TDH.EXPORT.PAUSE",
    71: "TDH.EXPORT.TRACK",
    72: "TDH.EXPORT.STATE.IMMUTABLE",
    73: "TDH.EXPORT.STATE.TD",
    74: "TDH.EXPORT.STATE.VP",
    75: "TDH.EXPORT.UNBLOCKW",
    80: "TDH.IMPORT.ABORT",
    81: "TDH.IMPORT.END",
    82: "TDH.IMPORT.COMMIT",
    83: "TDH.IMPORT.MEM",
    84: "TDH.IMPORT.TRACK",
    85: "TDH.IMPORT.STATE.IMMUTABLE",
    86: "TDH.IMPORT.STATE.TD",
    87: "TDH.IMPORT.STATE.VP",
    96: "TDH.MIG.STREAM.CREATE",
}

TDCALLS: dict[int, str] = {
    0: "TDG.VP.VMCALL",
    1: "TDG.VP.INFO",
    2: "TDG.MR.RTMR.EXTEND",
    3: "TDG.VP.VEINFO.GET",
    4: "TDG.MR.REPORT",
    5: "TDG.VP.CPUIDVE.SET",
    6: "TDG.MEM.PAGE.ACCEPT",
    7: "TDG.VM.RD",
    8: "TDG.VM.WR",
    9: "TDG.VP.RD",
    10: "TDG.VP.WR",
    11: "TDG.SYS.RD",
    12: "TDG.SYS.RDALL",
    18: "TDG.SERVTD.RD",
    20: "TDG.SERVTD.WR",
    22: "TDG.MR.VERIFYREPORT",
    23: "TDG.MEM.PAGE.ATTR.RD",
    24: "TDG.MEM.PAGE.ATTR.WR",
    25: "TDG.VP.ENTER",
    26: "TDG.VP.INVEPT",
    27: "TDG.VP.INVVPID",
}

_SEAMLDR_CALLS = {0: "SEAMLDR.INFO", 1: "SEAMLDR.INSTALL", 2: "SEAMLDR.SHUTDOWN"}
_NUMBERS = {name: number for table in (TDCALLS, SEAMCALLS) for number, name in table.items()}


@dataclass(frozen=True)
class CalledLeaf:
    """A call that a log line names.

    Attributes:
        name: Its full name, as TDH.MEM.PAGE.AUG.
        number: Its leaf number, or None if it is not known.
        version: Bits 23:16 of what was in RAX.
    """

    name: str
    number: int | None = None
    version: int = 0

    def __str__(self) -> str:
        """Return name, number and version as a reader wants them."""
        number = "" if self.number is None else f"leaf 0x{self.number:02X}"
        version = f"version {self.version}" if self.version else ""
        parts = ", ".join(part for part in (number, version) if part)
        return f"{self.name} ({parts})" if parts else self.name

    @property
    def leaf(self) -> Leaf | None:
        """The call's row of the module's table; None if it has none."""
        try:
            return find_leaf(self.name)
        except ScenarioError:
            return None


def leaf_of_number(value: int, names: dict[int, str] = SEAMCALLS) -> CalledLeaf:
    """Return the call that a number in RAX means: bits 15:0 the leaf, 23:16 its version."""
    number = value & LEAF_MASK
    if value & _SEAMLDR:
        return CalledLeaf(_SEAMLDR_CALLS.get(number, "unknown call of the P-SEAMLDR"), number)
    name = names.get(number, "unknown leaf")
    return CalledLeaf(name, number, value >> VERSION_SHIFT & VERSION_MASK)


def leaf_of_name(text: str) -> CalledLeaf:
    """Return the call that a name as TDH_MEM_PAGE_AUG or PAGE.AUG means."""
    name = normal_form(text)
    if name not in _NUMBERS:
        leaf = CalledLeaf(name).leaf
        name = name if leaf is None else row_of(leaf).name
    return CalledLeaf(name, _NUMBERS.get(name))
