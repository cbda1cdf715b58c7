"""How the project's command lines end: a mistake of the user's is one line and exit code 2."""

import sys
from typing import Any, NoReturn

import typer

from tdx_env.errors import TdxEnvError

MISTAKE = 2
INTERRUPTED = 130  # what a shell reports for a command ended by Ctrl-C
_UsageError: Any = typer.BadParameter.__mro__[1]  # typer exports only what derives from it


def _leave(name: str, message: str, code: int) -> NoReturn:
    """Say why there is no result, in one line if there is one mistake, and end the process."""
    if message:
        print(f"{name}: {message}", file=sys.stderr)
    raise SystemExit(code)


def run(app: typer.Typer, name: str, interrupted: str = "interrupted") -> NoReturn:
    """Run a command line and end the process.

    Args:
        app: The command line.
        name: What users call it; messages begin with it.
        interrupted: What is said after a Ctrl-C that the command itself didn't answer.
    """
    try:
        code = app(standalone_mode=False)
    except TdxEnvError as error:
        _leave(name, str(error), MISTAKE)
    except _UsageError as error:
        _leave(name, " ".join(error.format_message().split()), MISTAKE)
    except typer.Abort:
        _leave(name, interrupted, INTERRUPTED)
    raise SystemExit(code)
