"""Zero-step defence: a vCPU that keeps faulting at one RIP gets its pages checked at VP.ENTER.

The state is kept for each vCPU: a counter of EPT violations in a row, and a list of the GPAs of
those beyond the threshold. A vCPU whose list is not empty is **armed**: its VP.ENTER takes the
S-EPT tree lock (exclusively up to 1.5.06, shared from 1.5.28 on) and returns a synthetic EPT
violation as long as a listed GPA would still fault.

Source: TDX module 1.5, src/td_transitions/td_exit_stepping.c.
"""

import numpy as np
from numpy.typing import NDArray

from tdx_env.jit import kernel
from tdx_env.state.calls import EntryState

EPF_THRESHOLD = 6  # STEPPING_EPF_THRESHOLD: violations that only count
GPA_LIST_SIZE = 32  # EPF_GPA_LIST_SIZE


@kernel
def after_vm_exit(counter: int, n_listed: int, rip_moved: bool) -> tuple[int, int]:
    """Return counter and list length after a VM exit of any kind: progress clears both.

    Args:
        counter: EPT violations counted.
        n_listed: GPAs on the list.
        rip_moved: The RIP differs from the one at the last VP.ENTER.

    Source:
        TDX module 1.5, td_exit_stepping.c, vmexit_stepping_filter.
    """
    if rip_moved:
        return 0, 0
    return counter, n_listed


@kernel
def log_ept_violation(
    counter: int, n_listed: int, gpas: NDArray[np.int64], gpa: int, threshold: int, capacity: int
) -> tuple[int, int]:
    """Count an EPT violation, or list its GPA once the threshold is reached.

    Only a hardware EPT violation on a private GPA that becomes a TD exit is logged: not the exits
    of ACCEPT and ATTR, and not the synthetic one. `after_vm_exit` comes first.

    Args:
        counter: EPT violations counted.
        n_listed: GPAs on the list.
        gpas: The list, shape (at least ``capacity``,); written in place.
        gpa: The GPA, or the number of its S-EPT entry.
        threshold: Violations that only count.
        capacity: Places on the list; what comes after is not listed.

    Source:
        TDX module 1.5, td_exit_stepping.c, td_exit_epf_stepping_log.
    """
    if counter < threshold:
        return counter + 1, n_listed
    if n_listed >= capacity:
        return counter, n_listed
    for place in range(n_listed):
        if gpas[place] == gpa:
            return counter, n_listed
    gpas[n_listed] = gpa
    return counter, n_listed + 1


@kernel
def still_faults(state: int, acceptable_is_fine: bool = False) -> bool:
    """Say whether a listed GPA with this leaf entry would fault again.

    Everything does that a guest may not read, write and execute: a PENDING page too, so AUG alone
    ends nothing. From 1.5.28 on AUG does, if the TD gets #VE for pages that wait for ACCEPT.

    Args:
        state: An EntryState.
        acceptable_is_fine: The module version's rule ``acceptable_pending_disarms``, in a TD whose
            SEPT_VE_DISABLE is clear.

    Source:
        TDX module 1.5.01 and 2.0.12 (1.5.28, 1.5.34 and 2.0.18 by elimination),
        td_exit_stepping.c, is_epf_expected.
    """
    if acceptable_is_fine and (
        state == EntryState.PENDING or state == EntryState.PENDING_EXPORTED_DIRTY
    ):
        return False
    return state != EntryState.MAPPED and state != EntryState.EXPORTED_DIRTY
