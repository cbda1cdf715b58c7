"""How command lines end when nobody can read what they print."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHOWING = {  # by a table, as much text as fills a pipe, and by the library of the options
    "list": ["list"],
    "conflicts as JSON": ["conflicts", "--json"],
    "help": ["--help"],
}
TDX_ENV = [sys.executable, "-m", "tdx_env.cli"]
NOTHING_SHOWN = "tdx-env: standard output can't be written: "

pytestmark = pytest.mark.slow


def said(arguments: list[str], stdout: int | None = None, closed: str = "") -> tuple[int, str]:
    """Run `tdx-env`; return its exit code and what it wrote to standard error.

    Args:
        arguments: What follows its name.
        stdout: Where its output goes.
        closed: What a shell is to close: ">&-".
    """
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *TDX_ENV, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=300
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", SHOWING)
def test_a_full_disk_is_one_line(name):
    with Path("/dev/full").open("wb") as full:
        code, error = said(SHOWING[name], full.fileno())
    assert (code, error) == (2, f"{NOTHING_SHOWN}No space left on device\n")


@pytest.mark.parametrize("name", SHOWING)
def test_a_reader_that_has_left_is_one_line(name):
    """As in `tdx-env list | true`."""
    reader, writer = os.pipe()
    os.close(reader)
    code, error = said(SHOWING[name], writer)
    os.close(writer)
    assert (code, error) == (2, f"{NOTHING_SHOWN}Broken pipe\n")


@pytest.mark.parametrize("name", SHOWING)
def test_a_closed_standard_output_is_one_line(name):
    code, error = said(SHOWING[name], closed=">&-")
    assert (code, error) == (2, "tdx-env: standard output is closed, nothing can be shown\n")


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_a_mistake_that_cannot_be_told_is_still_one(closed):
    assert said(["show", "s99"], subprocess.DEVNULL, closed) == (2, "")


def test_what_the_terminal_cannot_write_is_written_otherwise():
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [*TDX_ENV, "show", "s22-clean"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\xb5s" in done.stdout
