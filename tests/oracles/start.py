"""Start of an episode: costs, sizes, actors (section 2)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tdx_env.state.accounting import Category
from tdx_env.state.actors import Program, State, Task
from tdx_env.state.calls import Delay, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.setup import N_BANDS, REST, Initial
from tdx_env.state.streams import Draw

from . import cpus, exits, guest, interrupts, tasks
from .actors import Actor, Group, go
from .draws import draw, uniform
from .programs import LISTS

if TYPE_CHECKING:
    from .world import OracleWorld

FIRST_ENTRY = 20_000  # vCPUs enter within that time [cycles]
TOTALS = {
    Leaf.MEM_SEPT_ADD: Cost.SEPT_ADD,
    Leaf.MEM_PAGE_ADD: Cost.PAGE_ADD,
    Leaf.MEM_PAGE_AUG: Cost.PAGE_AUG,
    Leaf.MEM_PAGE_REMOVE: Cost.PAGE_REMOVE,
    Leaf.MEM_RANGE_BLOCK: Cost.RANGE_BLOCK,
    Leaf.MEM_RANGE_UNBLOCK: Cost.RANGE_UNBLOCK,
    Leaf.MEM_TRACK: Cost.TRACK,
    Leaf.VP_ENTER: Cost.VP_ENTER,
    Leaf.PHYMEM_PAGE_WBINVD: Cost.WBINVD,
    Leaf.MR_EXTEND: Cost.MR_EXTEND,
    Leaf.MEM_PAGE_DEMOTE: Cost.DEMOTE,
    Leaf.EXPORT_BLOCKW: Cost.EXPORT_BLOCKW,
    Leaf.EXPORT_MEM: Cost.EXPORT_MEM,
    Leaf.EXPORT_UNBLOCKW: Cost.EXPORT_UNBLOCKW,
    Leaf.VP_FLUSH: Cost.VP_FLUSH,
    Leaf.VP_CREATE: Cost.VP_CREATE,
    Leaf.VP_ADDCX: Cost.VP_ADDCX,
    Leaf.VP_INIT: Cost.VP_INIT,
}
WORKING = (Program.TOUCH, Program.ACCEPT, Program.CONVERT)


def plain(record: Any) -> Any:
    """Return a numpy record as namespaces, lists and integers."""
    if record.dtype.names:
        if record.ndim:
            return [plain(row) for row in record]
        return SimpleNamespace(**{name: plain(record[name]) for name in record.dtype.names})
    return record.tolist()


def draw_costs(w: OracleWorld) -> list[int]:
    """Draw the episode's costs."""
    s = w.setup
    bands = [band for band in range(N_BANDS) if s.cost_bands >> band & 1]
    costs = []
    for cost in Cost:
        bits = draw(w.seed, Draw.COST, 0, cost, 0)
        band = bands[(bits >> 32) * len(bands) >> 32]
        share = (band << 20) | (bits & 0xFFFFF)
        width = s.cost_high[cost] - s.cost_low[cost]
        costs.append(s.cost_low[cost] + width * share // (N_BANDS << 20))
    return costs


def delays(w: OracleWorld) -> dict[Leaf, dict[Delay, int]]:
    """Return the cycles of every delay of every call."""
    costs = w.costs
    bare = costs[Cost.BARE]
    table = {}
    for leaf, program in w.programs.items():
        row = {
            Delay.NONE: 0,
            Delay.TO_TDR: bare // 2 + costs[Cost.TO_TDR],
            Delay.TO_TREE: costs[Cost.TO_TREE],
            Delay.TO_ENTRY: costs[Cost.TO_ENTRY],
            Delay.TO_EPOCH: costs[Cost.TO_EPOCH],
            Delay.EPOCH_HOLD: costs[Cost.EPOCH_HOLD],
            Delay.ARMED_WALK: 0,
            Delay.BODY: 0,
            Delay.LEAVE: bare - bare // 2,
        }
        others = 0 if leaf in LISTS else sum(row[step[4]] for step in program)
        row[Delay.BODY] = max(0, costs[TOTALS[leaf]] - others)
        row[Delay.ARMED_WALK] = costs[Cost.ARMED_WALK]
        table[leaf] = row
    return table


def prepopulate(w: OracleWorld) -> int:
    """Let areas begin PENDING under `prepopulate`; return the cycles that it took before."""
    s, costs = w.setup, w.costs
    cycles = 0
    if not w.discipline.prepopulate:
        return cycles
    users = [(g.area, g.level) for g in s.groups[: s.n_groups] if g.program in WORKING]
    users += [(t.area, t.level) for t in s.tasks[: s.n_tasks] if t.kind == Task.PREFAULT]
    page = costs[Cost.FAULT_SOFTWARE] + costs[Cost.FAULT_LOCKED]
    for number, area in enumerate(s.areas[: s.n_areas]):
        if area.initial not in (Initial.EMPTY, Initial.FREE):
            continue
        if (number, 1) in users:
            cycles += area.n_regions * (page + costs[Cost.PAGE_AUG_2M])
            area.initial = Initial.PENDING_2M
        elif (number, 0) in users:
            cycles += (area.n_regions << s.page_shift) * (page + costs[Cost.PAGE_AUG])
            if area.initial == Initial.EMPTY:
                cycles += area.n_regions * costs[Cost.SEPT_ADD]
            area.initial = Initial.PENDING_4K
    return cycles


def draw_groups(w: OracleWorld) -> None:
    """Draw the sizes of guest groups and host tasks."""

    def size(low: int, high: int, key: int) -> int:
        return uniform(low, high, draw(w.seed, Draw.SIZE, 0, key, 0))

    s = w.setup
    n_vcpus = size(s.n_vcpus_low, s.n_vcpus_high, 0)
    weighted = zip(s.n_vcpus_choices, s.n_vcpus_weights, strict=True)
    ballots = [n for n, weight in weighted for _ in range(weight)]
    if ballots:
        n_vcpus = ballots[size(0, len(ballots) - 1, 0)]
    n_pcpus = size(s.n_pcpus_low, s.n_pcpus_high, 1)
    specs = s.groups[: s.n_groups]
    for g, spec in enumerate(specs):
        items = size(spec.items_low, spec.items_high, 10 * g + 2)
        period = size(spec.tick_low, spec.tick_high, 10 * g + 3)
        gap = size(spec.device_low, spec.device_high, 10 * g + 4)
        host_period = size(spec.host_tick_low, spec.host_tick_high, 10 * g + 5)
        count = REST
        if spec.count_low != REST:
            count = size(spec.count_low, spec.count_high, 10 * g + 1)
        w.groups.append(Group(spec, count, items, period=period, host_period=host_period, gap=gap))
    others = sum(group.count for group in w.groups if group.count != REST)
    first = 0
    for group in w.groups:
        wanted = max(0, n_vcpus - others) if group.count == REST else group.count
        group.count = min(wanted, n_vcpus - first)
        group.first = first
        first += group.count
    w.n_pcpus = min(n_pcpus, first)
    for t, spec in enumerate(s.tasks[: s.n_tasks]):
        count = size(spec.count_low, spec.count_high, 100 + 10 * t + 1)
        items = size(spec.items_low, spec.items_high, 100 + 10 * t + 2)
        gap = size(spec.device_low, spec.device_high, 100 + 10 * t + 3)
        w.task_groups.append(Group(spec, count, items, first, gap=gap))
        first += count


def start_actors(w: OracleWorld) -> None:
    """Make all actors and begin their first items."""
    for group in w.groups:
        for member in range(group.count):
            w.vcpus.append(Actor(len(w.vcpus), group, member, is_vcpu=True))
    w.actors.extend(w.vcpus)
    for v in w.vcpus:
        v.socket = v.number * w.setup.n_sockets // len(w.vcpus)
        start_vcpu(w, v)
    cpus.start(w)
    for group in w.task_groups:
        for member in range(group.count):
            w.actors.append(Actor(len(w.actors), group, member, is_vcpu=False))
    host_tasks = w.actors[len(w.vcpus) :]
    w.is_building = any(a.kind in (Task.BUILD, Task.INIT_VCPU) for a in host_tasks)
    for a in host_tasks:
        interrupts.first_device(w, a)
        tasks.start_task_item(w, a)
        w.work_total += a.group.items
    w.work_total -= sum(a.group.items for a in host_tasks if a.kind == Task.OTHER_TDS)
    w.work_total += sum(v.group.items for v in w.vcpus if v.program in WORKING)


def start_vcpu(w: OracleWorld, v: Actor) -> None:
    """Set a vCPU's interrupts and first state."""
    if v.group.period > 0:
        bits = draw(w.seed, Draw.PHASE, v.number, 0, 0)
        v.tick_at = v.tick_phase = uniform(0, v.group.period - 1, bits)
    if v.group.host_period > 0:
        bits = draw(w.seed, Draw.PHASE, v.number, 2, 0)
        v.host_tick_at = uniform(0, v.group.host_period - 1, bits)
    interrupts.first_device(w, v)
    guest.begin_item(w, v, is_start=True)
    if v.program == Program.PARKED:
        go(w, v, State.PARKED, Category.IDLE, None)
    elif v.program == Program.IDLE:
        go(w, v, State.HALTED, Category.IDLE, None)
        v.due = min(v.tick_at, v.device_at)
    else:
        exits.enter_run_loop(w, v)
        v.due = uniform(0, FIRST_ENTRY, draw(w.seed, Draw.PHASE, v.number, 1, 0))
