"""Rows of a comparison, played again from its manifest: they must come out bit for bit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tdx_agents.protocol import Policy
from tdx_env.errors import PolicyError, ResultError
from tdx_env.scenarios import Scenario, digest, setup_of
from tdx_env.scenarios import load as load_scenario
from tdx_eval.auditing.folder import Results
from tdx_eval.comparing.episodes import episodes_of, episodes_table
from tdx_eval.comparing.identity import code_digest, policy_entry
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.reckoning import reckoned
from tdx_eval.comparing.yardsticks import load_policy

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Replayed:
    """What came of it.

    Attributes:
        n_rows: Rows that were played again.
        n_left_out: Rows of policies that the catalogue doesn't have, and nobody named.
        odd: Of each row that came out otherwise: which, and the first column that differs.
    """

    n_rows: int
    n_left_out: int
    odd: list[str]


def check_version(results: Results) -> None:
    """Check that results were made by the code that would play them again.

    Raises:
        ResultError: They weren't.
    """
    made, here = results.manifest.get("code"), code_digest()
    if made != here:
        versions = results.manifest.get("versions", {})
        raise ResultError(
            f"{results.folder}: was made by other code (digest {made}, tdx-env "
            f"{versions.get('tdx-env')}; here {here}): rows can only be played again by the same "
            "code; tdx-eval diff compares two folders"
        )


def _policies(results: Results, specs: list[str]) -> dict[str, Policy]:
    """Return the policies of a comparison that can be loaded, by name, those named as contenders.

    Raises:
        ResultError: One is no longer what it was.
    """
    found: dict[str, Policy] = {}
    for spec in [*specs, *results.policies]:
        try:
            policy = load_policy(spec)
        except PolicyError:
            continue  # a contender that nobody named
        entry = results.manifest["policies"].get(policy.name)
        if entry is not None and policy_entry(spec, policy) != entry:
            raise ResultError(
                f"{results.folder}: {policy.name} is no longer the policy that was compared"
            )
        found.setdefault(policy.name, policy)
    return found


def _scenario(results: Results, name: str) -> Scenario:
    """Return a scenario as it was played.

    Raises:
        ResultError: It is no longer what it was.
    """
    scenario = load_scenario(name, results.manifest["overrides"])
    if digest(scenario) != results.manifest["scenarios"].get(name):
        raise ResultError(f"{results.folder}: {name} is no longer the scenario that was played")
    return scenario


def _difference(row: "pd.DataFrame", policy: Policy, scenario: Scenario) -> str:
    """Play a row again; say in which column it comes out otherwise, or nothing."""
    seed = int(row["seed"].iloc[0])
    seeds = range(seed, seed + 1)
    batch = run_batch(policy, scenario, seeds)
    key = (policy.name, str(row["scenario"].iloc[0]))
    episodes = episodes_of(batch, seeds)
    costs = reckoned(episodes, setup_of(scenario)[0]["weights"])
    again = episodes_table([key], [episodes], [costs])
    for column in again.columns:
        if column not in row.columns or row[column].iloc[0] != again[column].iloc[0]:
            return str(column)
    return ""


def replay_rows(results: Results, n_rows: int, specs: list[str]) -> Replayed:
    """Play rows of a comparison again, spread evenly over all of them.

    Args:
        results: A comparison's.
        n_rows: How many; 0: all.
        specs: Agents' folders and users' policies that took part.

    Raises:
        ResultError: Code, a policy or a scenario is not what it was, or no row can be played.
    """
    check_version(results)
    policies = _policies(results, specs)
    rows = results.episodes[results.episodes["policy"].isin(list(policies))]
    n_left_out = len(results.episodes) - len(rows)
    if not len(rows):
        raise ResultError(f"{results.folder}: no row is of a policy that is known here")
    n = len(rows) if n_rows == 0 else min(n_rows, len(rows))
    places = np.unique(np.linspace(0, len(rows) - 1, n).round().astype(int)).tolist()
    scenarios: dict[str, Scenario] = {}
    odd = []
    for place in places:
        row = rows.iloc[[place]]
        name, policy = str(row["scenario"].iloc[0]), str(row["policy"].iloc[0])
        if name not in scenarios:
            scenarios[name] = _scenario(results, name)
        column = _difference(row, policies[policy], scenarios[name])
        if column:
            odd.append(f"{policy} in {name}, seed {int(row['seed'].iloc[0])}: {column} differs")
    return Replayed(len(places), n_left_out, odd)
