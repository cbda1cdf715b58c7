"""Tries mutants, each in a child process that has the mistake in it, of one process for all.

That process reads lines of JSON, each a mutant's name and where to look, and answers each with
another: the child's exit code (negative for a signal) and what it said. Libraries are loaded there,
once; a child only loads the project anew, which is not compiled.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.loading import put_in
from tests.mutants.search import Place

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = (".", "agents", "train", "eval")
# pytest was loaded by the parent, with what its plugins need.
_PYTEST = ("-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
CPU_SECONDS = 200  # a mutant may run for ever
SURVIVED, NOTICED, FAILED = 0, 1, 70  # exit codes of a child

Try = Callable[[Mutant, Sequence[Place]], tuple[int, str]]


@contextmanager
def nursery(folder: Path) -> Iterator[Try]:
    """Start the process; give a function that looks for a mutant in places.

    The function returns the exit code and what was said, which begins with the place if that is a
    world.

    Args:
        folder: For what hypothesis finds in the mutants.
    """
    environment = {
        **os.environ,
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": os.pathsep.join(str(_ROOT / name) for name in _PACKAGES),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder),
    }
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.mutants.nursery"],
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def ask(mutant: Mutant, places: Sequence[Place]) -> tuple[int, str]:
            print(json.dumps((mutant.name, places)), file=asked, flush=True)
            code, said = json.loads(answers.readline())
            return code, said

        yield ask


def _look(mutant: Mutant, places: Sequence[Place]) -> int:
    """Look for the mistake in worlds, or in tests if the places are those."""
    put_in(mutant)
    if all(str(place).startswith("tests/") for place in places):
        return int(pytest.main([*_PYTEST, *map(str, places)]))
    found = import_module("tests.mutants.search").first_difference(places)
    print(found)
    return NOTICED if found else SURVIVED


def _be_a_child(mutant: Mutant, places: Sequence[Place], output: int) -> None:
    """Look for the mistake, say what was found to the file with this number, and end."""
    code = FAILED
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = _look(mutant, places)
    except BaseException:  # noqa: BLE001 - nothing may leave the child
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tried(mutant: Mutant, places: Sequence[Place]) -> tuple[int, str]:
    """Return a child's exit code and what it said."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            _be_a_child(mutant, places, output.fileno())
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read().decode(errors="replace")


def main() -> None:
    """Try what is asked for until there is no more."""
    mutants = {mutant.name: mutant for mutant in MUTANTS}
    for line in sys.stdin:
        name, places = json.loads(line)
        print(json.dumps(_tried(mutants[name], places)), flush=True)


if __name__ == "__main__":
    main()
