"""Host calls about a TD, its S-EPT, its vCPUs and its pages: their rows of the table.

Source: TDX module 1.5, the file named in each row.
"""

from tdx_env.module.operands import Operand
from tdx_env.module.steps import (
    AT_ENTRY,
    CHECK,
    COMMIT,
    LEAVE,
    ONLY_TDR_BY_RCX,
    ONLY_TDR_BY_RDX,
    OP_STATE_SHARED,
    POLL,
    READER,
    TD,
    TDR_BY_RCX,
    TDR_BY_RDX,
    TDR_OF_VCPU,
    WORK,
    Call,
    Step,
    let_go,
    take,
)
from tdx_env.state.calls import Delay, Leaf, Lock, Mode, Op

_API = "src/vmm_dispatcher/api_calls/"

_SH, _EX = Mode.SHARED, Mode.EXCLUSIVE
_RCX, _RDX, _R8 = Operand.RCX, Operand.RDX, Operand.R8
_TDVPR, _TDR, _OP_STATE, _TREE = Lock.TDVPR, Lock.TDR, Lock.OP_STATE, Lock.TREE
_ENTRY, _PAGE, _NEW_PAGE, _EPOCH = Lock.ENTRY, Lock.PAGE, Lock.NEW_PAGE, Lock.EPOCH
_CHILDREN = Lock.CHILDREN

_TREE_EXCLUSIVE = take(_TREE, _EX, Operand.SEPT_TREE, Delay.TO_TREE)
_WALKED_PAGE, _WALKED_NEW_PAGE = frozenset({_PAGE}), frozenset({_NEW_PAGE})
_ENTRY_READER = (*READER, AT_ENTRY)
_ENTRY_WRITER = (TDR_BY_RDX, OP_STATE_SHARED, _TREE_EXCLUSIVE, AT_ENTRY)

