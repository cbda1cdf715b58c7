"""A small comparison that several tests look at."""

from dataclasses import dataclass, replace
from pathlib import Path

import numba
import pandas as pd
import pytest

from tdx_eval.comparing.analysis import summarise
from tdx_eval.comparing.carrying_out import jobs_of_plan, tables
from tdx_eval.comparing.jobs import run_job
from tdx_eval.comparing.plan import Plan, planned
from tdx_eval.comparing.seeds import CHUNK
from tdx_eval.comparing.summary import Summary

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
    return tables(jobs, plan.by_spec, chunks.__getitem__)


@pytest.fixture(scope="session")
def compared(user_file: Path) -> Compared:
    """Six policies on three scenarios, one of them a control."""
    if numba.config.DISABLE_JIT:
        pytest.skip("takes minutes with the compiler off")
    names = ["s03-zero-step/test", "s05-zap-idle/test", "s09-accept-4k/test"]
    policies = "P1,P18,P20,random,always-retry"
    plan = planned(names, policies, [f"{user_file}:kick"], (12, None), {})
    choice = {name: one for name, one in plan.validation.items() if not one.is_control}
    plan = replace(plan, validation=choice)
    episodes, cells = _gather(plan, "test")
    validation, _ = _gather(plan, "validation")
    return Compared(plan, episodes, cells, validation, summarise(plan, episodes, cells, validation))
