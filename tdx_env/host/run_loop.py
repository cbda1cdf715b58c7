"""What may keep a vCPU thread in KVM's run loop before it looks at the gate."""

from tdx_env.guest.interrupts import pass_interrupts
from tdx_env.host.cpus import preempt
from tdx_env.host.seamcalls import new_call
from tdx_env.host.srcu import srcu_quiescent
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, State
from tdx_env.state.booking import book
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.world import World


@inner
def _flush_old_cpu(world: World, vcpu: int) -> None:
    """Ask the CPU that the thread had before for VP.FLUSH.

    # MODEL: whatever runs on that CPU is not disturbed by it.

    Source: Linux 6.16, arch/x86/kvm/vmx/tdx.c, tdx_vcpu_load, tdx_flush_vp_on_cpu: one IPI, by
    smp_call_function_single.
    """
    costs = world.run["costs"]
    me = world.actors["row"][vcpu]
    me["moved"] = 0
    me["state"] = State.VCPU_LOAD
    me["category"] = Category.HOST_WORK
    cycles = costs[Cost.KICK_TARGET] + costs[Cost.KICK_ICR]
    cycles += costs[Cost.IPI_DELIVERY] + costs[Cost.KICK_HANDLER]
    world.actors["due"][vcpu] = world.run["now"] + cycles


@inner
def flush_on_old_cpu(world: World, vcpu: int) -> None:
    """Handle VCPU_LOAD: the old CPU issues VP.FLUSH while the thread waits."""
    me = world.actors["row"][vcpu]
    book(world, vcpu, me["category"])
    new_call(world, vcpu, Leaf.VP_FLUSH, NONE)


@inner
def flushes_tlb(world: World, vcpu: int) -> bool:
    """Begin the flush of the shared EPT if it is requested; say whether it is.

    Source: Linux 6.16, arch/x86/kvm/x86.c, vcpu_enter_guest; arch/x86/kvm/vmx/tdx.c,
    tdx_flush_tlb_all: INVEPT, for the shared EPT.
    """
    run = world.run
    me = world.actors["row"][vcpu]
    if not me["flush_requested"] or me["mode"]:
        return False
    me["flush_requested"] = 0
    me["state"] = State.FLUSH_TLB
    me["category"] = Category.TRACK_KICK
    world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.INVEPT]
    return True


@inner
def _serves_signal(world: World, vcpu: int) -> bool:
    """Return to user space for a signal, if one is pending; say whether it is."""
    run = world.run
    me = world.actors["row"][vcpu]
    pass_interrupts(world, vcpu)
    if not me["signal"]:
        return False
    me["signal"] = 0
    srcu_quiescent(world, vcpu)
    me["exit"] = Exit.SIGNAL
    me["state"] = State.USER_EXIT
    me["category"] = Category.HOST_WORK
    world.actors["due"][vcpu] = run["now"] + run["costs"][Cost.USER_EXIT]
    return True


@inner
def leaves_run_loop(world: World, vcpu: int) -> bool:
    """Say whether the thread loses its CPU, has been moved, or has a signal: it goes elsewhere."""
    me = world.actors["row"][vcpu]
    if world.run["n_pcpus"] > 0:
        if preempt(world, vcpu):
            return True
        if me["moved"]:
            _flush_old_cpu(world, vcpu)
            return True
    return bool(me["signal_every"] and _serves_signal(world, vcpu))
