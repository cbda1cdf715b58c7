"""Builder of small random scenarios."""

from enum import Enum, auto

import numpy as np

from tdx_env.module.seamcalls import MODULE_VERSIONS
from tdx_env.state.actors import Program, Task
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.kernels import KERNELS
from tdx_env.state.objectives import weights_of
from tdx_env.state.setup import (
    MAX_CHOICES,
    MAX_GROUPS,
    N_BANDS,
    REST,
    SETUP,
    Initial,
    Pamt,
    Resched,
)
from tests.random_costs import REAL_COSTS, TINY, TINY_COSTS
from tests.random_ranges import WILD_SHARE, Record, Rng, apart, pick, random_range, set_range


class Theme(Enum):
    """What a world is mostly about."""

    ANYTHING = auto()
    STORM = auto()  # many vCPUs fault on few pages that are not there yet
    BUILD = auto()  # the TD is being built, no vCPU runs
    SPLIT = auto()  # 4K pages are wanted where 2M mappings are
    EXPORT = auto()  # live migration
    SLOTS = auto()  # memslots are deleted under faults and prefaults
    BATCH = auto()  # long chunks of pages are taken away, under faults


THEMES = (Theme.ANYTHING, Theme.STORM, Theme.SPLIT, Theme.EXPORT, Theme.SLOTS)
VARIANTS = (
    "1.5.01",
    "hypothetical-remove-exclusive",
    "hypothetical-vp-init-v1",
    "hypothetical-no-free-lock",
    "hypothetical-demote-uninterruptible",
)
KNOWN = tuple(MODULE_VERSIONS)
NEWER = ("1.5.06", "1.5.28", "1.5.34", "2.0.18")
BUILD_SHARE = 0.12
CROWD_SHARE = 0.01  # worlds of so many actors that the event loop keeps them in blocks
WORKING = (Program.TOUCH, Program.ACCEPT, Program.CONVERT)
SMALL_AREAS = (Initial.EMPTY, Initial.FREE, Initial.PENDING_4K, Initial.MAPPED_4K)
LARGE_AREAS = (Initial.EMPTY, Initial.PENDING_2M, Initial.MAPPED_2M)
THERE = (Initial.PENDING_4K, Initial.MAPPED_4K, Initial.PENDING_2M, Initial.MAPPED_2M)
GUEST_LEAVES = (Leaf.ACCEPT, Leaf.ATTR_RD, Leaf.ATTR_WR)
# Kinds of host tasks, likely ones more than once.
KINDS = {
    Theme.ANYTHING: (Task.ZAP, Task.ZAP, Task.ZAP, Task.PREFAULT, Task.SLOT_DELETE, Task.EXPORT),
    Theme.STORM: (Task.ZAP, Task.ZAP, Task.PREFAULT),
    Theme.BUILD: (Task.BUILD, Task.BUILD, Task.INIT_VCPU, Task.INIT_VCPU, Task.ZAP),
    Theme.SPLIT: (Task.ZAP, Task.ZAP, Task.PREFAULT, Task.SLOT_DELETE),
    Theme.EXPORT: (Task.EXPORT, Task.ZAP, Task.PREFAULT),
    Theme.BATCH: (Task.ZAP, Task.ZAP, Task.ZAP, Task.SLOT_DELETE, Task.PREFAULT),
    Theme.SLOTS: (Task.SLOT_DELETE, Task.SLOT_DELETE, Task.PREFAULT, Task.PREFAULT, Task.ZAP),
}
FIRST_KIND = {
    Theme.BUILD: Task.BUILD,
    Theme.EXPORT: Task.EXPORT,
    Theme.SLOTS: Task.SLOT_DELETE,
    Theme.BATCH: Task.ZAP,
}
MAX_CHUNKS = {Task.BLOCK_RESTORE: 1, Task.EXPORT: 8}


