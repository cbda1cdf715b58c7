"""What each call into the module does: its locks in order, checks, effect and releases.

`calls` gives the table as rows, `program` the same as an array for the event loop. A row describes
the call's way to success; a lock that is busy ends it there, and what it holds is released. The
rows are written as 1.5.01 has them; another version has what its rules change.

MODEL: the PAMT parents (1G and 2M, shared) of a page lock are part of that lock. The state check
that PAGE.REMOVE, SEPT.REMOVE, PROMOTE and RELOCATE do before they lock the page is done after it,
in one CHECK with the check for blocking and tracking. TDs have no L2 VMs. Where a version has
Dynamic PAMT, DEMOTE's row locks the two PAMT pages as if it were switched on.

A call that works through a list goes back from its NEXT to its entry lock, once for each entry.

Source: TDX module 1.5.01, the file named in each row; `rules` for what newer releases change.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tdx_env.module.guest_calls import GUEST_CALLS
from tdx_env.module.host_calls import HOST_CALLS
from tdx_env.module.migration_calls import MIGRATION_CALLS
from tdx_env.module.newer_calls import PAMT_CALLS, SCAN_CALLS
from tdx_env.module.operands import Operand
from tdx_env.module.rules import COMMITS
from tdx_env.module.steps import NEXT, POLL, Call, Step, let_go, take, with_release_modes
from tdx_env.module.versions import (
    DEFAULT_VERSION,
    MODULE_VERSIONS,
    ModuleVersion,
    module_version,
    version_name,
)
from tdx_env.state.calls import MAX_STEPS, N_LEAVES, STEP, Leaf, Lock, Mode, Op

__all__ = [
    "DEFAULT_VERSION",
    "IS_GUEST",
    "MODULE_VERSIONS",
    "STORES_ENTRY",
    "ModuleVersion",
    "call_flags",
    "calls",
    "module_version",
    "program",
    "row_of",
]

Steps = tuple[Step, ...]

_YIELD = NEXT._replace(lock=Lock.TREE)
_PAMT_PAGES = (
    take(Lock.PAMT_PAGE_0, Mode.SHARED, Operand.R12),
    take(Lock.PAMT_PAGE_1, Mode.SHARED, Operand.R13),
)


def _in_mode(steps: Steps, lock: Lock, mode: Mode) -> Steps:
    """Return the steps with one lock in another mode."""
    return tuple(step._replace(mode=mode) if step.lock == lock else step for step in steps)


def _without_poll(steps: Steps) -> Steps:
    """Return the steps without their poll; the step after it takes over the poll's delay."""
    place = steps.index(POLL)
    after = steps[place + 1]._replace(delay=POLL.delay)
    return (*steps[:place], after, *steps[place + 2 :])


def _enter(steps: Steps, version: ModuleVersion) -> Steps:
    """Return VP.ENTER's steps: the mode in which an armed vCPU takes the tree."""
    mode = Mode.SHARED if version.armed_enter_shares_tree else Mode.EXCLUSIVE
    return _in_mode(steps, Lock.TREE, mode)


def _remove(steps: Steps, version: ModuleVersion) -> Steps:
    """Return PAGE.REMOVE's steps: the mode in which it takes the tree."""
    mode = Mode.EXCLUSIVE if version.remove_takes_tree_exclusive else Mode.SHARED
    return _in_mode(steps, Lock.TREE, mode)


def _init(steps: Steps, version: ModuleVersion) -> Steps:
    """Return VP.INIT's steps, of the newest version of the call that there is."""
    mode = Mode.EXCLUSIVE if version.vp_init_takes_tdr_exclusive else Mode.SHARED
    return _in_mode(steps, Lock.TDR, mode)


def _promote(steps: Steps, version: ModuleVersion) -> Steps:
    """Return PROMOTE's steps: the tree's mode, and whether it locks the children."""
    mode = Mode.EXCLUSIVE if version.promote_takes_tree_exclusive else Mode.SHARED
    if not version.promote_locks_children:
        steps = tuple(step for step in steps if step.lock != Lock.CHILDREN)
    return _in_mode(steps, Lock.TREE, mode)


