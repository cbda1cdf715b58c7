"""Host calls about live migration and service TDs: their rows of the table.

# MODEL: EXPORT.ABORT's row is the longer of its two paths, that of an abort after the export's end;
before it no stream is locked.

Source: TDX module 1.5, the file named in each row.
"""

from tdx_env.module.operands import Operand
from tdx_env.module.steps import (
    AT_ENTRY,
    CHECK,
    COMMIT,
    LEAVE,
    NEXT,
    ONLY_TDR_BY_RCX,
    OP_STATE_SHARED,
    READER,
    TD,
    TDR_BY_RCX,
    TDR_BY_RDX,
    TDR_OF_VCPU,
    TREE_SHARED,
    WORK,
    Call,
    let_go,
    take,
)
from tdx_env.state.calls import Delay, Leaf, Lock, Mode

_MIGRATION = "src/vmm_dispatcher/migration_api_calls/"

_SH, _EX = Mode.SHARED, Mode.EXCLUSIVE
_RCX, _RDX = Operand.RCX, Operand.RDX
_TDVPR, _TDR, _OP_STATE, _TREE = Lock.TDVPR, Lock.TDR, Lock.OP_STATE, Lock.TREE
_ENTRY, _PAGE, _MIG, _MIGSC = Lock.ENTRY, Lock.PAGE, Lock.MIG, Lock.MIGSC
_OTHER_TDR, _OTHER_OP_STATE = Lock.OTHER_TDR, Lock.OTHER_OP_STATE
_BINDINGS, _RTMR = Lock.SERVTD_BINDINGS, Lock.RTMR

_AT_LIST_ENTRY = take(_ENTRY, _EX, Operand.GPA_LIST_ENTRY, Delay.TO_ENTRY)
_STREAM = take(_MIGSC, _EX, Operand.MIGSC)
_ONLY_MIG = take(_MIG, _EX, Operand.MIG)
_ONLY_OP_STATE = take(_OP_STATE, _EX, Operand.OP_STATE)
_ONLY_BINDINGS = take(_BINDINGS, _EX, Operand.SERVTD_BINDINGS)

_PAGES = (TDR_BY_RDX, OP_STATE_SHARED, take(_MIG, _SH, Operand.MIG), _STREAM, TREE_SHARED)
_VCPU = (take(_TDVPR, _EX, _RCX, Delay.TO_TDR), TDR_OF_VCPU, OP_STATE_SHARED, _STREAM)
_EXPORT_STEPS = (
    TDR_BY_RCX, _ONLY_OP_STATE, _ONLY_MIG, _STREAM, CHECK, WORK,
    *let_go(_MIGSC, _MIG, _OP_STATE, _TDR), LEAVE,
)  # fmt: skip
_ALONE_STEPS = (ONLY_TDR_BY_RCX, CHECK, WORK, *let_go(_TDR), LEAVE)
_ALONE_STREAM_STEPS = (ONLY_TDR_BY_RCX, _STREAM, CHECK, WORK, *let_go(_MIGSC, _TDR), LEAVE)

