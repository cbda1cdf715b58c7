"""Rows about how often which call is busy, and on what."""

import functools

import numpy as np

from tdx_env.scenarios.values import Range
from tdx_env.state.calls import Leaf, Lock
from tdx_env.state.world import CELL_LOCKS, N_HOLDERS, End
from tdx_eval.reality.criteria import Always, Sometimes, below, mostly_reaches
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import MERGED, World, busy, cells, n_zaps, run_world

_YAN = "Y. Zhao, 26 November 2024 (Z0VpsYpcz4uqdA7o), tests"
_PERCENT = 100.0
_RARE = 1.0  # [%]; ours: nobody put a number to "rare"
# 25,000 to 50,000 interrupts a second for each vCPU; fewer pages than the scenario has.
_NETWORK = World("s06-conversion/train").with_(groups__converter__items=12)
# Timers alone, at HZ=1000: 2,250 exits a second for each vCPU; fewer pages than the scenarios have.
_TICKS = World("s06-conversion-calm/train").with_(groups__converter__items=60)
_LARGE = World("s06-conversion-248-calm/train").with_(groups__converter__items=60)
_MODERATE = _NETWORK.with_(
    groups__computing__device_us=Range(low=90, high=110), limits__time_cap_us=2_000_000
)
# Fewer pages than the scenario has.
_HOSTILE = World("s10-hostile/train").with_(tasks__zapper__items=80, groups__honest__items=50)
_TREE = CELL_LOCKS.index(Lock.TREE)
_ENTRY = CELL_LOCKS.index(Lock.ENTRY)
_EPOCH = CELL_LOCKS.index(Lock.EPOCH)
_NOBODY = N_HOLDERS - 1
_GUEST_CALLS = (Leaf.ACCEPT, Leaf.ATTR_RD, Leaf.ATTR_WR)


def _share(world: World, leaf: Leaf, n_draws: int) -> np.ndarray:
    """Return busy replies of a zap's call for each page, in each draw [%]."""
    batch = run_world(world, MERGED, n_draws)
    return _PERCENT * busy(batch, leaf) / n_zaps(batch)


def _track(world: World, n_draws: int) -> Sample:
    """Measure how often TRACK is busy."""
    medians = [
        f"{np.median(_share(some, Leaf.MEM_TRACK, n_draws)):.2f} % {load}"
        for some, load in (
            (_TICKS, "with timers alone (2,250 TD exits a second and vCPU, 12 to 24 vCPUs)"),
            (_LARGE, "with timers alone at 248 vCPUs"),
            (_MODERATE, "at some 10,000"),
            (_NETWORK, "at 25,000 to 50,000"),
        )
    ]
    note = (
        f"Medians: {', '.join(medians)}. The epoch is held for 50 to 200 cycles a VP.ENTER, so the "
        "share goes with their rate; which rate the tests had was not said. “Not rare” is taken "
        "as 1 % of the TRACKs."
    )
    return Sample(_share(world, Leaf.MEM_TRACK, n_draws), note)


def _block_and_remove(n_draws: int) -> Sample:
    """Measure how often BLOCK or REMOVE is busy without zero-step and on pages long accepted."""
    values = _share(_NETWORK, Leaf.MEM_RANGE_BLOCK, n_draws)
    values = values + _share(_NETWORK, Leaf.MEM_PAGE_REMOVE, n_draws)
    raced = World("s09-accept-4k/train")
    at_most = np.median(_share(raced, Leaf.MEM_RANGE_BLOCK, n_draws))
    note = (
        "Nobody is armed and nobody accepts the pages that go. Where each page is removed at the "
        f"very moment of its ACCEPT (s09-accept-4k), BLOCK is busy for {at_most:.0f} % of them."
    )
    return Sample(values, note)


def _install(n_draws: int) -> Sample:
    """Measure how often AUG or SEPT.ADD is busy in boot storms."""
    worlds = (World("s01-boot-storm-region/train"), World("s02-boot-storm-spread/train"))
    values = []
    for world in worlds:
        batch = run_world(world, MERGED, n_draws)
        n_busy = busy(batch, Leaf.MEM_PAGE_AUG) + busy(batch, Leaf.MEM_SEPT_ADD)
        values.append(_PERCENT * n_busy / batch.run["n_operations"][:, 0])
    note = "Busy replies for each fault of two boot storms: FROZEN SPTEs keep host threads apart."
    return Sample(np.concatenate(values), note)


def _host_lock(n_draws: int) -> Sample:
    """Look whether a per-VM spinlock round the SEAMCALLs leaves busy replies."""
    batch = run_world(World("s09-accept-4k/train"), "p4-doubling-cap-1024", n_draws)
    note = "The holder is the guest's ACCEPT, which no lock of the host keeps out (s09-accept-4k)."
    return Sample((batch.run["n_busy"] > 0).astype(float), note)


def _zero_tolerance(n_draws: int) -> Sample:
    """Look whether TDs survive if any busy reply is KVM_BUG_ON."""
    batch = run_world(_NETWORK, "p26-zero-tolerance", n_draws)
    note = (
        "A conversion beside vCPUs that take interrupts, nobody hostile: TRACK meets VP.ENTER, "
        "which no lock of KVM's can enclose, since it lasts as long as the guest runs."
    )
    return Sample((batch.run["end"] == End.FINISHED).astype(float), note)


