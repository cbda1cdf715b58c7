"""What a row of the table of calls is made of, and the steps that many rows share."""

from dataclasses import dataclass
from typing import NamedTuple

from tdx_env.module.operands import Operand
from tdx_env.state.calls import NONE, Delay, Leaf, Lock, Mode, Op


class Step(NamedTuple):
    """One step of a call; the fields are those of the dtype `STEP`."""

    op: Op
    lock: int = NONE  # a Lock, or NONE
    mode: Mode = Mode.SHARED
    operand: int = 0
    delay: Delay = Delay.NONE


@dataclass(frozen=True)
class Call:
    """One call into the module.

    Attributes:
        leaf: Its number in our tables.
        name: Its full name.
        source: File of the module that it is read from.
        steps: What it does, in order, on its way to success.
        is_guest: A TDCALL; host priority can refuse it.
        stores_entry: Success publishes the S-EPT entry with a commit store.
        keeps_mark: That store keeps a host-priority mark set since the entry was locked; a plain
            store, as 1.5.01 has it, erases such a mark.
        holds_after_return: Locks that it keeps, shared, when it returns: until TD exit.
        momentary: Locks that it holds for a handful of instructions only.
        is_list: It works through a list; a busy entry is noted there and doesn't end the call.
        walked: Locks of 4K pages that it reaches by a walk through the PAMT, sharing the entry of
            the 2M range on its way; other pages it reaches directly.
        remark: What else there is to know wherever somebody meets it.
    """

    leaf: Leaf
    name: str
    source: str
    steps: tuple[Step, ...]
    is_guest: bool = False
    stores_entry: bool = False
    keeps_mark: bool = False
    holds_after_return: frozenset[Lock] = frozenset()
    momentary: frozenset[Lock] = frozenset()
    is_list: bool = False
    walked: frozenset[Lock] = frozenset()
    remark: str = ""

    @property
    def erases_mark(self) -> bool:
        """Say whether success erases a mark set since the entry was locked."""
        return self.stores_entry and not self.keeps_mark

    @property
    def is_interruptible(self) -> bool:
        """Say whether a pending interrupt can end the call at one of its steps."""
        return any(step.op in (Op.POLL, Op.NEXT) for step in self.steps)


def take(lock: Lock, mode: Mode, operand: Operand, delay: Delay = Delay.NONE) -> Step:
    """Return the step that tries a lock once."""
    return Step(Op.ACQUIRE, lock, mode, int(operand), delay)


def let_go(*locks: Lock, delay: Delay = Delay.NONE) -> tuple[Step, ...]:
    """Return the steps that release locks in this order, the first one after a delay.

    Their modes are filled in by `with_release_modes`.
    """
    first = Step(Op.RELEASE, locks[0], delay=delay)
    return (first, *(Step(Op.RELEASE, lock) for lock in locks[1:]))


def with_release_modes(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps with each release in the mode in which its lock was taken."""
    modes: dict[int, Mode] = {}
    filled = []
    for step in steps:
        if step.op in (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED):
            modes[step.lock] = step.mode
        if step.op == Op.RELEASE:
            step = step._replace(mode=modes[step.lock])
        filled.append(step)
    return tuple(filled)


CHECK = Step(Op.CHECK)
COMMIT = Step(Op.COMMIT)
WORK = Step(Op.COMMIT, delay=Delay.BODY)
POLL = Step(Op.POLL, delay=Delay.BODY)
NEXT = Step(Op.NEXT)
LEAVE = Step(Op.RETURN, delay=Delay.LEAVE)

TDR_BY_RDX = take(Lock.TDR, Mode.SHARED, Operand.RDX, Delay.TO_TDR)
TDR_BY_RCX = take(Lock.TDR, Mode.SHARED, Operand.RCX, Delay.TO_TDR)
TDR_OF_VCPU = take(Lock.TDR, Mode.SHARED, Operand.TDR)
ONLY_TDR_BY_RDX = take(Lock.TDR, Mode.EXCLUSIVE, Operand.RDX, Delay.TO_TDR)
ONLY_TDR_BY_RCX = take(Lock.TDR, Mode.EXCLUSIVE, Operand.RCX, Delay.TO_TDR)
OP_STATE_SHARED = take(Lock.OP_STATE, Mode.SHARED, Operand.OP_STATE)
TREE_SHARED = take(Lock.TREE, Mode.SHARED, Operand.SEPT_TREE, Delay.TO_TREE)
AT_ENTRY = take(Lock.ENTRY, Mode.EXCLUSIVE, Operand.RCX, Delay.TO_ENTRY)

READER = (TDR_BY_RDX, OP_STATE_SHARED, TREE_SHARED)
TD = (Lock.TREE, Lock.OP_STATE, Lock.TDR)  # in the order in which most calls let go of them
