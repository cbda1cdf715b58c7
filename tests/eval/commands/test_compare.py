"""Tests of ``tdx-eval`` as users run it."""

import io
import re
import signal
import subprocess
import time
from pathlib import Path

import numba
import pandas as pd
import pytest

from tests.eval.commands.running import COMMAND, LONG, SMALL, compare, results, run, stopped

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes with the compiler off"),
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenarios", "s99-none"], 's99-none" is unknown'),
        (["--policies", "P18,none"], "policy 'none' is unknown"),
        (["--agent", "nowhere"], "nowhere"),
        (["--policy", "nowhere.py:decide"], "nowhere.py: there is no such file"),
        (["--set", "costs.nothing=1"], "costs.nothing"),
        (["--set", "costs.bare"], "costs.bare"),
        (["--kernel", "6.17"], "must be one of 6.16"),
        (["--costs", "missing.toml"], "missing.toml: can't be read"),
        (["--seeds", "0"], "--seeds"),
        (["--seeds-large", "0"], "--seeds-large"),
        (["--jobs", "-1"], "--jobs"),
        (["--chunk", "0"], "--chunk"),
        (["--backend", "nowhere"], "--backend nowhere: is unknown, must be one of: threading, ray"),
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


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
def test_policy_that_answers_nonsense_is_refused(tmp_path: Path, user_file: Path, backend: str):
    out = tmp_path / "out"
    wrong = ["--policy", f"{user_file}:forbidden", "--backend", backend, "--jobs", "2"]
    result = compare(out, *SMALL, *wrong, "--seeds", "4")
    assert result.returncode == 2, result.stderr
    assert "mine.py:forbidden" in result.stderr
    assert "with the mistake mended and --overwrite" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in out.iterdir()] == [".unfinished"]


MIXED = [  # of different sizes, with an asked policy and one that is killed
    *("--scenarios", "s09-accept-4k/test,s22-clean/test"),
    *("--policies", "P1,P18,always-retry"),
    *("--seeds", "61", "--seeds-large", "23"),
]


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory: pytest.TempPathFactory, user_file: Path) -> dict[str, bytes]:
    """The results of a comparison of which nothing ran side by side."""
    out = tmp_path_factory.mktemp("compare") / "out"
    result = compare(out, *MIXED, "--policy", f"{user_file}:slow", "--backend", "sequential")
    assert result.returncode == 0, result.stderr
    return results(out)


@pytest.mark.parametrize(
    ("backend", "chunk"),
    [("loky", 50), ("threading", 50), ("multiprocessing", 50), ("sequential", 7), ("threading", 7)],
)
def test_results_depend_neither_on_backend_nor_on_chunks(
    tmp_path: Path, user_file: Path, one_by_one: dict[str, bytes], backend: str, chunk: int
):
    """Byte for byte, the report included."""
    out = tmp_path / "out"
    way = ["--backend", backend, "--jobs", 2, "--chunk", chunk]
    result = compare(out, *MIXED, "--policy", f"{user_file}:slow", *way)
    assert result.returncode == 0, result.stderr
    assert sorted(one_by_one) == [
        *("busy.parquet", "report.html", "results.parquet", "summary.json", "validation.parquet")
    ]
    found = results(out)
    assert [name for name in one_by_one if found.get(name) != one_by_one[name]] == []
    assert len(found) == len(one_by_one)


def test_every_policy_has_every_seed_of_a_scenario(one_by_one: dict[str, bytes]):
    rows = pd.read_parquet(io.BytesIO(one_by_one["results.parquet"]))
    seeds = rows.groupby(["scenario", "policy"])["seed"].apply(list)
    for (scenario, _), some in seeds.items():
        n = 61 if scenario == "s22-clean/test" else 23
        assert some == list(range(1 << 32, (1 << 32) + n))
    assert len(seeds) == 2 * 4


