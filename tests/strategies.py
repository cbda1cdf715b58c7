"""Builders of small random worlds, and hypothesis strategies round them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tdx_env.state.actors import Program, Task
from tdx_env.state.calls import N_LEAVES, NONE, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import (
    DISCIPLINE,
    UNLIMITED,
    EnterYield,
    Exhaustion,
    FaultYield,
    GateScope,
    OnFrozen,
    SeamcallLock,
)
from tdx_env.state.setup import N_BANDS, REST, SETUP, Initial

Record = Any  # a structured scalar of numpy
Rng = np.random.Generator

WILD_SHARE = 0.06  # worlds whose levels, areas and SWALLOWs may contradict each other
BUILD_SHARE = 0.06
STORM_SHARE = 0.3  # many vCPUs fault on few pages that are not there yet
WORKING = (Program.TOUCH, Program.ACCEPT, Program.CONVERT)
SMALL_AREAS = (Initial.EMPTY, Initial.FREE, Initial.PENDING_4K, Initial.MAPPED_4K)
LARGE_AREAS = (Initial.EMPTY, Initial.PENDING_2M, Initial.MAPPED_2M)
GUEST_LEAVES = (Leaf.ACCEPT, Leaf.ATTR_RD, Leaf.ATTR_WR)

# Ranges of the literature, as far as it has any [cycles].
REAL_COSTS = {
    Cost.BARE: (1000, 3000),
    Cost.TO_TDR: (100, 500),
    Cost.TO_TREE: (200, 500),
    Cost.TO_ENTRY: (400, 1000),
    Cost.TO_EPOCH: (50, 200),
    Cost.EPOCH_HOLD: (20, 200),
    Cost.ARMED_WALK: (1000, 10000),
    Cost.SEPT_ADD: (6000, 10000),
    Cost.PAGE_AUG: (5000, 9000),
    Cost.PAGE_AUG_2M: (6000, 12000),
    Cost.PAGE_REMOVE: (6000, 9000),
    Cost.RANGE_BLOCK: (5000, 8000),
    Cost.RANGE_UNBLOCK: (5000, 8000),
    Cost.TRACK: (3000, 6000),
    Cost.VP_ENTER: (3000, 6000),
    Cost.TD_EXIT: (3000, 6000),
    Cost.INVEPT: (200, 1000),
    Cost.PAGE_ADD: (6000, 12000),
    Cost.MR_EXTEND: (4000, 8000),
    Cost.DEMOTE: (20000, 80000),
    Cost.WBINVD: (1500, 5000),
    Cost.CLEAR: (500, 1500),
    Cost.FAULT_SOFTWARE: (1000, 2500),
    Cost.FAULT_LOCKED: (500, 1500),
    Cost.ZAP_SOFTWARE: (1500, 8000),
    Cost.UNWIND: (300, 1500),
    Cost.MMU_HANDOFF: (200, 2000),
    Cost.RUN_LOOP: (500, 2000),
    Cost.GATE_POLL: (300, 1000),
    Cost.IRQ_HANDLER: (1000, 4000),
    Cost.IRQ_WINDOW: (100, 500),
    Cost.USER_EXIT: (3000, 20000),
    Cost.KICK_FIXED: (500, 1500),
    Cost.KICK_TARGET: (1000, 3500),
    Cost.RESCHED: (1000, 5000),
    Cost.TDCALL: (1000, 3000),
    Cost.ACCEPT_4K: (500, 1500),
    Cost.ACCEPT_2M: (150000, 600000),
    Cost.ATTR_HOLD: (100, 500),
    Cost.VE: (500, 2000),
    Cost.TOUCH: (300, 2000),
    Cost.GUEST_RETRY: (200, 2000),
}
# Tiny worlds: nearly everything in one range, what holds a lock long.
TINY = (50, 500)
TINY_COSTS = {
    Cost.TO_TREE: (0, 200),
    Cost.TO_ENTRY: (0, 200),
    Cost.TO_EPOCH: (0, 200),
    Cost.EPOCH_HOLD: (0, 3000),
    Cost.ARMED_WALK: (0, 10000),
    Cost.TRACK: (200, 2000),
    Cost.RANGE_BLOCK: (200, 3000),
    Cost.PAGE_REMOVE: (200, 3000),
    Cost.PAGE_AUG: (200, 3000),
    Cost.PAGE_ADD: (200, 3000),
    Cost.MR_EXTEND: (100, 1000),
    Cost.INVEPT: (0, 500),
    Cost.WBINVD: (10, 100),
    Cost.CLEAR: (1, 10),
    Cost.GATE_POLL: (0, 500),
    Cost.ACCEPT_4K: (2000, 20000),
    Cost.ACCEPT_2M: (400, 60000),
    Cost.ATTR_HOLD: (50, 5000),
}


def _pick(rng: Rng, values: Any) -> int:
    return int(values[int(rng.integers(len(values)))])


def _range(rng: Rng, low: int, high: int) -> tuple[int, int]:
    """Return a random subrange, often a single value."""
    first, second = sorted(int(x) for x in rng.integers(low, high, size=2, endpoint=True))
    return (first, first) if rng.random() < 0.3 else (first, second)


def _set_range(rng: Rng, record: Record, name: str, low: int, high: int) -> None:
    record[f"{name}_low"], record[f"{name}_high"] = _range(rng, low, high)


class _Builder:
    """Draws one setup."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.setup = np.zeros((), SETUP)
        self.is_wild = rng.random() < WILD_SHARE
        self.is_build = rng.random() < BUILD_SHARE
        self.is_storm = not self.is_build and rng.random() < STORM_SHARE
        self.is_tiny = rng.random() < 0.8
        self.is_hot = rng.random() < 0.6  # everybody on the same few pages
        self.scale = 1 if self.is_tiny else 10

    def build(self) -> Record:
        self._scalars()
        self._costs()
        self._areas()
        self._groups()
        self._tasks()
        return self.setup[()]

    def _scalars(self) -> None:
        rng, s = self.rng, self.setup
        _set_range(rng, s, "n_vcpus", 5 if self.is_storm else _pick(rng, (1, 3, 5)), 6)
        s["clock_khz"] = 2_500_000
        s["sept_ve_disable"] = rng.random() < 0.04
        s["zero_step_threshold"] = _pick(rng, (1, 1, 2, 3, 4, 5, 6))
        s["zero_step_capacity"] = _pick(rng, (1, 2, 8, 32))
        s["hp_timeout"] = _pick(rng, (1, 1000, 30_000, 10**8))
        s["break_on_contention"] = rng.random() < 0.7
        s["guests_lock_free"] = rng.random() < 0.7
        s["stall_cycles"] = _pick(rng, (50_000, 200_000)) * self.scale
        s["time_cap"] = _pick(rng, (200_000, 500_000, 1_000_000)) * self.scale
        s["preempt_limit"] = _pick(rng, (0, 3000, 50_000))
        s["yield_weight"] = rng.integers(2)
        s["reward_scale"] = 100_000
        bands = int(rng.integers(1, 1 << N_BANDS))
        s["cost_bands"] = (1 << N_BANDS) - 1 if rng.random() < 0.5 else bands

    def _costs(self) -> None:
        for cost in Cost:
            low, high = TINY_COSTS.get(cost, TINY) if self.is_tiny else REAL_COSTS[cost]
            if self.rng.random() < 0.5:
                low, high = _range(self.rng, low, high)
            self.setup["cost_low"][cost], self.setup["cost_high"][cost] = low, high

    def _areas(self) -> None:
        """Draw areas; each is for 4K or 2M pages, and for zaps or for block and restore."""
        rng, s = self.rng, self.setup
        s["n_areas"] = rng.integers(1, 2 if self.is_hot else 4)
        s["page_shift"] = rng.integers(4)
        self.is_large: list[bool] = []
        self.is_restored: list[bool] = []
        first = 0
        for area in s["areas"][: s["n_areas"]]:
            is_large = rng.random() < 0.35 and not self.is_build
            area["first_region"] = first
            area["n_regions"] = rng.integers(1, 3)
            area["initial"] = _pick(rng, LARGE_AREAS if is_large else SMALL_AREAS)
            if self.is_build:
                area["initial"] = Initial.FREE
            if self.is_storm and area["initial"] not in (Initial.EMPTY, Initial.FREE):
                area["initial"] = Initial.EMPTY
            first += int(area["n_regions"])
            self.is_large.append(is_large)
            self.is_restored.append(rng.random() < 0.5)

    def _area(self, is_restore: bool, is_zap: bool) -> int:
        """Choose an area whose use doesn't contradict the actor's; any if there is none."""
        areas = range(int(self.setup["n_areas"]))
        fitting = [a for a in areas if not (self.is_restored[a] if is_zap else is_restore)]
        if is_restore:
            fitting = [a for a in areas if self.is_restored[a]]
        return _pick(self.rng, fitting if fitting and not self.is_wild else areas)

    def _room(self, row: Record, area: int, max_chunk: int) -> int:
        """Set area, level and chunk; return how far the first unit of an item may go."""
        rng = self.rng
        row["area"] = area
        row["level"] = rng.integers(2) if self.is_wild else self.is_large[area]
        is_mapped = self.setup["areas"][area]["initial"] in (Initial.PENDING_2M, Initial.MAPPED_2M)
        if is_mapped and rng.random() < 0.25:
            row["level"] = 0  # 4K pages of a 2M mapping
        n_units = int(self.setup["areas"][area]["n_regions"])
        if row["level"] == 0 or self.is_build:
            row["level"] = 0
            n_units <<= int(self.setup["page_shift"])
        row["chunk"] = rng.integers(1, min(max_chunk, n_units) + 1)
        return n_units - int(row["chunk"])

    def _place(
        self, row: Record, n_members: int, room: int, span: int, lead: int, most: int
    ) -> None:
        """Choose items, stride and step so that every item has its units.

        The last item is `span` steps on for each item before it, and `lead` steps.
        """
        rng = self.rng
        step = _pick(rng, (1, int(row["chunk"])))
        fitting = max(1, (room // step - lead) // max(1, span) + 1)
        _set_range(rng, row, "items", 1, min(most, fitting))
        used = ((int(row["items_high"]) - 1) * span + lead) * step
        if used > room:
            step = used = 0
        row["step"] = step
        row["stride"] = rng.integers(0, (room - used) // max(1, n_members - 1) + 1)
        if self.is_hot or rng.random() < 0.5:
            row["stride"] = 0

    def _groups(self) -> None:
        rng, s = self.rng, self.setup
        s["n_groups"] = rng.integers(1, 5)
        rest = int(rng.integers(s["n_groups"]))
        for g, row in enumerate(s["groups"][: s["n_groups"]]):
            if g == rest:
                row["count_low"] = row["count_high"] = REST
            else:
                _set_range(rng, row, "count", 0, 2)
            self._group(row)

    def _group(self, row: Record) -> None:
        rng = self.rng
        working = [Program.TOUCH, Program.ACCEPT]
        if self.is_wild or not all(self.is_restored):
            working.append(Program.CONVERT)
        programs = [Program.COMPUTE, Program.IDLE, Program.HAMMER, *working, *working]
        if self.is_storm:
            programs = [Program.HAMMER, *working, *working]
        row["program"] = Program.PARKED if self.is_build else _pick(rng, programs)
        if rng.random() < 0.02:
            row["program"] = Program.PARKED
        is_convert = row["program"] == Program.CONVERT
        room = self._room(row, self._area(False, is_convert), 4 if is_convert else 1)
        self._place(row, 6, room, 1, 0, 16)
        if row["items_high"] == 1 and row["stride"] <= 1 and rng.random() < 0.5:
            row["step"] = 0  # the group's size, for one item each
        if row["step"] == 0:
            row["items_low"] = row["items_high"] = 1
        if row["program"] in (Program.IDLE, Program.HAMMER):
            row["items_low"] = row["items_high"] = _pick(rng, (0, 2, 1000))
        _set_range(rng, row, "think", 0, (300 if self.is_storm else 3000) * self.scale)
        if row["program"] == Program.HAMMER:
            row["think_low"], row["think_high"] = _pick(rng, (0, 50)), 400
        row["same_rip"] = rng.random() < 0.4
        row["leaf"] = _pick(rng, GUEST_LEAVES)
        row["is_shared_after"] = rng.random() < 0.15
        if rng.random() < 0.6:
            longest = _pick(rng, (3000, 20_000)) * self.scale
            _set_range(rng, row, "tick", 1000 * self.scale, longest)
        if rng.random() < 0.4:
            _set_range(rng, row, "device", 500 * self.scale, 10_000 * self.scale)

    def _tasks(self) -> None:
        rng, s = self.rng, self.setup
        has_work = any(row["program"] in WORKING for row in s["groups"])
        has_none = has_work and not self.is_build and rng.random() < 0.3
        s["n_tasks"] = 0 if has_none else rng.integers(1, 4)
        for t, row in enumerate(s["tasks"][: s["n_tasks"]]):
            kinds = [Task.ZAP] * (self.is_wild or not all(self.is_restored))
            kinds += [Task.BLOCK_RESTORE] * any(self.is_restored)
            row["kind"] = Task.BUILD if self.is_build else _pick(rng, kinds)
            _set_range(rng, row, "count", 1 if t == 0 else 0, 2)
            self._task(row)

    def _task(self, row: Record) -> None:
        rng = self.rng
        row["trigger_group"] = NONE
        span, lead = 1, 0
        if rng.random() < 0.4:
            row["trigger_group"] = rng.integers(self.setup["n_groups"])
            row["trigger_period"] = span = int(rng.integers(0, 3))
            row["trigger_lead"] = lead = int(rng.integers(0, 2))
        is_restore = row["kind"] == Task.BLOCK_RESTORE
        area = self._area(is_restore, row["kind"] == Task.ZAP)
        room = self._room(row, area, 1 if is_restore else 4)
        self._place(row, 2, room, span, lead, 8)
        if rng.random() < 0.5 or row["step"] == 0:
            row["step"] = 0  # the same units again and again
            _set_range(rng, row, "items", 3, 25)
        _set_range(rng, row, "think", 0, 5000 * self.scale)
        _set_range(rng, row, "hold", 0, 20_000 * self.scale)
        row["is_shared_after"] = rng.random() < 0.15


def random_setup(rng: Rng) -> Record:
    """Return a random small scenario, a SETUP record."""
    return _Builder(rng).build()


FAULT_LEAVES = (Leaf.MEM_SEPT_ADD, Leaf.MEM_PAGE_AUG)
BUILD_LEAVES = (Leaf.MEM_PAGE_ADD, Leaf.MR_EXTEND)


def _exhaustions(leaf: Leaf, is_wild: bool) -> list[Exhaustion]:
    """Return what may follow on an exhausted call, likely ones more than once."""
    kinds = [Exhaustion.GATED_KICK, Exhaustion.REENTER, Exhaustion.LOCAL_RETRY] * 4
    kinds += [Exhaustion.KILL]
    kinds += [Exhaustion.USER_ERROR] * (4 if leaf in FAULT_LEAVES or leaf in BUILD_LEAVES else 1)
    if leaf != Leaf.VP_ENTER:
        kinds += [Exhaustion.SWALLOW] * (12 if is_wild else 1)
    return kinds


def random_discipline(rng: Rng) -> Record:
    """Return a random discipline, a DISCIPLINE record."""
    d = np.zeros((), DISCIPLINE)
    is_wild = rng.random() < WILD_SHARE
    for leaf in range(N_LEAVES):
        d["max_issues"][leaf] = _pick(rng, (1, 2, 3, 5, int(rng.integers(1, 21)), UNLIMITED))
        d["on_exhaustion"][leaf] = _pick(rng, _exhaustions(Leaf(leaf), is_wild))
        d["tree_only"][leaf] = rng.random() < 0.1
    d["seamcall_lock"] = _pick(rng, list(SeamcallLock))
    d["gate_scope"] = _pick(rng, list(GateScope))
    d["gate_first"] = rng.random() < 0.3
    d["on_frozen"] = _pick(rng, list(OnFrozen))
    d["walks_again"] = rng.integers(0, 4)
    d["fault_yield"] = _pick(rng, list(FaultYield))
    d["enter_yield"] = _pick(rng, list(EnterYield))
    d["zap_yield"] = rng.random() < 0.5
    d["kick_flagged"] = rng.random() < 0.5
    d["enter_irqs_off"] = rng.random() < 0.15
    d["decision_cycles"] = _pick(rng, (0, 1, 10, 50, 3000))
    return d[()]


def random_world(seed: int) -> tuple[NDArray[np.void], NDArray[np.void], int]:
    """Return setup and discipline, each an array of one, and the seed of an episode."""
    rng = np.random.default_rng(seed)
    setup = np.array([random_setup(rng)], SETUP)
    discipline = np.array([random_discipline(rng)], DISCIPLINE)
    return setup, discipline, int(rng.integers(1 << 40))


def worlds(max_seed: int = (1 << 32) - 1) -> st.SearchStrategy[Any]:
    """Return a strategy of random worlds; the seed is what shrinks."""
    return st.integers(0, max_seed).map(random_world)
