"""The most SEAMCALLs, stops, IPIs and cycles that one operation can cause, from tree and limits.

An operation is the removal of one chunk of 4K pages, at most 512, from asking for mmu_lock to its
last page. The guest may answer every try with a busy lock: nothing is assumed of it, nor of its
interrupts, but that a vCPU in the guest leaves it when an IPI has arrived. All are 4K mappings, and
no other removal is under way: a mapping to split, or a page that somebody else works on, would end
a batch too. SEAMCALLs of faults and VP.ENTER are not counted; they are the vCPUs'.

Source:
    docs/model.md, sections 4 (decisions, limits) and 6 (kicks); the costs are the scenario's.
"""

import functools
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tdx_agents.tree import Node, Split, Tree, nodes_of
from tdx_agents.tree_inputs import FLUSH_ONLY
from tdx_env.errors import PolicyError
from tdx_env.host.discipline import Discipline
from tdx_env.scenarios import Scenario
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import UNLIMITED, Action, Exhaustion
from tdx_env.state.setup import PAGES_PER_2M

_NO_END = 1 << 62
_ZERO_STEP_PAGES = 32
_PER_PAGE = (Leaf.MEM_RANGE_BLOCK, Leaf.MEM_PAGE_REMOVE, Leaf.PHYMEM_PAGE_WBINVD)
_FLUSH = "is_flush"
_LOCK_FLAGS = ("on_tree", "on_entry", "on_epoch")
_OF_PATH = ("is_fault", "is_zap", "is_enter", "is_flush")
Known = Mapping[str, tuple[int, int]]


def reachable(node: Node, known: Known) -> frozenset[Action]:
    """Return the answers that a tree may give.

    Args:
        node: Its root.
        known: Smallest and largest value of inputs; of those not named nothing is known. No
            relation between two inputs is used, so that more may be returned than occurs.
    """
    if isinstance(node, Action):
        return frozenset((node,))
    low, high = known.get(node.input, (0, _NO_END))
    found: frozenset[Action] = frozenset()
    if high > node.above:
        found |= reachable(node.then, {**known, node.input: (max(low, node.above + 1), high)})
    if low <= node.above:
        found |= reachable(node.otherwise, {**known, node.input: (low, min(high, node.above))})
    return found


def on_path(flag: str) -> dict[str, tuple[int, int]]:
    """Return what is known when a decision belongs to one path, named by its flag."""
    known = {name: (int(name == flag),) * 2 for name in _OF_PATH}
    others = _LOCK_FLAGS if flag == _FLUSH else FLUSH_ONLY
    return known | dict.fromkeys(others, (0, 0))


def specialised(node: Node, known: Known) -> Node:
    """Return a tree without the tests whose outcome is known."""
    if isinstance(node, Action):
        return node
    low, high = known.get(node.input, (0, _NO_END))
    if low > node.above:
        return specialised(node.then, known)
    if high <= node.above:
        return specialised(node.otherwise, known)
    then = specialised(node.then, {**known, node.input: (max(low, node.above + 1), high)})
    otherwise = specialised(node.otherwise, {**known, node.input: (low, min(high, node.above))})
    if then == otherwise:
        return then
    return Split(node.input, node.above, then, otherwise)


def thresholds_of(root: Node, name: str) -> list[int]:
    """Return the thresholds that an input is compared with, in order."""
    tests = (node for node in nodes_of(root) if isinstance(node, Split))
    return sorted({test.above for test in tests if test.input == name})


def _answers_by_kicks(root: Node, issues: int, borders: list[int]) -> tuple[list[bool], list[bool]]:
    """Return whether a busy call may be kicked for, and whether not, at a number of issues.

    Args:
        root: The tree.
        issues: So many.
        borders: Thresholds of the kicks so far; one answer for each stretch between them.
    """
    firsts = [0, *(border + 1 for border in borders)]
    known = on_path("is_zap") | {"issues": (issues,) * 2}
    found = [reachable(root, known | {"kicks": (kicks,) * 2}) for kicks in firsts]
    return [Action.KICK in one for one in found], [bool(one - {Action.KICK}) for one in found]


