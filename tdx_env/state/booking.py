"""Booking: every cycle of every CPU to one category and owner; operations, latencies, stretches."""

from tdx_env.jit import inner
from tdx_env.state.accounting import IS_OVERHEAD, IS_WASTE, Category
from tdx_env.state.actors import CallPath
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE
from tdx_env.state.owners import OWNERS, Party
from tdx_env.state.world import MAX_ENDED, N_BINS, SUB_BINS, Operation, World

N_PATHS = len(CallPath)
_SUB_BITS = SUB_BINS.bit_length() - 1
_PER_50US = 20  # a clock of so many kHz ticks once in 50 us


@inner
def book(world: World, actor: int, category: int) -> None:
    """Book the actor's open cycles to a category; the next activity begins now."""
    run = world.run
    me = world.actors["row"][actor]
    cycles = run["now"] - me["since"]
    me["since"] = run["now"]
    me["booked"][category] += cycles
    if IS_OVERHEAD[category]:
        if category == Category.YIELD:
            cycles *= world.setup["yield_weight"]
        if not 0 <= me["path"] < N_PATHS:
            break_off(world, actor, Place.OWNER, me["path"])
            return
        owner = OWNERS[me["party"], me["path"], category]
        run["overhead"] += cycles
        run["owned"][owner] += cycles
        if IS_WASTE[category]:
            run["waste"] += cycles
            me["operation_cost"] += cycles
        else:
            run["track"][owner] += cycles


@inner
def latency_bin(cycles: int) -> int:
    """Return the histogram bin of a latency: powers of two, each cut into SUB_BINS."""
    octave = 0
    while (cycles >> octave) >= 2 * SUB_BINS:
        octave += 1
    return min(octave * SUB_BINS + (cycles >> octave), N_BINS - 1)


@inner
def begin_operation(world: World, actor: int) -> None:
    """Begin a fault or a page zap, unless one is open already."""
    run = world.run
    me = world.actors["row"][actor]
    if me["operation_started"] != NONE:
        return
    run["operation_seq"] += 1
    me["operation_id"] = run["operation_seq"]
    me["operation_started"] = run["now"]
    me["operation_cost"] = 0
    me["busies"] = 0


@inner
def end_operation(world: World, actor: int, kind: int) -> None:
    """End the actor's operation and keep its latency."""
    run = world.run
    me = world.actors["row"][actor]
    cycles = run["now"] - me["operation_started"]
    me["operation_started"] = NONE
    run["histogram"][kind][latency_bin(cycles)] += 1
    run["n_operations"][kind] += 1
    row = run["ended"][run["n_ended"] % MAX_ENDED]
    row[0] = me["operation_id"]
    row[1] = me["operation_cost"]
    run["n_ended"] += 1
    if kind == Operation.FAULT:
        run["fault_max"] = max(run["fault_max"], cycles)
    elif kind == Operation.ZAP:
        run["zap_max"] = max(run["zap_max"], cycles)
    else:
        break_off(world, actor, Place.OPERATION, kind)


@inner
def begin_fault(world: World, vcpu: int) -> None:
    """The guest waits for a page from now on, unless it does so already."""
    me = world.actors["row"][vcpu]
    if me["fault_since"] == NONE:
        me["fault_since"] = world.run["now"]


@inner
def end_fault(world: World, actor: int) -> None:
    """The guest has its page: keep how long it waited, unless it is hostile."""
    run = world.run
    me = world.actors["row"][actor]
    if me["fault_since"] == NONE:
        return
    if me["party"] == Party.VCPU:
        run["latency"] += run["now"] - me["fault_since"]
    me["fault_since"] = NONE


@inner
def begin_chunk_time(world: World, actor: int) -> None:
    """A chunk is under way from now on, unless it is so already."""
    me = world.actors["row"][actor]
    if me["chunk_since"] == NONE:
        me["chunk_since"] = world.run["now"]


@inner
def end_chunk_time(world: World, actor: int) -> None:
    """Keep how long a chunk took; what a hostile guest asked for is nobody's latency."""
    run = world.run
    me = world.actors["row"][actor]
    if me["chunk_since"] == NONE:
        return
    cycles = run["now"] - me["chunk_since"]
    me["chunk_since"] = NONE
    run["chunk_cycles"] += cycles
    if me["party"] != Party.HOSTILE_VCPU:
        run["latency"] += cycles


@inner
def end_write_hold(world: World) -> None:
    """Keep how long mmu_lock was held for write."""
    run = world.run
    cycles = run["now"] - run["write_taken"]
    run["holds"][latency_bin(cycles)] += 1
    run["write_held"] += cycles
    run["hold_max"] = max(run["hold_max"], cycles)


@inner
def begin_stretch(world: World, actor: int) -> None:
    """Preemption goes off, unless it is off already."""
    me = world.actors["row"][actor]
    if me["nonpreemptible_since"] == NONE:
        me["nonpreemptible_since"] = world.run["now"]


@inner
def end_stretch(world: World, actor: int) -> None:
    """Preemption is on again: keep the stretch and charge what is beyond the limit."""
    run = world.run
    me = world.actors["row"][actor]
    if me["nonpreemptible_since"] == NONE:
        return
    cycles = run["now"] - me["nonpreemptible_since"]
    me["nonpreemptible_since"] = NONE
    run["longest_stretch"] = max(run["longest_stretch"], cycles)
    run["preempt_penalty"] += max(0, cycles - world.setup["preempt_limit"])
    run["preempt_1ms"] += max(0, cycles - world.setup["clock_khz"])
    run["preempt_50us"] += max(0, cycles - world.setup["clock_khz"] // _PER_50US)


@inner
def charge_cell(world: World, actor: int) -> None:
    """Charge the cycles since the last busy issue to its cell of the busy matrix."""
    run = world.run
    me = world.actors["row"][actor]
    if me["cell"] != NONE:
        run["cells"][me["cell"]][1] += run["now"] - me["busy_since"]
        me["cell"] = NONE
