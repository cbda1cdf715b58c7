"""S-EPT entries with their mirror SPTEs, allowed states, transitions and TLB tracking."""

from dataclasses import dataclass, field
from types import SimpleNamespace

from tdx_env.state.actors import Purge, Spte
from tdx_env.state.calls import EntryState, Leaf, Outcome
from tdx_env.state.setup import Initial

from .locks import EntryLock

E = EntryState
NON_LEAF = {E.NL_MAPPED, E.NL_BLOCKED}
ANY_BLOCKED = {E.NL_BLOCKED, E.BLOCKED, E.PENDING_BLOCKED}
ACCESSIBLE = {
    E.MAPPED,
    E.BLOCKEDW,
    E.EXPORTED_BLOCKEDW,
    E.EXPORTED_DIRTY,
    E.EXPORTED_DIRTY_BLOCKEDW,
}
WRITABLE = {E.MAPPED, E.EXPORTED_DIRTY}
ACCEPTABLE = {E.PENDING, E.PENDING_EXPORTED_DIRTY}
NOT_READABLE = {E.FREE, E.REMOVED, E.BLOCKED, E.PENDING_BLOCKED, *NON_LEAF}
LIVE_EXPORTABLE = {
    E.BLOCKEDW,
    E.EXPORTED_DIRTY_BLOCKEDW,
    E.PENDING_BLOCKEDW,
    E.PENDING_EXPORTED_DIRTY_BLOCKEDW,
}
NO_TRACKING = {E.FREE, E.REMOVED, E.EXPORTED_BLOCKEDW, E.PENDING_EXPORTED_BLOCKEDW}

NEED_TRACKING = {Leaf.MEM_PAGE_REMOVE, Leaf.MEM_RANGE_UNBLOCK, Leaf.MEM_PAGE_DEMOTE}

# What each call makes of an entry; a state without a row is not allowed.
NEXT: dict[Leaf, dict[EntryState, EntryState]] = {
    Leaf.MEM_SEPT_ADD: {E.FREE: E.NL_MAPPED},
    Leaf.MEM_PAGE_ADD: {E.FREE: E.MAPPED},
    Leaf.MEM_PAGE_AUG: {E.FREE: E.PENDING, E.REMOVED: E.PENDING},
    Leaf.MEM_PAGE_REMOVE: {
        E.BLOCKED: E.FREE,
        E.PENDING_BLOCKED: E.FREE,
        E.MAPPED: E.FREE,
        E.PENDING: E.FREE,
        E.BLOCKEDW: E.FREE,
        E.PENDING_BLOCKEDW: E.FREE,
    },
    Leaf.MEM_RANGE_BLOCK: {
        E.NL_MAPPED: E.NL_BLOCKED,
        E.MAPPED: E.BLOCKED,
        E.BLOCKEDW: E.BLOCKED,
        E.PENDING: E.PENDING_BLOCKED,
        E.PENDING_BLOCKEDW: E.PENDING_BLOCKED,
    },
    Leaf.MEM_RANGE_UNBLOCK: {
        E.NL_BLOCKED: E.NL_MAPPED,
        E.BLOCKED: E.MAPPED,
        E.PENDING_BLOCKED: E.PENDING,
    },
    Leaf.MEM_PAGE_DEMOTE: {
        E.BLOCKED: E.NL_MAPPED,
        E.PENDING_BLOCKED: E.NL_MAPPED,
        E.MAPPED: E.NL_MAPPED,
        E.PENDING: E.NL_MAPPED,
    },
    Leaf.EXPORT_BLOCKW: {
        E.MAPPED: E.BLOCKEDW,
        E.PENDING: E.PENDING_BLOCKEDW,
        E.EXPORTED_DIRTY: E.EXPORTED_DIRTY_BLOCKEDW,
        E.PENDING_EXPORTED_DIRTY: E.PENDING_EXPORTED_DIRTY_BLOCKEDW,
    },
    Leaf.EXPORT_UNBLOCKW: {
        E.BLOCKEDW: E.MAPPED,
        E.EXPORTED_BLOCKEDW: E.EXPORTED_DIRTY,
        E.EXPORTED_DIRTY_BLOCKEDW: E.EXPORTED_DIRTY,
        E.PENDING_BLOCKEDW: E.PENDING,
        E.PENDING_EXPORTED_BLOCKEDW: E.PENDING_EXPORTED_DIRTY,
        E.PENDING_EXPORTED_DIRTY_BLOCKEDW: E.PENDING_EXPORTED_DIRTY,
    },
    Leaf.EXPORT_MEM: {
        E.MAPPED: E.EXPORTED_BLOCKEDW,
        E.BLOCKEDW: E.EXPORTED_BLOCKEDW,
        E.EXPORTED_BLOCKEDW: E.EXPORTED_BLOCKEDW,
        E.EXPORTED_DIRTY: E.EXPORTED_BLOCKEDW,
        E.EXPORTED_DIRTY_BLOCKEDW: E.EXPORTED_BLOCKEDW,
        E.PENDING: E.PENDING_EXPORTED_BLOCKEDW,
        E.PENDING_BLOCKEDW: E.PENDING_EXPORTED_BLOCKEDW,
        E.PENDING_EXPORTED_BLOCKEDW: E.PENDING_EXPORTED_BLOCKEDW,
        E.PENDING_EXPORTED_DIRTY: E.PENDING_EXPORTED_BLOCKEDW,
        E.PENDING_EXPORTED_DIRTY_BLOCKEDW: E.PENDING_EXPORTED_BLOCKEDW,
    },
    Leaf.ACCEPT: {E.PENDING: E.MAPPED, E.PENDING_EXPORTED_DIRTY: E.EXPORTED_DIRTY},
}


