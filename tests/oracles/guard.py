"""slots_lock, the build guard, and what runs under it: pages and vCPUs of a new TD (8.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Purpose, State, Task
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost

from . import exits, mmu, pamt, seamcalls, slots, tasks
from .actors import Actor, book, go

if TYPE_CHECKING:
    from .world import OracleWorld

EXTENDS = 16  # MR.EXTEND calls for a page
CONTROL_PAGES = 5  # VP.ADDCX calls for a vCPU


def request(w: OracleWorld, a: Actor, purpose: Purpose) -> None:
    """Take the guard and go on, or sleep until it is free."""
    a.purpose = purpose
    w.meet(purpose)
    if w.guard.request(a.number):
        go_on(w, a)
    else:
        go(w, a, State.GUARD_WAIT, Category.YIELD, None)


def release(w: OracleWorld, a: Actor) -> None:
    """Hand the guard to the next in the queue, if held."""
    if w.guard.owner == a.number:
        following = w.guard.release()
        if following != NONE:
            w.actors[following].due = w.now + w.costs[Cost.MMU_HANDOFF]


def on_guard_wait(w: OracleWorld, a: Actor) -> None:
    """The guard was handed over."""
    book(w, a)
    go_on(w, a)


def go_on(w: OracleWorld, a: Actor) -> None:
    """Go on with the guard held, or without if none is asked for."""
    if a.purpose == Purpose.CALL_AGAIN and a.call.leaf == Leaf.VP_INIT:
        initialise(w, a)
    elif a.purpose == Purpose.CALL_AGAIN and a.call.leaf == Leaf.MEM_PAGE_ADD:
        assert a.call.entry is not None
        pamt.add(w, a, Leaf.MEM_PAGE_ADD, a.call.entry)
    elif a.purpose == Purpose.CALL_AGAIN:
        seamcalls.new_call(w, a, Leaf(a.call.leaf), a.call.entry)
    elif a.kind == Task.SLOT_DELETE:
        slots.delete(w, a)
    elif a.kind == Task.BUILD:
        a.path = CallPath.BUILD
        tasks.set_cursor(w, a)
        pamt.add(w, a, Leaf.MEM_PAGE_ADD, w.table.entries[a.cursor])
    else:
        assert a.kind == Task.INIT_VCPU
        a.path = CallPath.BUILD
        seamcalls.new_call(w, a, Leaf.VP_CREATE, None)


def begin_build(w: OracleWorld, a: Actor, purpose: Purpose) -> None:
    """Begin an ioctl that builds the TD, or call it again; under the guard if there is one."""
    if w.kernel.build_guard:
        request(w, a, purpose)
    else:
        a.purpose = purpose
        go_on(w, a)


def initialise(w: OracleWorld, a: Actor) -> None:
    """VP.INIT; from 6.19 on under mmu_lock held for write."""
    if w.kernel.vp_init_locked:
        mmu.request(w, a, True, Purpose.VP_INIT)
    else:
        seamcalls.new_call(w, a, Leaf.VP_INIT, None)


def give_way(w: OracleWorld, a: Actor) -> None:
    """A call is busy: a page's PAMT goes back, then somebody tries again."""
    leaf, entry = a.call.leaf, a.call.entry
    if leaf == Leaf.MEM_PAGE_ADD and entry is not None and pamt.is_counted(w, leaf, entry):
        pamt.put(w, a, Purpose.RETURNED)
    else:
        given_up(w, a)


def given_up(w: OracleWorld, a: Actor) -> None:
    """The kernel (PAGE.ADD, from 6.19 on) or user space tries again."""
    if a.call.leaf == Leaf.MEM_PAGE_ADD and w.kernel.add_retried:
        a.purpose = Purpose.CALL_AGAIN
        go(w, a, State.RESCHED, Category.UNWIND, w.costs[Cost.UNWIND])
    else:
        to_user_space(w, a)


def to_user_space(w: OracleWorld, a: Actor) -> None:
    """Return -EAGAIN to user space, which calls again."""
    mmu.release(w, a)
    release(w, a)
    exits.to_user_space(w, a, Category.YIELD)


def built(w: OracleWorld, a: Actor) -> None:
    """One call of the ioctl is done: the next one, or the item's end."""
    match a.call.leaf:
        case Leaf.MEM_PAGE_ADD:
            a.extends = EXTENDS
            seamcalls.new_call(w, a, Leaf.MR_EXTEND, a.call.entry)
        case Leaf.VP_CREATE:
            a.extends = CONTROL_PAGES
            seamcalls.new_call(w, a, Leaf.VP_ADDCX, None)
        case Leaf.MR_EXTEND | Leaf.VP_ADDCX:
            part_done(w, a)
        case Leaf.VP_INIT:
            item_built(w, a)


def part_done(w: OracleWorld, a: Actor) -> None:
    """One of several equal calls is done: the next one, or what follows on the last."""
    a.extends -= 1
    if a.extends > 0:
        seamcalls.new_call(w, a, Leaf(a.call.leaf), a.call.entry)
    elif a.call.leaf == Leaf.VP_ADDCX:
        initialise(w, a)
    else:
        page_built(w, a)


def page_built(w: OracleWorld, a: Actor) -> None:
    """A page was added and measured."""
    a.cursor += 1
    if a.cursor < a.cursor_end:
        pamt.add(w, a, Leaf.MEM_PAGE_ADD, w.table.entries[a.cursor])
    else:
        item_built(w, a)


def item_built(w: OracleWorld, a: Actor) -> None:
    """All pages, or the vCPU, are there."""
    mmu.release(w, a)
    release(w, a)
    tasks.finish_task_item(w, a)


HANDLERS = {State.GUARD_WAIT: on_guard_wait}
