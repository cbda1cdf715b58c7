"""Guest calls (TDCALLs) that meet locks, and two that meet none: their rows of the table.

A vCPU holds its TDVPR and its TD's TDR, shared, from VP.ENTER to TD exit, so under each of these
calls; VP.VMCALL ends with the TD exit that lets go of them.

Source: TDX module 1.5, the file named in each row.
"""

from tdx_env.module.operands import Operand
from tdx_env.module.steps import AT_ENTRY, CHECK, COMMIT, LEAVE, WORK, Call, let_go, take
from tdx_env.state.calls import Delay, Leaf, Lock, Mode

_EXITS = "src/td_dispatcher/vm_exits/"
_SERVTD = "src/vmm_dispatcher/migration_api_calls/tdg_servtd_rd_wr.c"

_SH, _EX = Mode.SHARED, Mode.EXCLUSIVE
_ENTRY, _RTMR, _BINDINGS = Lock.ENTRY, Lock.RTMR, Lock.SERVTD_BINDINGS
_OTHER_TDR, _OTHER_OP_STATE = Lock.OTHER_TDR, Lock.OTHER_OP_STATE

_ENTRY_STEPS = (AT_ENTRY, CHECK, WORK, *let_go(_ENTRY), LEAVE)
_ENTRY_ALONE = frozenset({_ENTRY})
_MEASURE = (take(_RTMR, _SH, Operand.RTMR), *let_go(_RTMR, delay=Delay.BODY))
_NO_LOCK = (WORK, LEAVE)

GUEST_CALLS = (
    Call(
        Leaf.ACCEPT, "TDG.MEM.PAGE.ACCEPT", _EXITS + "tdg_mem_page_accept.c", _ENTRY_STEPS,
        is_guest=True, stores_entry=True,
    ),
    Call(
        Leaf.ATTR_RD, "TDG.MEM.PAGE.ATTR.RD", _EXITS + "tdg_mem_page_attr_rd.c", _ENTRY_STEPS,
        is_guest=True, momentary=_ENTRY_ALONE,
    ),
    Call(
        Leaf.ATTR_WR, "TDG.MEM.PAGE.ATTR.WR", _EXITS + "tdg_mem_page_attr_wr.c", _ENTRY_STEPS,
        is_guest=True, momentary=_ENTRY_ALONE,
    ),
    Call(
        Leaf.RTMR_EXTEND, "TDG.MR.RTMR.EXTEND", _EXITS + "tdg_mr_rtmr_extend.c",
        (take(_RTMR, _EX, Operand.RTMR), WORK, *let_go(_RTMR), LEAVE), is_guest=True,
    ),
    Call(
        Leaf.MR_REPORT, "TDG.MR.REPORT", _EXITS + "tdg_mr_report.c", (*_MEASURE, COMMIT, LEAVE),
        is_guest=True,
    ),
    Call(  # the other TD is the target; the RTMR is the service TD's own
        Leaf.SERVTD_RD_WR, "TDG.SERVTD.RD/WR", _SERVTD,
        (take(_OTHER_TDR, _SH, Operand.TDR), take(_OTHER_OP_STATE, _SH, Operand.OP_STATE),
         take(_BINDINGS, _SH, Operand.SERVTD_BINDINGS), *_MEASURE, CHECK, COMMIT,
         *let_go(_BINDINGS, _OTHER_OP_STATE, _OTHER_TDR), LEAVE),
        is_guest=True,
    ),
    Call(
        Leaf.VP_VMCALL, "TDG.VP.VMCALL", _EXITS + "tdg_vp_vmcall.c", _NO_LOCK, is_guest=True,
    ),
    Call(
        Leaf.VP_INVEPT, "TDG.VP.INVEPT/INVVPID", _EXITS + "tdg_vp_invept.c", _NO_LOCK,
        is_guest=True,
    ),
)  # fmt: skip