@functools.lru_cache(maxsize=64)
def most_kicks(root: Node, limit: int, is_twice: bool) -> int:
    """Return how often one busy call of a zap can be kicked for, the discipline's own included.

    Args:
        root: The tree.
        limit: Issues after which the discipline takes over.
        is_twice: Whether it then kicks and lets the call be issued as often again.
    """
    issue_borders, kick_borders = thresholds_of(root, "issues"), thresholds_of(root, "kicks")
    stretch = np.searchsorted(kick_borders, np.arange(2 * limit + 1))
    reached = np.zeros(len(stretch), bool)  # by the number of kicks so far
    reached[0] = True
    last, kicks, stays = -1, reached, reached
    for issues in range(1, 2 * limit if is_twice else limit):
        if issues == limit:
            reached[1:] = reached[:-1].copy()
            reached[0] = False
            continue
        part = bisect_left(issue_borders, issues)
        if part != last:
            kicks, stays = (
                np.array(one)[stretch] for one in _answers_by_kicks(root, issues, kick_borders)
            )
            last = part
        kicked = reached & kicks
        reached &= stays
        reached[1:] |= kicked[:-1]
    return int(np.flatnonzero(reached)[-1])


def fewest_blocked(root: Node) -> int:
    """Return how many pages are blocked at least when a decision ends a batch; 512 if none does."""
    borders = [0, *thresholds_of(root, "blocked"), PAGES_PER_2M]
    for border in borders:
        blocked = max(1, border + 1) if border else 1
        known = on_path("is_flush") | {"blocked": (blocked,) * 2}
        if blocked < PAGES_PER_2M and reachable(root, known) - {Action.RETRY}:
            return blocked
    return PAGES_PER_2M


@dataclass(frozen=True)
class CallBound:
    """What one busy call of a zap can come to.

    Attributes:
        issues: SEAMCALLs, the last one included.
        kicks: Kicks, the discipline's own included.
    """

    issues: int
    kicks: int


def call_bound(root: Node, discipline: Discipline, leaf: Leaf) -> CallBound:
    """Return the bound of one call.

    Raises:
        PolicyError: The discipline sets none.
    """
    limit, end = discipline.limit(leaf), discipline.exhaustion(leaf)
    endless = (Exhaustion.GATED_KICK, Exhaustion.LOCAL_RETRY, Exhaustion.REENTER)
    if limit >= UNLIMITED or end in endless:
        raise PolicyError(
            f"{leaf.name} has no bound: max_issues {limit:,}, on_exhaustion {end.name.lower()}; "
            "give a discipline that ends it (kill, gated_kick_once)"
        )
    is_twice = end == Exhaustion.GATED_KICK_ONCE
    return CallBound(2 * limit if is_twice else limit, most_kicks(root, limit, is_twice))


@dataclass(frozen=True)
class Bound:
    """What one operation can cause at most.

    Attributes:
        n_pages: Pages of the chunk.
        n_vcpus: vCPUs of the TD.
        call: Of its calls the worst.
        flushes: Times that TRACK stops the vCPUs.
        calls: Calls that have to succeed.
        seamcalls: SEAMCALLs, busy ones included.
        stops: Kicks of all vCPUs: decided ones, TRACK's, the shared EPT's.
        ipis: IPIs.
        cycles: One non-preemptible stretch; 0 if no costs are given.
    """

    n_pages: int
    n_vcpus: int
    call: CallBound
    flushes: int
    calls: int
    seamcalls: int
    stops: int
    ipis: int
    cycles: int = 0

    def lines(self) -> list[str]:
        """Return the bound as lines of text."""
        of_chunk = (
            f"Removing a chunk of {self.n_pages} pages, {self.n_vcpus} vCPUs, whatever they do:"
        )
        lines = [
            of_chunk,
            f"- one call: at most {self.call.issues:,} SEAMCALLs, kicks: {self.call.kicks:,}",
            f"- the chunk: at most {self.seamcalls:,} SEAMCALLs,",
            f"  {self.stops:,} stops of all vCPUs ({self.flushes:,} of them TRACK's),",
            f"  {self.ipis:,} IPIs",
        ]
        if self.cycles:
            lines.append(f"- one non-preemptible stretch: at most {self.cycles:,} cycles")
        return lines


