"""The mutex and the sharex lock, which has readers, a writer and no host priority.

They are the same in every release that was read.

Source: TDX module 1.5.01, 1.5.34 and 2.0.18, src/common/helpers/tdx_locks.h.
"""

from tdx_env.jit import kernel
from tdx_env.module.lock_result import WORD_MASK, LockResult

MUTEX_FREE = 0
MUTEX_LOCKED = 1

SHAREX_FREE = 0
SHAREX_EXCLUSIVE = 1 << 0
SHAREX_READER = 1 << 1  # one reader; the counter is bits 15:1
SHAREX_FULL = WORD_MASK & ~SHAREX_EXCLUSIVE  # as many readers as fit, no writer


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
