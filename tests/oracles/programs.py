"""The lock programs of the SEAMCALLs, from the order of locks in the module's source."""

from tdx_env.module.operands import Operand
from tdx_env.state.calls import NONE, Delay, Leaf, Lock, Mode, Op

from .versions import RULES, Rules

SHARED, EXCLUSIVE = Mode.SHARED, Mode.EXCLUSIVE
Step = tuple[Op, int, int, int, Delay]  # op, lock, mode, operand, delay before it
LISTS = {Leaf.EXPORT_BLOCKW, Leaf.EXPORT_MEM}


def _take(lock: Lock, mode: Mode, operand: int, delay: Delay = Delay.NONE) -> Step:
    return (Op.ACQUIRE, lock, mode, operand, delay)


def _drop(lock: Lock, delay: Delay = Delay.NONE) -> Step:
    return (Op.RELEASE, lock, SHARED, 0, delay)


def _do(op: Op, delay: Delay = Delay.NONE) -> Step:
    return (op, NONE, SHARED, 0, delay)


def _sept_call(tree: Mode, page_operand: int) -> list[Step]:
    """A call on one S-EPT entry: TDR, OP_STATE, tree, entry and perhaps a page."""
    page = [_take(Lock.PAGE, EXCLUSIVE, page_operand)] if page_operand != NONE else []
    return [
        _take(Lock.TDR, SHARED, Operand.RDX, Delay.TO_TDR),
        _take(Lock.OP_STATE, SHARED, Operand.OP_STATE),
        _take(Lock.TREE, tree, Operand.SEPT_TREE, Delay.TO_TREE),
        _take(Lock.ENTRY, EXCLUSIVE, Operand.RCX, Delay.TO_ENTRY),
        _do(Op.CHECK),
        *page,
        _do(Op.COMMIT, Delay.BODY),
        _drop(Lock.ENTRY),
        _drop(Lock.PAGE),
        _drop(Lock.TREE),
        _drop(Lock.OP_STATE),
        _drop(Lock.TDR),
        _do(Op.RETURN, Delay.LEAVE),
    ]


def _list_call(is_export: bool) -> list[Step]:
    """A call on a list of S-EPT entries, with the migration locks or without."""
    migration = [_take(Lock.MIG, SHARED, Operand.MIG), _take(Lock.MIGSC, EXCLUSIVE, Operand.MIGSC)]
    return [
        _take(Lock.TDR, SHARED, Operand.RDX, Delay.TO_TDR),
        _take(Lock.OP_STATE, SHARED, Operand.OP_STATE),
        *(migration if is_export else []),
        _take(Lock.TREE, SHARED, Operand.SEPT_TREE, Delay.TO_TREE),
        _take(Lock.ENTRY, EXCLUSIVE, Operand.GPA_LIST_ENTRY, Delay.TO_ENTRY),
        _do(Op.CHECK),
        _do(Op.COMMIT, Delay.BODY),
        _drop(Lock.ENTRY),
        _do(Op.NEXT),
        _drop(Lock.MIGSC),
        _drop(Lock.TREE),
        _drop(Lock.MIG),
        _drop(Lock.OP_STATE),
        _drop(Lock.TDR),
        _do(Op.RETURN, Delay.LEAVE),
    ]


def _demote(is_interruptible: bool) -> list[Step]:
    """DEMOTE: a new S-EPT page, and a poll after the work if the module has one."""
    poll = [_do(Op.POLL, Delay.BODY)] if is_interruptible else []
    page_delay = Delay.NONE if is_interruptible else Delay.BODY
    return [
        _take(Lock.TDR, SHARED, Operand.RDX, Delay.TO_TDR),
        _take(Lock.OP_STATE, SHARED, Operand.OP_STATE),
        _take(Lock.TREE, SHARED, Operand.SEPT_TREE, Delay.TO_TREE),
        _take(Lock.ENTRY, EXCLUSIVE, Operand.RCX, Delay.TO_ENTRY),
        _do(Op.CHECK),
        _take(Lock.NEW_PAGE, EXCLUSIVE, Operand.R8),
        *poll,
        _take(Lock.PAGE, EXCLUSIVE, Operand.RCX, page_delay),
        _do(Op.COMMIT),
        _drop(Lock.ENTRY),
        _drop(Lock.TREE),
        _drop(Lock.OP_STATE),
        _drop(Lock.TDR),
        _do(Op.RETURN, Delay.LEAVE),
    ]


def _vcpu_call(tdr: Mode, has_op_state: bool) -> list[Step]:
    """A call on a vCPU that is not running: TDVPR, TDR and perhaps OP_STATE."""
    op_state = [_take(Lock.OP_STATE, SHARED, Operand.OP_STATE)] if has_op_state else []
    return [
        _take(Lock.TDVPR, EXCLUSIVE, Operand.RCX, Delay.TO_TDR),
        _take(Lock.TDR, tdr, Operand.TDR),
        *op_state,
        _do(Op.CHECK),
        _do(Op.COMMIT, Delay.BODY),
        _drop(Lock.OP_STATE),
        _drop(Lock.TDR),
        _do(Op.RETURN, Delay.LEAVE),
    ]