def _stop_cycles(cost: Mapping[str, int], n_vcpus: int) -> int:
    """Return how long one stop of all vCPUs takes at most [cycles].

    The slowest target is in the longest thing that no IPI ends (VP.ENTER with a full walk of the
    listed pages, or a TDCALL with one page's ACCEPT), then exits.
    """
    per_vcpu = ("kick_target", "kick_remote", "kick_icr", "kick_ack")
    sending = cost["kick_fixed"] + n_vcpus * (
        2 * cost["kick_scan"] + sum(cost[name] for name in per_vcpu)
    )
    entering = cost["bare"] + cost["vp_enter"] + cost["invept"]
    entering += _ZERO_STEP_PAGES * cost["armed_walk"] + cost["remote_line"]
    in_guest = cost["tdcall"] + cost["accept_4k"] + cost["attr_hold"]
    in_guest += cost["accept_2m"] // PAGES_PER_2M + 1
    leaving = cost["ipi_delivery"] + cost["irq_off"] + cost["td_exit"] + cost["kick_handler"]
    return sending + entering + in_guest + leaving


def _stretch_cycles(scenario: Scenario, decision_cycles: int, bound: Bound, n_busy: int) -> int:
    """Return how long mmu_lock is held at most [cycles]: all of the chunk in one hold."""
    cost = {name: value.high for name, value in scenario.costs.items()}
    reached = ("bare", "to_tdr", "to_tree", "to_entry", "to_epoch", "epoch_hold", "remote_line")
    busy = sum(cost[name] for name in reached) + decision_cycles
    page = sum(
        cost[name]
        for name in ("zap_software", "range_block", "page_remove", "wbinvd", "clear", "resched")
    )
    page += 4 * cost["remote_line"] + decision_cycles
    return (
        n_busy * busy
        + bound.n_pages * page
        + bound.flushes * (cost["track"] + cost["remote_line"])
        + bound.stops * _stop_cycles(cost, bound.n_vcpus)
    )


def bound_of(
    tree: Tree,
    n_pages: int = PAGES_PER_2M,
    n_vcpus: int = 64,
    scenario: Scenario | None = None,
) -> Bound:
    """Return what the removal of one chunk can cause at most.

    Args:
        tree: Decides, under its discipline.
        n_pages: 4K pages of the chunk.
        n_vcpus: vCPUs of the TD.
        scenario: Whose costs the cycles are reckoned with, each at its largest; None: no cycles.

    Raises:
        PolicyError: The discipline sets no bound.
    """
    discipline = tree.discipline
    by_leaf = {
        leaf: call_bound(tree.root, discipline, leaf) for leaf in (*_PER_PAGE, Leaf.MEM_TRACK)
    }
    fewest = fewest_blocked(tree.root) if discipline.flush == "decided" else 1
    flushes = -(-n_pages // min(fewest, n_pages))
    of_page = [by_leaf[leaf] for leaf in _PER_PAGE]
    track = by_leaf[Leaf.MEM_TRACK]
    seamcalls = n_pages * sum(one.issues for one in of_page) + flushes * track.issues
    kicks = n_pages * sum(one.kicks for one in of_page) + flushes * track.kicks
    stops = kicks + 2 * flushes + 1  # TRACK's own, and the shared EPT's before each break
    call = max(by_leaf.values(), key=lambda one: (one.issues, one.kicks))
    calls = n_pages * len(_PER_PAGE) + flushes
    bound = Bound(n_pages, n_vcpus, call, flushes, calls, seamcalls, stops, stops * n_vcpus)
    if scenario is None:
        return bound
    cycles = _stretch_cycles(scenario, discipline.decision_cycles, bound, seamcalls - calls)
    return replace(bound, cycles=cycles)
