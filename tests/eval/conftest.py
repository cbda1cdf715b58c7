"""A small comparison that several tests look at."""

from dataclasses import dataclass
from pathlib import Path

import numba
import pandas as pd
import pytest

from tdx_eval.compare import summarise
from tdx_eval.comparison import jobs_of_plan, tables
from tdx_eval.plan import Plan
from tdx_eval.run import run_job
from tdx_eval.seeds import CHUNK
from tdx_eval.summary import Summary

USER_FILE = '''
"""Policies of a user's own."""

DECISION_CYCLES = 10


def retry(features, mask):
    """Always again."""
    return 0


def slow(features, mask):
    """Always give up where that is allowed."""
    return 2 if mask[2] else 0


def kick(features, mask):
    """Always kick where that is allowed."""
    return 1 if mask[1] else 0


def forbidden(features, mask):
    """Return what is not allowed."""
    return 7
'''


@dataclass(frozen=True)
class Compared:
    """A plan, what its runs came to, and the summary."""

    plan: Plan
    episodes: pd.DataFrame
    cells: pd.DataFrame
    validation: pd.DataFrame
    summary: Summary


@pytest.fixture(scope="session")
def user_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with policies."""
    path = tmp_path_factory.mktemp("policies") / "mine.py"
    path.write_text(USER_FILE)
    return path


def _gather(plan: Plan, kind: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run all jobs of one kind."""
    jobs = jobs_of_plan(plan, CHUNK)[kind]
    chunks = {job.key: run_job(job) for job in jobs}
    return tables(jobs, chunks.__getitem__)


@pytest.fixture(scope="session")
def compared(user_file: Path) -> Compared:
    """Six policies on three scenarios, one of them a control."""
    if numba.config.DISABLE_JIT:
        pytest.skip("takes minutes with the compiler off")
    plan = Plan(
        policies=["p1-blind-16", "p18-merged-6.16", "p20-merged-6.19", "random", "always-retry"],
        contenders=[f"{user_file}:kick"],
        scenarios=["s03-zero-step/test", "s05-zap-idle/test", "s09-accept-4k/test"],
        validation=["s03-zero-step/validation", "s09-accept-4k/validation"],
        n_seeds=12,
    )
    episodes, cells = _gather(plan, "test")
    validation, _ = _gather(plan, "validation")
    return Compared(plan, episodes, cells, validation, summarise(plan, episodes, cells, validation))