HOST_CALLS = (
    Call(
        Leaf.MEM_SEPT_ADD, "TDH.MEM.SEPT.ADD", _API + "tdh_mem_sept_add.c",
        (*_ENTRY_READER, CHECK, take(_PAGE, _EX, _R8), WORK, *let_go(_ENTRY, _PAGE, *TD),
         LEAVE),
        stores_entry=True,
        walked=_WALKED_PAGE,
    ),
    Call(
        Leaf.MEM_PAGE_ADD, "TDH.MEM.PAGE.ADD", _API + "tdh_mem_page_add.c",
        (ONLY_TDR_BY_RDX, CHECK, take(_PAGE, _EX, _R8), WORK, *let_go(_PAGE, _TDR), LEAVE),
        stores_entry=True,
        walked=_WALKED_PAGE,
    ),
    Call(
        Leaf.MEM_PAGE_AUG, "TDH.MEM.PAGE.AUG", _API + "tdh_mem_page_aug.c",
        (*_ENTRY_READER, CHECK, take(_PAGE, _EX, _R8), WORK, *let_go(_ENTRY, _PAGE, *TD),
         LEAVE),
        stores_entry=True,
        walked=_WALKED_PAGE,
    ),
    Call(
        Leaf.MEM_PAGE_REMOVE, "TDH.MEM.PAGE.REMOVE", _API + "tdh_mem_page_remove.c",
        (*_ENTRY_READER, take(_PAGE, _EX, _RCX), CHECK, WORK, *let_go(_ENTRY, _PAGE, *TD),
         LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_RANGE_BLOCK, "TDH.MEM.RANGE.BLOCK", _API + "tdh_mem_range_block.c",
        (*_ENTRY_WRITER, CHECK, WORK, *let_go(_ENTRY, *TD), LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_RANGE_UNBLOCK, "TDH.MEM.RANGE.UNBLOCK", _API + "tdh_mem_range_unblock.c",
        (*_ENTRY_WRITER, CHECK, WORK, *let_go(_ENTRY, *TD), LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_TRACK, "TDH.MEM.TRACK", _API + "tdh_mem_track.c",
        (TDR_BY_RCX, OP_STATE_SHARED, take(_EPOCH, _EX, Operand.TD_EPOCH, Delay.TO_EPOCH),
         CHECK, Step(Op.COMMIT, delay=Delay.EPOCH_HOLD), *let_go(_EPOCH),
         *let_go(_OP_STATE, _TDR, delay=Delay.BODY), LEAVE),
        momentary=frozenset({_EPOCH}),
    ),
    Call(
        Leaf.VP_ENTER, "TDH.VP.ENTER", "src/td_transitions/tdh_vp_enter.c",
        (take(_TDVPR, _SH, _RCX, Delay.TO_TDR), TDR_OF_VCPU, OP_STATE_SHARED,
         take(_EPOCH, _SH, Operand.TD_EPOCH, Delay.TO_EPOCH), COMMIT,
         *let_go(_EPOCH, delay=Delay.EPOCH_HOLD),
         Step(Op.ACQUIRE_IF_ARMED, _TREE, _EX, Operand.SEPT_TREE),
         Step(Op.CHECK, delay=Delay.ARMED_WALK),
         *let_go(_OP_STATE, _TREE, delay=Delay.BODY), LEAVE),
        holds_after_return=frozenset({_TDVPR, _TDR}),
        momentary=frozenset({_EPOCH}),
    ),
    Call(
        Leaf.MEM_PAGE_DEMOTE, "TDH.MEM.PAGE.DEMOTE", _API + "tdh_mem_page_demote.c",
        (*_ENTRY_READER, CHECK, take(_NEW_PAGE, _EX, _R8), POLL, take(_PAGE, _EX, _RCX),
         *let_go(_PAGE), COMMIT, *let_go(_NEW_PAGE, _ENTRY, *TD), LEAVE),
        stores_entry=True,
        momentary=frozenset({_PAGE}),
        walked=_WALKED_NEW_PAGE,
    ),
    Call(
        Leaf.PHYMEM_PAGE_WBINVD, "TDH.PHYMEM.PAGE.WBINVD", _API + "tdh_phymem_page_wbinvd.c",
        (take(_PAGE, _SH, _RCX, Delay.TO_TDR), WORK, *let_go(_PAGE), LEAVE),
        walked=_WALKED_PAGE,
    ),
    Call(
        Leaf.PHYMEM_PAGE_RDMD, "TDH.PHYMEM.PAGE.RDMD", _API + "tdh_phymem_page_rdmd.c",
        (take(_PAGE, _SH, _RCX, Delay.TO_TDR), WORK, *let_go(_PAGE), LEAVE),
        walked=_WALKED_PAGE,
    ),
    Call(
        Leaf.MR_EXTEND, "TDH.MR.EXTEND", _API + "tdh_mr_extend.c",
        (ONLY_TDR_BY_RDX, CHECK, WORK, *let_go(_TDR), LEAVE),
    ),
    Call(
        Leaf.MEM_SEPT_REMOVE, "TDH.MEM.SEPT.REMOVE", _API + "tdh_mem_sept_remove.c",
        (*_ENTRY_WRITER, take(_PAGE, _EX, _RCX), CHECK, WORK, *let_go(_ENTRY, _PAGE, *TD),
         LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_SEPT_RD, "TDH.MEM.SEPT.RD", _API + "tdh_mem_sept_rd.c",
        (*_ENTRY_READER, CHECK, WORK, *let_go(_ENTRY, *TD), LEAVE),
    ),
    Call(  # the children's locks vanish with their page; the parent keeps its own mark, or in
        # versions whose commit keeps none takes over child 0's
        Leaf.MEM_PAGE_PROMOTE, "TDH.MEM.PAGE.PROMOTE", _API + "tdh_mem_page_promote.c",
        (*_ENTRY_READER, take(_NEW_PAGE, _EX, _RCX), CHECK, take(_CHILDREN, _EX, _RCX),
         POLL, take(_PAGE, _EX, _RCX), *let_go(_PAGE), COMMIT,
         *let_go(_CHILDREN, _NEW_PAGE, _ENTRY, *TD), LEAVE),
        stores_entry=True,
        momentary=frozenset({_PAGE}),
    ),
    Call(
        Leaf.MEM_PAGE_RELOCATE, "TDH.MEM.PAGE.RELOCATE", _API + "tdh_mem_page_relocate.c",
        (*_ENTRY_READER, take(_PAGE, _EX, _RCX), CHECK, take(_NEW_PAGE, _EX, _R8), WORK,
         *let_go(_NEW_PAGE, _PAGE, _ENTRY, *TD), LEAVE),
        stores_entry=True,
        walked=_WALKED_NEW_PAGE,
    ),
    Call(
        Leaf.MEM_RD_WR, "TDH.MEM.RD/WR", _API + "tdh_mem_rd_wr.c",
        (*_ENTRY_READER, CHECK, WORK, *let_go(_TDR, _ENTRY, _TREE, _OP_STATE), LEAVE),
    ),
    Call(
        Leaf.MR_FINALIZE, "TDH.MR.FINALIZE", _API + "tdh_mr_finalize.c",
        (ONLY_TDR_BY_RCX, CHECK, WORK, *let_go(_TDR), LEAVE),
    ),
    Call(
        Leaf.MNG_INIT, "TDH.MNG.INIT", _API + "tdh_mng_init.c",
        (ONLY_TDR_BY_RCX, CHECK, WORK, *let_go(_TDR), LEAVE),
    ),
    Call(
        Leaf.MNG_ADDCX, "TDH.MNG.ADDCX", _API + "tdh_mng_add_cx.c",
        (ONLY_TDR_BY_RDX, take(_PAGE, _EX, _RCX), CHECK, WORK, *let_go(_TDR, _PAGE), LEAVE),
        walked=_WALKED_PAGE,
    ),
    Call(
        Leaf.MNG_RD_WR, "TDH.MNG.RD/WR", _API + "tdh_mng_rd_wr.c",
        (TDR_BY_RCX, OP_STATE_SHARED, CHECK, WORK, *let_go(_OP_STATE, _TDR), LEAVE),
    ),
    Call(
        Leaf.VP_FLUSH, "TDH.VP.FLUSH", _API + "tdh_vp_flush.c",
        (take(_TDVPR, _EX, _RCX, Delay.TO_TDR), TDR_OF_VCPU, CHECK, WORK,
         *let_go(_TDR, _TDVPR), LEAVE),
    ),
    Call(
        Leaf.VP_INIT, "TDH.VP.INIT", _API + "tdh_vp_init.c",
        (take(_TDVPR, _EX, _RCX, Delay.TO_TDR), TDR_OF_VCPU, OP_STATE_SHARED, CHECK, WORK,
         *let_go(_OP_STATE, _TDR, _TDVPR), LEAVE),
    ),
    Call(
        Leaf.VP_RD_WR, "TDH.VP.RD/WR", _API + "tdh_vp_rd_wr.c",
        (take(_TDVPR, _SH, _RCX, Delay.TO_TDR), TDR_OF_VCPU, OP_STATE_SHARED, CHECK, WORK,
         *let_go(_OP_STATE, _TDR, _TDVPR), LEAVE),
    ),
    Call(
        Leaf.VP_CREATE, "TDH.VP.CREATE", _API + "tdh_vp_create.c",
        (TDR_BY_RDX, OP_STATE_SHARED, take(_PAGE, _EX, _RCX), CHECK, WORK,
         *let_go(_PAGE, _OP_STATE, _TDR), LEAVE),
        walked=_WALKED_PAGE,
    ),
    Call(
        Leaf.VP_ADDCX, "TDH.VP.ADDCX", _API + "tdh_vp_addcx.c",
        (take(_TDVPR, _EX, _RDX, Delay.TO_TDR), TDR_OF_VCPU, OP_STATE_SHARED,
         take(_PAGE, _EX, _RCX), CHECK, WORK, *let_go(_TDVPR, _PAGE, _OP_STATE, _TDR), LEAVE),
        walked=_WALKED_PAGE,
    ),
    Call(
        Leaf.PHYMEM_PAGE_RECLAIM, "TDH.PHYMEM.PAGE.RECLAIM", _API + "tdh_phymem_page_reclaim.c",
        (take(_PAGE, _EX, _RCX, Delay.TO_TDR), TDR_OF_VCPU, CHECK, WORK, *let_go(_TDR, _PAGE),
         LEAVE),
        walked=_WALKED_PAGE,
    ),
)  # fmt: skip
