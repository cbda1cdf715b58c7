"""The lock functions of each version, on all words and entries, against the tables of the sheet."""

import functools

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.module import locks
from tdx_env.module.locks import LockResult, regime
from tdx_env.module.versions import LOCK_RELEASES, MODULE_VERSIONS
from tests.oracles import lock_tables
from tests.oracles.lock_tables import FATAL, MARK_FIRST, OLD_TREE, RELEASES

ALL_WORDS = range(1 << 16)
PLAIN = (
    "acquire_shared",
    "acquire_exclusive",
    "release_shared",
    "release_exclusive",
    "promote",
    "demote",
)
PRIORITY = ("release_shared", "release_exclusive", "promote")
LOCKED, MARK = 1 << 11, 1 << 52
REST = [0, 7, 1 << 63, (1 << 64) - 1 & ~(LOCKED | MARK)]  # what else an entry may hold


@functools.cache  # most releases have most functions in common
def differences(function, table, operation, *party):
    """Return the words on which a function differs from the table; after FATAL any word will do.

    Args:
        function: A lock function.
        table: The oracle's table of the same kind of lock.
        operation: What the function does.
        party: Whether it does it for the guest, if it makes a difference between parties.
    """
    wrong = []
    for word in ALL_WORDS:
        after, result = function(word, *party)
        wanted, how = table(word, operation, *party)
        if result != how or (result != FATAL and after != wanted):
            wrong.append((word, after, result))
    return wrong


@pytest.mark.parametrize("operation", PLAIN)
@pytest.mark.parametrize("release", RELEASES)
def test_plain_locks_are_alike_in_all_releases(release, operation):
    function = getattr(regime(release), f"sharex_{operation}")
    assert differences(function, lock_tables.plain, operation) == []


@pytest.mark.parametrize("operation", PRIORITY)
@pytest.mark.parametrize("release", RELEASES)
def test_release_and_promote_of_a_priority_lock_are_as_in_the_table(release, operation):
    function = getattr(regime(release), f"hp_{operation}")
    assert differences(function, lock_tables.priority, operation) == []


@pytest.mark.parametrize("is_guest", [False, True], ids=["host", "guest"])
@pytest.mark.parametrize("operation", ["acquire_shared", "acquire_exclusive"])
@pytest.mark.parametrize("release", RELEASES)
def test_acquire_of_a_priority_lock_is_as_in_the_table(release, operation, is_guest):
    """The order in which a guest looks and counts makes no difference to a whole operation."""
    function = getattr(regime(release), f"hp_{operation}")
    assert differences(function, lock_tables.priority, operation, is_guest) == []


@pytest.mark.parametrize("operation", PLAIN[:4])
@pytest.mark.parametrize("release", RELEASES)
def test_tree_lock_has_host_priority_from_1_5_28_on(release, operation):
    function = getattr(regime(release), f"tree_{operation}")
    table = lock_tables.plain if release in OLD_TREE else lock_tables.priority
    assert differences(function, table, operation) == []


@pytest.mark.parametrize("rest", REST)
@pytest.mark.parametrize(("locked", "mark"), [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("release", RELEASES)
def test_entry_lock_is_as_in_the_table(release, locked, mark, rest):
    guest = lock_tables.GUEST_ON_ENTRY
    if release in MARK_FIRST:
        guest = lock_tables.GUEST_ON_ENTRY_MARK_FIRST
    tables = {
        "sept_acquire_host": lock_tables.HOST_ON_ENTRY,
        "sept_acquire_guest": guest,
        "sept_release": lock_tables.RELEASE_OF_ENTRY,
    }
    for name, table in tables.items():
        is_locked, has_mark, result = table[locked, mark]
        expected = (rest | LOCKED * is_locked | MARK * has_mark, result)
        assert getattr(regime(release), name)(rest | LOCKED * locked | MARK * mark) == expected


@pytest.mark.parametrize("release", RELEASES)
def test_commit_keeps_the_mark_from_1_5_28_on(release):
    kept = 0 if release in OLD_TREE else MARK
    assert regime(release).sept_commit(LOCKED | MARK | 7) == LOCKED | kept | 7


def test_functions_of_the_module_itself_are_those_of_1_5_01():
    oldest = regime("1.5.01")
    for name in locks.__all__:
        if name.startswith(("sharex_", "hp_acquire", "hp_release", "hp_promote", "sept_")):
            assert getattr(oldest, name) is getattr(locks, name)


@pytest.mark.parametrize("name", [*MODULE_VERSIONS, *LOCK_RELEASES])
def test_every_version_has_a_regime(name):
    assert regime(name).sept_acquire_host(0) == (LOCKED, LockResult.SUCCESS)


def test_old_name_gives_the_regime_of_1_5_01_and_warns():
    with pytest.warns(FutureWarning, match=r"'1.5' is an old name, now '1.5.01'"):
        assert regime("1.5") is regime("1.5.01")


def test_unknown_version_lists_the_known_ones_nearest_first():
    with pytest.raises(ScenarioError, match=r"'1\.5\.33' is unknown, must be one of: 1\.5\.34, "):
        regime("1.5.33")


@pytest.mark.parametrize("keeps_mark", [False, True])
@pytest.mark.parametrize("keeps_lock", [False, True])
def test_commit_of_a_call_keeps_what_it_says(keeps_mark, keeps_lock):
    after = locks.entry_commit(LOCKED | MARK | 7, keeps_mark, keeps_lock)
    assert after == 7 | LOCKED * keeps_lock | MARK * keeps_mark


def test_waiting_writers_mark_is_seen():
    assert [locks.hp_has_mark(word) for word in (0, 1, 2, 3, 4, 6)] == [
        False, False, True, True, False, True,
    ]  # fmt: skip
