"""The start of an episode: costs and sizes are drawn, memory laid out, actors set going."""

import numpy as np

from tdx_env.engine.layout import lay_out_memory
from tdx_env.engine.prices import draw_cost, set_delays
from tdx_env.guest.interrupts import device_gap
from tdx_env.guest.items import begin_item, is_foreground
from tdx_env.host.cpus import put_on_cpu, queue_for_cpu
from tdx_env.host.lazy import let_leave
from tdx_env.host.tasks import start_task_item
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import NEVER, CallPath, Program, State, Task
from tdx_env.state.agenda import open_agenda
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE
from tdx_env.state.costs import N_COSTS
from tdx_env.state.draws import draw, uniform
from tdx_env.state.features import HITS_UNIT, N_AVERAGES, TRIES_UNIT
from tdx_env.state.kernels import OF_SCENARIO
from tdx_env.state.owners import Party
from tdx_env.state.setup import MAX_CHOICES, MAX_PCPUS, REST
from tdx_env.state.streams import Draw
from tdx_env.state.world import MAX_ACTORS, World

_TASK_SIZES = 100
_SIZES_EACH = 10
_FIRST_ENTRY_SPREAD = 20_000  # vCPUs set out within this many cycles
_FIRST_TRY_CYCLES = 5_000  # averages before the first measurement: middles of the stated ranges
_FIRST_KICK_SEND = 600  # eight targets in one cluster
_FIRST_KICK_WAIT = 9_500  # delivery, TD exit, handler, and eight answers
_FIRST_KICK_TARGET = 10_700  # TD exit, handler, run loop, VP.ENTER
_FIRST_FLUSH_SEND = 12_000  # TRACK's kick of eight targets
_FIRST_CALM = 50_000  # five pages blocked until somebody waits, in half of the batches: a guess


@inner
def _draw_size(world: World, number: int, low: int, high: int) -> int:
    """Draw one size of the episode."""
    return uniform(low, high, draw(world.run["seed"], Draw.SIZE, 0, number, 0))


@inner
def _draw_n_vcpus(world: World) -> int:
    """Draw the TD's size: one of some by weight, or any from low to high."""
    setup = world.setup
    left = 0
    for choice in range(MAX_CHOICES):
        left += setup["n_vcpus_weights"][choice]
    if left == 0:
        return _draw_size(world, 0, setup["n_vcpus_low"], setup["n_vcpus_high"])
    left = _draw_size(world, 0, 0, left - 1)
    place = 0
    while left >= setup["n_vcpus_weights"][place]:
        left -= setup["n_vcpus_weights"][place]
        place += 1
    return setup["n_vcpus_choices"][place]


@inner
def _draw_groups(world: World) -> None:
    """Draw the guest groups' sizes and give them their vCPUs."""
    run = world.run
    counted = 0
    for group in range(world.setup["n_groups"]):
        row = world.setup["groups"][group]
        drawn = run["group_drawn"][group]
        first = _SIZES_EACH * group
        drawn["count"] = REST
        if row["count_low"] != REST:
            drawn["count"] = _draw_size(world, first + 1, row["count_low"], row["count_high"])
            counted += drawn["count"]
        drawn["items"] = _draw_size(world, first + 2, row["items_low"], row["items_high"])
        drawn["tick"] = _draw_size(world, first + 3, row["tick_low"], row["tick_high"])
        drawn["device_gap"] = _draw_size(world, first + 4, row["device_low"], row["device_high"])
        drawn["host_tick"] = _draw_size(
            world, first + 5, row["host_tick_low"], row["host_tick_high"]
        )
    left = run["n_vcpus"]
    for group in range(world.setup["n_groups"]):
        drawn = run["group_drawn"][group]
        if drawn["count"] == REST:
            drawn["count"] = max(0, run["n_vcpus"] - counted)
        drawn["count"] = min(left, drawn["count"])
        drawn["first"] = run["n_vcpus"] - left
        left -= drawn["count"]


@inner
def _draw_tasks(world: World) -> None:
    """Draw the host tasks' sizes and number them."""
    run = world.run
    actor = run["n_vcpus"]
    for task in range(world.setup["n_tasks"]):
        row = world.setup["tasks"][task]
        first = _TASK_SIZES + _SIZES_EACH * task
        drawn = run["task_drawn"][task]
        drawn["count"] = _draw_size(world, first + 1, row["count_low"], row["count_high"])
        drawn["items"] = _draw_size(world, first + 2, row["items_low"], row["items_high"])
        drawn["first"] = actor
        drawn["device_gap"] = _draw_size(world, first + 3, row["device_low"], row["device_high"])
        actor += drawn["count"]
        is_build = row["kind"] == Task.BUILD or row["kind"] == Task.INIT_VCPU
        if is_build and drawn["count"] > 0:
            run["is_building"] = 1
    run["n_actors"] = actor


