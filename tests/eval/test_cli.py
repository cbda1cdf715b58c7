"""Tests of ``tdx-eval`` as users run it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numba
import pandas as pd
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes with the compiler off"),
]
COMMAND = [sys.executable, "-W", "error", "-c", "from eval.cli import main; main()"]
SMALL = ["--scenarios", "s09-accept-4k/test", "--policies", "P18,always-retry"]
_LIMIT = 300  # [s], if the simulator has to be compiled


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)


def compare(out: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a comparison to its end."""
    return run("compare", "--out", out, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenarios", "s99-none"], 's99-none" is unknown'),
        (["--policies", "P18,none"], "policy 'none' is unknown"),
        (["--agent", "nowhere"], "nowhere"),
        (["--policy", "nowhere.py:decide"], "nowhere.py: there is no such file"),
        (["--set", "costs.nothing=1"], "costs.nothing"),
        (["--set", "costs.bare"], "costs.bare"),
        (["--costs", "missing.toml"], "missing.toml: can't be read"),
        (["--seeds", "0"], "--seeds"),
        (["--jobs", "-1"], "--jobs"),
    ],
)
def test_mistake_is_a_message_and_exit_code_2(tmp_path: Path, arguments: list[str], message: str):
    result = compare(tmp_path / "out", *arguments)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_existing_output_is_refused_before_any_work(tmp_path: Path):
    result = compare(tmp_path, *SMALL)
    assert result.returncode == 2
    assert "--overwrite" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_policy_that_answers_nonsense_is_refused(tmp_path: Path, user_file: Path, n_jobs: int):
    out = tmp_path / "out"
    result = compare(out, *SMALL, "--policy", f"{user_file}:forbidden", "--jobs", n_jobs)
    assert result.returncode == 2, result.stderr
    assert "mine.py:forbidden" in result.stderr
    assert "Traceback" not in result.stderr
    assert not out.exists()


def test_results_do_not_depend_on_the_number_of_processes(tmp_path: Path, user_file: Path):
    for n_jobs in (1, 2):
        out = tmp_path / str(n_jobs)
        some = ["--policy", f"{user_file}:slow", "--seeds", "60", "--jobs", str(n_jobs)]
        result = compare(out, *SMALL, *some)
        assert result.returncode == 0, result.stderr
    names = ["busy.parquet", "report.html", "results.parquet", "summary.json", "validation.parquet"]
    assert sorted(path.name for path in (tmp_path / "1").iterdir()) == names
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name
    rows = pd.read_parquet(tmp_path / "1" / "results.parquet")
    seeds = rows.groupby("policy")["seed"].apply(list)
    assert all(some == list(range(1 << 32, (1 << 32) + 60)) for some in seeds)


def test_run_stopped_at_once_leaves_nothing(tmp_path: Path):
    out = tmp_path / "out"
    command = [*COMMAND, "compare", "--out", str(out), "--seeds", "100000", "--jobs", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not out.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.read()
    assert process.returncode == 130
    assert "stopped before any episode had finished" in told
    assert not out.exists()


@pytest.mark.parametrize(
    ("n_jobs", "sent"), [(1, signal.SIGINT), (2, signal.SIGINT), (2, signal.SIGTERM)]
)
def test_stopped_run_leaves_what_was_finished(tmp_path: Path, n_jobs: int, sent: signal.Signals):
    out = tmp_path / "out"
    command = [*COMMAND, "compare", "--out", str(out), *SMALL]
    command += ["--seeds", "4000", "--jobs", str(n_jobs)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + _LIMIT
        while not list(out.glob(".unfinished/test-*-episodes.parquet")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(sent)
        assert process.stderr is not None
        told = process.stderr.read()
    assert process.returncode == 130
    assert "stopped" in told
    assert "Traceback" not in told
    rows = pd.read_parquet(out / "results.parquet")
    assert len(rows) > 0
    assert rows["total_cost"].notna().all()
    assert sorted(path.suffix for path in out.iterdir()) == [".parquet"] * 3


def test_policies_are_listed_one_a_line():
    result = run("policies")
    lines = result.stdout.splitlines()
    assert result.returncode == 0
    for name in ("p18-merged-6.16", "break-even", "always-kick"):
        assert sum(name in line for line in lines) == 1
