"""Lock regimes: the lock functions as one version of the module has them.

There are three among the versions of a TD. 1.5.01 and 1.5.06: the S-EPT tree lock knows no host
priority, and most commits erase the mark on an entry. 1.5.28 (and 2.0.16): the tree has host
priority, commits keep the mark. 1.5.34 and 2.0.18: besides, a guest looks at an entry's mark before
it tries its lock. 2.0.12 is 1.5.28 but for a guest's order on a shared lock (`sharex_hp`).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from tdx_env.module import entry_lock, sharex, sharex_hp
from tdx_env.module.lock_result import LockResult
from tdx_env.module.versions import ModuleVersion, lock_version

Operation = Callable[[int], tuple[int, LockResult]]  # on a word or an entry
Acquire = Callable[[int, bool], tuple[int, LockResult]]  # on a word; for a guest or a host


@dataclass(frozen=True)
class Regime:
    """The lock functions of one version; words are 16 bits wide, entries 0 to 2**64 - 1.

    Each takes the word before, and gives the word after and a `LockResult`. The functions that are
    alike in all versions are those of `sharex`, `sharex_hp` and `entry_lock`.

    Attributes:
        version: The rules that the functions follow.
        sept_acquire_guest: A guest's try on an S-EPT entry.
        tree_acquire_shared: A host's try to share the S-EPT tree.
        tree_acquire_exclusive: A host's try to have it alone.
        tree_release_shared: The end of sharing it.
        tree_release_exclusive: The end of having it alone.
        sept_commit: What the commit store of a host call does to an entry's lock bits; the lock
            stays for the release that comes later.
    """

    version: ModuleVersion
    sept_acquire_guest: Operation
    tree_acquire_shared: Operation
    tree_acquire_exclusive: Operation
    tree_release_shared: Operation
    tree_release_exclusive: Operation
    sept_commit: Callable[[int], int]

    mutex_acquire: Operation = sharex.mutex_acquire
    mutex_release: Operation = sharex.mutex_release
    sharex_acquire_shared: Operation = sharex.sharex_acquire_shared
    sharex_acquire_exclusive: Operation = sharex.sharex_acquire_exclusive
    sharex_release_shared: Operation = sharex.sharex_release_shared
    sharex_release_exclusive: Operation = sharex.sharex_release_exclusive
    sharex_promote: Operation = sharex.sharex_promote
    sharex_demote: Operation = sharex.sharex_demote
    hp_acquire_shared: Acquire = sharex_hp.hp_acquire_shared
    hp_acquire_exclusive: Acquire = sharex_hp.hp_acquire_exclusive
    hp_release_shared: Operation = sharex_hp.hp_release_shared
    hp_release_exclusive: Operation = sharex_hp.hp_release_exclusive
    hp_promote: Operation = sharex_hp.hp_promote
    sept_acquire_host: Operation = entry_lock.sept_acquire_host
    sept_release: Operation = entry_lock.sept_release


def _tree_shared_for_host(word: int) -> tuple[int, LockResult]:
    """Share a tree lock with host priority: all who take it count as hosts, an armed vCPU too.

    Source:
        TDX module 1.5.34, helpers.c, lock_sept_check_and_walk; td_exit_stepping.c.
    """
    return sharex_hp.hp_acquire_shared(word, False)


def _tree_exclusive_for_host(word: int) -> tuple[int, LockResult]:
    """Have a tree lock with host priority alone, as a host.

    Source:
        TDX module 1.5.34, helpers.c, lock_sept_check_and_walk.
    """
    return sharex_hp.hp_acquire_exclusive(word, False)


def _keep(entry: int) -> int:
    """Return the entry as a commit leaves it that keeps the mark and the lock."""
    return entry


_PLAIN_TREE = (
    sharex.sharex_acquire_shared,
    sharex.sharex_acquire_exclusive,
    sharex.sharex_release_shared,
    sharex.sharex_release_exclusive,
)
_TREE_WITH_PRIORITY = (
    _tree_shared_for_host,
    _tree_exclusive_for_host,
    sharex_hp.hp_release_shared,
    sharex_hp.hp_release_exclusive,
)


@functools.cache
def _regime(version: ModuleVersion) -> Regime:
    """Return the lock functions that follow a version's rules."""
    guest, mark_first = entry_lock.sept_acquire_guest, entry_lock.sept_acquire_guest_mark_first
    return Regime(
        version,
        mark_first if version.guests_test_mark_first else guest,
        *(_TREE_WITH_PRIORITY if version.tree_has_priority else _PLAIN_TREE),
        _keep if version.commits_keep_mark else entry_lock.sept_store,
    )


def regime(version: str) -> Regime:
    """Return the lock functions of a version of the module; also of 2.0.12 and 2.0.16.

    Raises:
        ScenarioError: There is no such version; the message lists the known ones, nearest first.
    """
    return _regime(lock_version(version))
