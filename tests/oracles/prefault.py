"""KVM_PRE_FAULT_MEMORY: a host task that walks the fault path (section 8.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import faults, slots, tasks
from .actors import Actor, begin_operation

if TYPE_CHECKING:
    from .world import OracleWorld


def begin(w: OracleWorld, a: Actor) -> None:
    """Begin with the item's first unit."""
    tasks.set_cursor(w, a)
    next_unit(w, a)


def next_unit(w: OracleWorld, a: Actor) -> None:
    """Fault on the next unit, or finish the item."""
    if a.cursor == a.cursor_end:
        slots.quiescent(w, a)
        tasks.finish_task_item(w, a)
        return
    a.fault_entry = w.table.entries[a.cursor]
    a.accept_fault = a.refault = a.repeats = a.synthetic = 0
    begin_operation(w, a)
    faults.begin_fault_pass(w, a)


def pass_over(w: OracleWorld, a: Actor) -> None:
    """The unit is not private: the fault is nobody's."""
    a.operation_started = None
    a.cursor += 1
    next_unit(w, a)


def resolved(w: OracleWorld, a: Actor) -> None:
    """The unit is there."""
    w.last_progress = w.now
    a.cursor += 1
    next_unit(w, a)
