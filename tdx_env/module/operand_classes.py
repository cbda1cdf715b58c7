"""Which lock a busy status speaks of: one table for the kernel, observations and policies."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tdx_env.jit import kernel
from tdx_env.module.operands import Operand
from tdx_env.state.calls import N_LEAVES, Leaf


class OperandClass(IntEnum):
    """Which lock a busy status speaks of."""

    TREE = 0
    ENTRY = 1
    EPOCH = 2
    TDR = 3
    OTHER = 4


N_OPERANDS = 256  # the module's operand ids are smaller
ENTRY_LEAVES = [
    Leaf.MEM_SEPT_ADD,
    Leaf.MEM_PAGE_AUG,
    Leaf.MEM_PAGE_REMOVE,
    Leaf.MEM_RANGE_BLOCK,
    Leaf.MEM_RANGE_UNBLOCK,
    Leaf.MEM_PAGE_DEMOTE,
    Leaf.EXPORT_UNBLOCKW,
]
_OTHER = int(OperandClass.OTHER)


def _operand_classes() -> NDArray[np.int64]:
    """Return the class of each operand id of each leaf, shape (N_LEAVES, N_OPERANDS).

    Source:
        TDX module 1.5, check_lock_and_map_explicit_tdr and the callers of the other locks: RCX is
        the entry in the S-EPT calls, the TDR in TRACK, the vCPU in VP.ENTER, the page in WBINVD;
        RDX is the TDR but in VP.ADDCX, where it is the vCPU. A busy entry of a list (operand 97)
        doesn't end its call and is no decision.
    """
    classes = np.full((N_LEAVES, N_OPERANDS), OperandClass.OTHER, np.int64)
    classes[:, Operand.SEPT_TREE] = OperandClass.TREE
    classes[:, Operand.TD_EPOCH] = OperandClass.EPOCH
    classes[:, [Operand.RDX, Operand.TDR]] = OperandClass.TDR
    classes[Leaf.MEM_TRACK, Operand.RCX] = OperandClass.TDR
    classes[Leaf.VP_ADDCX, Operand.RDX] = OperandClass.OTHER
    classes[ENTRY_LEAVES, Operand.RCX] = OperandClass.ENTRY
    return classes


_OPERAND_CLASS = _operand_classes()


@kernel
def operand_class(leaf: int, operand: int) -> int:
    """Return which lock a busy status speaks of, an `OperandClass`.

    Args:
        leaf: The `Leaf` that was busy.
        operand: The operand id of its status.
    """
    if 0 <= leaf < N_LEAVES and 0 <= operand < N_OPERANDS:
        return int(_OPERAND_CLASS[leaf, operand])
    return _OTHER
