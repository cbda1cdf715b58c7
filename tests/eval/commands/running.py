"""Running `tdx-eval` as users do: by a call, or in a process that can be stopped."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tdx_eval.cli import main
from tests.called import called

COMMAND = [sys.executable, "-W", "error", "-c", "from tdx_eval.cli import main; main()"]
SMALL = ["--scenarios", "s09-accept-4k/test", "--policies", "P18,always-retry"]
_LIMIT = 300  # [s], if the simulator has to be compiled


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return called(main, "tdx-eval", *arguments)


def compare(out: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a comparison to its end."""
    return run("compare", "--out", out, *arguments)


def results(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


LONG = ["--scenarios", "s09-accept-4k/test", "--policies", "P18,P20", "--seeds", "3000"]


@contextmanager
def begun(out: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Begin a comparison; enter when some chunks are finished. What it says is in `log` beside."""
    command = [*COMMAND, "compare", "--out", str(out), *map(str, arguments)]
    with (
        out.with_name("log").open("w") as stderr,
        subprocess.Popen(command, stderr=stderr, text=True) as process,
    ):
        deadline = time.monotonic() + _LIMIT
        while len(list(out.glob(".unfinished/*.npz"))) < 4:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process


def stopped(out: Path, sent: signal.Signals, *arguments: object) -> tuple[int, str]:
    """Begin a comparison and send it a signal when a chunk is finished.

    Returns:
        Its exit code, and what it said.
    """
    with begun(out, *arguments) as process:
        process.send_signal(sent)
    return process.returncode, out.with_name("log").read_text()
