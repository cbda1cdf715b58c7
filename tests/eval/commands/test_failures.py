"""What goes wrong around a comparison ends in a line, a code that isn't 0, and kept chunks."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numba
import pytest

from tests.eval.commands.running import COMMAND, LONG, SMALL, begun, compare, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes with the compiler off"),
]
RAISING = """
import os, sys

from tdx_env.jit import decision
from tdx_env.state.features import Feature

@decision
def divides(features):
    return 1 // features[Feature.KICKS] * 0

def leaves(features, mask):
    sys.exit()

def leaves_well(features, mask):
    sys.exit(0)

def raises(features, mask):
    raise {}["busy"]

def stops(features, mask):
    raise GeneratorExit("enough")
"""
LIBRARIES = ["pandas", "pyarrow", "vl_convert", "jinja2", "joblib"]
LONG_NAME = "x" * 300


def lines(result: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what a command said on stderr, line by line."""
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()


def told_by(out: Path) -> list[str]:
    """Return what a command that was begun said on stderr, line by line."""
    text = out.with_name("log").read_text()
    assert "Traceback" not in text, text
    return text.splitlines()


@pytest.fixture
def raising(tmp_path: Path) -> Path:
    """A file of policies that raise."""
    file = tmp_path / "mine.py"
    file.write_text(RAISING)
    return file


@pytest.mark.parametrize("name", ["divides", "leaves", "leaves_well", "raises", "stops"])
@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
def test_policy_that_raises_is_named_and_there_are_no_results(
    tmp_path: Path, raising: Path, name: str, backend: str
):
    out = tmp_path / "out"
    way = ["--backend", backend, "--jobs", 2, "--seeds", 2, "--policy", f"{raising}:{name}"]
    result = compare(out, *SMALL, *way)
    assert result.returncode == 2, result.stderr
    assert f"mine.py:{name}" in lines(result)[-1] or f"mine:{name}" in lines(result)[-1]
    assert not (out / "report.html").exists()


def children(parent: int) -> list[int]:
    """Return the processes that a process has started and that work."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(ppid) == parent and state != "Z" and b"resource_tracker" not in command:
            found.append(int(folder.name))
    return found


def is_running(process: int) -> bool:
    """Say whether a process has not ended."""
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool], limit_s: float = 120) -> bool:
    """Wait for a condition; say whether it came true."""
    deadline = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_workers_end_with_a_killed_run(tmp_path: Path, backend: str):
    out = tmp_path / "out"
    with begun(out, *LONG, "--backend", backend, "--jobs", 2) as process:
        workers = children(process.pid)
        process.send_signal(signal.SIGKILL)
    assert len(workers) >= 2
    assert wait_until(lambda: not any(map(is_running, workers)))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_killed_worker_is_told_and_what_was_finished_is_kept(tmp_path: Path):
    out = tmp_path / "out"
    with begun(out, *LONG, "--backend", "loky", "--jobs", 2) as process:
        os.kill(children(process.pid)[0], signal.SIGKILL)
        code = process.wait()
    kept, told = told_by(out)
    assert code == 2
    assert "are kept in" in kept and "the same command goes on" in kept
    assert "--backend loky: a worker process was killed" in told
    assert len(list(out.glob(".unfinished/*.npz"))) >= 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk here")
@pytest.mark.parametrize("arguments", [["policies"], ["reality", "--row", "B2"]])
def test_full_output_is_one_line(arguments: list[str]):
    with Path("/dev/full").open("w") as full:
        command = [*COMMAND, *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "tdx-eval: standard output can't be written: No space left on device\n"
    assert done.returncode == 2


def test_reader_that_went_away_is_one_line():
    read, write = os.pipe()
    os.close(read)
    command = [*COMMAND, "policies"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.stderr == "tdx-eval: standard output can't be written: Broken pipe\n"
    assert done.returncode == 2


@pytest.mark.parametrize("library", LIBRARIES)
def test_missing_library_is_named_with_what_to_install(tmp_path: Path, library: str):
    code = f"import sys; sys.modules[{library!r}] = None; from tdx_eval.cli import main; main()"
    command = [sys.executable, "-c", code, "compare", "--out", str(tmp_path / "out"), *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (told,) = lines(done)
    assert library in told
    assert "pip install 'tdx-env[eval]'" in told
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "option",
    [
        ["--out", LONG_NAME],
        ["--policy", f"{LONG_NAME}.py:decide"],
        ["--policies", LONG_NAME],
        ["--agent", LONG_NAME],
        ["--scenarios", LONG_NAME],
        ["--scenarios", f"{LONG_NAME}.toml"],
        ["--reality", LONG_NAME],
        ["--costs", LONG_NAME],
        ["--backend", LONG_NAME],
    ],
    ids=" ".join,
)
def test_name_that_is_too_long_is_one_line(tmp_path: Path, option: list[str]):
    result = compare(tmp_path / "out", *SMALL, *option)
    assert result.returncode == 2
    assert len(lines(result)) == 1


@pytest.mark.parametrize(
    "arguments",
    [["lost", "--out"], ["costs", "--page", "--docs"], ["reality", "--row", "B2", "--out"]],
    ids=" ".join,
)
def test_long_place_for_other_results_is_one_line(arguments: list[str]):
    result = run(*arguments, LONG_NAME)
    assert result.returncode == 2
    assert len(lines(result)) == 1


def test_brackets_and_dollars_in_names_are_shown_as_they_are(tmp_path: Path):
    """They are markup in the terminal, tags in the report, formulas in the plot."""
    name = "[bold]x[y] <b>$a_$"
    (tmp_path / f"{name}.py").write_text("def decide(features, mask):\n    return 0\n")
    out = tmp_path / "[red]out"
    policy = f"{tmp_path / name}.py:decide"
    result = compare(out, *SMALL, "--seeds", 2, "--jobs", 1, "--policy", policy)
    assert result.returncode == 0, result.stderr
    assert "[bold]x[y] <b>$a_$" in result.stdout.replace("\n", " ")
    assert "[bold]x[y] &lt;b&gt;$a_$" in (out / "report.html").read_text()