@inner
def _n_others(world: World) -> int:
    """Return how many vCPUs of other TDs there are, whose CPUs are not ours."""
    n_others = 0
    for task in range(world.setup["n_tasks"]):
        if world.setup["tasks"][task]["kind"] == Task.OTHER_TDS:
            n_others += world.run["task_drawn"][task]["count"]
    return n_others


@inner
def _clear_actor(world: World, actor: int) -> None:
    """Give an actor's record its first values; all else in it is zero."""
    me = world.actors["row"][actor]
    me["tick_at"] = NEVER
    me["device_at"] = NEVER
    me["host_tick_at"] = NEVER
    me["arm_at"] = NEVER
    me["ipi_at"] = NEVER
    me["operation_started"] = NONE
    me["fault_since"] = NONE
    me["chunk_since"] = NONE
    me["nonpreemptible_since"] = NONE
    me["busy_since"] = NONE
    me["vcpu_epoch"] = 1
    me["leaf"] = NONE
    me["entry"] = NONE
    me["asked"] = NONE
    me["fault_entry"] = NONE
    me["cell"] = NONE
    me["queue_next"] = NONE
    me["next_kicker"] = NONE
    me["program"] = NONE
    me["kind"] = NONE
    me["batch_end"] = NONE
    me["cpu"] = NONE
    world.actors["due"][actor] = NEVER
    world.actors["apart"][actor] = NEVER


@inner
def _start_interrupts(world: World, vcpu: int) -> None:
    """Set when the vCPU's first tick and device interrupt come."""
    run = world.run
    me = world.actors["row"][vcpu]
    drawn = run["group_drawn"][me["group"]]
    me["tick_period"] = drawn["tick"]
    me["host_tick_period"] = drawn["host_tick"]
    me["arm_cycles"] = world.setup["groups"][me["group"]]["arm_cycles"]
    me["device_gap"] = drawn["device_gap"]
    me["signal_every"] = world.setup["groups"][me["group"]]["signal_every"]
    if drawn["tick"] > 0:
        me["tick_at"] = uniform(0, drawn["tick"] - 1, draw(run["seed"], Draw.PHASE, vcpu, 0, 0))
    if drawn["host_tick"] > 0:
        bits = draw(run["seed"], Draw.PHASE, vcpu, 2, 0)
        me["host_tick_at"] = uniform(0, drawn["host_tick"] - 1, bits)
    if drawn["device_gap"] > 0:
        me["device_at"] = device_gap(world, vcpu, 0)


@inner
def _start_vcpu(world: World, vcpu: int) -> None:
    """Set a vCPU going."""
    me = world.actors["row"][vcpu]
    _start_interrupts(world, vcpu)
    begin_item(world, vcpu)
    me["trip"] = Category.EXIT_ENTRY
    me["path"] = CallPath.ENTER
    program = me["program"]
    if program == Program.PARKED:
        me["state"] = State.PARKED
        me["category"] = Category.IDLE
    elif program == Program.IDLE:
        me["state"] = State.HALTED
        me["category"] = Category.IDLE
        world.actors["due"][vcpu] = min(me["tick_at"], me["device_at"])
    elif program == Program.COMPUTE or program == Program.HAMMER or is_foreground(program):
        _start_run_loop(world, vcpu)
    else:
        break_off(world, vcpu, Place.VCPU_START, program)


@inner
def _start_run_loop(world: World, vcpu: int) -> None:
    """Let a vCPU enter the guest for the first time, if it has a CPU."""
    run = world.run
    me = world.actors["row"][vcpu]
    me["state"] = State.RUN_LOOP
    me["category"] = Category.EXIT_ENTRY
    bits = draw(run["seed"], Draw.PHASE, vcpu, 1, 0)
    world.actors["due"][vcpu] = uniform(0, _FIRST_ENTRY_SPREAD, bits)
    if run["n_pcpus"] > 0:
        _find_cpu(world, vcpu)


@inner
def _find_cpu(world: World, vcpu: int) -> None:
    """Give a thread that is ready to run the next CPU, as long as there is one."""
    run = world.run
    for cpu in range(run["n_pcpus"]):
        if run["cpu_thread"][cpu] == NONE:
            put_on_cpu(world, vcpu, cpu)
            return
    queue_for_cpu(world, vcpu)


@inner
def _place(world: World, vcpu: int) -> None:
    """Give a vCPU its socket and its cluster of CPUs.

    # MODEL: vCPU i runs on CPU i; on each socket a cluster is so many consecutive CPUs.
    """
    n_vcpus = world.run["n_vcpus"]
    n_sockets = max(1, world.setup["n_sockets"])
    socket = vcpu * n_sockets // n_vcpus
    first = (socket * n_vcpus + n_sockets - 1) // n_sockets
    me = world.actors["row"][vcpu]
    me["socket"] = socket
    me["cluster"] = socket * MAX_ACTORS + (vcpu - first) // max(1, world.setup["ipi_cluster"])


