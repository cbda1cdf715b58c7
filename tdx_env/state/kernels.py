"""Versions of KVM: the rules of the world that no policy decides, one row a version.

A scenario names the kernel that its host runs; a row of the catalogue that is a kernel brings its
own (`Discipline.kernel`). What a policy brings beside its decision function is the discipline.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdx_env.state.calls import NONE


class Kernel(NamedTuple):
    """A version of KVM.

    Attributes:
        meaning: What it stands for.
        leaves_dying_slot: A fault in a memslot that is being deleted isn't retried in KVM.
        build_guard: Ioctls that build the TD exclude each other.
        vp_init_locked: VP.INIT is issued under mmu_lock, held for write.
        add_retried: A busy PAGE.ADD is tried again in the kernel, without limit; else user space
            calls again.
        can_dynamic_pamt: It knows Dynamic PAMT.
        can_convert_in_place: A guest_memfd file can be converted in place.
        is_merged: It is a release, or on the way to one.
    """

    meaning: str
    leaves_dying_slot: bool = False
    build_guard: bool = False
    vp_init_locked: bool = False
    add_retried: bool = False
    can_dynamic_pamt: bool = False
    can_convert_in_place: bool = False
    is_merged: bool = True


_V6_16 = Kernel("Linux 6.16 and 6.17, the first with TDX in KVM")
# Commits 2bc2694fe20b and 3ccbf6f47098: an INVALID memslot ends the local retry, and a prefault.
_V6_18 = _V6_16._replace(meaning="Linux 6.18", leaves_dying_slot=True)
# tdx_vm_state_guard; VP.INIT: Rick Edgecombe, 28 Oct 2025, commit 9a89894f30d5; PAGE.ADD in the
# install of the mirror's SPTE: kvm_tdp_mmu_map_private_pfn. Commit de8e8ebb1a7c has the series.
_V6_19 = _V6_18._replace(
    meaning="Linux 6.19 to 7.3", build_guard=True, vp_init_locked=True, add_retried=True
)
# Tree tip, x86/tdx, cee9395acd80..e61c837817ac (Dynamic PAMT); linux-next, e088c7f86beb and others
# (conversion in place). That 7.4 has taken them is not seen.
_V7_4 = _V6_19._replace(
    meaning="what was queued for Linux 7.4 in September 2026",
    can_dynamic_pamt=True,
    can_convert_in_place=True,
)

DEFAULT_KERNEL = "6.19"
KERNELS: dict[str, Kernel] = {
    "series-2024": Kernel("the series under review in 2024, never a release", is_merged=False),
    "6.16": _V6_16,
    "6.18": _V6_18,
    DEFAULT_KERNEL: _V6_19,
    "7.4-queue": _V7_4,
}
_RELEASES = {"6.17": "6.16", **{f"7.{minor}": DEFAULT_KERNEL for minor in range(4)}}
"""Releases whose rules are another row's."""


def kernel_number(name: str) -> int:
    """Return a kernel's place in the table; the name must be there."""
    return list(KERNELS).index(name)


def nearest_kernels(name: str) -> list[str]:
    """Return the known kernels, the likeliest to be meant first."""
    row = _RELEASES.get(name)
    return sorted(KERNELS, key=lambda known: (known != row, _distance(name, known)))


def _distance(name: str, known: str) -> float:
    """Return how far a kernel's name is from a known one's: by release, else by its letters."""
    given, other = _release(name), _release(known)
    if given is not None and other is not None:
        return abs(given - other)
    return 1e3 * (1 - len(set(name) & set(known)) / len(set(name) | set(known)))


def _release(name: str) -> float | None:
    """Return a release as a number that grows with time, or None."""
    major, dot, minor = name.partition("-")[0].partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal() and len(major + minor) < 6):
        return None
    # 6.19 was followed by 7.0: each major number has twenty minor ones.
    return 20.0 * int(major) + int(minor)


def _column(rule: str) -> NDArray[np.bool_]:
    """Return one rule of each kernel, shape (number of kernels,)."""
    return np.array([getattr(kernel, rule) for kernel in KERNELS.values()], np.bool_)


LEAVES_DYING_SLOT = _column("leaves_dying_slot")
BUILD_GUARD = _column("build_guard")
VP_INIT_LOCKED = _column("vp_init_locked")
ADD_RETRIED = _column("add_retried")
OF_SCENARIO = NONE  # a discipline's kernel that is the scenario's
