"""A row of the reality table: an observation, how it is measured here, when it holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tdx_eval.reality.criteria import Criterion

LOW, HIGH = 5, 95  # percentiles that span "over the cost ranges"


class Kind(StrEnum):
    """What sort of observation it is; the sections of the table, in order."""

    MEASURED = "measured on TDX"
    ELSEWHERE = "measured or stated of IPIs on other machines"
    STATED = "stated in the discussion"
    LIMIT = "tolerances of the rest of the kernel"
    BUG = "reported bugs and symptoms"


class RowVerdict(StrEnum):
    """What came of a row."""

    HOLDS = "holds"
    FAILS = "does not hold"
    NOT_MODELLED = "not modelled"


@dataclass(frozen=True)
class Sample:
    """What the simulator gave: one value for each draw of the costs that says something.

    Attributes:
        values: Shape (n,), in the row's unit; 0 or 1 if the row is a statement.
        note: What the numbers rest on, or why they are not what was observed.
    """

    values: NDArray[np.float64]
    note: str = ""

    def percentile(self, share: float) -> float:
        """Return a percentile of the values."""
        return float(np.percentile(self.values, share))


@dataclass(frozen=True)
class Row:
    """One observation.

    Attributes:
        id: Short name, what ``--row`` takes.
        kind: Section of the table.
        observed: What was observed, one sentence.
        source: Who observed or said it, and when.
        unit: Of the observed number and of the measured values; "" for a statement.
        criterion: When the row holds; None if it is not modelled.
        measure: Puts it to the simulator with a number of draws; None if it is not modelled.
        reason: Why it is not modelled.
        rests_on: Costs whose range was derived from this very observation: it can hardly fail.
    """

    id: str
    kind: Kind
    observed: str
    source: str
    unit: str = ""
    criterion: Criterion | None = None
    measure: Callable[[int], Sample] | None = None
    reason: str = ""
    rests_on: str = ""

    def __post_init__(self) -> None:
        """Check that the row can be measured, or says why not."""
        is_measured = self.measure is not None and self.criterion is not None
        assert is_measured != bool(self.reason), self.id


@dataclass(frozen=True)
class RowResult:
    """What came of a row, with all that the table shows.

    Attributes:
        id: Name of the row, for `--row`.
        kind: What kind of observation it is.
        observed: What was seen on a real host, or said.
        source: Who saw or said it.
        given: The observed number or statement, as the criterion has it.
        unit: Of the values; "" if they are shares of draws.
        criterion: When the row holds.
        rests_on: Costs whose range was derived from this very observation.
        verdict: Whether it came out.
        note: What else there is to say.
        median: Over the draws; None if the row is not modelled, as the next three.
        low: 5th percentile.
        high: 95th percentile.
        mean: Of a statement: the share of draws in which it is true.
        n_values: Draws that said something.
    """

    id: str
    kind: str
    observed: str
    source: str
    given: str
    unit: str
    criterion: str
    rests_on: str
    verdict: str
    note: str
    median: float | None = None
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    n_values: int = 0

    @property
    def is_statement(self) -> bool:
        """Whether the values are shares of draws rather than numbers with a unit."""
        return self.unit == ""


@dataclass(frozen=True)
class RealityTable:
    """All results, and what they were made with.

    Attributes:
        results: In the order of the rows.
        n_draws: Draws of the costs for each row.
        versions: Package versions.
        machine: What the user overrode of module and kernel, by dotted name.
    """

    results: tuple[RowResult, ...]
    n_draws: int
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, object] = field(default_factory=dict)

    def count(self, verdict: RowVerdict) -> int:
        """Return how many rows have a verdict."""
        return sum(result.verdict == verdict for result in self.results)

    @property
    def counts(self) -> str:
        """The one-line summary."""
        holds, fails, rest = (self.count(verdict) for verdict in RowVerdict)
        on = "".join(f", {key} = {value}" for key, value in self.machine.items())
        return f"{len(self.results)} rows: {holds} hold, {fails} do not, {rest} not modelled{on}"

    def of_kind(self, kind: Kind) -> list[RowResult]:
        """Return the results of a section."""
        return [result for result in self.results if result.kind == kind]
