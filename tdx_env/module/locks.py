"""The TDX module's lock words: every operation as a pure function on integers.

No lock of the module spins or queues: an operation succeeds or fails at once, and some failures
leave a trace in the word. Each function takes a word and returns the word as the operation leaves
it, and a `LockResult`. After FATAL the word is what the module's failed sanity check would see.

The functions on 16-bit words are kernels and public at once. A 64-bit S-EPT entry is an int64 in
two's complement inside kernels (`entry_acquire_host` and its siblings); the public functions
(`sept_acquire_host` and its siblings) take and return 0 to 2**64 - 1.

An operation of two atomic instructions counts as one here.  # MODEL: no other thread between them.

Source: TDX module 1.5, src/common/helpers/tdx_locks.h.
"""

from enum import IntEnum

from tdx_env.jit import kernel

WORD_MASK = 0xFFFF  # sharex words are 16 bits wide

MUTEX_FREE = 0
MUTEX_LOCKED = 1

SHAREX_FREE = 0
SHAREX_EXCLUSIVE = 1 << 0
SHAREX_READER = 1 << 1  # one reader; the counter is bits 15:1
SHAREX_FULL = WORD_MASK & ~SHAREX_EXCLUSIVE  # as many readers as fit, no writer

HP_FREE = 0
HP_EXCLUSIVE = 1 << 0
HP_HOST_PRIORITY = 1 << 1
HP_READER = 1 << 2  # one reader; the counter is bits 15:2
HP_COUNTER = WORD_MASK & ~(HP_EXCLUSIVE | HP_HOST_PRIORITY)

ENTRY_LOCKED = 1 << 11  # TDEL
ENTRY_HOST_PRIORITY = 1 << 52  # TDHP

_ENTRY_BITS = 64


class LockResult(IntEnum):
    """How a lock operation ended."""

    SUCCESS = 0
    BUSY = 1
    BUSY_HOST_PRIORITY = 2  # guests only: a host call was refused before and has priority
    FATAL = 3  # the module's sanity check fails: the caller broke the lock's rules


@kernel
def mutex_acquire(word: int) -> tuple[int, LockResult]:
    """Try to take a mutex, or one bit of the migration streams' bit lock.

    Source:
        TDX module 1.5, tdx_locks.h, acquire_mutex_lock, acquire_bit_lock.
    """
    if word != MUTEX_FREE:
        return word, LockResult.BUSY
    return MUTEX_LOCKED, LockResult.SUCCESS


@kernel
def mutex_release(word: int) -> tuple[int, LockResult]:
    """Let go of a mutex; FATAL if it was free.

    Source:
        TDX module 1.5, tdx_locks.h, release_mutex_lock.
    """
    if word != MUTEX_LOCKED:
        return word, LockResult.FATAL
    return MUTEX_FREE, LockResult.SUCCESS


@kernel
def sharex_acquire_shared(word: int) -> tuple[int, LockResult]:
    """Count one reader in, whether or not a writer holds the lock.

    A refused reader stays in the counter; the writer's release wipes it. FATAL when the counter
    overflows without a writer.

    Source:
        TDX module 1.5, tdx_locks.h, acquire_sharex_lock_sh.
    """
    after = (word + SHAREX_READER) & WORD_MASK
    if word == SHAREX_FULL:
        return after, LockResult.FATAL
    if word & SHAREX_EXCLUSIVE:
        return after, LockResult.BUSY
    return after, LockResult.SUCCESS


@kernel
def sharex_acquire_exclusive(word: int) -> tuple[int, LockResult]:
    """Take a free lock for writing; a refused writer leaves no trace.

    Source:
        TDX module 1.5, tdx_locks.h, acquire_sharex_lock_ex.
    """
    if word != SHAREX_FREE:
        return word, LockResult.BUSY
    return SHAREX_EXCLUSIVE, LockResult.SUCCESS


@kernel
def sharex_release_shared(word: int) -> tuple[int, LockResult]:
    """Count one reader out; FATAL if a writer held the lock or nobody.

    Source:
        TDX module 1.5, tdx_locks.h, release_sharex_lock_sh.
    """
    after = (word - SHAREX_READER) & WORD_MASK
    if word & SHAREX_EXCLUSIVE or word == SHAREX_FREE:
        return after, LockResult.FATAL
    return after, LockResult.SUCCESS


@kernel
def sharex_release_exclusive(word: int) -> tuple[int, LockResult]:
    """Free the lock and wipe the counter; FATAL if no writer held it.

    Source:
        TDX module 1.5, tdx_locks.h, release_sharex_lock_ex.
    """
    if not word & SHAREX_EXCLUSIVE:
        return SHAREX_FREE, LockResult.FATAL
    return SHAREX_FREE, LockResult.SUCCESS


@kernel
def sharex_promote(word: int) -> tuple[int, LockResult]:
    """Turn the only reader into the writer; BUSY, and still a reader, if there are others.

    Source:
        TDX module 1.5, tdx_locks.h, promote_sharex_lock.
    """
    if word & SHAREX_EXCLUSIVE or word == SHAREX_FREE:
        return word, LockResult.FATAL
    if word != SHAREX_READER:
        return word, LockResult.BUSY
    return SHAREX_EXCLUSIVE, LockResult.SUCCESS


