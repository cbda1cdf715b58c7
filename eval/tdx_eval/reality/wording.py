"""How a row's numbers and verdict read in tables."""

import numpy as np

from tdx_eval.reality.row import RowResult, RowVerdict
from tdx_eval.reporting.wording import NOTHING

_DIGITS = 3
_THOUSAND = 1_000


def three_digits(value: float) -> str:
    """Return a number with three significant digits, thousands separated."""
    if value == 0:
        return "0"
    if abs(value) >= _THOUSAND:
        return f"{value:,.0f}"
    return str(np.format_float_positional(value, _DIGITS, fractional=False, trim="-"))


def observed_number(result: RowResult) -> str:
    """Return the observed number with its unit; nothing if the row is a statement."""
    return f"{result.given} {result.unit}" if result.given else NOTHING


def simulated(result: RowResult) -> str:
    """Return what the simulator gives: median and 5 to 95 %, or how often a statement is true."""
    if result.verdict == RowVerdict.NOT_MODELLED:
        return NOTHING
    assert result.median is not None and result.mean is not None
    assert result.low is not None and result.high is not None
    if result.is_statement:
        return f"true in {round(result.mean * result.n_values)} of {result.n_values}"
    if result.low == result.high:
        return three_digits(result.median)
    return (
        f"{three_digits(result.median)} ({three_digits(result.low)} to {three_digits(result.high)})"
    )


def colour(result: RowResult) -> str:
    """Return the class of a verdict: better, worse or soft."""
    classes = {
        RowVerdict.HOLDS: "better",
        RowVerdict.FAILS: "worse",
        RowVerdict.NOT_MODELLED: "soft",
    }
    return classes[RowVerdict(result.verdict)]
