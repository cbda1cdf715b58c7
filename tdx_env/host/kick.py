"""Kick and gate: interrupt the vCPUs that are in the guest, and keep vCPUs out of it.

The sender looks at every vCPU and queues a request for each that is in the guest, interrupts their
CPUs cluster by cluster, waits for the last one and then reads their answers one after the other.
The targets are interrupted side by side, and each goes on as soon as it has answered.

Source: Linux virt/kvm/kvm_main.c, kvm_make_all_cpus_request with KVM_REQ_OUTSIDE_GUEST_MODE;
kernel/smp.c, smp_call_function_many_cond; arch/x86/kernel/apic/x2apic_cluster.c,
__x2apic_send_IPI_mask; arch/x86/kvm/vmx/tdx.c, wait_for_sept_zap (6.16).
"""

from tdx_env.guest.tdcalls import is_long_accept, schedule_hold
from tdx_env.host.lazy import (
    call_last_back,
    interrupt_earlier,
    is_kept_out,
    leave_agenda,
    settle,
)
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, Kick, State
from tdx_env.state.agenda import refresh_block, wake_at
from tdx_env.state.booking import begin_stretch, end_stretch
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import GateScope
from tdx_env.state.draws import draw, own, uniform
from tdx_env.state.features import EWMA_SHIFT
from tdx_env.state.streams import Draw
from tdx_env.state.world import World


@inner
def close_gate(world: World, actor: int) -> None:
    """Take the actor's share of the gate, unless it has it."""
    me = world.actors["row"][actor]
    if not me["has_gate"]:
        settle(world)
        me["has_gate"] = 1
        world.run["gate_count"] += 1


@inner
def release_gate(world: World, actor: int) -> None:
    """Drop the actor's share of the gate; the last one lets the vCPUs through."""
    run = world.run
    me = world.actors["row"][actor]
    if not me["has_gate"]:
        return
    settle(world)
    me["has_gate"] = 0
    run["gate_count"] -= 1
    if run["gate_count"] > 0:
        return
    for vcpu in range(run["n_vcpus"]):
        if is_kept_out(world, vcpu):
            bits = own(world, vcpu, Draw.GATE)
            poll = max(1, run["costs"][Cost.GATE_POLL])
            world.actors["due"][vcpu] = run["now"] + uniform(1, poll, bits)
            leave_agenda(world, vcpu)
            refresh_block(world, vcpu)


@inner
def _after_irq_off(world: World, vcpu: int, arrival: int) -> int:
    """Return when an IPI gets through to a CPU that has irq-off sections now and then.

    # MODEL: a section is a matter of CPU and time alone, and delays the arrival of IPIs alone.
    """
    setup = world.setup
    seed = world.run["seed"]
    length = min(world.run["costs"][Cost.IRQ_OFF], setup["irq_off_window"])
    window = arrival // setup["irq_off_window"]
    if uniform(0, 999, draw(seed, Draw.IRQ_OFF, vcpu, window, 0)) >= setup["irq_off_share"]:
        return arrival
    bits = draw(seed, Draw.IRQ_OFF, vcpu, window, 1)
    begin = window * setup["irq_off_window"] + uniform(0, setup["irq_off_window"] - length, bits)
    if begin <= arrival < begin + length:
        return begin + length
    return arrival


@inner
def _interrupt(world: World, vcpu: int, arrival: int, kind: int) -> None:
    """Let an IPI arrive at a vCPU in guest mode."""
    if world.setup["irq_off_share"] > 0:
        arrival = _after_irq_off(world, vcpu, arrival)
    target = world.actors["row"][vcpu]
    target["ipi_at"] = arrival
    target["ipi_kind"] = kind
    if world.actors["apart"][vcpu] != NEVER:
        if target["state"] == State.COMPUTE:
            interrupt_earlier(world, vcpu, arrival)
    elif target["state"] == State.COMPUTE or target["state"] == State.TOUCH:
        wake_at(world, vcpu, min(world.actors["due"][vcpu], arrival))
    elif is_long_accept(world, vcpu):
        schedule_hold(world, vcpu)
        refresh_block(world, vcpu)


@inner
def _count_remote(world: World, actor: int) -> int:
    """Return how many other vCPUs in guest mode are on another socket than the actor."""
    if world.setup["n_sockets"] <= 1:
        return 0
    found = 0
    socket = world.actors["row"][actor]["socket"]
    for vcpu in range(world.run["n_vcpus"]):
        target = world.actors["row"][vcpu]
        if target["mode"] and target["socket"] != socket:
            found += 1
    return found


