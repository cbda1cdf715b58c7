"""Two folders of results, held against each other row by row."""

from dataclasses import dataclass, field

from tdx_env.errors import ResultError
from tdx_eval.auditing.folder import KEY, Results, costs_of
from tdx_eval.comparing.chunks import differences
from tdx_eval.comparing.statistics import Estimate, relative_difference


@dataclass(frozen=True)
class Changed:
    """A policy in a scenario whose episodes differ between two folders.

    Attributes:
        n_changed: Episodes that differ in anything.
        n_seeds: Episodes that both have.
        relative: Cost of the second folder against the first's, less 1; None if that is 0.
    """

    policy: str
    scenario: str
    n_changed: int
    n_seeds: int
    relative: Estimate | None


@dataclass(frozen=True)
class Versus:
    """What two folders have in common, and what not.

    Attributes:
        made: Differences of how they were made, in words.
        n_common: Episodes that both have.
        n_alone: Episodes that only the first has, and only the second.
        changed: Where common episodes differ.
    """

    made: list[str]
    n_common: int
    n_alone: tuple[int, int]
    changed: list[Changed] = field(default_factory=list)

    @property
    def are_equal(self) -> bool:
        """Whether the episodes are the same, bit for bit."""
        return not self.changed and self.n_alone == (0, 0)


def differences_of(first: Results, second: Results) -> Versus:
    """Hold two folders against each other.

    Raises:
        ResultError: They are of different schemas, or have no episode in common.
    """
    ours, theirs = first.episodes, second.episodes
    odd = sorted(set(ours.columns) ^ set(theirs.columns))
    if odd:
        raise ResultError(
            f"{first.folder} and {second.folder}: are of different schemas: column {odd[0]} is in "
            "one alone; make both with one version of tdx-eval"
        )
    keys = ours[KEY].merge(theirs[KEY], on=KEY)
    if not len(keys):
        raise ResultError(f"{first.folder} and {second.folder}: have no episode in common")
    left = keys.merge(ours, on=KEY)[ours.columns.tolist()]
    right = keys.merge(theirs, on=KEY)[ours.columns.tolist()]
    same = ((left == right) | (left.isna() & right.isna())).all(axis=1)
    changed = []
    for (policy, scenario), rows in left[~same].groupby(["policy", "scenario"], sort=False):
        some = (left["policy"] == policy) & (left["scenario"] == scenario)
        relative = relative_difference(costs_of(right[some]), costs_of(left[some]))
        changed.append(Changed(str(policy), str(scenario), len(rows), int(some.sum()), relative))
    made = list(differences(first.manifest, second.manifest))
    return Versus(made, len(keys), (len(ours) - len(keys), len(theirs) - len(keys)), changed)