def test_run_stopped_at_once_leaves_nothing(tmp_path: Path):
    out = tmp_path / "out"
    command = [*COMMAND, "compare", "--out", str(out), "--seeds", "100000", "--jobs", "1"]
    command += ["--chunk", "5000", "--scenarios", "s12-slot-deletion/test", "--policies", "P18"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (out / ".unfinished" / "plan.json").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.read()
    assert process.returncode == 130
    assert "stopped before any chunk was finished" in told
    assert not out.exists()


@pytest.mark.parametrize(
    ("way", "sent"),
    [
        (["--jobs", 1], signal.SIGINT),
        (["--backend", "threading", "--jobs", 2], signal.SIGINT),
        (["--backend", "loky", "--jobs", 2], signal.SIGINT),
        (["--backend", "threading", "--jobs", 2], signal.SIGTERM),
        (["--backend", "loky", "--jobs", 2], signal.SIGTERM),
    ],
)
def test_stopped_run_keeps_what_was_finished(tmp_path: Path, way: list[object], sent):
    out = tmp_path / "out"
    code, told = stopped(out, sent, *LONG, *way)
    assert code == 130
    assert "are kept in" in told
    assert "the same command goes on" in told
    assert "Traceback" not in told
    assert len(list(out.glob(".unfinished/*.npz"))) >= 4
    assert [path.name for path in out.iterdir()] == [".unfinished"]


GOES_ON = ["--scenarios", "s09-accept-4k/test", "--policies", "P18,P20", "--seeds", "300"]
ONE_BY_ONE = ["--backend", "sequential", "--chunk", 10]


@pytest.fixture(scope="module")
def ran_through(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The results of a comparison that nobody stopped."""
    out = tmp_path_factory.mktemp("through") / "out"
    assert compare(out, *GOES_ON, "--backend", "sequential").returncode == 0
    return results(out)


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
def test_killed_run_goes_on_where_it_was(
    tmp_path: Path, ran_through: dict[str, bytes], backend: str
):
    """Killed without a chance to clean up, it ends as one that ran through, byte for byte."""
    out = tmp_path / "out"
    way = ["--backend", backend, "--jobs", 2, "--chunk", 10]
    code, _ = stopped(out, signal.SIGKILL, *GOES_ON, *way)
    assert code == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in out.glob(".unfinished/*.npz")}
    result = compare(out, *GOES_ON, *way)
    assert result.returncode == 0, result.stderr
    n_kept, n_chunks = map(int, re.findall(r"goes on: (\d+) of (\d+) chunks", result.stderr)[0])
    assert (n_kept, n_chunks) == (len(kept), 2 * (4 + 30))
    assert results(out) == ran_through


def test_killed_run_is_not_mixed_with_another(tmp_path: Path):
    out = tmp_path / "out"
    stopped(out, signal.SIGKILL, *GOES_ON, *ONE_BY_ONE)
    before = results(out / ".unfinished")
    result = compare(out, *GOES_ON[:-1], 200, *ONE_BY_ONE, "--set", "costs.bare=2300")
    assert result.returncode == 2
    assert "unfinished run of another plan: overrides.costs.bare is only here" in result.stderr
    assert results(out / ".unfinished") == before


def test_overwriting_a_killed_run_uses_what_fits(tmp_path: Path):
    out = tmp_path / "out"
    stopped(out, signal.SIGKILL, *GOES_ON, *ONE_BY_ONE)
    result = compare(out, *GOES_ON[:-1], 200, *ONE_BY_ONE, "--overwrite")
    assert result.returncode == 0, result.stderr
    assert re.search(r"goes on: \d+ of", result.stderr)
    assert len(pd.read_parquet(out / "results.parquet")) == 2 * 200


def test_policies_are_listed_one_a_line():
    result = run("policies")
    lines = result.stdout.splitlines()
    assert result.returncode == 0
    for name in ("p18-merged-6.16", "break-even", "always-kick"):
        assert sum(name in line for line in lines) == 1