@inner
def _scan(world: World, actor: int, kind: int) -> int:
    """Look at every vCPU and queue requests for those in guest mode; return when that is done.

    # MODEL: what another socket adds to the reading of an answer is spent here, too.
    """
    run = world.run
    costs = run["costs"]
    me = world.actors["row"][actor]
    me["targets"] = run["n_in_guest"] - me["mode"]
    me["kick_begun"] = run["now"]
    n_read = run["n_vcpus"] - me["targets"]
    if kind == Kick.FLUSH:
        n_read += run["n_vcpus"]  # the request is set in all of them
    me["kick_started"] = run["now"] + costs[Cost.KICK_FIXED] + n_read * costs[Cost.KICK_SCAN]
    queueing = me["targets"] * costs[Cost.KICK_TARGET]
    queueing += _count_remote(world, actor) * costs[Cost.KICK_REMOTE]
    return me["kick_started"] + queueing


@inner
def _send_to_all(world: World, actor: int, kind: int) -> int:
    """Interrupt every other vCPU in guest mode that has no IPI pending; return the sending's end.

    One write of the ICR reaches all targets of a cluster at once.
    """
    run = world.run
    me = world.actors["row"][actor]
    end = _scan(world, actor, kind)
    me["waiting"] = me["targets"]
    me["awaited"] = 0
    me["sent"] = 0
    if me["targets"] == 0:
        return end
    cluster = NONE
    for vcpu in range(run["n_vcpus"]):
        target = world.actors["row"][vcpu]
        if vcpu == actor or not target["mode"] or target["kick_seq"]:
            continue
        if target["cluster"] != cluster:
            cluster = target["cluster"]
            end += run["costs"][Cost.KICK_ICR]
        me["sent"] += 1
        target["kick_seq"] = me["kick_number"]
        _interrupt(world, vcpu, end + run["costs"][Cost.IPI_DELIVERY], kind)
    run["n_ipis"] += me["sent"]
    call_last_back(world, actor)
    return end


@inner
def begin_kick(world: World, actor: int, purpose: int, kind: int, force_gate: int) -> None:
    """Start to interrupt all vCPUs; what follows when they have left is the purpose."""
    run = world.run
    me = world.actors["row"][actor]
    settle(world)
    if kind == Kick.DECISION:
        run["n_kicks"] += 1
        force_gate |= world.discipline["gate_scope"] != GateScope.NOTHING
    elif kind != Kick.TRACK and kind != Kick.FLUSH:
        break_off(world, actor, Place.KICK, kind)
    if force_gate:
        close_gate(world, actor)
    run["kick_seq"] += 1
    me["kick_number"] = run["kick_seq"]
    me["next_kicker"] = run["first_kicker"]
    run["first_kicker"] = actor
    me["purpose"] = purpose
    me["kick_kind"] = kind
    begin_stretch(world, actor)
    world.actors["due"][actor] = _send_to_all(world, actor, kind)
    me["state"] = State.KICK_SEND
    me["category"] = Category.IPI_SEND if kind == Kick.DECISION else Category.TRACK_KICK


@inner
def flush_remote_tlbs(world: World, actor: int, purpose: int) -> None:
    """Set KVM_REQ_TLB_FLUSH in all vCPUs, and kick those in the guest; sleeping ones sleep on.

    Source: Linux virt/kvm/kvm_main.c, kvm_flush_remote_tlbs.
    """
    settle(world)
    for vcpu in range(world.run["n_vcpus"]):
        world.actors["row"][vcpu]["flush_requested"] = 1
    begin_kick(world, actor, purpose, Kick.FLUSH, 0)


@inner
def note_kick_sent(world: World, actor: int) -> None:
    """Learn what one IPI costs the sender, beyond a kick of nobody."""
    run = world.run
    me = world.actors["row"][actor]
    if me["kick_kind"] == Kick.DECISION and me["sent"] > 0:
        each = (run["now"] - me["kick_started"]) // me["sent"]
        run["kick_send_target"] += (each - run["kick_send_target"]) >> EWMA_SHIFT
    me["kick_started"] = run["now"]


@inner
def note_kick_over(world: World, actor: int) -> None:
    """Learn how long the kicked vCPUs take, and take the kick off the list."""
    run = world.run
    me = world.actors["row"][actor]
    me["waiting"] = 0  # those off the agenda have left, too
    if me["kick_kind"] == Kick.TRACK:
        run["n_flushes"] += 1
        run["flush_send"] += (run["now"] - me["kick_begun"] - run["flush_send"]) >> EWMA_SHIFT
    elif me["kick_kind"] == Kick.DECISION:
        wait = run["now"] - me["kick_started"]  # reading the answers included
        run["kick_wait"] += (wait - run["kick_wait"]) >> EWMA_SHIFT
    if run["first_kicker"] == actor:
        run["first_kicker"] = me["next_kicker"]
    else:
        before = run["first_kicker"]
        while world.actors["row"][before]["next_kicker"] != actor:
            before = world.actors["row"][before]["next_kicker"]
        world.actors["row"][before]["next_kicker"] = me["next_kicker"]
    me["next_kicker"] = NONE
    if not me["has_mmu_lock"]:
        end_stretch(world, actor)