def _demote(steps: Steps, version: ModuleVersion) -> Steps:
    """Return DEMOTE's steps: whether it polls, and the PAMT pages of Dynamic PAMT.

    Source:
        TDX module 1.5.34, tdh_mem_page_demote.c; 2.0.12, pamt_manager.c, pamt_demote.
    """
    if not version.demote_is_interruptible:
        steps = _without_poll(steps)
    if not version.has_dynamic_pamt:
        return steps
    ops = [(step.op, step.lock) for step in steps]
    taken = ops.index((Op.ACQUIRE, Lock.PAGE)) + 1
    freed = let_go(Lock.PAMT_PAGE_1, Lock.PAMT_PAGE_0)
    return (*steps[:taken], *_PAMT_PAGES, *freed, *steps[taken:])


_CHANGES: dict[Leaf, Callable[[Steps, ModuleVersion], Steps]] = {
    Leaf.VP_ENTER: _enter,
    Leaf.VP_INIT: _init,
    Leaf.MEM_PAGE_REMOVE: _remove,
    Leaf.MEM_PAGE_PROMOTE: _promote,
    Leaf.MEM_PAGE_DEMOTE: _demote,
}


def _keeps_mark(leaf: Leaf, version: ModuleVersion) -> bool:
    """Say whether a call's commit keeps the entry's host-priority mark."""
    keeps = version.accept_keeps_mark if leaf == Leaf.ACCEPT else version.commits_keep_mark
    return keeps and leaf in COMMITS


def _of_version(call: Call, version: ModuleVersion) -> Call:
    """Return a row as a version of the module has it."""
    steps = call.steps
    if call.leaf in _CHANGES:
        steps = _CHANGES[call.leaf](steps, version)
    if version.lists_yield_to_writers:
        steps = tuple(_YIELD if step == NEXT else step for step in steps)
    stores_entry = call.stores_entry
    if call.leaf == Leaf.ATTR_WR:
        stores_entry = version.attr_wr_stores_entry
    keeps_mark = stores_entry and _keeps_mark(call.leaf, version)
    filled = with_release_modes(steps)
    return replace(call, steps=filled, stores_entry=stores_entry, keeps_mark=keeps_mark)


def _exists(call: Call, version: ModuleVersion) -> bool:
    """Say whether a version of the module has a call."""
    if call in PAMT_CALLS:
        return version.has_dynamic_pamt
    return version.has_mem_scan or call not in SCAN_CALLS


@functools.cache
def _calls(version: str) -> Mapping[Leaf, Call]:
    """Return the table of a version by its present name."""
    module = MODULE_VERSIONS[version]
    rows = [call for call in _ROWS_BY_LEAF if _exists(call, module)]
    return MappingProxyType({call.leaf: _of_version(call, module) for call in rows})


def calls(version: str = DEFAULT_VERSION) -> Mapping[Leaf, Call]:
    """Return the table: a row for each call that the version has, in the order of `Leaf`.

    Raises:
        ScenarioError: There is no such version.
    """
    return _calls(version_name(version))


def program(version: str = DEFAULT_VERSION) -> NDArray[np.void]:
    """Return the table as an array of `STEP`, shape (N_LEAVES, MAX_STEPS).

    What is left of a row is filled with Op.RETURN, and so is the row of a call that the version
    doesn't have.

    Raises:
        ScenarioError: There is no such version.
    """
    steps = np.empty((N_LEAVES, MAX_STEPS), STEP)
    steps[:] = tuple(Step(Op.RETURN))
    for leaf, call in calls(version).items():
        for place, step in enumerate(call.steps):
            steps[leaf, place] = tuple(step)
    return steps


def row_of(leaf: Leaf) -> Call:
    """Return a call's row as it is written, whatever versions have it: for its name and source."""
    return _ROWS_BY_LEAF[leaf]


def call_flags(flag: str, version: str = DEFAULT_VERSION) -> NDArray[np.bool_]:
    """Return one of the flags of `Call` for each leaf, shape (N_LEAVES,); False without a row."""
    flags = np.zeros(N_LEAVES, np.bool_)
    for leaf, call in calls(version).items():
        flags[leaf] = getattr(call, flag)
    return flags


_ROWS = (*HOST_CALLS, *MIGRATION_CALLS, *GUEST_CALLS, *PAMT_CALLS, *SCAN_CALLS)
_ROWS_BY_LEAF = sorted(_ROWS, key=lambda call: call.leaf)
STORES_ENTRY = call_flags("stores_entry")
IS_GUEST = call_flags("is_guest")
