"""What each call into the module does: its locks in order, checks, effect and releases.

`calls` gives the table as rows, `program` the same as an array for the event loop. A row describes
the call's way to success; a lock that is busy ends it there, and what it holds is released.

MODEL: the PAMT parents (1G and 2M, shared) of a page lock are part of that lock. The state check
that PAGE.REMOVE, SEPT.REMOVE, PROMOTE and RELOCATE do before they lock the page is done after it,
in one CHECK with the check for blocking and tracking. TDs have no L2 VMs.

A call that works through a list goes back from its NEXT to its entry lock, once for each entry.

Source: TDX module 1.5, the file named in each row.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tdx_env.errors import ScenarioError
from tdx_env.module.operands import Operand
from tdx_env.module.steps import Call, Step, let_go, take, with_release_modes
from tdx_env.state.calls import MAX_STEPS, N_LEAVES, STEP, Delay, Leaf, Lock, Mode, Op


@dataclass(frozen=True)
class ModuleVersion:
    """A version of the module; each beyond "1.5" differs from it in one respect.

    Attributes:
        meaning: What it stands for.
        remove_takes_tree_exclusive: PAGE.REMOVE takes the S-EPT tree lock exclusively.
        vp_init_takes_tdr_exclusive: VP.INIT takes the TDR exclusively.
        guests_lock_free_entries: ACCEPT and ATTR lock FREE entries too, before they find out.
        demote_is_interruptible: DEMOTE gives up when it finds an interrupt pending.
    """

    meaning: str
    remove_takes_tree_exclusive: bool = False
    vp_init_takes_tdr_exclusive: bool = False
    guests_lock_free_entries: bool = True
    demote_is_interruptible: bool = True


DEFAULT_VERSION = "1.5"
MODULE_VERSIONS: dict[str, ModuleVersion] = {
    DEFAULT_VERSION: ModuleVersion("TDX module 1.5, as its source has it"),
    "1.5-remove-exclusive": ModuleVersion(
        "PAGE.REMOVE takes the tree exclusively, as the mailing list believed in 2024",
        remove_takes_tree_exclusive=True,
    ),
    "1.5-vp-init-v1": ModuleVersion(
        "VP.INIT takes the TDR exclusively", vp_init_takes_tdr_exclusive=True
    ),
    "1.5-no-free-lock": ModuleVersion(
        "guests don't lock FREE entries", guests_lock_free_entries=False
    ),
    "1.5-demote-uninterruptible": ModuleVersion(
        "DEMOTE doesn't give up for an interrupt", demote_is_interruptible=False
    ),
}

_SH, _EX = Mode.SHARED, Mode.EXCLUSIVE
_RCX, _RDX, _R8 = Operand.RCX, Operand.RDX, Operand.R8
_TDVPR, _TDR, _OP_STATE, _TREE = Lock.TDVPR, Lock.TDR, Lock.OP_STATE, Lock.TREE
_ENTRY, _PAGE, _NEW_PAGE, _EPOCH = Lock.ENTRY, Lock.PAGE, Lock.NEW_PAGE, Lock.EPOCH
_CHILDREN, _MIG, _MIGSC = Lock.CHILDREN, Lock.MIG, Lock.MIGSC

_CHECK = Step(Op.CHECK)
_COMMIT = Step(Op.COMMIT)
_WORK = Step(Op.COMMIT, delay=Delay.BODY)
_LEAVE = Step(Op.RETURN, delay=Delay.LEAVE)
_POLL = Step(Op.POLL, delay=Delay.BODY)
_NEXT = Step(Op.NEXT)

_OP_STATE_SHARED = take(_OP_STATE, _SH, Operand.OP_STATE)
_TDR_BY_RDX = take(_TDR, _SH, _RDX, Delay.TO_TDR)
_TDR_BY_RCX = take(_TDR, _SH, _RCX, Delay.TO_TDR)
_TDR_OF_VCPU = take(_TDR, _SH, Operand.TDR)
_ONLY_TDR_BY_RDX = take(_TDR, _EX, _RDX, Delay.TO_TDR)
_ONLY_TDR_BY_RCX = take(_TDR, _EX, _RCX, Delay.TO_TDR)
_TREE_SHARED = take(_TREE, _SH, Operand.SEPT_TREE, Delay.TO_TREE)
_TREE_EXCLUSIVE = take(_TREE, _EX, Operand.SEPT_TREE, Delay.TO_TREE)
_AT_ENTRY = take(_ENTRY, _EX, _RCX, Delay.TO_ENTRY)
_AT_LIST_ENTRY = take(_ENTRY, _EX, Operand.GPA_LIST_ENTRY, Delay.TO_ENTRY)
_STREAM = take(_MIGSC, _EX, Operand.MIGSC)

# The common beginnings, and the common end.
_READER = (_TDR_BY_RDX, _OP_STATE_SHARED, _TREE_SHARED)
_WRITER = (_TDR_BY_RDX, _OP_STATE_SHARED, _TREE_EXCLUSIVE)
_ENTRY_READER = (*_READER, _AT_ENTRY)
_ENTRY_WRITER = (*_WRITER, _AT_ENTRY)
_MIGRATION_READER = (
    _TDR_BY_RDX, _OP_STATE_SHARED, take(_MIG, _SH, Operand.MIG), _STREAM, _TREE_SHARED
)  # fmt: skip
_TD = (_TREE, _OP_STATE, _TDR)

_API = "src/vmm_dispatcher/api_calls/"
_MIGRATION = "src/vmm_dispatcher/migration_api_calls/"
_EXITS = "src/td_dispatcher/vm_exits/"
_GUEST_STEPS = (_AT_ENTRY, _CHECK, _WORK, *let_go(_ENTRY), _LEAVE)
_ENTRY_ALONE = frozenset({_ENTRY})

_ROWS = (
    Call(
        Leaf.MEM_SEPT_ADD, "TDH.MEM.SEPT.ADD", _API + "tdh_mem_sept_add.c",
        (*_ENTRY_READER, _CHECK, take(_PAGE, _EX, _R8), _WORK, *let_go(_ENTRY, _PAGE, *_TD),
         _LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_PAGE_ADD, "TDH.MEM.PAGE.ADD", _API + "tdh_mem_page_add.c",
        (_ONLY_TDR_BY_RDX, _CHECK, take(_PAGE, _EX, _R8), _WORK, *let_go(_PAGE, _TDR), _LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_PAGE_AUG, "TDH.MEM.PAGE.AUG", _API + "tdh_mem_page_aug.c",
        (*_ENTRY_READER, _CHECK, take(_PAGE, _EX, _R8), _WORK, *let_go(_ENTRY, _PAGE, *_TD),
         _LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_PAGE_REMOVE, "TDH.MEM.PAGE.REMOVE", _API + "tdh_mem_page_remove.c",
        (*_ENTRY_READER, take(_PAGE, _EX, _RCX), _CHECK, _WORK, *let_go(_ENTRY, _PAGE, *_TD),
         _LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_RANGE_BLOCK, "TDH.MEM.RANGE.BLOCK", _API + "tdh_mem_range_block.c",
        (*_ENTRY_WRITER, _CHECK, _WORK, *let_go(_ENTRY, *_TD), _LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_RANGE_UNBLOCK, "TDH.MEM.RANGE.UNBLOCK", _API + "tdh_mem_range_unblock.c",
        (*_ENTRY_WRITER, _CHECK, _WORK, *let_go(_ENTRY, *_TD), _LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_TRACK, "TDH.MEM.TRACK", _API + "tdh_mem_track.c",
        (_TDR_BY_RCX, _OP_STATE_SHARED, take(_EPOCH, _EX, Operand.TD_EPOCH, Delay.TO_EPOCH),
         _CHECK, Step(Op.COMMIT, delay=Delay.EPOCH_HOLD), *let_go(_EPOCH),
         *let_go(_OP_STATE, _TDR, delay=Delay.BODY), _LEAVE),
        momentary=frozenset({_EPOCH}),
    ),
    Call(
        Leaf.VP_ENTER, "TDH.VP.ENTER", "src/td_transitions/tdh_vp_enter.c",
        (take(_TDVPR, _SH, _RCX, Delay.TO_TDR), _TDR_OF_VCPU, _OP_STATE_SHARED,
         take(_EPOCH, _SH, Operand.TD_EPOCH, Delay.TO_EPOCH), _COMMIT,
         *let_go(_EPOCH, delay=Delay.EPOCH_HOLD),
         Step(Op.ACQUIRE_IF_ARMED, _TREE, _EX, Operand.SEPT_TREE),
         Step(Op.CHECK, delay=Delay.ARMED_WALK),
         *let_go(_OP_STATE, _TREE, delay=Delay.BODY), _LEAVE),
        holds_after_return=frozenset({_TDVPR, _TDR}),
        momentary=frozenset({_EPOCH}),
    ),
    Call(
        Leaf.MEM_PAGE_DEMOTE, "TDH.MEM.PAGE.DEMOTE", _API + "tdh_mem_page_demote.c",
        (*_ENTRY_READER, _CHECK, take(_NEW_PAGE, _EX, _R8), _POLL, take(_PAGE, _EX, _RCX),
         *let_go(_PAGE), _COMMIT, *let_go(_NEW_PAGE, _ENTRY, *_TD), _LEAVE),
        stores_entry=True,
        momentary=frozenset({_PAGE}),
    ),
    Call(
        Leaf.PHYMEM_PAGE_WBINVD, "TDH.PHYMEM.PAGE.WBINVD", _API + "tdh_phymem_page_wbinvd.c",
        (take(_PAGE, _SH, _RCX, Delay.TO_TDR), _WORK, *let_go(_PAGE), _LEAVE),
    ),
    Call(
        Leaf.MR_EXTEND, "TDH.MR.EXTEND", _API + "tdh_mr_extend.c",
        (_ONLY_TDR_BY_RDX, _CHECK, _WORK, *let_go(_TDR), _LEAVE),
    ),
    Call(
        Leaf.ACCEPT, "TDG.MEM.PAGE.ACCEPT", _EXITS + "tdg_mem_page_accept.c", _GUEST_STEPS,
        is_guest=True, stores_entry=True,
    ),
    Call(
        Leaf.ATTR_RD, "TDG.MEM.PAGE.ATTR.RD", _EXITS + "tdg_mem_page_attr_rd.c", _GUEST_STEPS,
        is_guest=True, momentary=_ENTRY_ALONE,
    ),
    Call(
        Leaf.ATTR_WR, "TDG.MEM.PAGE.ATTR.WR", _EXITS + "tdg_mem_page_attr_wr.c", _GUEST_STEPS,
        is_guest=True, momentary=_ENTRY_ALONE,
    ),
    Call(
        Leaf.MEM_SEPT_REMOVE, "TDH.MEM.SEPT.REMOVE", _API + "tdh_mem_sept_remove.c",
        (*_ENTRY_WRITER, take(_PAGE, _EX, _RCX), _CHECK, _WORK, *let_go(_ENTRY, _PAGE, *_TD),
         _LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_SEPT_RD, "TDH.MEM.SEPT.RD", _API + "tdh_mem_sept_rd.c",
        (*_ENTRY_READER, _CHECK, _WORK, *let_go(_ENTRY, *_TD), _LEAVE),
    ),
    Call(  # the children's locks vanish with their page; the parent inherits child 0's mark
        Leaf.MEM_PAGE_PROMOTE, "TDH.MEM.PAGE.PROMOTE", _API + "tdh_mem_page_promote.c",
        (*_ENTRY_READER, take(_NEW_PAGE, _EX, _RCX), _CHECK, take(_CHILDREN, _EX, _RCX),
         _POLL, take(_PAGE, _EX, _RCX), *let_go(_PAGE), _COMMIT,
         *let_go(_CHILDREN, _NEW_PAGE, _ENTRY, *_TD), _LEAVE),
        stores_entry=True,
        momentary=frozenset({_PAGE}),
    ),
    Call(
        Leaf.MEM_PAGE_RELOCATE, "TDH.MEM.PAGE.RELOCATE", _API + "tdh_mem_page_relocate.c",
        (*_ENTRY_READER, take(_PAGE, _EX, _RCX), _CHECK, take(_NEW_PAGE, _EX, _R8), _WORK,
         *let_go(_NEW_PAGE, _PAGE, _ENTRY, *_TD), _LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.MEM_RD_WR, "TDH.MEM.RD/WR", _API + "tdh_mem_rd_wr.c",
        (*_ENTRY_READER, _CHECK, _WORK, *let_go(_TDR, _ENTRY, _TREE, _OP_STATE), _LEAVE),
    ),
    Call(
        Leaf.MR_FINALIZE, "TDH.MR.FINALIZE", _API + "tdh_mr_finalize.c",
        (_ONLY_TDR_BY_RCX, _CHECK, _WORK, *let_go(_TDR), _LEAVE),
    ),
    Call(
        Leaf.MNG_INIT, "TDH.MNG.INIT", _API + "tdh_mng_init.c",
        (_ONLY_TDR_BY_RCX, _CHECK, _WORK, *let_go(_TDR), _LEAVE),
    ),
    Call(
        Leaf.MNG_ADDCX, "TDH.MNG.ADDCX", _API + "tdh_mng_add_cx.c",
        (_ONLY_TDR_BY_RDX, take(_PAGE, _EX, _RCX), _CHECK, _WORK, *let_go(_TDR, _PAGE), _LEAVE),
    ),
    Call(
        Leaf.MNG_RD_WR, "TDH.MNG.RD/WR", _API + "tdh_mng_rd_wr.c",
        (_TDR_BY_RCX, _OP_STATE_SHARED, _CHECK, _WORK, *let_go(_OP_STATE, _TDR), _LEAVE),
    ),
    Call(
        Leaf.VP_FLUSH, "TDH.VP.FLUSH", _API + "tdh_vp_flush.c",
        (take(_TDVPR, _EX, _RCX, Delay.TO_TDR), _TDR_OF_VCPU, _CHECK, _WORK,
         *let_go(_TDR, _TDVPR), _LEAVE),
    ),
    Call(
        Leaf.VP_INIT, "TDH.VP.INIT", _API + "tdh_vp_init.c",
        (take(_TDVPR, _EX, _RCX, Delay.TO_TDR), _TDR_OF_VCPU, _OP_STATE_SHARED, _CHECK, _WORK,
         *let_go(_OP_STATE, _TDR, _TDVPR), _LEAVE),
    ),
    Call(
        Leaf.VP_RD_WR, "TDH.VP.RD/WR", _API + "tdh_vp_rd_wr.c",
        (take(_TDVPR, _SH, _RCX, Delay.TO_TDR), _TDR_OF_VCPU, _OP_STATE_SHARED, _CHECK, _WORK,
         *let_go(_OP_STATE, _TDR, _TDVPR), _LEAVE),
    ),
    Call(
        Leaf.VP_CREATE, "TDH.VP.CREATE", _API + "tdh_vp_create.c",
        (_TDR_BY_RDX, _OP_STATE_SHARED, take(_PAGE, _EX, _RCX), _CHECK, _WORK,
         *let_go(_PAGE, _OP_STATE, _TDR), _LEAVE),
    ),
    Call(
        Leaf.VP_ADDCX, "TDH.VP.ADDCX", _API + "tdh_vp_addcx.c",
        (take(_TDVPR, _EX, _RDX, Delay.TO_TDR), _TDR_OF_VCPU, _OP_STATE_SHARED,
         take(_PAGE, _EX, _RCX), _CHECK, _WORK, *let_go(_TDVPR, _PAGE, _OP_STATE, _TDR), _LEAVE),
    ),
    Call(
        Leaf.PHYMEM_PAGE_RECLAIM, "TDH.PHYMEM.PAGE.RECLAIM", _API + "tdh_phymem_page_reclaim.c",
        (take(_PAGE, _EX, _RCX, Delay.TO_TDR), _TDR_OF_VCPU, _CHECK, _WORK, *let_go(_TDR, _PAGE),
         _LEAVE),
    ),
    Call(
        Leaf.EXPORT_BLOCKW, "TDH.EXPORT.BLOCKW", _MIGRATION + "tdh_export_blockw.c",
        (*_READER, _AT_LIST_ENTRY, _CHECK, _WORK, *let_go(_ENTRY), _NEXT, *let_go(*_TD), _LEAVE),
        stores_entry=True, is_list=True,
    ),
    Call(
        Leaf.EXPORT_MEM, "TDH.EXPORT.MEM", _MIGRATION + "tdh_export_mem.c",
        (*_MIGRATION_READER, _AT_LIST_ENTRY, _CHECK, _WORK,
         *let_go(_ENTRY), _NEXT, *let_go(_MIGSC, _TREE, _MIG, _OP_STATE, _TDR), _LEAVE),
        stores_entry=True, is_list=True,
    ),
    Call(
        Leaf.EXPORT_RESTORE, "TDH.EXPORT.RESTORE", _MIGRATION + "tdh_export_restore.c",
        (*_READER, _AT_LIST_ENTRY, _CHECK, _WORK, *let_go(_ENTRY), _NEXT, *let_go(*_TD), _LEAVE),
        stores_entry=True, is_list=True,
    ),
    Call(
        Leaf.EXPORT_UNBLOCKW, "TDH.EXPORT.UNBLOCKW", _MIGRATION + "tdh_export_unblockw.c",
        (*_ENTRY_READER, _CHECK, _WORK, *let_go(_ENTRY, *_TD), _LEAVE),
        stores_entry=True,
    ),
    Call(  # a busy entry or page ends the call, and in the in-order phase the whole import
        Leaf.IMPORT_MEM, "TDH.IMPORT.MEM", _MIGRATION + "tdh_import_mem.c",
        (*_MIGRATION_READER, _AT_LIST_ENTRY, _CHECK,
         take(_PAGE, _EX, Operand.NEW_PAGE_LIST_ENTRY), _WORK,
         *let_go(_ENTRY, _PAGE), _NEXT, *let_go(_MIGSC, _MIG, *_TD), _LEAVE),
        stores_entry=True,
    ),
    Call(
        Leaf.EXPORT_PAUSE, "TDH.EXPORT.PAUSE", _MIGRATION + "tdh_export_pause.c",
        (_ONLY_TDR_BY_RCX, _CHECK, _WORK, *let_go(_TDR), _LEAVE),
    ),
    Call(
        Leaf.IMPORT_TRACK, "TDH.IMPORT.TRACK", _MIGRATION + "tdh_import_track.c",
        (_ONLY_TDR_BY_RCX, _STREAM, _CHECK, _WORK, *let_go(_MIGSC, _TDR), _LEAVE),
    ),
    Call(
        Leaf.EXPORT_TRACK, "TDH.EXPORT.TRACK", _MIGRATION + "tdh_export_track.c",
        (_TDR_BY_RCX, take(_OP_STATE, _EX, Operand.OP_STATE), take(_MIG, _EX, Operand.MIG),
         _STREAM, _CHECK, _WORK, *let_go(_MIGSC, _MIG, _OP_STATE, _TDR), _LEAVE),
    ),
    Call(
        Leaf.EXPORT_STATE_VP, "TDH.EXPORT.STATE.VP", _MIGRATION + "tdh_export_state_vp.c",
        (take(_TDVPR, _EX, _RCX, Delay.TO_TDR), _TDR_OF_VCPU, _OP_STATE_SHARED, _STREAM, _CHECK,
         _WORK, *let_go(_MIGSC, _OP_STATE, _TDR, _TDVPR), _LEAVE),
    ),
)  # fmt: skip


def module_version(name: str) -> ModuleVersion:
    """Return a version of the module by name.

    Raises:
        ScenarioError: There is none of that name.
    """
    if name not in MODULE_VERSIONS:
        known = ", ".join(MODULE_VERSIONS)
        raise ScenarioError(f"module version {name!r} is unknown, must be one of: {known}")
    return MODULE_VERSIONS[name]


def _exclusive(steps: tuple[Step, ...], lock: Lock) -> tuple[Step, ...]:
    """Return the steps with one lock exclusive."""
    return tuple(step._replace(mode=_EX) if step.lock == lock else step for step in steps)


def _without_poll(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps without their poll; the step after it takes over the poll's delay."""
    place = steps.index(_POLL)
    after = steps[place + 1]._replace(delay=_POLL.delay)
    return (*steps[:place], after, *steps[place + 2 :])