class _Builder:
    """Draws one setup."""

    def __init__(self, rng: Rng, theme: Theme | None) -> None:
        self.rng = rng
        self.setup = np.zeros((), SETUP)
        self.is_wild = rng.random() < WILD_SHARE
        self.theme = THEMES[int(rng.integers(len(THEMES)))]
        if rng.random() < BUILD_SHARE:
            self.theme = Theme.BUILD
        if theme is not None:
            self.theme = theme
        self.longest_chunk = 24 if self.theme == Theme.BATCH else 4
        self.is_tiny = rng.random() < 0.8
        self.is_hot = rng.random() < 0.6  # everybody on the same few pages
        self.scale = 1 if self.is_tiny else 10

    def build(self) -> Record:
        self._scalars()
        self._machine()
        self._costs()
        self._areas()
        self._groups()
        self._tasks()
        self._timers()
        self._more_versions()
        self._resched()
        self._guests()
        self._hostile()
        return self.setup[()]

    def _guests(self) -> None:
        """Let some accepting groups fall back, and some hosts stop a TD that times out."""
        rng = self._apart()
        for row in self.setup["groups"][: self.setup["n_groups"]]:
            row["falls_back"] = row["program"] == Program.ACCEPT and rng.random() < 0.3
        self.setup["freezes"] = rng.random() < 0.85
        self.setup["stops_on_timeout"] = rng.random() < 0.2
        if rng.random() < 0.2:
            self._sizes(rng)

    def _sizes(self, rng: np.random.Generator) -> None:
        """Draw the TD's size by weight, out of those between its ends, some of weight 0."""
        s = self.setup
        sizes = np.arange(s["n_vcpus_low"], s["n_vcpus_high"] + 1)[:MAX_CHOICES]
        s["n_vcpus_choices"][: len(sizes)] = rng.permutation(sizes)
        s["n_vcpus_weights"][: len(sizes)] = rng.integers(0, 4, len(sizes))

    def _apart(self) -> np.random.Generator:
        """Return a generator whose draws shift no others."""
        return apart(self.rng)

    def _resched(self) -> None:
        """Let zaps of half of the worlds drop mmu_lock when a slice is over."""
        rng = self._apart()
        self.setup["resched"] = pick(rng, (Resched.NEVER, Resched.VCPUS, Resched.ALL, Resched.ALL))

    def _timers(self) -> None:
        """Let half of the groups arm their timers by TD exits, and a third have host ticks."""
        rng = self._apart()
        for row in self.setup["groups"][: self.setup["n_groups"]]:
            if rng.random() < 0.5:
                row["arm_cycles"] = rng.integers(1, 300 * self.scale)
            if rng.random() < 0.35:
                set_range(rng, row, "host_tick", 1000 * self.scale, 20_000 * self.scale)

    def _more_versions(self) -> None:
        """Let four in ten of the worlds on a newer release draw their module from some versions."""
        rng = self._apart()
        releases = sum(1 << KNOWN.index(name) for name in NEWER)
        if self.setup["module_versions"] & releases and rng.random() < 0.4:
            for number in rng.integers(len(KNOWN), size=2).tolist():
                self.setup["module_versions"] |= 1 << number

    def _hostile(self) -> None:
        """Let a quarter of the groups be hostile."""
        rng = self._apart()
        for row in self.setup["groups"][: self.setup["n_groups"]]:
            row["is_hostile"] = rng.random() < 0.25

    def _newer_than(self, version: str) -> str:
        """Return a newer release in half of the worlds, by draws that shift no others."""
        rng = self._apart()
        return NEWER[int(rng.integers(len(NEWER)))] if rng.random() < 0.5 else version

    def _scalars(self) -> None:
        rng, s = self.rng, self.setup
        fewest = 5 if self.theme == Theme.STORM else pick(rng, (1, 3, 5))
        set_range(rng, s, "n_vcpus", fewest, 6)
        if rng.random() < CROWD_SHARE:
            set_range(rng, s, "n_vcpus", 20, 50)
        s["clock_khz"] = 2_500_000
        s["sept_ve_disable"] = rng.random() < 0.04
        s["zero_step_threshold"] = pick(rng, (1, 1, 2, 3, 4, 5, 6))
        s["zero_step_capacity"] = pick(rng, (1, 2, 8, 32))
        s["hp_timeout"] = pick(rng, (1, 1000, 30_000, 10**8))
        s["break_on_contention"] = rng.random() < 0.7
        s["guests_lock_free"] = rng.random() < 0.7
        version = VARIANTS[pick(rng, range(len(VARIANTS)))]
        if self.theme == Theme.BUILD and rng.random() < 0.5:
            version = "hypothetical-vp-init-v1"
        s["module_versions"] = 1 << KNOWN.index(self._newer_than(version))
        s["kernel"] = pick(rng, range(len(KERNELS)))
        s["dynamic_pamt"] = pick(rng, (Pamt.STATIC, Pamt.STATIC, Pamt.LOCKED, Pamt.FAST))
        s["stall_cycles"] = pick(rng, (50_000, 200_000)) * self.scale
        s["time_cap"] = pick(rng, (200_000, 500_000, 1_000_000)) * self.scale
        s["preempt_limit"] = pick(rng, (0, 3000, 50_000))
        s["yield_weight"] = rng.integers(2)
        s["weights"] = weights_of("thread")
        bands = int(rng.integers(1, 1 << N_BANDS))
        s["cost_bands"] = (1 << N_BANDS) - 1 if rng.random() < 0.5 else bands

    def _machine(self) -> None:
        """Draw CPUs, sockets and irq-off sections."""
        rng, s = self.rng, self.setup
        s["n_sockets"] = pick(rng, (1, 1, 2, 3, 4))
        s["ipi_cluster"] = pick(rng, (1, 2, 3, 16))
        if rng.random() < 0.4:
            set_range(rng, s, "n_pcpus", 0, 6)
        if rng.random() < 0.25:
            s["irq_off_share"] = rng.integers(1, 1001)
        s["irq_off_window"] = rng.integers(500, 20_000) * self.scale

    def _costs(self) -> None:
        for cost in Cost:
            low, high = TINY_COSTS.get(cost, TINY) if self.is_tiny else REAL_COSTS[cost]
            if self.rng.random() < 0.5:
                low, high = random_range(self.rng, low, high)
            self.setup["cost_low"][cost], self.setup["cost_high"][cost] = low, high

    def _areas(self) -> None:
        """Draw areas; each is for 4K or 2M pages, and for zaps or for block and restore."""
        rng, s = self.rng, self.setup
        s["n_areas"] = rng.integers(1, 2 if self.is_hot else 4)
        if self.theme == Theme.BUILD or (self.theme == Theme.EXPORT and rng.random() < 0.7):
            s["n_areas"] = 2
        s["page_shift"] = rng.integers(4)
        if self.theme == Theme.BATCH:
            s["page_shift"] = rng.integers(3, 6)
        self.is_large: list[bool] = []
        self.is_restored: list[bool] = []
        self.is_split: list[bool] = []  # all that is done there is done to 4K pages
        first = 0
        for number, area in enumerate(s["areas"][: s["n_areas"]]):
            is_large = rng.random() < self._large_share()
            area["first_region"] = first
            area["n_regions"] = rng.integers(1, 3)
            area["initial"] = self._initial(number, is_large)
            first += int(area["n_regions"])
            self.is_large.append(is_large)
            is_mapped = area["initial"] in (Initial.PENDING_2M, Initial.MAPPED_2M)
            small_share = 0.8 if self.theme == Theme.SPLIT else 0.25
            self.is_split.append(is_mapped and rng.random() < small_share)
            is_mixed = self.theme in (Theme.ANYTHING, Theme.STORM) or self.is_wild
            self.is_restored.append(is_mixed and rng.random() < 0.5)

    def _large_share(self) -> float:
        return {Theme.SPLIT: 0.9, Theme.EXPORT: 0.1, Theme.BATCH: 0.15}.get(self.theme, 0.35)

    def _initial(self, number: int, is_large: bool) -> int:
        """Choose how an area begins; in a build the first one is for pages to come."""
        areas = LARGE_AREAS if is_large else SMALL_AREAS
        initial = pick(self.rng, areas)
        if self.theme == Theme.BUILD:
            return Initial.FREE if number == 0 else pick(self.rng, [i for i in areas if i in THERE])
        if self.theme == Theme.STORM and initial in THERE:
            return Initial.EMPTY
        is_there = (
            self.theme in (Theme.SPLIT, Theme.EXPORT, Theme.BATCH) and self.rng.random() < 0.8
        )
        return pick(self.rng, [i for i in areas if i in THERE]) if is_there else initial

    def _area(self, kind: int, program: int) -> int:
        """Choose an area whose use doesn't contradict the actor's; any if there is none."""
        areas = range(int(self.setup["n_areas"]))
        takes_away = kind in (Task.ZAP, Task.SLOT_DELETE, Task.EXPORT) or program == Program.CONVERT
        fitting = [a for a in areas if not (takes_away and self.is_restored[a])]
        if kind == Task.BLOCK_RESTORE:
            fitting = [a for a in areas if self.is_restored[a]]
        if self.theme == Theme.BUILD:
            fitting = [0] if kind == Task.BUILD else [1]
        if self.theme == Theme.EXPORT and self.rng.random() < 0.8:
            fitting = [areas[-1] if kind == Task.ZAP else 0]
        return pick(self.rng, fitting if fitting and not self.is_wild else areas)

    def _room(self, row: Record, area: int, max_chunk: int, is_small: bool) -> int:
        """Set area, level and chunk; return how far the first unit of an item may go."""
        rng = self.rng
        row["area"] = area
        row["level"] = rng.integers(2) if self.is_wild else self.is_large[area]
        if is_small or (self.is_split[area] and rng.random() < 0.95):
            row["level"] = 0
        n_units = int(self.setup["areas"][area]["n_regions"])
        if row["level"] == 0:
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
        step = pick(rng, (1, int(row["chunk"])))
        fitting = max(1, (room // step - lead) // max(1, span) + 1)
        set_range(rng, row, "items", 1, min(most, fitting))
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
                set_range(rng, row, "count", 0, 2)
            self._group(row)

    def _group(self, row: Record) -> None:
        rng = self.rng
        row["program"] = self._program()
        max_chunk = self.longest_chunk if row["program"] == Program.CONVERT else 1
        room = self._room(row, self._area(NONE, row["program"]), max_chunk, False)
        self._place(row, max(6, int(self.setup["n_vcpus_high"])), room, 1, 0, 16)
        if row["items_high"] == 1 and row["stride"] <= 1 and rng.random() < 0.5:
            row["step"] = 0  # the group's size, for one item each
        if row["step"] == 0:
            row["items_low"] = row["items_high"] = 1
        if row["program"] in (Program.IDLE, Program.HAMMER):
            row["items_low"] = row["items_high"] = pick(rng, (0, 2, 1000))
        longest = 300 if self.theme in (Theme.STORM, Theme.BATCH) else 3000
        set_range(rng, row, "think", 0, longest * self.scale)
        if row["program"] == Program.HAMMER:
            row["think_low"], row["think_high"] = pick(rng, (0, 50)), 400
        row["same_rip"] = rng.random() < 0.4
        row["leaf"] = pick(rng, GUEST_LEAVES)
        row["is_shared_after"] = rng.random() < 0.15
        row["in_place"] = row["program"] == Program.CONVERT and rng.random() < 0.4
        self._interrupts(row)

    def _program(self) -> int:
        rng = self.rng
        if self.theme == Theme.BUILD or rng.random() < 0.02:
            return Program.PARKED
        working = [Program.TOUCH, Program.ACCEPT]
        if self.theme == Theme.SPLIT:
            working.append(Program.ACCEPT)
        if self.theme == Theme.EXPORT:
            working = [Program.TOUCH, Program.TOUCH, Program.ACCEPT]
        elif self.is_wild or not all(self.is_restored):
            working.append(Program.CONVERT)
        if self.theme == Theme.STORM:
            return pick(rng, [Program.HAMMER, *working, *working])
        background = [Program.COMPUTE, Program.IDLE, Program.HAMMER]
        if self.theme == Theme.SPLIT:
            background = [Program.COMPUTE, Program.HAMMER, Program.HAMMER]
        return pick(rng, [*background, *working, *working])

    def _interrupts(self, row: Record) -> None:
        """Draw a group's ticks, device interrupts and signals."""
        rng = self.rng
        if rng.random() < 0.6:
            longest = pick(rng, (3000, 20_000)) * self.scale
            set_range(rng, row, "tick", 1000 * self.scale, longest)
        if rng.random() < 0.4:
            self._device(row)
            if rng.random() < 0.4:
                row["signal_every"] = pick(rng, (1, 2, 5))

    def _device(self, row: Record) -> None:
        set_range(self.rng, row, "device", 500 * self.scale, 10_000 * self.scale)

    def _tasks(self) -> None:
        rng, s = self.rng, self.setup
        has_work = any(row["program"] in WORKING for row in s["groups"][: s["n_groups"]])
        has_none = has_work and self.theme not in FIRST_KIND and rng.random() < 0.3
        s["n_tasks"] = 0 if has_none else rng.integers(1, 5)
        for t, row in enumerate(s["tasks"][: s["n_tasks"]]):
            row["kind"] = self._kind(is_first=t == 0)
            most = 1 if row["kind"] == Task.EXPORT else 2
            set_range(rng, row, "count", 1 if t == 0 else 0, most)
            self._task(row)
            if row["kind"] == Task.OTHER_TDS:
                row["chunk"] = pick(rng, (1, 2, 8))
                row["trigger_group"] = NONE
                row["think_low"] = row["think_high"] = rng.integers(300, 5000) * self.scale

    def _kind(self, is_first: bool) -> int:
        if is_first and self.theme in FIRST_KIND and self.rng.random() < 0.7:
            return FIRST_KIND[self.theme]
        takes_away = (Task.ZAP, Task.SLOT_DELETE, Task.EXPORT)
        kinds = list(KINDS[self.theme])
        if all(self.is_restored) and not self.is_wild:
            kinds = [kind for kind in kinds if kind not in takes_away]
        kinds += [Task.BLOCK_RESTORE] * 3 * any(self.is_restored)
        if self.setup["dynamic_pamt"] != Pamt.STATIC and not is_first:
            kinds += [Task.OTHER_TDS] * 2
        return pick(self.rng, kinds)

    def _task(self, row: Record) -> None:
        rng = self.rng
        row["trigger_group"] = NONE
        span, lead = 1, 0
        if rng.random() < 0.4:
            row["trigger_group"] = rng.integers(self.setup["n_groups"])
            row["trigger_period"] = span = int(rng.integers(0, 3))
            row["trigger_lead"] = lead = int(rng.integers(0, 2))
        kind = int(row["kind"])
        is_small = kind in (Task.EXPORT, Task.BUILD)
        max_chunk = MAX_CHUNKS.get(Task(kind), self.longest_chunk)
        room = self._room(row, self._area(kind, NONE), max_chunk, is_small)
        self._place(row, 2, room, span, lead, 8)
        if rng.random() < 0.5 or row["step"] == 0:
            row["step"] = 0  # the same units again and again
            set_range(rng, row, "items", *((1, 6) if kind == Task.EXPORT else (3, 25)))
        set_range(rng, row, "think", 0, 5000 * self.scale)
        set_range(rng, row, "hold", 0, 20_000 * self.scale)
        row["is_shared_after"] = rng.random() < 0.15
        row["in_place"] = row["kind"] == Task.ZAP and rng.random() < 0.4
        if rng.random() < 0.5:
            self._device(row)


def random_setup(rng: Rng, theme: Theme | None = None) -> Record:
    """Return a random small scenario, a SETUP record; of a theme, if one is given."""
    return _Builder(rng, theme).build()


def add_computing(rng: Rng, row: Record) -> None:
    """Add a group of vCPUs that only compute to a scenario, which grows by them.

    Their interrupts come as often as a trip takes, or seldom.
    """
    n_more = int(rng.integers(1, 21))
    for bound in ("n_vcpus_low", "n_vcpus_high"):
        row[bound] += n_more
    row["n_vcpus_weights"] = 0
    number = int(row["n_groups"])
    if number == MAX_GROUPS:  # in place of one of those whose count is given
        number = int(np.argmax(row["groups"]["count_low"] != REST))
    row["n_groups"] = max(row["n_groups"], number + 1)
    group = row["groups"][number]
    group["program"] = Program.COMPUTE
    group["count_low"] = group["count_high"] = n_more
    group["is_hostile"] = rng.random() < 0.2
    longest = pick(rng, (600, 3000, 30_000, 300_000))
    for name in ("tick", "device", "host_tick"):
        if rng.random() < 0.6:
            set_range(rng, group, name, 300, longest)
    if rng.random() < 0.4:
        group["arm_cycles"] = rng.integers(1, longest)
    if rng.random() < 0.3:
        group["signal_every"] = pick(rng, (1, 2, 5))
