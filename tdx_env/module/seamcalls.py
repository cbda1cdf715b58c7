"""What each call into the module does: its locks in order, checks, effect and releases.

`calls` gives the table as rows, `program` the same as an array for the event loop. A row describes
the call's way to success; a lock that is busy ends it there, and what it holds is released.

MODEL: the PAMT parents (1G and 2M, shared) of a page lock are part of that lock. The state check
that PAGE.REMOVE, SEPT.REMOVE, PROMOTE and RELOCATE do before they lock the page is done after it,
in one CHECK with the check for blocking and tracking. TDs have no L2 VMs.

A call that works through a list goes back from its NEXT to its entry lock, once for each entry.

Source: TDX module 1.5, the file named in each row.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tdx_env.errors import ScenarioError
from tdx_env.module.guest_calls import GUEST_CALLS
from tdx_env.module.host_calls import HOST_CALLS
from tdx_env.module.migration_calls import MIGRATION_CALLS
from tdx_env.module.steps import POLL, Call, Step, with_release_modes
from tdx_env.state.calls import MAX_STEPS, N_LEAVES, STEP, Leaf, Lock, Mode, Op


@dataclass(frozen=True)
class ModuleVersion:
    """A version of the module; each beyond "1.5" differs from it in one respect.

    Attributes:
        meaning: What it stands for.
        remove_takes_tree_exclusive: PAGE.REMOVE takes the S-EPT tree lock exclusively.
        vp_init_takes_tdr_exclusive: VP.INIT takes the TDR exclusively.
        guests_lock_free_entries: ACCEPT and ATTR lock FREE entries too, before they find out.
        demote_is_interruptible: DEMOTE gives up when it finds an interrupt pending.
        has_dynamic_pamt: It takes and gives back the PAMT of 4K pages.
    """

    meaning: str
    remove_takes_tree_exclusive: bool = False
    vp_init_takes_tdr_exclusive: bool = False
    guests_lock_free_entries: bool = True
    demote_is_interruptible: bool = True
    has_dynamic_pamt: bool = False


DEFAULT_VERSION = "1.5"
MODULE_VERSIONS: dict[str, ModuleVersion] = {
    DEFAULT_VERSION: ModuleVersion("TDX module 1.5, as its source has it"),
    "1.5-remove-exclusive": ModuleVersion(
        "PAGE.REMOVE takes the tree exclusively, as the mailing list believed in 2024",
        remove_takes_tree_exclusive=True,
    ),
    "1.5-vp-init-v1": ModuleVersion(
        "VP.INIT takes the TDR exclusively", vp_init_takes_tdr_exclusive=True
    ),
    "1.5-no-free-lock": ModuleVersion(
        "guests don't lock FREE entries", guests_lock_free_entries=False
    ),
    "1.5-demote-uninterruptible": ModuleVersion(
        "DEMOTE doesn't give up for an interrupt", demote_is_interruptible=False
    ),
}


def module_version(name: str) -> ModuleVersion:
    """Return a version of the module by name.

    Raises:
        ScenarioError: There is none of that name.
    """
    if name not in MODULE_VERSIONS:
        known = ", ".join(MODULE_VERSIONS)
        raise ScenarioError(f"module version {name!r} is unknown, must be one of: {known}")
    return MODULE_VERSIONS[name]


def _exclusive(steps: tuple[Step, ...], lock: Lock) -> tuple[Step, ...]:
    """Return the steps with one lock exclusive."""
    return tuple(
        step._replace(mode=Mode.EXCLUSIVE) if step.lock == lock else step for step in steps
    )


def _without_poll(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps without their poll; the step after it takes over the poll's delay."""
    place = steps.index(POLL)
    after = steps[place + 1]._replace(delay=POLL.delay)
    return (*steps[:place], after, *steps[place + 2 :])


def _of_version(call: Call, version: ModuleVersion) -> Call:
    """Return a row as a version of the module has it."""
    steps = call.steps
    if version.remove_takes_tree_exclusive and call.leaf == Leaf.MEM_PAGE_REMOVE:
        steps = _exclusive(steps, Lock.TREE)
    if version.vp_init_takes_tdr_exclusive and call.leaf == Leaf.VP_INIT:
        steps = _exclusive(steps, Lock.TDR)
    if not version.demote_is_interruptible and call.leaf == Leaf.MEM_PAGE_DEMOTE:
        steps = _without_poll(steps)
    return replace(call, steps=with_release_modes(steps))


@functools.cache
def calls(version: str = DEFAULT_VERSION) -> Mapping[Leaf, Call]:
    """Return the table: a row for each leaf, in the order of `Leaf`.

    Raises:
        ScenarioError: There is no such version.
    """
    module = module_version(version)
    return MappingProxyType({call.leaf: _of_version(call, module) for call in _ROWS_BY_LEAF})


def program(version: str = DEFAULT_VERSION) -> NDArray[np.void]:
    """Return the table as an array of `STEP`, shape (N_LEAVES, MAX_STEPS).

    What is left of a row is filled with Op.RETURN.

    Raises:
        ScenarioError: There is no such version.
    """
    steps = np.empty((N_LEAVES, MAX_STEPS), STEP)
    steps[:] = tuple(Step(Op.RETURN))
    for leaf, call in calls(version).items():
        for place, step in enumerate(call.steps):
            steps[leaf, place] = tuple(step)
    return steps


def call_flags(flag: str) -> NDArray[np.bool_]:
    """Return one of the flags of `Call` for each leaf, shape (N_LEAVES,)."""
    return np.array([getattr(call, flag) for call in _ROWS_BY_LEAF], np.bool_)


_ROWS = (*HOST_CALLS, *MIGRATION_CALLS, *GUEST_CALLS)
_ROWS_BY_LEAF = sorted(_ROWS, key=lambda call: call.leaf)
STORES_ENTRY = call_flags("stores_entry")
IS_GUEST = call_flags("is_guest")
