"""The lock of an S-EPT entry: two of its 64 bits, for one holder, with host priority.

Kernels work on an int64 in two's complement; `signed` and `unsigned` lead there and back from the
0 to 2**64 - 1 of the public functions.
"""

from tdx_env.jit import kernel
from tdx_env.module.lock_result import LockResult

ENTRY_LOCKED = 1 << 11  # TDEL
ENTRY_HOST_PRIORITY = 1 << 52  # TDHP

_ENTRY_BITS = 64


@kernel
def entry_acquire_host(entry: int) -> tuple[int, LockResult]:
    """Try to take an S-EPT entry's lock for the host.

    A refused host leaves HOST_PRIORITY behind, whoever holds the lock: guests are turned away until
    a host call takes it. The result is plain BUSY.

    Args:
        entry: The 64-bit S-EPT entry as an int64.

    Source:
        TDX module 1.5, tdx_locks.h, sept_lock_acquire_host.
    """
    if entry & ENTRY_LOCKED:
        return entry | ENTRY_HOST_PRIORITY, LockResult.BUSY
    return (entry | ENTRY_LOCKED) & ~ENTRY_HOST_PRIORITY, LockResult.SUCCESS


@kernel
def entry_acquire_guest(entry: int) -> tuple[int, LockResult]:
    """Try to take an S-EPT entry's lock for a guest, which never leaves a trace when refused.

    Args:
        entry: The 64-bit S-EPT entry as an int64.

    Source:
        TDX module 1.5, tdx_locks.h, sept_lock_acquire_guest.
    """
    if entry & ENTRY_LOCKED:
        return entry, LockResult.BUSY
    if entry & ENTRY_HOST_PRIORITY:
        return entry, LockResult.BUSY_HOST_PRIORITY
    return entry | ENTRY_LOCKED, LockResult.SUCCESS


@kernel
def entry_acquire_guest_mark_first(entry: int) -> tuple[int, LockResult]:
    """Try to take an S-EPT entry's lock for a guest that looks at the mark before the lock.

    HOST_PRIORITY refuses it whether or not somebody holds the lock: so the clock of the guest's
    time-out starts while a host still holds an entry that another host wanted.

    Args:
        entry: The 64-bit S-EPT entry as an int64.

    Source:
        TDX module 1.5.34 and 2.0.18, tdx_locks.h, sept_lock_acquire_guest.
    """
    if entry & ENTRY_HOST_PRIORITY:
        return entry, LockResult.BUSY_HOST_PRIORITY
    if entry & ENTRY_LOCKED:
        return entry, LockResult.BUSY
    return entry | ENTRY_LOCKED, LockResult.SUCCESS


@kernel
def entry_release(entry: int) -> tuple[int, LockResult]:
    """Clear the lock bit and keep HOST_PRIORITY; FATAL if the entry was not locked.

    Args:
        entry: The 64-bit S-EPT entry as an int64.

    Source:
        TDX module 1.5, tdx_locks.h, sept_lock_release.
    """
    if not entry & ENTRY_LOCKED:
        return entry, LockResult.FATAL
    return entry & ~ENTRY_LOCKED, LockResult.SUCCESS


@kernel
def entry_store(entry: int) -> int:
    """Publish a new entry value, made from a copy taken just after locking, with a plain store.

    HOST_PRIORITY was clear in that copy: a mark set since then is erased. The lock stays.

    Args:
        entry: The 64-bit S-EPT entry as an int64.

    Source:
        TDX module 1.5, tdg_mem_page_accept.c, tdh_mem_page_aug.c, tdh_mem_page_remove.c.
    """
    return entry & ~ENTRY_HOST_PRIORITY


@kernel
def entry_commit(entry: int, keeps_mark: bool, keeps_lock: bool) -> int:
    """Return the lock bits of an entry as a call's commit leaves them.

    Args:
        entry: The 64-bit S-EPT entry as an int64, as it is just before.
        keeps_mark: The commit takes over HOST_PRIORITY as it is by then; a plain store erases it.
        keeps_lock: The lock is released later; else the same store releases it.

    Source:
        TDX module 1.5.34, sept_manager.c, atomically_update_sept_state_keep_tdhp; 1.5.01, the files
        of `entry_store`.
    """
    after = entry if keeps_mark else entry_store(entry)
    return after if keeps_lock else after & ~ENTRY_LOCKED


def signed(entry: int) -> int:
    """Return a 64-bit pattern as the int64 that kernels work on."""
    if entry >> (_ENTRY_BITS - 1):
        return entry - (1 << _ENTRY_BITS)
    return entry


def unsigned(entry: int) -> int:
    """Return an int64 as the 64-bit pattern it stands for."""
    return entry & ((1 << _ENTRY_BITS) - 1)


def sept_acquire_host(entry: int) -> tuple[int, LockResult]:
    """Do `entry_acquire_host` on an entry from 0 to 2**64 - 1."""
    after, result = entry_acquire_host(signed(entry))
    return unsigned(after), result


def sept_acquire_guest(entry: int) -> tuple[int, LockResult]:
    """Do `entry_acquire_guest` on an entry from 0 to 2**64 - 1."""
    after, result = entry_acquire_guest(signed(entry))
    return unsigned(after), result


def sept_acquire_guest_mark_first(entry: int) -> tuple[int, LockResult]:
    """Do `entry_acquire_guest_mark_first` on an entry from 0 to 2**64 - 1."""
    after, result = entry_acquire_guest_mark_first(signed(entry))
    return unsigned(after), result


def sept_release(entry: int) -> tuple[int, LockResult]:
    """Do `entry_release` on an entry from 0 to 2**64 - 1."""
    after, result = entry_release(signed(entry))
    return unsigned(after), result


def sept_store(entry: int) -> int:
    """Do `entry_store` on an entry from 0 to 2**64 - 1."""
    return unsigned(entry_store(signed(entry)))