def _of_version(call: Call, version: ModuleVersion) -> Call:
    """Return a row as a version of the module has it."""
    steps = call.steps
    if version.remove_takes_tree_exclusive and call.leaf == Leaf.MEM_PAGE_REMOVE:
        steps = _exclusive(steps, Lock.TREE)
    if version.vp_init_takes_tdr_exclusive and call.leaf == Leaf.VP_INIT:
        steps = _exclusive(steps, Lock.TDR)
    if not version.demote_is_interruptible and call.leaf == Leaf.MEM_PAGE_DEMOTE:
        steps = _without_poll(steps)
    return replace(call, steps=with_release_modes(steps))


@functools.cache
def calls(version: str = DEFAULT_VERSION) -> Mapping[Leaf, Call]:
    """Return the table: a row for each leaf, in the order of `Leaf`.

    Raises:
        ScenarioError: There is no such version.
    """
    module = module_version(version)
    return MappingProxyType({call.leaf: _of_version(call, module) for call in _ROWS_BY_LEAF})


def program(version: str = DEFAULT_VERSION) -> NDArray[np.void]:
    """Return the table as an array of `STEP`, shape (N_LEAVES, MAX_STEPS).

    What is left of a row is filled with Op.RETURN.

    Raises:
        ScenarioError: There is no such version.
    """
    steps = np.empty((N_LEAVES, MAX_STEPS), STEP)
    steps[:] = tuple(Step(Op.RETURN))
    for leaf, call in calls(version).items():
        for place, step in enumerate(call.steps):
            steps[leaf, place] = tuple(step)
    return steps


def call_flags(flag: str) -> NDArray[np.bool_]:
    """Return one of the flags of `Call` for each leaf, shape (N_LEAVES,)."""
    return np.array([getattr(call, flag) for call in _ROWS_BY_LEAF], np.bool_)


_ROWS_BY_LEAF = sorted(_ROWS, key=lambda call: call.leaf)
STORES_ENTRY = call_flags("stores_entry")
IS_GUEST = call_flags("is_guest")
