"""Fewer CPUs than vCPU threads: who runs, who waits, who moves (section 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, State
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost

from . import seamcalls
from .actors import Actor, book, go

if TYPE_CHECKING:
    from .world import OracleWorld


def start(w: OracleWorld) -> None:
    """Give the CPUs to the first threads that want to run; the others queue."""
    w.cpu_thread = [None] * w.n_pcpus
    if not w.n_pcpus:
        return
    for v in [v for v in w.vcpus if v.state == State.RUN_LOOP]:
        if None in w.cpu_thread:
            take(w, v, w.cpu_thread.index(None))
        else:
            enqueue(w, v)


def take(w: OracleWorld, v: Actor, cpu: int) -> None:
    """Give a free CPU to a thread, note whether it had another one before."""
    assert w.cpu_thread[cpu] is None
    if v.cpu not in (NONE, cpu):
        v.is_moved = True
        w.n_moves += 1
    w.cpu_thread[cpu] = v
    v.cpu = cpu
    v.slice_end = w.now + w.costs[Cost.SLICE]


def enqueue(w: OracleWorld, v: Actor) -> None:
    """Let a thread wait for a CPU."""
    w.run_queue.append(v)
    go(w, v, State.RUNNABLE, Category.RUNNABLE, None)


def is_preempted(w: OracleWorld, v: Actor) -> bool:
    """Return whether it is another thread's turn."""
    return bool(w.run_queue) and w.now >= v.slice_end


def preempt(w: OracleWorld, v: Actor) -> None:
    """Give the CPU to a thread that waited before, and queue behind the others."""
    give_on(w, v)
    enqueue(w, v)


def give_on(w: OracleWorld, v: Actor) -> None:
    """Give the thread's CPU to one that waits, rather one that wouldn't have to move."""
    cpu = v.cpu
    w.cpu_thread[cpu] = None
    if not w.run_queue:
        return
    stay = (other for other in w.run_queue if other.cpu in (NONE, cpu))
    following = next(stay, w.run_queue[0])
    w.run_queue.remove(following)
    book(w, following)
    take(w, following, cpu)
    w.n_switches += 1
    switch = w.costs[Cost.SWITCH]
    following.slice_end += switch
    if following.is_mid_zap:
        following.is_mid_zap = False
        cycles = switch + w.costs[Cost.RESCHED]
        go(w, following, State.RESCHED, Category.MMU_LOCK_WAIT, cycles)
        return
    go(w, following, State.RUN_LOOP, following.trip, switch + w.costs[Cost.RUN_LOOP])


def give_away(w: OracleWorld, a: Actor) -> None:
    """Let another thread run between two pages of a zap."""
    if a.is_vcpu:
        a.is_mid_zap = True
        preempt(w, a)
        return
    others = 2 * w.costs[Cost.SWITCH] + w.costs[Cost.SLICE]
    go(w, a, State.RESCHED, Category.RUNNABLE, others)
    a.slice_end = a.due + w.costs[Cost.SLICE]


def renew(w: OracleWorld, a: Actor) -> None:
    """A host task that has slept has all of its slice before it."""
    if not a.is_vcpu:
        a.slice_end = w.now + w.costs[Cost.SLICE]


def leave(w: OracleWorld, v: Actor) -> None:
    """A halted thread needs no CPU."""
    if w.n_pcpus:
        give_on(w, v)


def wake(w: OracleWorld, v: Actor) -> None:
    """A thread in its run loop, just woken, needs a CPU: its own, any free one, or the queue."""
    if not w.n_pcpus:
        return
    free = [cpu for cpu, thread in enumerate(w.cpu_thread) if thread is None]
    if v.cpu in free:
        take(w, v, v.cpu)
    elif free:
        take(w, v, free[0])
    else:
        enqueue(w, v)


def load(w: OracleWorld, v: Actor) -> None:
    """The CPU that the thread had before has to flush its state first."""
    v.is_moved = False
    steps = (Cost.KICK_TARGET, Cost.KICK_ICR, Cost.IPI_DELIVERY, Cost.KICK_HANDLER)
    ipi = sum(w.costs[step] for step in steps)
    go(w, v, State.VCPU_LOAD, Category.HOST_WORK, ipi)


def on_vcpu_load(w: OracleWorld, v: Actor) -> None:
    """The old CPU answered: flush."""
    book(w, v)
    v.path = CallPath.ENTER
    seamcalls.new_call(w, v, Leaf.VP_FLUSH, None)


HANDLERS = {State.VCPU_LOAD: on_vcpu_load}