@kernel
def sharex_demote(word: int) -> tuple[int, LockResult]:
    """Turn the writer into the only reader and wipe the counter; FATAL without a writer.

    Source:
        TDX module 1.5, tdx_locks.h, demote_sharex_lock.
    """
    if not word & SHAREX_EXCLUSIVE:
        return SHAREX_READER, LockResult.FATAL
    return SHAREX_READER, LockResult.SUCCESS


@kernel
def hp_acquire_shared(word: int, is_guest: bool) -> tuple[int, LockResult]:
    """Count one reader in, with host priority.

    A host refused by a writer stays in the counter and sets HOST_PRIORITY; a successful host clears
    it. A guest that sees HOST_PRIORITY is refused and undoes its count; refused by a writer alone,
    it stays in the counter.

    Source:
        TDX module 1.5, tdx_locks.h, acquire_sharex_lock_hp_sh.
    """
    counted = (word + HP_READER) & WORD_MASK
    if is_guest and word & HP_HOST_PRIORITY:
        return word, LockResult.BUSY_HOST_PRIORITY
    if word & HP_EXCLUSIVE:
        if is_guest:
            return counted, LockResult.BUSY
        return counted | HP_HOST_PRIORITY, LockResult.BUSY
    after = counted & ~HP_HOST_PRIORITY
    if word & HP_COUNTER == HP_COUNTER:
        return after, LockResult.FATAL
    return after, LockResult.SUCCESS


@kernel
def hp_acquire_exclusive(word: int, is_guest: bool) -> tuple[int, LockResult]:
    """Take a free lock for writing, with host priority.

    A refused host sets HOST_PRIORITY, a successful one clears it. A guest is refused by
    HOST_PRIORITY and never leaves a trace.

    Source:
        TDX module 1.5, tdx_locks.h, acquire_sharex_lock_hp_ex.
    """
    if word == HP_FREE:
        return HP_EXCLUSIVE, LockResult.SUCCESS
    if is_guest:
        if word == HP_HOST_PRIORITY:
            return word, LockResult.BUSY_HOST_PRIORITY
        return word, LockResult.BUSY
    if word == HP_HOST_PRIORITY:
        return HP_EXCLUSIVE, LockResult.SUCCESS
    return word | HP_HOST_PRIORITY, LockResult.BUSY


@kernel
def hp_release_shared(word: int) -> tuple[int, LockResult]:
    """Count one reader out and keep HOST_PRIORITY; FATAL if a writer held the lock or nobody.

    Source:
        TDX module 1.5, tdx_locks.h, release_sharex_lock_hp_sh.
    """
    after = (word - HP_READER) & WORD_MASK
    if word & HP_EXCLUSIVE or not word & HP_COUNTER:
        return after, LockResult.FATAL
    return after, LockResult.SUCCESS


@kernel
def hp_release_exclusive(word: int) -> tuple[int, LockResult]:
    """Free the lock, wipe the counter, keep HOST_PRIORITY; FATAL if no writer held it.

    Source:
        TDX module 1.5, tdx_locks.h, release_sharex_lock_hp_ex.
    """
    if not word & HP_EXCLUSIVE:
        return word, LockResult.FATAL
    return word & HP_HOST_PRIORITY, LockResult.SUCCESS


@kernel
def hp_promote(word: int) -> tuple[int, LockResult]:
    """Turn the only reader, a host, into the writer.

    With other readers it stays a reader and sets HOST_PRIORITY. FATAL if the lock was free or a
    writer held it; a word of HOST_PRIORITY alone passes the module's check and is merely BUSY.

    Source:
        TDX module 1.5, tdx_locks.h, promote_sharex_lock_hp.
    """
    if word & HP_EXCLUSIVE or word == HP_FREE:
        return word, LockResult.FATAL
    if word & ~HP_HOST_PRIORITY == HP_READER:
        return HP_EXCLUSIVE, LockResult.SUCCESS
    return word | HP_HOST_PRIORITY, LockResult.BUSY


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


def _signed(entry: int) -> int:
    """Return a 64-bit pattern as the int64 that kernels work on."""
    if entry >> (_ENTRY_BITS - 1):
        return entry - (1 << _ENTRY_BITS)
    return entry


def _unsigned(entry: int) -> int:
    """Return an int64 as the 64-bit pattern it stands for."""
    return entry & ((1 << _ENTRY_BITS) - 1)


def sept_acquire_host(entry: int) -> tuple[int, LockResult]:
    """Do `entry_acquire_host` on an entry from 0 to 2**64 - 1."""
    after, result = entry_acquire_host(_signed(entry))
    return _unsigned(after), result


def sept_acquire_guest(entry: int) -> tuple[int, LockResult]:
    """Do `entry_acquire_guest` on an entry from 0 to 2**64 - 1."""
    after, result = entry_acquire_guest(_signed(entry))
    return _unsigned(after), result


def sept_release(entry: int) -> tuple[int, LockResult]:
    """Do `entry_release` on an entry from 0 to 2**64 - 1."""
    after, result = entry_release(_signed(entry))
    return _unsigned(after), result
