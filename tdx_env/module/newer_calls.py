"""Host calls that only newer versions of the module have: their rows of the table.

PHYMEM.PAMT.ADD and REMOVE belong to Dynamic PAMT: they take the PAMT entry of a 2M range alone,
which every walk to a 4K page in that range shares. The calls about memory scans need a host that
has configured the module for them (SYS.CONFIG version 1).

# MODEL: the two orders in which PAMT.ADD may skip a page of its pair (one that lies in the range
itself) are left out; of MEM.SCAN.CONFIG and RESET no lock but the scan lock was seen.

Source: TDX module 2.0.12 (PAMT; 1.5.34 and 2.0.18 are taken to be alike), 1.5.34 (MEM.SCAN.RANGE),
2.0.18 (MEM.SCAN.COMP); the file named in each row.
"""

from tdx_env.module.operands import Operand
from tdx_env.module.steps import (
    CHECK,
    LEAVE,
    NEXT,
    OP_STATE_SHARED,
    READER,
    TD,
    TDR_BY_RDX,
    TREE_SHARED,
    WORK,
    Call,
    let_go,
    take,
)
from tdx_env.state.calls import Delay, Leaf, Lock, Mode

_API = "src/vmm_dispatcher/api_calls/"
_SH, _EX = Mode.SHARED, Mode.EXCLUSIVE
_RANGE, _PAGE_0, _PAGE_1 = Lock.PAMT_2M, Lock.PAMT_PAGE_0, Lock.PAMT_PAGE_1
_SCAN, _CONTEXT, _ENTRY = Lock.MEM_SCAN, Lock.SCAN_CONTEXT, Lock.ENTRY

_RANGE_ALONE = take(_RANGE, _EX, Operand.RCX, Delay.TO_TDR)

PAMT_CALLS = (
    Call(
        Leaf.PHYMEM_PAMT_ADD, "TDH.PHYMEM.PAMT.ADD", _API + "tdh_phymem_pamt_add.c",
        (_RANGE_ALONE, take(_PAGE_0, _SH, Operand.RDX), take(_PAGE_1, _SH, Operand.R8), CHECK,
         WORK, *let_go(_PAGE_1, _PAGE_0, _RANGE), LEAVE),
    ),
    Call(
        Leaf.PHYMEM_PAMT_REMOVE, "TDH.PHYMEM.PAMT.REMOVE", _API + "tdh_phymem_pamt_remove.c",
        (_RANGE_ALONE, CHECK, WORK, *let_go(_RANGE), LEAVE),
    ),
)  # fmt: skip

SCAN_CALLS = (
    Call(
        Leaf.MEM_SCAN_RANGE, "TDH.MEM.SCAN.RANGE", _API + "tdh_mem_scan_range.c",
        (*READER, take(_ENTRY, _EX, Operand.GPA_RANGE_LIST_ENTRY, Delay.TO_ENTRY), CHECK, WORK,
         *let_go(_ENTRY), NEXT, *let_go(*TD), LEAVE),
        stores_entry=True, is_list=True,
    ),
    Call(
        Leaf.MEM_SCAN_COMP, "TDH.MEM.SCAN.COMP", _API + "tdh_mem_scan_comp.c",
        (TDR_BY_RDX, OP_STATE_SHARED, take(_SCAN, _SH, Operand.MEM_SCAN_STATE),
         take(_CONTEXT, _EX, Operand.MEM_SCAN_CONTEXT), TREE_SHARED, CHECK, WORK,
         *let_go(Lock.TREE, _CONTEXT, _SCAN, Lock.OP_STATE, Lock.TDR), LEAVE),
        remark=(
            "MEM.SCAN.COMP is refused (OPERAND_INVALID) without non-blocking export, which no "
            "public release can switch on"
        ),
    ),
    Call(
        Leaf.MEM_SCAN_CONFIG, "TDH.MEM.SCAN.CONFIG/RESET", _API + "tdh_mem_scan_config.c",
        (take(_SCAN, _EX, Operand.MEM_SCAN_STATE, Delay.TO_TDR), CHECK, WORK, *let_go(_SCAN),
         LEAVE),
        remark="of MEM.SCAN.CONFIG and RESET no other lock was seen",
    ),
)  # fmt: skip
