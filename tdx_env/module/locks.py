"""The TDX module's lock words: every operation as a pure function on integers.

No lock of the module spins or queues: an operation succeeds or fails at once, and some failures
leave a trace in the word. Each function takes a word and returns the word as the operation leaves
it, and a `LockResult`. After FATAL the word is what the module's failed sanity check would see.

The functions here are those of 1.5.01; `regime` gives those of another version. Those on 16-bit
words are kernels and public at once. A 64-bit S-EPT entry is an int64 in two's complement inside
kernels (`entry_acquire_host` and its siblings); the public functions (`sept_acquire_host` and its
siblings) take and return 0 to 2**64 - 1.

An operation of two atomic instructions counts as one here.  # MODEL: no other thread between them.

Source: TDX module 1.5.01, src/common/helpers/tdx_locks.h.
"""

from tdx_env.module.entry_lock import (
    ENTRY_HOST_PRIORITY,
    ENTRY_LOCKED,
    entry_acquire_guest,
    entry_acquire_guest_mark_first,
    entry_acquire_host,
    entry_commit,
    entry_release,
    entry_store,
    sept_acquire_guest,
    sept_acquire_host,
    sept_release,
)
from tdx_env.module.lock_result import WORD_MASK, LockResult
from tdx_env.module.regimes import Regime, regime
from tdx_env.module.sharex import (
    MUTEX_FREE,
    MUTEX_LOCKED,
    SHAREX_EXCLUSIVE,
    SHAREX_FREE,
    SHAREX_FULL,
    SHAREX_READER,
    mutex_acquire,
    mutex_release,
    sharex_acquire_exclusive,
    sharex_acquire_shared,
    sharex_demote,
    sharex_promote,
    sharex_release_exclusive,
    sharex_release_shared,
)
from tdx_env.module.sharex_hp import (
    HP_COUNTER,
    HP_EXCLUSIVE,
    HP_FREE,
    HP_HOST_PRIORITY,
    HP_READER,
    hp_acquire_exclusive,
    hp_acquire_shared,
    hp_has_mark,
    hp_promote,
    hp_release_exclusive,
    hp_release_shared,
)

__all__ = [
    "ENTRY_HOST_PRIORITY",
    "ENTRY_LOCKED",
    "HP_COUNTER",
    "HP_EXCLUSIVE",
    "HP_FREE",
    "HP_HOST_PRIORITY",
    "HP_READER",
    "MUTEX_FREE",
    "MUTEX_LOCKED",
    "SHAREX_EXCLUSIVE",
    "SHAREX_FREE",
    "SHAREX_FULL",
    "SHAREX_READER",
    "WORD_MASK",
    "LockResult",
    "Regime",
    "entry_acquire_guest",
    "entry_acquire_guest_mark_first",
    "entry_acquire_host",
    "entry_commit",
    "entry_release",
    "entry_store",
    "hp_acquire_exclusive",
    "hp_acquire_shared",
    "hp_has_mark",
    "hp_promote",
    "hp_release_exclusive",
    "hp_release_shared",
    "mutex_acquire",
    "mutex_release",
    "regime",
    "sept_acquire_guest",
    "sept_acquire_host",
    "sept_release",
    "sharex_acquire_exclusive",
    "sharex_acquire_shared",
    "sharex_demote",
    "sharex_promote",
    "sharex_release_exclusive",
    "sharex_release_shared",
]
