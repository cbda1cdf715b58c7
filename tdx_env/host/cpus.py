"""Fewer CPUs than vCPU threads: who runs, who waits in the queue, who is moved.

# MODEL: one queue for all CPUs; a thread is preempted in KVM's run loop, where the tick that ended
its slice has led it, and between two pages of a zap; a thread that waits for a lock or at the gate
keeps its CPU. Host tasks have CPUs of their own.
"""

from tdx_env.host.tasks import is_vcpu
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, Purpose, State
from tdx_env.state.agenda import wake_at
from tdx_env.state.booking import book
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE
from tdx_env.state.costs import Cost
from tdx_env.state.setup import Resched
from tdx_env.state.world import World


@inner
def queue_for_cpu(world: World, vcpu: int) -> None:
    """Put a thread that has no CPU at the queue's tail."""
    run = world.run
    me = world.actors["row"][vcpu]
    me["state"] = State.RUNNABLE
    me["category"] = Category.RUNNABLE
    me["queue_next"] = NONE
    world.actors["due"][vcpu] = NEVER
    if run["run_first"] == NONE:
        run["run_first"] = vcpu
    else:
        world.actors["row"][run["run_last"]]["queue_next"] = vcpu
    run["run_last"] = vcpu


@inner
def _take_from_queue(world: World, cpu: int) -> int:
    """Take the first thread off the queue that had this CPU or none yet, else the first one."""
    run = world.run
    before, chosen = NONE, run["run_first"]
    while chosen != NONE:
        had = world.actors["row"][chosen]["cpu"]
        if (had == cpu) | (had == NONE):
            break
        before, chosen = chosen, world.actors["row"][chosen]["queue_next"]
    if chosen == NONE:
        before, chosen = NONE, run["run_first"]
    following = world.actors["row"][chosen]["queue_next"]
    if before == NONE:
        run["run_first"] = following
    else:
        world.actors["row"][before]["queue_next"] = following
    if run["run_last"] == chosen:
        run["run_last"] = before
    return chosen


@inner
def put_on_cpu(world: World, vcpu: int, cpu: int) -> None:
    """Give a thread a CPU; on another one than before, VP.FLUSH has to come first."""
    run = world.run
    me = world.actors["row"][vcpu]
    if me["cpu"] != NONE and me["cpu"] != cpu:
        me["moved"] = 1
        run["n_moves"] += 1
    me["cpu"] = cpu
    me["slice_end"] = run["now"] + run["costs"][Cost.SLICE]
    run["cpu_thread"][cpu] = vcpu


@inner
def give_cpu_on(world: World, cpu: int) -> None:
    """Let the next thread have a CPU, or leave it free."""
    run = world.run
    run["cpu_thread"][cpu] = NONE
    if run["run_first"] == NONE:
        return
    vcpu = _take_from_queue(world, cpu)
    me = world.actors["row"][vcpu]
    book(world, vcpu, Category.RUNNABLE)
    put_on_cpu(world, vcpu, cpu)
    run["n_switches"] += 1
    me["slice_end"] += run["costs"][Cost.SWITCH]
    if me["resumes"]:
        me["resumes"] = 0
        me["state"] = State.RESCHED
        me["category"] = Category.MMU_LOCK_WAIT
        cycles = run["costs"][Cost.RESCHED]
    else:
        me["state"] = State.RUN_LOOP
        me["category"] = me["trip"]
        cycles = run["costs"][Cost.RUN_LOOP]
    wake_at(world, vcpu, run["now"] + run["costs"][Cost.SWITCH] + cycles)


@inner
def preempt(world: World, vcpu: int) -> bool:
    """Take the CPU from a thread whose slice is over, if another one waits for it."""
    run = world.run
    me = world.actors["row"][vcpu]
    if run["now"] < me["slice_end"] or run["run_first"] == NONE:
        return False
    give_cpu_on(world, me["cpu"])
    queue_for_cpu(world, vcpu)
    return True


@inner
def needs_resched(world: World, actor: int) -> bool:
    """Say whether the actor's slice is over and another thread is to have its CPU.

    # MODEL: beside a host task another thread wants the CPU always, or never.
    """
    run = world.run
    me = world.actors["row"][actor]
    who = world.setup["resched"]
    if who == Resched.NEVER or run["now"] < me["slice_end"]:
        return False
    if who != Resched.VCPUS and who != Resched.ALL:
        break_off(world, actor, Place.RESCHED, who)
    if is_vcpu(me):
        return bool(run["n_pcpus"] > 0 and run["run_first"] != NONE)
    return bool(who == Resched.ALL)


@inner
def renew_slice(world: World, actor: int) -> None:
    """A host task has slept: its slice begins anew. That of a vCPU thread begins with its CPU."""
    me = world.actors["row"][actor]
    if not is_vcpu(me):
        me["slice_end"] = world.run["now"] + world.run["costs"][Cost.SLICE]


@inner
def give_cpu_away(world: World, actor: int) -> None:
    """Let another thread run in the middle of a zap; RESCHED ends when the own one runs again.

    # MODEL: beside a host task the other thread uses a slice of its own up.
    """
    run = world.run
    me = world.actors["row"][actor]
    me["purpose"] = Purpose.ZAP
    if is_vcpu(me):
        me["resumes"] = 1
        give_cpu_on(world, me["cpu"])
        queue_for_cpu(world, actor)
        return
    me["state"] = State.RESCHED
    me["category"] = Category.RUNNABLE
    due = run["now"] + 2 * run["costs"][Cost.SWITCH] + run["costs"][Cost.SLICE]
    world.actors["due"][actor] = due
    me["slice_end"] = due + run["costs"][Cost.SLICE]


@inner
def wake_on_cpu(world: World, vcpu: int) -> None:
    """Give a thread that has woken up a free CPU, its own if that is free; else it waits."""
    run = world.run
    me = world.actors["row"][vcpu]
    chosen = me["cpu"]
    if chosen == NONE or run["cpu_thread"][chosen] != NONE:
        chosen = NONE
        for cpu in range(run["n_pcpus"]):
            if chosen == NONE and run["cpu_thread"][cpu] == NONE:
                chosen = cpu
    if chosen == NONE:
        queue_for_cpu(world, vcpu)
    else:
        put_on_cpu(world, vcpu, chosen)
