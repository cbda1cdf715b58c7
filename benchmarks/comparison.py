"""`tdx-eval compare`: wall time and decisions per second, start and report included."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.rounds import Effort, Median, in_rounds, median_of
from benchmarks.tables import in_seconds, table

_ROOT = Path(__file__).resolve().parents[1]
_JOBS = (1, 2)
_SMALL = ("s03-zero-step/test,s14-split-storm/test", "P1,P18,random", 50, 50)
_FULL = ("test", "all", 1000, 50)
_TEXT = """
## Comparing policies

`tdx-eval compare` as a user starts it, from the command to the finished report. *Small*: 3 policies
on 2 scenarios, 50 seeds. *Full*: all policies on all test scenarios, {n_seeds:,} seeds, {n_large}
where an episode has more than 10,000 events; done once. Decisions are those of all episodes.

"""


class Case:
    """One setting of a comparison.

    Args:
        setting: Scenarios, policies, seeds and those of large scenarios, as the command line takes
            them.
        n_jobs: Processes.
    """

    def __init__(self, setting: tuple[str, str, int, int], n_jobs: int) -> None:
        scenarios, policies, n_seeds, n_large = setting
        self._command = [sys.executable, "-m", "tdx_eval.cli", "compare"]
        self._command += ["--scenarios", scenarios, "--policies", policies]
        self._command += ["--seeds", str(n_seeds), "--seeds-large", str(n_large)]
        self._command += ["--jobs", str(n_jobs)]
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
    small = (*_SMALL[:2], 2, 2) if effort.is_quick else _SMALL
    cases = {n_jobs: Case(small, n_jobs) for n_jobs in _JOBS}
    times = in_rounds({str(n_jobs): case.seconds for n_jobs, case in cases.items()}, effort)
    rows = [_row("small", n_jobs, times[str(n_jobs)], case) for n_jobs, case in cases.items()]
    if not effort.is_quick:
        case = Case(_FULL, _JOBS[-1])
        rows.append(_row("full", _JOBS[-1], median_of([case.seconds(1)]), case))
    return rows


def _row(setting: str, n_jobs: int, seconds: Median, case: Case) -> dict[str, Any]:
    """Return what was measured of a setting."""
    return {
        "setting": setting,
        "n_jobs": n_jobs,
        "seconds": seconds._asdict(),
        "n_decisions": case.n_decisions,
        "n_events": case.n_events,
    }


def text(rows: list[dict[str, Any]]) -> str:
    """Return what the page says about it."""
    return _TEXT.format(n_seeds=_FULL[-2], n_large=_FULL[-1]) + table(
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
