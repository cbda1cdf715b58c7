"""TLB tracking: the TD's epoch, the counts of vCPUs in the guest by epoch, and TRACK.

A block remembers the epoch it was done in. It is tracked once no vCPU can be in the guest that
entered in that epoch or before. At most two epochs have vCPUs in the guest, told apart by parity.
"""

from tdx_env.jit import kernel
from tdx_env.state.calls import Outcome

FIRST_EPOCH = 1  # TDX module 1.5, tdh_mng_init.c


@kernel
def vcpus_of_epoch(epoch: int, refcount_even: int, refcount_odd: int) -> int:
    """Return the number of vCPUs counted under the parity of an epoch."""
    if epoch & 1:
        return refcount_odd
    return refcount_even


@kernel
def is_tracked(bepoch: int, td_epoch: int, refcount_even: int, refcount_odd: int) -> bool:
    """Say whether every vCPU that entered in epoch ``bepoch`` or before has left since.

    Args:
        bepoch: Epoch of the block; bit 63 (negative as an int64) marks an epoch of migration.
        td_epoch: The TD's epoch now.
        refcount_even: vCPUs in the guest that entered in an even epoch.
        refcount_odd: vCPUs in the guest that entered in an odd epoch.

    Source:
        TDX module 1.5, src/common/helpers/helpers.h, is_tlb_tracked.
    """
    if bepoch < 0 or bepoch >= td_epoch:
        return False
    if bepoch < td_epoch - 1:
        return True
    return vcpus_of_epoch(bepoch, refcount_even, refcount_odd) == 0


@kernel
def check_track(td_epoch: int, refcount_even: int, refcount_odd: int) -> Outcome:
    """Say whether TDH.MEM.TRACK may start the next epoch: none may be left from the previous one.

    Returns:
        SUCCESS (the caller adds one to the epoch) or PREVIOUS_TLB_EPOCH_BUSY.

    Source:
        TDX module 1.5, src/vmm_dispatcher/api_calls/tdh_mem_track.c.
    """
    if vcpus_of_epoch(td_epoch - 1, refcount_even, refcount_odd) != 0:
        return Outcome.PREVIOUS_TLB_EPOCH_BUSY
    return Outcome.SUCCESS
