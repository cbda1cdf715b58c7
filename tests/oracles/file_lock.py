"""Conversion in place: who sleeps on the guest_memfd file's lock (8.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import Purpose, State
from tdx_env.state.calls import NONE
from tdx_env.state.costs import Cost

from . import cpus, faults, mmu
from .actors import Actor, book, go

if TYPE_CHECKING:
    from .world import OracleWorld


def is_free(w: OracleWorld) -> bool:
    """Return whether a fault passes without waiting."""
    return w.file_lock.writer == NONE and not w.file_lock.queue


def take(w: OracleWorld, a: Actor, is_write: bool, purpose: Purpose) -> None:
    """Take the lock and go on, or sleep."""
    a.purpose = purpose
    w.meet(purpose)
    if w.file_lock.request(a.number, is_write):
        go_on(w, a)
    else:
        go(w, a, State.FILE_WAIT, Category.YIELD, None)


def drop(w: OracleWorld, a: Actor) -> None:
    """Let go, if held, and wake those who come next."""
    if w.file_lock.is_held_by(a.number):
        for following in w.file_lock.release(a.number):
            w.actors[following].due = w.now + w.costs[Cost.MMU_HANDOFF]


def on_wait(w: OracleWorld, a: Actor) -> None:
    """The lock was handed over."""
    book(w, a)
    go_on(w, a)


def go_on(w: OracleWorld, a: Actor) -> None:
    """A conversion begins; a fault that slept is stale and starts over."""
    if a.purpose == Purpose.ZAP:
        cpus.renew(w, a)
        mmu.request(w, a, True, Purpose.ZAP)
    else:
        drop(w, a)
        faults.another_pass(w, a, True)


HANDLERS = {State.FILE_WAIT: on_wait}