def _under_write_lock(n_draws: int) -> Sample:
    """Look whether an armed VP.ENTER makes calls under mmu_lock for write busy."""
    found = cells(run_world(World("s03-zero-step/train"), MERGED, n_draws))
    met = found[:, :, Leaf.VP_ENTER, _TREE]
    calls = (Leaf.MEM_RANGE_BLOCK, Leaf.MEM_RANGE_UNBLOCK, Leaf.MEM_PAGE_AUG)
    parts = [f"{Leaf(leaf).name} in {np.mean(met[:, leaf] > 0):.0%}" for leaf in calls]
    note = f"Draws with at least one tree-busy reply to: {', '.join(parts)}."
    return Sample((met[:, calls[:2]].sum(axis=1) > 0).astype(float), note)


def _known(call: int, holder: int, lock: int) -> bool:
    """Say whether a conflict is one of the three kinds that are left."""
    if lock == _EPOCH:
        return {call, holder} <= {Leaf.MEM_TRACK, Leaf.VP_ENTER}
    if lock == _TREE:
        return Leaf.VP_ENTER in (call, holder)
    return lock == _ENTRY and holder in _GUEST_CALLS


def _three_kinds(n_draws: int) -> Sample:
    """Look whether all conflicts of a running TD are of the three kinds."""
    names = (
        "s01-boot-storm-region", "s03-zero-step", "s08-accept-2m", "s14-split-punch-hole",
        "s09-accept-4k", "s20-prefault",
    )  # fmt: skip
    strange = np.zeros(n_draws)
    kinds: set[tuple[int, int, int]] = set()
    worlds = (_NETWORK, _HOSTILE, *(World(f"{name}/train") for name in names))
    for world in worlds:
        found = cells(run_world(world, MERGED, n_draws))
        kinds |= {(int(c), int(h), int(k)) for c, h, k in np.argwhere(found.sum(axis=0))}
        for call, holder, lock in kinds:
            if not _known(call, holder, lock):
                strange = np.maximum(strange, found[:, call, holder, lock] > 0)
    others = [_name(*kind) for kind in sorted(kinds) if not _known(*kind)]
    note = f"{len(kinds)} kinds of conflict in {len(worlds)} scenarios of a running TD."
    return Sample(1 - strange, note + (f" Others: {'; '.join(others)}." if others else ""))


def _name(call: int, holder: int, lock: int) -> str:
    """Return a conflict in words."""
    by = "nobody known" if holder == _NOBODY else Leaf(holder).name
    return f"{Leaf(call).name} met {by} on {CELL_LOCKS[lock].name}"


ROWS = (
    Row(
        "install-rarely-busy", Kind.STATED,
        "Contention of AUG and SEPT.ADD is rare; what there is comes from zero-step.",
        "patch text, 3 September 2024 (20240904030751.117579-10)", "% of faults", below(_RARE),
        _install,
    ),
    Row(
        "track-not-rare", Kind.STATED,
        "TRACK is not rarely busy because of VP.ENTER: under many device interrupts.",
        _YAN, "% of TRACKs", mostly_reaches(_RARE), functools.partial(_track, _NETWORK),
    ),
    Row(
        "track-not-rare-ticks", Kind.STATED,
        "TRACK is not rarely busy because of VP.ENTER: on a TD that only ticks.",
        _YAN, "% of TRACKs", mostly_reaches(_RARE), functools.partial(_track, _TICKS),
    ),
    Row(
        "track-not-rare-large", Kind.STATED,
        "TRACK is not rarely busy because of VP.ENTER: on a TD of 248 vCPUs that only ticks.",
        _YAN, "% of TRACKs", mostly_reaches(_RARE), functools.partial(_track, _LARGE),
    ),
    Row(
        "block-remove-rare", Kind.STATED,
        "BLOCK and REMOVE are rarely busy as long as zero-step is quiet.",
        _YAN, "% of pages", below(_RARE), _block_and_remove,
    ),
    Row(
        "host-locks-not-enough", Kind.STATED,
        "Guests take the locks too, so no lock on the host's side removes all busy replies.",
        "R. Edgecombe, 9 September 2024", "", Always(), _host_lock,
    ),
    Row(
        "zero-tolerance", Kind.STATED,
        "KVM can keep contention away and treat a busy reply as a bug of its own.",
        "S. Christopherson, 9 September 2024 (Zt9nWjPXBC8r0Xw-), after the SGX driver", "",
        Always(), _zero_tolerance,
    ),
    Row(
        "busy-under-write-lock", Kind.STATED,
        "Zero-step makes busy possible on any S-EPT access, even under mmu_lock for write.",
        "S. Christopherson, 19 January 2023 (Y8m34OEVBfL7Q4Ns)", "", Sometimes(),
        _under_write_lock,
    ),
    Row(
        "three-contentions", Kind.STATED,
        "A running TD has three contentions: TRACK with VP.ENTER on the epoch, an armed vCPU's "
        "VP.ENTER with MEM calls on the tree, the guest's calls with MEM calls on an entry.",
        "Y. Zhao, 13 September 2024 (ZuP5eNXFCljzRgWo)", "", Always(),
        _three_kinds,
    ),
)  # fmt: skip
