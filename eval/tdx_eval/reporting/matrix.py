"""Who meets whom on which lock, by cycles lost; and what a policy pays beyond the cheapest."""

from collections.abc import Sequence
from dataclasses import dataclass

from tdx_eval.comparing.summary import ScenarioResult, Summary
from tdx_eval.reporting.shares import KINDS, kinds_of
from tdx_eval.reporting.wording import call_name, duration, holder_name, lock_name

_STRONGEST = 60  # colour of the dearest cell [percent]


@dataclass(frozen=True)
class BusyMatrix:
    """The busy matrix of a policy over all scenarios with contention.

    Attributes:
        policy: Whose.
        calls: Rows: calls, dearest first.
        met: Columns: holder and lock, dearest first.
        us: Callers' own time lost in an episode, summed over the scenarios, by row and column [us].
    """

    policy: str
    calls: list[str]
    met: list[tuple[str, str]]
    us: dict[tuple[str, tuple[str, str]], float]

    @property
    def total(self) -> float:
        """All of it [us]."""
        return sum(self.us.values())

    def cell(self, call: str, met: tuple[str, str]) -> str:
        """Return a cell in words."""
        found = self.us.get((call, met), 0.0)
        return duration(found) if found else ""

    def strength(self, call: str, met: tuple[str, str]) -> int:
        """Return how strong a cell's colour is [percent]."""
        found = self.us.get((call, met), 0.0)
        return round(_STRONGEST * found / max(self.us.values()))


def busy_matrix(summary: Summary, policy: str) -> BusyMatrix | None:
    """Return a policy's busy matrix; None: it never lost a cycle to a busy reply."""
    us: dict[tuple[str, tuple[str, str]], float] = {}
    for one in summary.contested:
        for conflict in one.results[policy].conflicts:
            met = (holder_name(conflict.holder), lock_name(conflict.lock))
            key = (call_name(conflict.call), met)
            us[key] = us.get(key, 0.0) + one.us(conflict.cycles_lost)
    us = {key: value for key, value in us.items() if value > 0}
    if not us:
        return None
    by_call: dict[str, float] = {}
    by_met: dict[tuple[str, str], float] = {}
    for (call, met), value in us.items():
        by_call[call] = by_call.get(call, 0.0) + value
        by_met[met] = by_met.get(met, 0.0) + value
    calls = sorted(by_call, key=lambda one: -by_call[one])
    return BusyMatrix(policy, calls, sorted(by_met, key=lambda one: -by_met[one]), us)


def matrix_title(matrix: BusyMatrix) -> str:
    """Return the finding of a busy matrix."""
    (call, (holder, lock)), most = max(matrix.us.items(), key=lambda item: item[1])
    share = 100 * most / matrix.total
    return f"{matrix.policy}: {share:.0f} % of it is {call} that meets {holder} on {lock}"


def regret_rows(scenario: ScenarioResult, names: Sequence[str]) -> list[tuple[str, list[float]]]:
    """Return what policies pay beyond the cheapest in hindsight, by kind; the columns sum to it.

    Args:
        scenario: Where.
        names: Policies.

    Returns:
        Kind, and each policy's mean difference [cycles]; the last row is the sum.
    """
    base = kinds_of(scenario.results[scenario.hindsight])
    ours = [kinds_of(scenario.results[name]) for name in names]
    rows = [(kind, [one[kind] - base[kind] for one in ours]) for kind in KINDS]
    total = [sum(values) for values in zip(*(row for _, row in rows), strict=True)]
    shown = [(kind, values) for kind, values in rows if any(values)]
    return [*shown, ("in all", total)] if shown else []
