"""All rows of the reality table, in order, and what comes of them."""

from collections.abc import Sequence
from dataclasses import replace

from tdx_env.errors import ScenarioError, one_of
from tdx_eval.reality import (
    accepting,
    bugs,
    building,
    conversion,
    counting,
    disciplines,
    faults,
    kicks,
    pamt,
    priority,
    rates,
    removal,
    rules,
    second_try,
    tries,
    zero_step,
)
from tdx_eval.reality.row import HIGH, LOW, Kind, Row, RowResult, RowVerdict

_MODULES = (
    removal, conversion, kicks, pamt, counting, faults, accepting, tries, rates, second_try,
    priority, zero_step, disciplines, rules, bugs, building,
)  # fmt: skip


def _order(row: Row) -> tuple[int, int]:
    """Return the place of a row: its section; bugs by number."""
    number = row.id.partition("-")[0].removeprefix("B")
    is_numbered = row.kind == Kind.BUG and number.isdigit()
    return list(Kind).index(row.kind), int(number) if is_numbered else 0


def rows() -> tuple[Row, ...]:
    """Return all rows in the order of the table."""
    return tuple(sorted((row for module in _MODULES for row in module.ROWS), key=_order))


def find(names: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows of these names, in the order of the table; all of them without a name.

    Raises:
        ScenarioError: There is no such row.
    """
    every = rows()
    known = {row.id.lower(): row for row in every}
    for name in names:
        if name.lower() not in known:
            must = one_of(name, (row.id for row in every))
            raise ScenarioError(f'row "{name}" is unknown, {must}')
    wanted = {name.lower() for name in names}
    return tuple(row for row in every if not wanted or row.id.lower() in wanted)


def put_to_simulator(row: Row, n_draws: int, is_machine_chosen: bool = False) -> RowResult:
    """Put one row to the simulator.

    Args:
        row: The row.
        n_draws: Draws of all costs.
        is_machine_chosen: The user named module or kernel; a row that needs what they have not is
            then not modelled, and says why.

    Raises:
        ScenarioError: No draw says anything about it.
    """
    result = RowResult(
        id=row.id,
        kind=row.kind.value,
        observed=row.observed,
        source=row.source,
        given="",
        unit=row.unit,
        criterion="",
        rests_on=row.rests_on,
        verdict=RowVerdict.NOT_MODELLED.value,
        note=row.reason,
    )
    if row.measure is None or row.criterion is None:
        return result
    try:
        sample = row.measure(n_draws)
    except ScenarioError as error:
        if not is_machine_chosen:
            raise
        return replace(result, note=f"Not on this machine: {error}.")
    if len(sample.values) == 0:
        raise ScenarioError(f"row {row.id}: none of {n_draws} draws says anything, take more")
    holds = row.criterion.holds(sample.values)
    return replace(
        result,
        given=row.criterion.given,
        criterion=row.criterion.text,
        verdict=(RowVerdict.HOLDS if holds else RowVerdict.FAILS).value,
        note=sample.note,
        median=sample.percentile(50),
        low=sample.percentile(LOW),
        high=sample.percentile(HIGH),
        mean=float(sample.values.mean()),
        n_values=len(sample.values),
    )


def running_order(some: Sequence[Row]) -> list[Row]:
    """Return rows in the order in which to run them: those of one module share worlds."""
    return [row for module in _MODULES for row in module.ROWS if row in some]
