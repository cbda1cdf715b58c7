"""A gate for patches: does a policy cost more than a baseline, beyond what is allowed?"""

from dataclasses import dataclass

from tdx_eval.auditing.folder import Results, costs_of, n_lost_of
from tdx_eval.comparing.statistics import Estimate, relative_difference


@dataclass(frozen=True)
class Passage:
    """A policy against the baseline in one scenario.

    Attributes:
        relative: Cost against the baseline's, less 1; None if that is 0.
        n_lost: TDs that the policy lost, and the baseline.
        is_dearer: The whole interval is beyond what is allowed.
        is_unsure: The interval reaches beyond it.
    """

    scenario: str
    n_seeds: int
    relative: Estimate | None
    n_lost: tuple[int, int]
    is_dearer: bool
    is_unsure: bool

    @property
    def loses_more(self) -> bool:
        """Whether the policy lost more TDs than the baseline."""
        return self.n_lost[0] > self.n_lost[1]

    @property
    def is_regression(self) -> bool:
        """Whether the gate stays shut."""
        return self.is_dearer or self.loses_more


def judge(results: Results, policy: str, baseline: str, allowed: float) -> list[Passage]:
    """Hold a policy against a baseline in every scenario that both played.

    Args:
        results: A comparison's.
        policy: What is judged.
        baseline: What it is held against.
        allowed: How much dearer it may be, as a share of the baseline's cost.

    Raises:
        ResultError: One of the two was not played.
    """
    for name in (policy, baseline):
        results.check_policy(name)
    found = []
    for scenario in results.scenarios:
        ours, theirs = results.rows_of(policy, scenario), results.rows_of(baseline, scenario)
        relative = relative_difference(costs_of(ours), costs_of(theirs))
        if relative is None:  # the baseline costs nothing: any cost is beyond what is allowed
            is_dearer = is_unsure = bool(costs_of(ours).any())
        else:
            is_dearer, is_unsure = relative.low > allowed, relative.high > allowed
        lost = n_lost_of(ours), n_lost_of(theirs)
        found.append(Passage(scenario, len(ours), relative, lost, is_dearer, is_unsure))
    return found
