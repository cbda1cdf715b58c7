"""Which lock a busy status speaks of."""

import pytest

from tdx_env.module import Operand, calls
from tdx_env.module.operand_classes import OperandClass, operand_class
from tdx_env.state.calls import LAST_SEAMCALL, Leaf, Lock, Op


def busy_replies():
    """Yield (leaf, operand, lock) of every lock that may end a host call with a busy reply."""
    for leaf, call in calls().items():
        for step in call.steps:
            is_try = step.op in (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED)
            if leaf <= LAST_SEAMCALL and is_try and step.operand != Operand.GPA_LIST_ENTRY:
                yield leaf, step.operand, step.lock


WITHOUT_ENTRY = (Leaf.PHYMEM_PAGE_WBINVD, Leaf.VP_CREATE, Leaf.VP_ADDCX)


@pytest.mark.parametrize(("leaf", "operand", "lock"), list(busy_replies()))
def test_operand_class_names_the_lock_of_the_module_s_table(leaf, operand, lock):
    named = {
        Lock.TREE: OperandClass.TREE,
        Lock.ENTRY: OperandClass.ENTRY,
        Lock.EPOCH: OperandClass.EPOCH,
        Lock.TDR: OperandClass.TDR,
    }
    expected = named.get(lock, OperandClass.OTHER)
    if lock == Lock.PAGE and operand == 1 and leaf not in WITHOUT_ENTRY:
        expected = OperandClass.ENTRY  # RCX stands for the entry and for its page
    assert operand_class(leaf, operand) == expected


@pytest.mark.parametrize("operand", [Operand.MIGSC, Operand.MIG])
def test_locks_of_a_migration_are_other(operand):
    assert operand_class(Leaf.EXPORT_MEM, operand) == OperandClass.OTHER


def test_rdx_is_the_tdr_but_in_vp_addcx_the_vcpu():
    assert operand_class(Leaf.VP_CREATE, Operand.RDX) == OperandClass.TDR
    assert operand_class(Leaf.VP_ADDCX, Operand.RDX) == OperandClass.OTHER
    assert operand_class(Leaf.VP_ADDCX, Operand.TDR) == OperandClass.TDR


def test_unknown_operands_are_other():
    assert operand_class(Leaf.MEM_TRACK, 1 << 31) == OperandClass.OTHER
    assert operand_class(Leaf.MEM_TRACK, -1) == OperandClass.OTHER