@inner
def _start_vcpus(world: World) -> None:
    """Set all vCPUs going, group by group."""
    run = world.run
    for group in range(world.setup["n_groups"]):
        drawn = run["group_drawn"][group]
        program = world.setup["groups"][group]["program"]
        for member in range(drawn["count"]):
            vcpu = drawn["first"] + member
            me = world.actors["row"][vcpu]
            me["group"] = group
            me["member"] = member
            me["program"] = program
            is_hostile = world.setup["groups"][group]["is_hostile"]
            me["party"] = Party.HOSTILE_VCPU if is_hostile else Party.VCPU
            _place(world, vcpu)
            me["items"] = drawn["items"]
            if is_foreground(program):
                run["work_total"] += drawn["items"]
            _start_vcpu(world, vcpu)


@inner
def _start_tasks(world: World) -> None:
    """Set all host tasks going."""
    run = world.run
    for task in range(world.setup["n_tasks"]):
        drawn = run["task_drawn"][task]
        for member in range(drawn["count"]):
            task_actor = drawn["first"] + member
            me = world.actors["row"][task_actor]
            me["group"] = task
            me["member"] = member
            me["kind"] = world.setup["tasks"][task]["kind"]
            me["party"] = Party.TASK
            me["items"] = drawn["items"]
            me["device_gap"] = drawn["device_gap"]
            if drawn["device_gap"] > 0:
                me["device_at"] = device_gap(world, task_actor, 0)
            if me["kind"] != Task.OTHER_TDS:
                run["work_total"] += drawn["items"]
            start_task_item(world, task_actor)


@inner
def _set_scalars(world: World) -> None:
    """Give the run's scalars their first values; all else is zero."""
    run = world.run
    setup = world.setup
    run["decision_actor"] = NONE
    run["turn"] = NONE
    run["soonest_apart"] = NEVER
    run["kill_actor"] = NONE
    run["kill_leaf"] = NONE
    run["target"] = NONE
    run["td_epoch"] = 1
    run["mmu_writer"] = NONE
    run["mmu_first"] = NONE
    run["mmu_last"] = NONE
    for lock in range(len(run["lock_owner"])):
        run["lock_owner"][lock] = NONE
        run["lock_first"][lock] = NONE
        run["lock_last"][lock] = NONE
    run["first_kicker"] = NONE
    run["guard_owner"] = NONE
    run["guard_first"] = NONE
    run["guard_last"] = NONE
    run["srcu_actor"] = NONE
    run["run_first"] = NONE
    run["run_last"] = NONE
    for cpu in range(MAX_PCPUS):
        run["cpu_thread"][cpu] = NONE
    run["kernel"] = world.discipline["kernel"]
    if run["kernel"] == OF_SCENARIO:
        run["kernel"] = setup["kernel"]
    run["stall_cycles"] = setup["stall_cycles"]
    run["time_cap"] = setup["time_cap"]
    run["kick_send_target"] = _FIRST_KICK_SEND
    run["kick_wait"] = _FIRST_KICK_WAIT
    run["kick_target"] = _FIRST_KICK_TARGET
    run["flush_send"] = _FIRST_FLUSH_SEND
    run["flush_target"] = _FIRST_KICK_TARGET
    run["calm_cycles"] = _FIRST_CALM
    run["calm_hits"] = HITS_UNIT // 2
    for column in range(N_AVERAGES):
        run["try_cycles"][column] = _FIRST_TRY_CYCLES
        run["tries"][column] = 2 * TRIES_UNIT
    for word in range(len(run["holder"])):
        run["holder"][word] = NONE
        run["holder_leaf"][word] = NONE


@inner
def start(world: World, seed: np.uint64) -> None:
    """Start an episode in arrays that are all zero.

    Args:
        world: The episode; run, due, actors and entries are zero.
        seed: What every draw is keyed by.
    """
    run = world.run
    setup = world.setup
    run["seed"] = seed
    _set_scalars(world)
    for cost in range(N_COSTS):
        run["costs"][cost] = draw_cost(world, cost)
    set_delays(world)
    run["n_vcpus"] = _draw_n_vcpus(world)
    n_pcpus = _draw_size(world, 1, setup["n_pcpus_low"], setup["n_pcpus_high"])
    run["n_pcpus"] = min(n_pcpus, run["n_vcpus"])
    _draw_groups(world)
    _draw_tasks(world)
    n_pcpus = run["n_pcpus"] if run["n_pcpus"] > 0 else run["n_vcpus"]
    run["n_cpus"] = n_pcpus + run["n_actors"] - run["n_vcpus"] - _n_others(world)
    lay_out_memory(world)
    for actor in range(run["capacity"]):
        _clear_actor(world, actor)
    _start_vcpus(world)
    _start_tasks(world)
    open_agenda(world)
    let_leave(world)
