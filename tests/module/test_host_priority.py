"""The guest's host-priority timeout (tdx_td_dispatcher.c, td_call)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_env.errors import ScenarioError
from tdx_env.module.host_priority import after_tdcall, timeout_cycles
from tdx_env.state.calls import Outcome

REFUSED = Outcome.OPERAND_BUSY_HOST_PRIORITY
TIMEOUT = 1000
ENDS_A_RUN = [
    Outcome.SUCCESS,
    Outcome.OPERAND_BUSY,
    Outcome.PAGE_ALREADY_ACCEPTED,
    Outcome.PAGE_SIZE_MISMATCH,
    Outcome.INTERRUPTED,
]


def test_first_refusal_sets_flag_and_time() -> None:
    assert after_tdcall(False, 7, 50, TIMEOUT, REFUSED) == (True, 50, False)


def test_later_refusal_keeps_the_first_ones_time() -> None:
    assert after_tdcall(True, 50, 1049, TIMEOUT, REFUSED) == (True, 50, False)


@pytest.mark.parametrize("now", [1050, 99_999])
def test_refusal_after_the_timeout_exits_and_clears_the_flag(now: int) -> None:
    assert after_tdcall(True, 50, now, TIMEOUT, REFUSED) == (False, 50, True)


@pytest.mark.parametrize("outcome", ENDS_A_RUN)
def test_any_other_end_clears_the_flag_without_exit(outcome: Outcome) -> None:
    is_flagged, _, exits = after_tdcall(True, 50, 99_999, TIMEOUT, outcome)
    assert (is_flagged, exits) == (False, False)


@pytest.mark.parametrize("is_flagged", [False, True])
def test_exit_inside_the_leaf_touches_nothing(is_flagged: bool) -> None:
    result = after_tdcall(is_flagged, 50, 99_999, TIMEOUT, Outcome.EPT_VIOLATION)
    assert result == (is_flagged, 50, False)


@given(gaps=st.lists(st.integers(0, 400), min_size=1, max_size=20))
def test_run_of_refusals_is_timed_from_its_first(gaps: list[int]) -> None:
    is_flagged, since, now, first = False, 0, 0, None
    for gap in gaps:
        now += gap
        is_flagged, since, exits = after_tdcall(is_flagged, since, now, TIMEOUT, REFUSED)
        first = now if first is None else first
        assert exits == (now - first >= TIMEOUT)
        first = None if exits else first


@given(
    is_flagged=st.booleans(),
    since=st.integers(0, 99),
    later=st.integers(0, 99),
    outcome=st.sampled_from(Outcome),
)
def test_compiled_equals_plain_python(
    is_flagged: bool, since: int, later: int, outcome: Outcome
) -> None:
    plain = getattr(after_tdcall, "py_func", after_tdcall)
    arguments = (is_flagged, since, since + later, 50, int(outcome))
    assert after_tdcall(*arguments) == plain(*arguments)


@pytest.mark.parametrize(
    ("timeout_us", "cycles"),
    [
        (None, 3_000_000_000),
        (10_000, 30_000_000),
        (1_000_000, 3_000_000_000),
        (2_000_000, 6_000_000_000 - (1 << 32)),  # cut to 32 bits
    ],
)
def test_written_timeout_is_cut_to_32_bits_of_cycles(timeout_us: int | None, cycles: int) -> None:
    assert timeout_cycles(timeout_us, 3000) == cycles


def test_default_timeout_is_not_cut() -> None:
    assert timeout_cycles(None, 5000) == 5_000_000_000


@pytest.mark.parametrize("timeout_us", [9_999, 100_000_001])
def test_timeout_out_of_range_is_refused(timeout_us: int) -> None:
    with pytest.raises(ScenarioError, match="must be from 10000 to 100000000"):
        timeout_cycles(timeout_us, 2000)