_TRACK = [
    _take(Lock.TDR, SHARED, Operand.RCX, Delay.TO_TDR),
    _take(Lock.OP_STATE, SHARED, Operand.OP_STATE),
    _take(Lock.EPOCH, EXCLUSIVE, Operand.TD_EPOCH, Delay.TO_EPOCH),
    _do(Op.CHECK),
    _do(Op.COMMIT, Delay.EPOCH_HOLD),
    _drop(Lock.EPOCH),
    _drop(Lock.OP_STATE, Delay.BODY),
    _drop(Lock.TDR),
    _do(Op.RETURN, Delay.LEAVE),
]
_VP_ENTER = [
    _take(Lock.TDVPR, SHARED, Operand.RCX, Delay.TO_TDR),
    _take(Lock.TDR, SHARED, Operand.TDR),
    _take(Lock.OP_STATE, SHARED, Operand.OP_STATE),
    _take(Lock.EPOCH, SHARED, Operand.TD_EPOCH, Delay.TO_EPOCH),
    _do(Op.COMMIT),
    _drop(Lock.EPOCH, Delay.EPOCH_HOLD),
    (Op.ACQUIRE_IF_ARMED, Lock.TREE, EXCLUSIVE, Operand.SEPT_TREE, Delay.NONE),
    _do(Op.CHECK, Delay.ARMED_WALK),
    _drop(Lock.OP_STATE, Delay.BODY),
    _drop(Lock.TREE),
    _do(Op.RETURN, Delay.LEAVE),
]
_PAGE_ADD = [
    _take(Lock.TDR, EXCLUSIVE, Operand.RDX, Delay.TO_TDR),
    _do(Op.CHECK),
    _take(Lock.PAGE, EXCLUSIVE, Operand.R8),
    _do(Op.COMMIT, Delay.BODY),
    _drop(Lock.PAGE),
    _drop(Lock.TDR),
    _do(Op.RETURN, Delay.LEAVE),
]
_MR_EXTEND = [
    _take(Lock.TDR, EXCLUSIVE, Operand.RDX, Delay.TO_TDR),
    _drop(Lock.TDR, Delay.BODY),
    _do(Op.RETURN, Delay.LEAVE),
]
_WBINVD = [
    _take(Lock.PAGE, SHARED, Operand.RCX, Delay.TO_TDR),
    _drop(Lock.PAGE, Delay.BODY),
    _do(Op.RETURN, Delay.LEAVE),
]
_VP_CREATE = [
    _take(Lock.TDR, SHARED, Operand.RDX, Delay.TO_TDR),
    _take(Lock.OP_STATE, SHARED, Operand.OP_STATE),
    _take(Lock.PAGE, EXCLUSIVE, Operand.RCX),
    _do(Op.CHECK),
    _do(Op.COMMIT, Delay.BODY),
    _drop(Lock.OP_STATE),
    _drop(Lock.TDR),
    _do(Op.RETURN, Delay.LEAVE),
]


def _vp_enter(armed_tree: Mode) -> list[Step]:
    """VP.ENTER: an armed vCPU takes the tree as well."""
    place = [step[0] for step in _VP_ENTER].index(Op.ACQUIRE_IF_ARMED)
    armed = (Op.ACQUIRE_IF_ARMED, Lock.TREE, armed_tree, Operand.SEPT_TREE, Delay.NONE)
    return [*_VP_ENTER[:place], armed, *_VP_ENTER[place + 1 :]]


def _programs(module: Rules) -> dict[Leaf, list[Step]]:
    remove_tree = EXCLUSIVE if module.remove_alone else SHARED
    init_tdr = EXCLUSIVE if module.init_alone else SHARED
    armed_tree = SHARED if module.armed_shares else EXCLUSIVE
    return {
        Leaf.MEM_SEPT_ADD: _sept_call(SHARED, Operand.R8),
        Leaf.MEM_PAGE_AUG: _sept_call(SHARED, Operand.R8),
        Leaf.MEM_PAGE_REMOVE: _sept_call(remove_tree, Operand.RCX),
        Leaf.MEM_RANGE_BLOCK: _sept_call(EXCLUSIVE, NONE),
        Leaf.MEM_RANGE_UNBLOCK: _sept_call(EXCLUSIVE, NONE),
        Leaf.EXPORT_UNBLOCKW: _sept_call(SHARED, NONE),
        Leaf.MEM_PAGE_DEMOTE: _demote(module.demote_polls),
        Leaf.MEM_TRACK: _TRACK,
        Leaf.VP_ENTER: _vp_enter(armed_tree),
        Leaf.MEM_PAGE_ADD: _PAGE_ADD,
        Leaf.MR_EXTEND: _MR_EXTEND,
        Leaf.PHYMEM_PAGE_WBINVD: _WBINVD,
        Leaf.EXPORT_BLOCKW: _list_call(is_export=False),
        Leaf.EXPORT_MEM: _list_call(is_export=True),
        Leaf.VP_FLUSH: _vcpu_call(SHARED, has_op_state=False),
        Leaf.VP_ADDCX: _vcpu_call(SHARED, has_op_state=True),
        Leaf.VP_INIT: _vcpu_call(init_tdr, has_op_state=True),
        Leaf.VP_CREATE: _VP_CREATE,
    }


PROGRAMS = {name: _programs(module) for name, module in RULES.items()}
