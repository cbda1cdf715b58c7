"""How the project's command lines end: a mistake of the user's is one line and exit code 2."""

import os
import sys
from typing import Any, NoReturn

import typer

from tdx_env.errors import TdxEnvError

MISTAKE = 2
INTERRUPTED = 130  # what a shell reports for a command ended by Ctrl-C
_CLOSED = 1  # as other programs whose reader went away
_LONGEST = 80  # characters of a path that a message shows
_UsageError: Any = typer.BadParameter.__mro__[1]  # typer exports only what derives from it


def _leave(name: str, message: str, code: int) -> NoReturn:
    """Say why there is no result, in one line if there is one mistake, and end the process."""
    if message:
        print(f"{name}: {message}", file=sys.stderr)
    raise SystemExit(code)


def _shown(path: object) -> str:
    """Return a path, shortened if it is so long that the message would drown in it."""
    text = os.fsdecode(path) if isinstance(path, bytes) else str(path)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _system_text(error: OSError) -> str:
    """Say what the system refused."""
    where = "standard output" if error.filename is None else _shown(error.filename)
    return f"{where}: {error.strerror or error}"


def _drop_output() -> None:
    """Send what is left of the output nowhere: Python would complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(app: typer.Typer, name: str, interrupted: str = "interrupted") -> NoReturn:
    """Run a command line and end the process.

    Args:
        app: The command line.
        name: What users call it; messages begin with it.
        interrupted: What is said after a Ctrl-C that the command itself didn't answer.
    """
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except TdxEnvError as error:
        _leave(name, str(error), MISTAKE)
    except _UsageError as error:
        _leave(name, " ".join(error.format_message().split()), MISTAKE)
    except typer.Abort:
        _leave(name, interrupted, INTERRUPTED)
    except BrokenPipeError:
        _drop_output()
        _leave(name, "", _CLOSED)
    except OSError as error:  # a full disk, a name that is too long, a folder without permission
        if error.errno is None:
            raise
        if error.filename is None:
            _drop_output()
        _leave(name, _system_text(error), MISTAKE)
    raise SystemExit(code)
