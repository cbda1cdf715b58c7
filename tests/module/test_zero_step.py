"""Zero-step: counting, listing, and what still faults (td_exit_stepping.c)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_env.module.zero_step import (
    EPF_THRESHOLD,
    GPA_LIST_SIZE,
    after_vm_exit,
    log_ept_violation,
    still_faults,
)
from tdx_env.state.calls import EntryState


def log_all(
    gpas: list[int], threshold: int = EPF_THRESHOLD, capacity: int = GPA_LIST_SIZE
) -> tuple[int, list[int]]:
    """Log violations on these GPAs in a row; return the counter and the list."""
    counter, n_listed, listed = 0, 0, np.zeros(capacity, np.int64)
    for gpa in gpas:
        counter, n_listed = log_ept_violation(counter, n_listed, listed, gpa, threshold, capacity)
    return counter, [int(gpa) for gpa in listed[:n_listed]]


@pytest.mark.parametrize("n_exits", range(7))
def test_first_six_violations_only_count(n_exits: int) -> None:
    assert log_all([5] * n_exits) == (n_exits, [])


def test_seventh_violation_is_listed() -> None:
    assert log_all([1, 2, 3, 4, 5, 6, 7]) == (6, [7])


def test_gpa_is_listed_once() -> None:
    assert log_all([9] * 6 + [7, 8, 7, 7, 8]) == (6, [7, 8])


def test_full_list_ignores_more() -> None:
    assert log_all([0] * 6 + list(range(100, 140)))[1] == list(range(100, 100 + 32))


def test_progress_clears_counter_and_list() -> None:
    assert after_vm_exit(6, 4, True) == (0, 0)


def test_exit_without_progress_keeps_both() -> None:
    assert after_vm_exit(6, 4, False) == (6, 4)


@pytest.mark.parametrize("state", EntryState)
def test_all_but_fully_accessible_pages_still_fault(state: EntryState) -> None:
    accessible = {EntryState.MAPPED, EntryState.EXPORTED_DIRTY}
    assert still_faults(state) is (state not in accessible)


@pytest.mark.parametrize("state", EntryState)
def test_page_that_can_be_accepted_is_fine_where_the_td_gets_ve_for_it(state: EntryState) -> None:
    """From 1.5.28 on; FREE, blocked and write-blocked pages still fault."""
    fine = {
        EntryState.MAPPED,
        EntryState.EXPORTED_DIRTY,
        EntryState.PENDING,
        EntryState.PENDING_EXPORTED_DIRTY,
    }
    assert still_faults(state, True) is (state not in fine)


@given(
    gpas=st.lists(st.integers(0, 5), max_size=40),
    threshold=st.integers(0, 8),
    capacity=st.integers(1, 4),
)
def test_list_is_the_first_new_gpas_beyond_the_threshold(
    gpas: list[int], threshold: int, capacity: int
) -> None:
    expected = list(dict.fromkeys(gpas[threshold:]))[:capacity]
    assert log_all(gpas, threshold, capacity) == (min(len(gpas), threshold), expected)


@given(counter=st.integers(0, 6), n_listed=st.integers(0, 4), gpa=st.integers(0, 5))
def test_compiled_equals_plain_python(counter: int, n_listed: int, gpa: int) -> None:
    plain = getattr(log_ept_violation, "py_func", log_ept_violation)
    ours, theirs = np.arange(5), np.arange(5)
    assert log_ept_violation(counter, n_listed, ours, gpa, 6, 5) == plain(
        counter, n_listed, theirs, gpa, 6, 5
    )
    assert ours.tolist() == theirs.tolist()