@dataclass
class Entry:
    """One S-EPT entry and KVM's mirror of it."""

    number: int
    level: int
    state: EntryState = E.FREE
    spte: Spte = Spte.ABSENT
    purge: Purge = Purge.PRIVATE
    counter: int = 0
    bepoch: int = 0
    pamt: int = 0  # pages that Dynamic PAMT counts in the 2M block (of a PD entry, or the root's)
    lock: EntryLock = field(default_factory=EntryLock)

    def put(self, state: EntryState) -> None:
        """Set the state at the start of an episode; its SPTE follows."""
        self.state = state
        self.spte = Spte.ABSENT if state == E.FREE else Spte.PRESENT


@dataclass
class Epochs:
    """TLB tracking of the TD."""

    td_epoch: int = 1
    bw_epoch: int = 0  # of the last EXPORT.BLOCKW
    in_guest: list[int] = field(default_factory=lambda: [0, 0])

    def is_tracked(self, bepoch: int) -> bool:
        """Return whether nobody can have a translation from before that block."""
        if bepoch == self.td_epoch - 1:
            return self.in_guest[bepoch & 1] == 0
        return bepoch < self.td_epoch - 1

    def can_track(self) -> bool:
        """Return whether everybody left who entered in the previous epoch."""
        return self.in_guest[1 - (self.td_epoch & 1)] == 0


class Table:
    """All entries: 4K pages, then PD entries, then level 2, then one of level 3."""

    def __init__(self, setup: SimpleNamespace) -> None:
        areas = setup.areas[: setup.n_areas]
        self.shift = setup.page_shift
        self.n_regions = max(a.first_region + a.n_regions for a in areas)
        n_pages = self.n_regions << self.shift
        levels = [0] * n_pages + [1] * self.n_regions + [2] * -(-self.n_regions // 512) + [3]
        self.entries = [Entry(number, level) for number, level in enumerate(levels)]
        self.first_pd = n_pages
        self.first_l2 = n_pages + self.n_regions
        for area in areas:
            self._fill(area)
        if any(area.initial != Initial.EMPTY for area in areas):
            for entry in self.entries[self.first_l2 :]:
                entry.put(E.NL_MAPPED)
            self.root.pamt = 1

    def _fill(self, area: SimpleNamespace) -> None:
        pd_state, page_state = {
            Initial.EMPTY: (E.FREE, E.FREE),
            Initial.FREE: (E.NL_MAPPED, E.FREE),
            Initial.PENDING_4K: (E.NL_MAPPED, E.PENDING),
            Initial.MAPPED_4K: (E.NL_MAPPED, E.MAPPED),
            Initial.PENDING_2M: (E.PENDING, E.FREE),
            Initial.MAPPED_2M: (E.MAPPED, E.FREE),
        }[Initial(area.initial)]
        for region in range(area.first_region, area.first_region + area.n_regions):
            self.entries[self.first_pd + region].put(pd_state)
            for page in range(region << self.shift, (region + 1) << self.shift):
                self.entries[page].put(page_state)
            if page_state != E.FREE:
                self.entries[self.first_pd + region].pamt = 1 << self.shift

    @property
    def root(self) -> Entry:
        """The one entry of level 3."""
        return self.entries[-1]

    def unit(self, area: SimpleNamespace, level: int, unit: int) -> Entry:
        """Return the entry of a page (level 0) or region (level 1) of an area."""
        if level == 0:
            return self.entries[(area.first_region << self.shift) + unit]
        return self.entries[self.first_pd + area.first_region + unit]

    def pd_of(self, page: Entry) -> Entry:
        """Return the PD entry over a 4K entry."""
        assert page.level == 0
        return self.entries[self.first_pd + (page.number >> self.shift)]

    def pages_of(self, pd: Entry) -> list[Entry]:
        """Return the 4K entries of a region."""
        region = pd.number - self.first_pd
        return self.entries[region << self.shift : (region + 1) << self.shift]

    def above(self, entry: Entry) -> list[Entry]:
        """Return the tables over an entry of level 0 or 1, from the root down."""
        region = entry.number - self.first_pd if entry.level else entry.number >> self.shift
        tables = [self.entries[-1], self.entries[self.first_l2 + region // 512]]
        return tables if entry.level else [*tables, self.entries[self.first_pd + region]]

    def walk(self, target: Entry) -> Entry:
        """Return where a walk down to an entry ends."""
        for entry in self.above(target):
            if entry.state != E.NL_MAPPED:
                return entry
        return target


def is_leaf(state: EntryState) -> bool:
    """Return whether the state maps a page, accessible or not."""
    return state != E.FREE and state not in NON_LEAF


def check(leaf: Leaf, entry: Entry, epochs: Epochs, must_track: bool) -> Outcome:
    """Return what a call's checks of the entry say."""
    state = entry.state
    if leaf == Leaf.MEM_RANGE_BLOCK and state in ANY_BLOCKED:
        return Outcome.GPA_RANGE_ALREADY_BLOCKED
    if state not in NEXT[leaf]:
        return Outcome.EPT_ENTRY_STATE_INCORRECT
    if not must_track:
        return Outcome.SUCCESS
    if leaf == Leaf.EXPORT_MEM:
        if state not in LIVE_EXPORTABLE:
            return Outcome.EPT_ENTRY_STATE_INCORRECT
        is_tracked = epochs.is_tracked(epochs.bw_epoch)
        return Outcome.SUCCESS if is_tracked else Outcome.TLB_TRACKING_NOT_DONE
    if leaf in NEED_TRACKING and state not in NO_TRACKING:
        if state not in ANY_BLOCKED:
            return Outcome.GPA_RANGE_NOT_BLOCKED
        if not epochs.is_tracked(entry.bepoch):
            return Outcome.TLB_TRACKING_NOT_DONE
    return Outcome.SUCCESS
