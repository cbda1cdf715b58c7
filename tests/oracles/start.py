"""Start of an episode: costs, sizes, actors (section 2)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tdx_env.state.accounting import Category
from tdx_env.state.actors import Program, State, Task
from tdx_env.state.calls import Delay, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.setup import N_BANDS, REST
from tdx_env.state.streams import Draw

from . import exits, guest, tasks
from .actors import Actor, Group, go
from .draws import draw, uniform
from .programs import PROGRAMS

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


def delays(costs: list[int]) -> dict[Leaf, dict[Delay, int]]:
    """Return the cycles of every delay of every call."""
    bare = costs[Cost.BARE]
    table = {}
    for leaf, program in PROGRAMS.items():
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
        others = sum(row[step[4]] for step in program)
        row[Delay.BODY] = max(0, costs[TOTALS[leaf]] - others)
        row[Delay.ARMED_WALK] = costs[Cost.ARMED_WALK]
        table[leaf] = row
    return table


def draw_groups(w: OracleWorld) -> None:
    """Draw the sizes of guest groups and host tasks."""

    def size(low: int, high: int, key: int) -> int:
        return uniform(low, high, draw(w.seed, Draw.SIZE, 0, key, 0))

    s = w.setup
    n_vcpus = size(s.n_vcpus_low, s.n_vcpus_high, 0)
    specs = s.groups[: s.n_groups]
    for g, spec in enumerate(specs):
        items = size(spec.items_low, spec.items_high, 10 * g + 2)
        period = size(spec.tick_low, spec.tick_high, 10 * g + 3)
        gap = size(spec.device_low, spec.device_high, 10 * g + 4)
        count = REST
        if spec.count_low != REST:
            count = size(spec.count_low, spec.count_high, 10 * g + 1)
        w.groups.append(Group(spec, count, items, period=period, gap=gap))
    others = sum(group.count for group in w.groups if group.count != REST)
    first = 0
    for group in w.groups:
        wanted = max(0, n_vcpus - others) if group.count == REST else group.count
        group.count = min(wanted, n_vcpus - first)
        group.first = first
        first += group.count
    for t, spec in enumerate(s.tasks[: s.n_tasks]):
        count = size(spec.count_low, spec.count_high, 100 + 10 * t + 1)
        items = size(spec.items_low, spec.items_high, 100 + 10 * t + 2)
        w.task_groups.append(Group(spec, count, items, first))
        first += count


def start_actors(w: OracleWorld) -> None:
    """Make all actors and begin their first items."""
    for group in w.groups:
        for member in range(group.count):
            w.vcpus.append(Actor(len(w.vcpus), group, member, is_vcpu=True))
    w.actors.extend(w.vcpus)
    for v in w.vcpus:
        start_vcpu(w, v)
    for group in w.task_groups:
        for member in range(group.count):
            w.actors.append(Actor(len(w.actors), group, member, is_vcpu=False))
    w.is_building = any(g.spec.kind == Task.BUILD for g in w.task_groups)
    for a in w.actors[len(w.vcpus) :]:
        tasks.start_task_item(w, a)
        w.work_total += a.group.items
    w.work_total += sum(v.group.items for v in w.vcpus if v.program in WORKING)


def start_vcpu(w: OracleWorld, v: Actor) -> None:
    """Set a vCPU's interrupts and first state."""
    if v.group.period > 0:
        bits = draw(w.seed, Draw.PHASE, v.number, 0, 0)
        v.tick_at = v.tick_phase = uniform(0, v.group.period - 1, bits)
    if v.group.gap > 0:
        v.device_at = exits.device_gap(w, v)
    guest.begin_item(w, v, is_start=True)
    if v.program == Program.PARKED:
        go(w, v, State.PARKED, Category.IDLE, None)
    elif v.program == Program.IDLE:
        go(w, v, State.HALTED, Category.IDLE, None)
        v.due = min(v.tick_at, v.device_at)
    else:
        exits.enter_run_loop(w, v)
        v.due = uniform(0, FIRST_ENTRY, draw(w.seed, Draw.PHASE, v.number, 1, 0))
