"""The space of legal guests, and what the removal of one chunk costs against one of them."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from tdx_agents.protocol import Policy
from tdx_agents.tree import Tree
from tdx_env.engine.batch import Batch
from tdx_env.module.versions import DEFAULT_VERSION
from tdx_env.scenarios import Scenario, load, setup_of
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import Action
from tdx_env.state.world import CELL_LOCKS, N_CALLS, N_HOLDERS, End
from tdx_eval.worst.bounds import Bound, bound_of

_FILE = Path(__file__).resolve().parent / "guest.toml"
_GROUPS = ("readers", "accepters", "faulting")
_MOST_HAMMERS, _MOST_OTHERS = 12, 24
_MOST_THINK = 20_000
_TICKS = (0, 50, 200, 1000, 4000)  # periods of interrupts [µs]
_INITIALS = ("mapped_4k", "pending_4k")
_VERSIONS = ("1.5.01", "1.5.06", "1.5.28", DEFAULT_VERSION)
_ZAP = (Leaf.MEM_RANGE_BLOCK, Leaf.MEM_TRACK, Leaf.MEM_PAGE_REMOVE, Leaf.PHYMEM_PAGE_WBINVD)
_TRACED = 1 << 14
MEASURES = ("issues", "seamcalls", "stops", "ipis", "cycles")


@dataclass(frozen=True)
class HostileGuest:
    """What the vCPUs of a guest do.

    Attributes:
        counts: vCPUs that hammer with ATTR.RD and with ACCEPT, and that fault in new pages.
        thinks: Their pauses [cycles].
        tick: Place of the period of their timer interrupts.
        n_others: vCPUs that compute.
        device: Place of the period of those's device interrupts.
        initial: Place of what the pages are at first.
        version: Place of the module's version.
    """

    counts: tuple[int, ...] = (1, 1, 1)
    thinks: tuple[int, ...] = (0, 0, 5_000)
    tick: int = 0
    n_others: int = 1
    device: int = 0
    initial: int = 0
    version: int = len(_VERSIONS) - 1

    @property
    def n_vcpus(self) -> int:
        """VCPUs of the TD."""
        return sum(self.counts) + self.n_others

    def scenario(self, n_pages: int) -> Scenario:
        """Return the scenario in which a chunk of so many pages is removed from it."""
        overrides: dict[str, object] = {
            "host.n_vcpus": self.n_vcpus,
            "module.version": _VERSIONS[self.version],
            "areas.removed.initial": _INITIALS[self.initial],
            "tasks.zapper.chunk": n_pages,
            "groups.computing.device_us": _TICKS[self.device],
        }
        for name, count, think in zip(_GROUPS, self.counts, self.thinks, strict=True):
            overrides[f"groups.{name}.count"] = count
            overrides[f"groups.{name}.think_cycles"] = think
            overrides[f"groups.{name}.tick_us"] = _TICKS[self.tick]
        return load(_FILE, overrides)

    def told(self) -> str:
        """Return the guest in words."""
        hammers = ", ".join(
            f"{count} {name} (pause {think:,})"
            for name, count, think in zip(_GROUPS, self.counts, self.thinks, strict=True)
        )
        return (
            f"{hammers}, {self.n_others} computing, ticks {_TICKS[self.tick]} us, devices "
            f"{_TICKS[self.device]} us, {_INITIALS[self.initial]}, module {_VERSIONS[self.version]}"
        )


def drawn_guest(generator: np.random.Generator) -> HostileGuest:
    """Return a guest, drawn."""
    n = len(_GROUPS)
    return HostileGuest(
        tuple(generator.integers(1, _MOST_HAMMERS + 1, n).tolist()),
        tuple(generator.integers(0, _MOST_THINK + 1, n).tolist()),
        int(generator.integers(len(_TICKS))),
        int(generator.integers(1, _MOST_OTHERS + 1)),
        int(generator.integers(len(_TICKS))),
        int(generator.integers(len(_INITIALS))),
        int(generator.integers(len(_VERSIONS))),
    )


def changed_guest(guest: HostileGuest, generator: np.random.Generator) -> HostileGuest:
    """Return a guest that differs in one thing, drawn."""
    other = drawn_guest(generator)
    names = [field.name for field in fields(HostileGuest)]
    name = names[int(generator.integers(len(names)))]
    return replace(guest, **{name: getattr(other, name)})


@dataclass(frozen=True)
class Attack:
    """What the removal of a chunk came to at worst in a few episodes against one guest.

    Attributes:
        guest: The guest.
        issues: SEAMCALLs of one call.
        seamcalls: Of the chunk.
        stops: Kicks of all vCPUs by the removal, those for the shared EPT left out.
        ipis: IPIs, whoever sent them.
        cycles: The longest non-preemptible stretch.
        n_lost: Episodes that did not finish.
        bound: What is derived for it.
    """

    guest: HostileGuest
    issues: int
    seamcalls: int
    stops: int
    ipis: int
    cycles: int
    n_lost: int
    bound: Bound

    def beyond(self) -> list[str]:
        """Return the measures in which it is beyond the bound."""
        limits = [self.bound.call.issues, *(getattr(self.bound, one) for one in MEASURES[1:])]
        found = [getattr(self, one) for one in MEASURES]
        pairs = zip(MEASURES, found, limits, strict=True)
        return [name for name, value, limit in pairs if value > limit]


def _busy_of_zap(batch: Batch) -> np.ndarray:
    """Return the busy replies that each episode's removal met, shape (n_worlds,)."""
    cells = batch.run["cells"].reshape(batch.n_worlds, N_CALLS, N_HOLDERS, len(CELL_LOCKS), 2)
    found: np.ndarray = cells[..., 0][:, list(_ZAP)].sum(axis=(1, 2, 3))
    return found


def _asked(batch: Batch, index: int, n_vcpus: int) -> np.ndarray:
    """Return the decisions of an episode about busy calls of the removal, a record each."""
    n = int(batch.run["n_decisions_traced"][index])
    rows: np.ndarray = batch.world(index).decisions["decision"][:n]
    return rows[(rows["actor"] >= n_vcpus) & (rows["path"] == CallPath.ZAP)]


def attacked(tree: Tree, policy: Policy, guest: HostileGuest, n_pages: int, n_seeds: int) -> Attack:
    """Return what a removal under a tree comes to against a guest.

    Args:
        tree: Decides.
        policy: The same, compiled.
        guest: Who attacks.
        n_pages: Pages of the chunk.
        n_seeds: Episodes.
    """
    scenario = guest.scenario(n_pages)
    record = tree.discipline.with_(asks="all").record()
    batch = Batch(setup_of(scenario), record, n_seeds, n_decisions_traced=_TRACED)
    batch.reset(np.arange(n_seeds))
    batch.advance(policy.decide)
    run = batch.run
    calls = 3 * n_pages + run["n_flushes"]
    asked = [_asked(batch, index, guest.n_vcpus) for index in range(n_seeds)]
    kicks = np.array([(rows["action"] == Action.KICK).sum() for rows in asked])
    return Attack(
        guest,
        1 + max(int(rows["issues"].max(initial=0)) for rows in asked),
        int((calls + _busy_of_zap(batch)).max()),
        int((kicks + run["n_flushes"]).max()),
        int(run["n_ipis"].max()),
        int(run["longest_stretch"].max()),
        int((run["end"] != End.FINISHED).sum()),
        bound_of(tree, n_pages, guest.n_vcpus, scenario),
    )
