"""TLB tracking: the rules of is_tlb_tracked and TDH.MEM.TRACK."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_env.module.tlb import FIRST_EPOCH, check_track, is_tracked, vcpus_of_epoch
from tdx_env.state.calls import Outcome

MIGRATION_EPOCH = -(1 << 63) + 3


@pytest.mark.parametrize(
    ("bepoch", "td_epoch", "even", "odd", "tracked"),
    [
        (3, 7, 9, 9, True),  # two epochs or more ago: whoever is in the guest
        (5, 7, 9, 9, True),
        (6, 7, 0, 9, True),  # one epoch ago: nobody left from it
        (6, 7, 1, 0, False),
        (5, 6, 9, 0, True),
        (5, 6, 0, 1, False),
        (7, 7, 0, 0, False),  # no TRACK since
        (8, 7, 0, 0, False),
        (MIGRATION_EPOCH, 7, 0, 0, False),
        (0, FIRST_EPOCH, 0, 0, True),
        (0, FIRST_EPOCH, 2, 0, False),
    ],
)
def test_block_is_tracked(bepoch: int, td_epoch: int, even: int, odd: int, tracked: bool) -> None:
    assert is_tracked(bepoch, td_epoch, even, odd) is tracked


@pytest.mark.parametrize(
    ("td_epoch", "even", "odd", "outcome"),
    [
        (1, 0, 5, Outcome.SUCCESS),
        (1, 1, 0, Outcome.PREVIOUS_TLB_EPOCH_BUSY),
        (2, 5, 0, Outcome.SUCCESS),
        (2, 5, 1, Outcome.PREVIOUS_TLB_EPOCH_BUSY),
        (3, 0, 0, Outcome.SUCCESS),
    ],
)
def test_track_needs_the_previous_epoch_empty(
    td_epoch: int, even: int, odd: int, outcome: Outcome
) -> None:
    assert check_track(td_epoch, even, odd) == outcome


@given(epoch=st.integers(0, 1 << 40), even=st.integers(0, 300), odd=st.integers(0, 300))
def test_neighbouring_epochs_count_apart(epoch: int, even: int, odd: int) -> None:
    here = vcpus_of_epoch(epoch, even, odd)
    assert here + vcpus_of_epoch(epoch + 1, even, odd) == even + odd
    assert here == (odd if epoch % 2 else even)


@given(epoch=st.integers(1, 1 << 40), even=st.integers(0, 3), odd=st.integers(0, 3))
def test_second_successful_track_tracks_a_block_for_good(epoch: int, even: int, odd: int) -> None:
    """A block of epoch b is tracked as soon as the TRACK of epoch b + 1 would succeed."""
    can_track = check_track(epoch + 1, even, odd) == Outcome.SUCCESS
    assert is_tracked(epoch, epoch + 1, even, odd) == can_track
    assert is_tracked(epoch, epoch + 2, even, odd)


@given(
    bepoch=st.integers(-5, 12),
    epoch=st.integers(1, 12),
    even=st.integers(0, 2),
    odd=st.integers(0, 2),
)
def test_compiled_equals_plain_python(bepoch: int, epoch: int, even: int, odd: int) -> None:
    plain = getattr(is_tracked, "py_func", is_tracked)
    assert is_tracked(bepoch, epoch, even, odd) == plain(bepoch, epoch, even, odd)
