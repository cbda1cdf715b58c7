"""The results of a comparison, read back from its folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tdx_env.errors import ResultError
from tdx_eval.comparing.output import RESULTS, SUMMARY
from tdx_eval.comparing.read_back import SCHEMA_KEY
from tdx_eval.comparing.statistics import Values

if TYPE_CHECKING:
    import pandas as pd

KEY = ["policy", "scenario", "seed"]
LOST = ["killed", "hung", "capped"]
_NEEDED = {*KEY, *LOST, "total_cost"}
_AGAIN = "make it anew with tdx-eval compare"


@dataclass(frozen=True)
class Results:
    """A folder of results.

    Attributes:
        folder: Where they are.
        manifest: What they were made with.
        episodes: One a row.
    """

    folder: Path
    manifest: dict[str, Any]
    episodes: "pd.DataFrame"

    @property
    def policies(self) -> list[str]:
        """The policies that were played, in order."""
        return [str(one) for one in self.episodes["policy"].unique()]

    @property
    def scenarios(self) -> list[str]:
        """The scenarios that were played, in order."""
        return [str(one) for one in self.episodes["scenario"].unique()]

    def check_policy(self, name: str) -> None:
        """Check that a policy was played.

        Raises:
            ResultError: It wasn't.
        """
        if name not in self.policies:
            known = ", ".join(self.policies)
            raise ResultError(f"{self.folder}: has no row of {name}; there are {known}")

    def rows_of(self, policy: str, scenario: str) -> "pd.DataFrame":
        """Return the episodes of a policy in a scenario, by seed."""
        rows = self.episodes
        some = rows[(rows["policy"] == policy) & (rows["scenario"] == scenario)]
        return some.sort_values("seed", kind="stable").reset_index(drop=True)


def costs_of(rows: "pd.DataFrame") -> Values:
    """Return the total cost of each episode, shape (n,) [cycles]."""
    return rows["total_cost"].to_numpy(np.float64)


def n_lost_of(rows: "pd.DataFrame") -> int:
    """Return how many episodes lost the TD."""
    return int(rows[LOST].any(axis=1).sum())


def _read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of a summary, with the number of the summary's format.

    Raises:
        ResultError: It can't be read, or holds none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content["manifest"]
    except OSError as error:
        raise ResultError(f"{path}: can't be read: {error.strerror or error}; {_AGAIN}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ResultError(f"{path}: is damaged; {_AGAIN}") from error
    if not isinstance(found, dict) or "scenarios" not in found:
        raise ResultError(f"{path}: is damaged: its manifest names no scenarios; {_AGAIN}")
    return {**found, SCHEMA_KEY: content.get(SCHEMA_KEY, 1)}


def read_results(folder: Path) -> Results:
    """Read the results of a comparison.

    Raises:
        ResultError: The folder holds none, or damaged ones.
    """
    import pandas as pd
    from pyarrow import ArrowException

    if not folder.is_dir():
        raise ResultError(f"{folder}: is no folder of results; {_AGAIN}")
    manifest = _read_manifest(folder / SUMMARY)
    path = folder / RESULTS
    try:
        episodes = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise ResultError(f"{path}: is missing; {_AGAIN}") from error
    except (OSError, ValueError, ArrowException) as error:
        raise ResultError(f"{path}: is damaged; {_AGAIN}") from error
    missing = sorted(_NEEDED - set(episodes.columns))
    if missing:
        raise ResultError(f"{path}: is of another schema: has no column {missing[0]}; {_AGAIN}")
    if not len(episodes):
        raise ResultError(f"{path}: holds no episode; {_AGAIN}")
    return Results(folder, manifest, episodes)
