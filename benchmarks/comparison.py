"""`tdx-eval compare`: wall time and decisions per second, start and report included."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.rounds import Effort, in_rounds
from benchmarks.tables import in_seconds, table

_ROOT = Path(__file__).resolve().parents[1]
_JOBS = (1, 2)
_SMALL = ("s03-zero-step/test,s14-split-storm/test", "P1,P18,random", 50)
_WHOLE = ("test", "all", 10)
_TEXT = """
## Comparing policies

`tdx-eval compare` as a user starts it, from the command to the finished report. *Small*: 3 policies
on 2 scenarios, 50 seeds. *Whole*: all policies on all test scenarios, {n_seeds} seeds (a published
comparison has more: time grows with their number). Decisions are those of all episodes.

"""


class Case:
    """One setting of a comparison.

    Args:
        setting: Scenarios, policies and seeds, as the command line takes them.
        n_jobs: Processes.
    """

    def __init__(self, setting: tuple[str, str, int], n_jobs: int) -> None:
        scenarios, policies, n_seeds = setting
        self._command = [sys.executable, "-m", "eval.cli", "compare"]
        self._command += ["--scenarios", scenarios, "--policies", policies]
        self._command += ["--seeds", str(n_seeds), "--jobs", str(n_jobs)]
        self.n_decisions = self.n_events = 0

    def seconds(self, number: int) -> float:
        """Compare once."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "report"
            start = time.perf_counter()
            subprocess.run(
                [*self._command, "--out", str(out)], check=True, cwd=_ROOT, capture_output=True
            )
            seconds = time.perf_counter() - start
            self._count(out)
        return seconds

    def _count(self, folder: Path) -> None:
        """Note how many decisions and events the episodes had."""
        import pandas as pd

        rows = pd.read_parquet(folder / "results.parquet", columns=["n_decisions", "n_events"])
        self.n_decisions, self.n_events = (int(rows[name].sum()) for name in rows)


def measure(effort: Effort) -> list[dict[str, Any]]:
    """Return a row for each setting and number of processes."""
    settings = {"small": _SMALL, "whole": _WHOLE}
    if effort.is_quick:
        settings = {"small": (*_SMALL[:2], 2)}
    cases = {
        (name, n_jobs): Case(setting, n_jobs)
        for name, setting in settings.items()
        for n_jobs in _JOBS
    }
    ways: dict[str, Callable[[int], float]] = {
        f"{name}, {n_jobs}": case.seconds for (name, n_jobs), case in cases.items()
    }
    times = in_rounds(ways, effort)
    return [
        {
            "setting": name,
            "n_jobs": n_jobs,
            "seconds": times[f"{name}, {n_jobs}"]._asdict(),
            "n_decisions": case.n_decisions,
            "n_events": case.n_events,
        }
        for (name, n_jobs), case in cases.items()
    ]


def text(rows: list[dict[str, Any]]) -> str:
    """Return what the page says about it."""
    return _TEXT.format(n_seeds=_WHOLE[-1]) + table(
        ("setting", "processes", "s", "decisions/s", "events/s", "decisions"),
        [
            (
                row["setting"],
                str(row["n_jobs"]),
                in_seconds(row["seconds"], 1),
                f"{row['n_decisions'] / row['seconds']['median']:,.0f}",
                f"{row['n_events'] / row['seconds']['median']:,.0f}",
                f"{row['n_decisions']:,}",
            )
            for row in rows
        ],
    )
