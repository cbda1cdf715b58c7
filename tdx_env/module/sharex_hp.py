"""The sharex lock with host priority: the mark of a refused host keeps guests out.

From 1.5.28 and 2.0.16 on a guest that wants to share the lock looks at the mark before it counts
itself in; before, it counted itself in and out again. As one operation both come to the same word
and result, so that there is one function for all releases. (What is left out is the instant between
the two instructions, in which 1.5.01 can underflow the counter.)

Source: TDX module 1.5.01, 1.5.34 and 2.0.18, src/common/helpers/tdx_locks.h.
"""

from tdx_env.jit import kernel
from tdx_env.module.lock_result import WORD_MASK, LockResult

HP_FREE = 0
HP_EXCLUSIVE = 1 << 0
HP_HOST_PRIORITY = 1 << 1
HP_READER = 1 << 2  # one reader; the counter is bits 15:2
HP_COUNTER = WORD_MASK & ~(HP_EXCLUSIVE | HP_HOST_PRIORITY)


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
def hp_has_mark(word: int) -> bool:
    """Say whether a refused host's mark stands, which calls that yield look at.

    Source:
        TDX module 1.5.34, tdx_locks.h, is_lock_hp_set.
    """
    return bool(word & HP_HOST_PRIORITY)
