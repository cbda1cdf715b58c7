"""Command lines run by a call, in the process of the tests: a process of its own takes seconds."""

import io
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock


def called(
    main: Callable[[], None], name: str, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end; return what a process of its own would have given.

    What the command doesn't answer is raised. Its outputs are no files: what becomes of those is
    tested in processes.

    Args:
        main: The door of the command.
        name: What users call it.
        arguments: What follows the name.
    """
    command = [name, *map(str, arguments)]
    out, err, code = io.StringIO(), io.StringIO(), 0
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        with mock.patch.object(sys, "argv", command), redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        assert end.code is None or isinstance(end.code, int)
        code = end.code or 0
    finally:
        signal.signal(signal.SIGTERM, terminate)
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())