MIGRATION_CALLS = (
    Call(
        Leaf.EXPORT_BLOCKW, "TDH.EXPORT.BLOCKW", _MIGRATION + "tdh_export_blockw.c",
        (*READER, _AT_LIST_ENTRY, CHECK, WORK, *let_go(_ENTRY), NEXT, *let_go(*TD), LEAVE),
        stores_entry=True, is_list=True,
    ),
    Call(
        Leaf.EXPORT_MEM, "TDH.EXPORT.MEM", _MIGRATION + "tdh_export_mem.c",
        (*_PAGES, _AT_LIST_ENTRY, CHECK, WORK, *let_go(_ENTRY), NEXT,
         *let_go(_MIGSC, _TREE, _MIG, _OP_STATE, _TDR), LEAVE),
        stores_entry=True, is_list=True,
    ),
    Call(
        Leaf.EXPORT_RESTORE, "TDH.EXPORT.RESTORE", _MIGRATION + "tdh_export_restore.c",
        (*READER, _AT_LIST_ENTRY, CHECK, WORK, *let_go(_ENTRY), NEXT, *let_go(*TD), LEAVE),
        stores_entry=True, is_list=True,
    ),
    Call(
        Leaf.EXPORT_UNBLOCKW, "TDH.EXPORT.UNBLOCKW", _MIGRATION + "tdh_export_unblockw.c",
        (*READER, AT_ENTRY, CHECK, WORK, *let_go(_ENTRY, *TD), LEAVE),
        stores_entry=True,
    ),
    Call(  # a busy entry or page ends the call, and in the in-order phase the whole import
        Leaf.IMPORT_MEM, "TDH.IMPORT.MEM", _MIGRATION + "tdh_import_mem.c",
        (*_PAGES, _AT_LIST_ENTRY, CHECK, take(_PAGE, _EX, Operand.NEW_PAGE_LIST_ENTRY), WORK,
         *let_go(_ENTRY, _PAGE), NEXT, *let_go(_MIGSC, _MIG, *TD), LEAVE),
        stores_entry=True,
        walked=frozenset({_PAGE}),
    ),
    Call(
        Leaf.EXPORT_PAUSE, "TDH.EXPORT.PAUSE", _MIGRATION + "tdh_export_pause.c", _ALONE_STEPS,
    ),
    Call(
        Leaf.EXPORT_TRACK, "TDH.EXPORT.TRACK", _MIGRATION + "tdh_export_track.c", _EXPORT_STEPS,
    ),
    Call(
        Leaf.EXPORT_ABORT, "TDH.EXPORT.ABORT", _MIGRATION + "tdh_export_abort.c", _EXPORT_STEPS,
    ),
    Call(
        Leaf.EXPORT_STATE_IMMUTABLE, "TDH.EXPORT.STATE.IMMUTABLE",
        _MIGRATION + "tdh_export_state_immutable.c", _EXPORT_STEPS,
    ),
    Call(
        Leaf.EXPORT_STATE_TD, "TDH.EXPORT.STATE.TD", _MIGRATION + "tdh_export_state_td.c",
        (TDR_BY_RCX, _ONLY_OP_STATE, _STREAM, CHECK, WORK, *let_go(_MIGSC, _OP_STATE, _TDR),
         LEAVE),
    ),
    Call(
        Leaf.EXPORT_STATE_VP, "TDH.EXPORT.STATE.VP", _MIGRATION + "tdh_export_state_vp.c",
        (*_VCPU, CHECK, WORK, *let_go(_MIGSC, _OP_STATE, _TDR, _TDVPR), LEAVE),
    ),
    Call(
        Leaf.IMPORT_TRACK, "TDH.IMPORT.TRACK",
        _MIGRATION + "tdh_import_track.c", _ALONE_STREAM_STEPS,
    ),
    Call(
        Leaf.IMPORT_ABORT, "TDH.IMPORT.ABORT",
        _MIGRATION + "tdh_import_abort.c", _ALONE_STREAM_STEPS,
    ),
    Call(
        Leaf.IMPORT_STATE_IMMUTABLE, "TDH.IMPORT.STATE.IMMUTABLE",
        _MIGRATION + "tdh_import_state_immutable.c", _ALONE_STREAM_STEPS,
    ),
    Call(
        Leaf.IMPORT_STATE_TD, "TDH.IMPORT.STATE.TD",
        _MIGRATION + "tdh_import_state_td.c", _ALONE_STREAM_STEPS,
    ),
    Call(
        Leaf.IMPORT_COMMIT, "TDH.IMPORT.COMMIT", _MIGRATION + "tdh_import_commit.c", _ALONE_STEPS,
    ),
    Call(
        Leaf.IMPORT_END, "TDH.IMPORT.END", _MIGRATION + "tdh_import_end.c", _ALONE_STEPS,
    ),
    Call(
        Leaf.IMPORT_STATE_VP, "TDH.IMPORT.STATE.VP", _MIGRATION + "tdh_import_state_vp.c",
        (*_VCPU, CHECK, WORK, *let_go(_MIGSC, _TDR, _TDVPR, _OP_STATE), LEAVE),
    ),
    Call(
        Leaf.MIG_STREAM_CREATE, "TDH.MIG.STREAM.CREATE", _MIGRATION + "tdh_mig_stream_create.c",
        (TDR_BY_RDX, _ONLY_OP_STATE, _ONLY_MIG, take(_PAGE, _EX, _RCX), CHECK, WORK,
         *let_go(_OP_STATE, _TDR, _MIG, _PAGE), LEAVE),
        walked=frozenset({_PAGE}),
    ),
    Call(  # the other TD is the service TD, and so is the RTMR's
        Leaf.SERVTD_BIND, "TDH.SERVTD.BIND", _MIGRATION + "tdh_servtd_bind.c",
        (TDR_BY_RCX, OP_STATE_SHARED, take(_OTHER_TDR, _SH, _RDX),
         take(_OTHER_OP_STATE, _SH, Operand.OP_STATE), _ONLY_BINDINGS,
         take(_RTMR, _SH, Operand.RTMR), *let_go(_RTMR, delay=Delay.BODY), CHECK, COMMIT,
         *let_go(_BINDINGS, _OTHER_OP_STATE, _OTHER_TDR, _OP_STATE, _TDR), LEAVE),
    ),
    Call(
        Leaf.SERVTD_PREBIND, "TDH.SERVTD.PREBIND", _MIGRATION + "tdh_servtd_prebind.c",
        (TDR_BY_RCX, OP_STATE_SHARED, _ONLY_BINDINGS, CHECK, WORK,
         *let_go(_BINDINGS, _OP_STATE, _TDR), LEAVE),
    ),
)  # fmt: skip
