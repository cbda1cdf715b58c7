"""How the project's command lines end: a mistake of the user's is one line and exit code 2."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Annotated, Any, NoReturn

import typer

from tdx_env.errors import OutputError, TdxEnvError, printable

MISTAKE = 2
INTERRUPTED = 130  # what a shell reports for a command ended by Ctrl-C
_STDOUT = 1  # its file descriptor
_UsageError: Any = typer.BadParameter.__mro__[1]  # typer exports only what derives from it


def _show_version(is_asked: bool) -> None:
    """Print the version and leave, if it was asked for."""
    if is_asked:
        print(f"tdx-env {metadata.version('tdx-env')}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_show_version, is_eager=True, help="Show the version and leave"
    ),
]
"""The option of every command line that shows the version."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON")]
"""The option of every command that lists or shows."""


class _Stdout(io.FileIO):
    """Standard output that says so when it can't be written: a full disk, a reader that left."""

    def write(self, data: Any) -> int:
        """Write bytes.

        Raises:
            OutputError: They can't be written. What is still to come goes nowhere.
        """
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, _STDOUT)
            os.close(nowhere)
            message = f"standard output can't be written: {error.strerror}"
            raise OutputError(message) from error


@contextlib.contextmanager
def _watched_stdout() -> Iterator[None]:
    """Let a standard output that can't be written end in an `OutputError`, at the last flush too.

    A character that its encoding hasn't is written with a backslash. A standard output that is not
    the process's own (a test's) is left alone.
    """
    usual = sys.stdout
    if usual is None:
        raise OutputError("standard output is closed, nothing can be shown")
    encoding, is_terminal = usual.encoding, usual.isatty()
    if usual is not sys.__stdout__:
        yield
        return
    raw = io.BufferedWriter(_Stdout(_STDOUT, "wb", closefd=False))
    sys.stdout = io.TextIOWrapper(
        raw, encoding, errors="backslashreplace", line_buffering=is_terminal
    )
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout = usual


def _leave(name: str, message: str, code: int) -> NoReturn:
    """Say why there is no result, in one line if there is one mistake, and end the process."""
    if message and sys.stderr is not None:
        with contextlib.suppress(OSError):  # then nobody can be told, the exit code says it
            print(f"{name}: {message}", file=sys.stderr, flush=True)
    raise SystemExit(code)


def run(app: typer.Typer, name: str, interrupted: str = "interrupted") -> NoReturn:
    """Run a command line and end the process.

    Args:
        app: The command line.
        name: What users call it; messages begin with it.
        interrupted: What is said after a Ctrl-C that the command itself didn't answer.
    """
    try:
        with _watched_stdout():
            code = app(standalone_mode=False)
    except TdxEnvError as error:
        _leave(name, str(error), MISTAKE)
    except _UsageError as error:
        _leave(name, " ".join(error.format_message().split()), MISTAKE)
    except typer.Abort:
        _leave(name, interrupted, INTERRUPTED)
    except OSError as error:  # a name that is too long, a folder without permission, a full disk
        if error.filename is None or error.strerror is None:
            raise
        _leave(name, f"{printable(str(error.filename))}: {error.strerror}", MISTAKE)
    raise SystemExit(code)
