"""The lock programs of the SEAMCALLs, from the order of locks in the module's source."""

from tdx_env.state.calls import NONE, Delay, Leaf, Lock, Mode, Op

SHARED, EXCLUSIVE = Mode.SHARED, Mode.EXCLUSIVE
Step = tuple[Op, int, int, int, Delay]  # op, lock, mode, operand, delay before it


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
        _take(Lock.TDR, SHARED, 2, Delay.TO_TDR),
        _take(Lock.OP_STATE, SHARED, 172),
        _take(Lock.TREE, tree, 146, Delay.TO_TREE),
        _take(Lock.ENTRY, EXCLUSIVE, 1, Delay.TO_ENTRY),
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


PROGRAMS: dict[Leaf, list[Step]] = {
    Leaf.MEM_SEPT_ADD: _sept_call(SHARED, 8),
    Leaf.MEM_PAGE_AUG: _sept_call(SHARED, 8),
    Leaf.MEM_PAGE_REMOVE: _sept_call(SHARED, 1),
    Leaf.MEM_RANGE_BLOCK: _sept_call(EXCLUSIVE, NONE),
    Leaf.MEM_RANGE_UNBLOCK: _sept_call(EXCLUSIVE, NONE),
    Leaf.MEM_TRACK: [
        _take(Lock.TDR, SHARED, 1, Delay.TO_TDR),
        _take(Lock.OP_STATE, SHARED, 172),
        _take(Lock.EPOCH, EXCLUSIVE, 169, Delay.TO_EPOCH),
        _do(Op.CHECK),
        _do(Op.COMMIT, Delay.EPOCH_HOLD),
        _drop(Lock.EPOCH),
        _drop(Lock.OP_STATE, Delay.BODY),
        _drop(Lock.TDR),
        _do(Op.RETURN, Delay.LEAVE),
    ],
    Leaf.VP_ENTER: [
        _take(Lock.TDVPR, SHARED, 1, Delay.TO_TDR),
        _take(Lock.TDR, SHARED, 128),
        _take(Lock.OP_STATE, SHARED, 172),
        _take(Lock.EPOCH, SHARED, 169, Delay.TO_EPOCH),
        _do(Op.COMMIT),
        _drop(Lock.EPOCH, Delay.EPOCH_HOLD),
        (Op.ACQUIRE_IF_ARMED, Lock.TREE, EXCLUSIVE, 146, Delay.NONE),
        _do(Op.CHECK, Delay.ARMED_WALK),
        _drop(Lock.OP_STATE, Delay.BODY),
        _drop(Lock.TREE),
        _do(Op.RETURN, Delay.LEAVE),
    ],
    Leaf.MEM_PAGE_ADD: [
        _take(Lock.TDR, EXCLUSIVE, 2, Delay.TO_TDR),
        _do(Op.CHECK),
        _take(Lock.PAGE, EXCLUSIVE, 8),
        _do(Op.COMMIT, Delay.BODY),
        _drop(Lock.PAGE),
        _drop(Lock.TDR),
        _do(Op.RETURN, Delay.LEAVE),
    ],
    Leaf.MR_EXTEND: [
        _take(Lock.TDR, EXCLUSIVE, 2, Delay.TO_TDR),
        _drop(Lock.TDR, Delay.BODY),
        _do(Op.RETURN, Delay.LEAVE),
    ],
    Leaf.PHYMEM_PAGE_WBINVD: [
        _take(Lock.PAGE, SHARED, 1, Delay.TO_TDR),
        _drop(Lock.PAGE, Delay.BODY),
        _do(Op.RETURN, Delay.LEAVE),
    ],
}
