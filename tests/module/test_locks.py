"""Lock words: each row of the module's source (tdx_locks.h), and what holds for all words."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_env.module import locks
from tdx_env.module.locks import LockResult

OK, BUSY, HP_BUSY, FATAL = LockResult
E, H, ONE = locks.HP_EXCLUSIVE, locks.HP_HOST_PRIORITY, locks.HP_READER
L, M = locks.ENTRY_LOCKED, locks.ENTRY_HOST_PRIORITY
SUPPRESS_VE = 1 << 63

words = st.integers(0, locks.WORD_MASK)
entries = st.integers(0, (1 << 64) - 1)

Row = tuple[int, int, LockResult]

MUTEX: dict[str, list[Row]] = {
    "mutex_acquire": [(0, 1, OK), (1, 1, BUSY)],
    "mutex_release": [(1, 0, OK), (0, 0, FATAL)],
}
SHAREX: dict[str, list[Row]] = {
    "sharex_acquire_shared": [
        (0, 2, OK),
        (2 * 5, 2 * 6, OK),
        (2 * 0x7FFE, 2 * 0x7FFF, OK),
        (2 * 0x7FFF, 0, FATAL),
        (1, 1 + 2, BUSY),
        (1 + 2 * 4, 1 + 2 * 5, BUSY),
        (1 + 2 * 0x7FFF, 1, BUSY),
    ],
    "sharex_acquire_exclusive": [
        (0, 1, OK),
        (2, 2, BUSY),
        (2 * 7, 2 * 7, BUSY),
        (1, 1, BUSY),
        (1 + 2 * 3, 1 + 2 * 3, BUSY),
    ],
    "sharex_release_shared": [
        (2 * 5, 2 * 4, OK),
        (2, 0, OK),
        (0, 0xFFFE, FATAL),
        (1, 0xFFFF, FATAL),
        (1 + 2 * 3, 1 + 2 * 2, FATAL),
    ],
    "sharex_release_exclusive": [
        (1, 0, OK),
        (1 + 2 * 9, 0, OK),
        (0, 0, FATAL),
        (2 * 3, 0, FATAL),
    ],
    "sharex_promote": [
        (2, 1, OK),
        (4, 4, BUSY),
        (2 * 6, 2 * 6, BUSY),
        (0, 0, FATAL),
        (1, 1, FATAL),
        (1 + 2, 1 + 2, FATAL),
    ],
    "sharex_demote": [(1, 2, OK), (1 + 2 * 8, 2, OK), (0, 2, FATAL), (2 * 2, 2, FATAL)],
}
HP: dict[str, list[Row]] = {
    "hp_release_shared": [
        (ONE, 0, OK),
        (ONE * 5, ONE * 4, OK),
        (ONE * 5 | H, ONE * 4 | H, OK),
        (0, 0xFFFC, FATAL),
        (H, 0xFFFC | H, FATAL),
        (ONE | E, E, FATAL),
    ],
    "hp_release_exclusive": [
        (E, 0, OK),
        (E | H, H, OK),
        (E | H | ONE * 4, H, OK),
        (E | ONE * 4, 0, OK),
        (0, 0, FATAL),
        (H, H, FATAL),
        (ONE * 2, ONE * 2, FATAL),
    ],
    "hp_promote": [
        (ONE, E, OK),
        (ONE | H, E, OK),
        (ONE * 2, ONE * 2 | H, BUSY),
        (ONE * 2 | H, ONE * 2 | H, BUSY),
        (H, H, BUSY),
        (0, 0, FATAL),
        (E, E, FATAL),
        (E | ONE | H, E | ONE | H, FATAL),
    ],
}
HP_HOST: dict[str, list[Row]] = {
    "hp_acquire_shared": [
        (0, ONE, OK),
        (ONE * 3, ONE * 4, OK),
        (H, ONE, OK),
        (ONE * 3 | H, ONE * 4, OK),
        (E, E | H | ONE, BUSY),
        (E | ONE * 2, E | H | ONE * 3, BUSY),
        (E | H | ONE * 2, E | H | ONE * 3, BUSY),
        (E | ONE * 0x3FFF, E | H, BUSY),
        (ONE * 0x3FFE, ONE * 0x3FFF, OK),
        (ONE * 0x3FFF, 0, FATAL),
        (ONE * 0x3FFF | H, 0, FATAL),
    ],
    "hp_acquire_exclusive": [
        (0, E, OK),
        (H, E, OK),
        (ONE, ONE | H, BUSY),
        (ONE * 4 | H, ONE * 4 | H, BUSY),
        (E, E | H, BUSY),
        (E | H | ONE, E | H | ONE, BUSY),
    ],
}
HP_GUEST: dict[str, list[Row]] = {
    "hp_acquire_shared": [
        (0, ONE, OK),
        (ONE * 3, ONE * 4, OK),
        (H, H, HP_BUSY),
        (ONE * 3 | H, ONE * 3 | H, HP_BUSY),
        (E | H, E | H, HP_BUSY),
        (E | H | ONE * 2, E | H | ONE * 2, HP_BUSY),
        (E, E | ONE, BUSY),
        (E | ONE * 2, E | ONE * 3, BUSY),
        (ONE * 0x3FFF, 0, FATAL),
        (ONE * 0x3FFF | H, ONE * 0x3FFF | H, HP_BUSY),
    ],
    "hp_acquire_exclusive": [
        (0, E, OK),
        (H, H, HP_BUSY),
        (ONE, ONE, BUSY),
        (ONE | H, ONE | H, BUSY),
        (E, E, BUSY),
        (E | H, E | H, BUSY),
    ],
}
SEPT: dict[str, list[Row]] = {
    "sept_acquire_host": [
        (0, L, OK),
        (M, L, OK),
        (L, L | M, BUSY),
        (L | M, L | M, BUSY),
        (SUPPRESS_VE | 7 | M, SUPPRESS_VE | 7 | L, OK),
    ],
    "sept_acquire_guest": [
        (0, L, OK),
        (M, M, HP_BUSY),
        (L, L, BUSY),
        (L | M, L | M, BUSY),
        (SUPPRESS_VE | M, SUPPRESS_VE | M, HP_BUSY),
    ],
    "sept_release": [
        (L, 0, OK),
        (L | M, M, OK),
        (SUPPRESS_VE | L | M, SUPPRESS_VE | M, OK),
        (0, 0, FATAL),
        (M, M, FATAL),
    ],
}

Operation = Callable[[int], tuple[int, LockResult]]


def rows(table: dict[str, list[Row]]) -> list[tuple[str, int, int, LockResult]]:
    """Return a table with one row for each test."""
    return [(name, *row) for name in table for row in table[name]]


@pytest.mark.parametrize(
    ("name", "word", "after", "result"), rows({**MUTEX, **SHAREX, **HP, **SEPT})
)
def test_operation_does_what_the_source_does(
    name: str, word: int, after: int, result: LockResult
) -> None:
    assert getattr(locks, name)(word) == (after, result)


@pytest.mark.parametrize(("name", "word", "after", "result"), rows(HP_HOST))
def test_host_takes_a_priority_lock_as_in_the_source(
    name: str, word: int, after: int, result: LockResult
) -> None:
    assert getattr(locks, name)(word, False) == (after, result)


@pytest.mark.parametrize(("name", "word", "after", "result"), rows(HP_GUEST))
def test_guest_takes_a_priority_lock_as_in_the_source(
    name: str, word: int, after: int, result: LockResult
) -> None:
    assert getattr(locks, name)(word, True) == (after, result)


def test_lock_results_have_their_numbers() -> None:
    assert [int(result) for result in LockResult] == [0, 1, 2, 3]


@pytest.mark.parametrize("lost", [0, M])
def test_plain_store_erases_the_mark_and_keeps_the_lock(lost: int) -> None:
    assert locks.entry_store(L | lost) == L


@given(word=words)
def test_release_never_clears_host_priority(word: int) -> None:
    after_shared, shared = locks.hp_release_shared(word)
    after_exclusive, exclusive = locks.hp_release_exclusive(word)
    if shared == OK:
        assert after_shared & H == word & H
    if exclusive == OK:
        assert after_exclusive == word & H


@given(entry=entries)
def test_entry_release_changes_the_lock_bit_alone(entry: int) -> None:
    after, result = locks.sept_release(entry | L)
    assert (after, result) == (entry & ~L, OK)


@given(word=words)
def test_only_a_successful_host_clears_host_priority(word: int) -> None:
    for acquire in (locks.hp_acquire_shared, locks.hp_acquire_exclusive):
        for is_guest in (False, True):
            after, result = acquire(word | H, is_guest)
            assert bool(after & H) == (result not in (OK, FATAL)), (acquire, is_guest)


@given(word=words)
def test_refused_host_leaves_priority_mark(word: int) -> None:
    for acquire in (locks.hp_acquire_shared, locks.hp_acquire_exclusive):
        after, result = acquire(word, False)
        if result == BUSY:
            assert after & H


@given(word=words)
def test_refused_guest_never_sets_host_priority(word: int) -> None:
    for acquire in (locks.hp_acquire_shared, locks.hp_acquire_exclusive):
        after, result = acquire(word & ~H, True)
        assert not after & H


@given(entry=entries)
def test_refused_host_leaves_the_entry_to_its_holder(entry: int) -> None:
    assert locks.sept_acquire_host(entry | L) == (entry | L | M, BUSY)


@given(entry=entries)
def test_refused_guest_leaves_no_trace_on_an_entry(entry: int) -> None:
    after, result = locks.sept_acquire_guest(entry)
    assert after == (entry | L if result == OK else entry)


@given(n_tries=st.integers(1, 40))
def test_writers_release_wipes_the_refused_readers(n_tries: int) -> None:
    word = locks.SHAREX_EXCLUSIVE
    for _ in range(n_tries):
        word, result = locks.sharex_acquire_shared(word)
        assert result == BUSY
    assert word == locks.SHAREX_EXCLUSIVE + n_tries * locks.SHAREX_READER
    assert locks.sharex_release_exclusive(word) == (0, OK)


@given(n_tries=st.integers(1, 40), is_guest=st.booleans())
def test_priority_release_wipes_the_refused_readers(n_tries: int, is_guest: bool) -> None:
    word = E
    for _ in range(n_tries):
        word, result = locks.hp_acquire_shared(word, is_guest)
        assert result == BUSY
    assert word >> 2 == n_tries
    assert locks.hp_release_exclusive(word) == (0 if is_guest else H, OK)


@given(operations=st.lists(st.sampled_from(["shared", "exclusive", "leave"]), max_size=30))
def test_sharex_word_counts_its_holders(operations: list[str]) -> None:
    """With releases by holders only, the word is always the readers or the writer, never both."""
    word, readers, is_held = 0, 0, False
    for operation in operations:
        if operation == "shared":
            word, result = locks.sharex_acquire_shared(word)
            readers += result == OK
        elif operation == "exclusive":
            word, result = locks.sharex_acquire_exclusive(word)
            is_held |= result == OK
        elif is_held:
            word, result = locks.sharex_release_exclusive(word)
            is_held = False
        elif readers:
            word, result = locks.sharex_release_shared(word)
            readers -= 1
        assert not (is_held and readers)
        assert word & 1 == is_held
        assert is_held or word == 2 * readers


@given(word=words)
def test_words_stay_16_bits_wide(word: int) -> None:
    operations: list[Operation] = [getattr(locks, name) for name in [*MUTEX, *SHAREX, *HP]]
    for operation in operations[len(MUTEX) :]:
        assert 0 <= operation(word)[0] <= locks.WORD_MASK
    for is_guest in (False, True):
        assert 0 <= locks.hp_acquire_shared(word, is_guest)[0] <= locks.WORD_MASK
        assert 0 <= locks.hp_acquire_exclusive(word, is_guest)[0] <= locks.WORD_MASK


@given(entry=entries)
def test_entries_stay_64_bits_wide(entry: int) -> None:
    for operation in (locks.sept_acquire_host, locks.sept_acquire_guest, locks.sept_release):
        after, _ = operation(entry)
        assert 0 <= after < 1 << 64
        assert after & ~(L | M) == entry & ~(L | M)


@given(word=words)
def test_compiled_words_equal_plain_python(word: int) -> None:
    for name in [*SHAREX, *HP]:
        operation = getattr(locks, name)
        assert operation(word) == getattr(operation, "py_func", operation)(word)
    for name in HP_HOST:
        operation = getattr(locks, name)
        plain = getattr(operation, "py_func", operation)
        assert operation(word, True) == plain(word, True)
        assert operation(word, False) == plain(word, False)


@given(entry=st.integers(-(1 << 63), (1 << 63) - 1))
def test_compiled_entries_equal_plain_python(entry: int) -> None:
    for operation in (locks.entry_acquire_host, locks.entry_acquire_guest, locks.entry_release):
        assert operation(entry) == getattr(operation, "py_func", operation)(entry)
