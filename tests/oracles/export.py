"""Live migration's export, list by list (section 8.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.actors import CallPath, Purpose
from tdx_env.state.calls import Leaf

from . import mmu, seamcalls, tasks
from .actors import Actor
from .sept import Entry

if TYPE_CHECKING:
    from .world import OracleWorld


def begin(w: OracleWorld, a: Actor) -> None:
    """Begin with the list of the item's pages."""
    a.path = CallPath.EXPORT
    a.failed = 0
    tasks.set_cursor(w, a)
    seamcalls.new_call(w, a, Leaf.EXPORT_BLOCKW, page(w, a))


def page(w: OracleWorld, a: Actor) -> Entry:
    """Return the page that the list has come to."""
    return w.table.entries[a.cursor]


def all_passed(w: OracleWorld, a: Actor) -> None:
    """BLOCKW came to the end of its list: again if entries were busy, else TRACK."""
    if a.failed > 0:
        begin(w, a)
    else:
        mmu.request(w, a, True, Purpose.EXPORT)


def locked(w: OracleWorld, a: Actor) -> None:
    """mmu_lock is held: TRACK."""
    tasks.set_cursor(w, a)
    seamcalls.new_call(w, a, Leaf.MEM_TRACK, page(w, a))


def tracked(w: OracleWorld, a: Actor) -> None:
    """Nobody can write to the blocked pages any more: export them."""
    mmu.release(w, a)
    tasks.set_cursor(w, a)
    seamcalls.new_call(w, a, Leaf.EXPORT_MEM, page(w, a))
