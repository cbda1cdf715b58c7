"""A tree's header given to gcc: a library to call, its size, and its longest path."""

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tdx_agents.tree import Tree
from tdx_env.errors import MissingExtraError, PolicyError
from tdx_eval.exporting.header import identifier, tests_of
from tdx_eval.exporting.terms import TERMS, fields_of

FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror")
TOOLS = ("gcc", "objdump", "size")
_CALLER = """\
#include "{header}"

int {ident}_call(const struct {ident}_decision *d)
{{
	return {ident}(d);
}}
"""
_LOOP = """\

void {ident}_many(const struct {ident}_decision *d, u64 n, unsigned char *answers)
{{
	for (u64 i = 0; i < n; i++)
		answers[i] = (unsigned char){ident}(&d[i]);
}}
"""
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)(?:\s+([0-9a-f]+))?")


@dataclass(frozen=True)
class CodeSize:
    """What gcc made of a tree.

    Attributes:
        text_bytes: Size of its code and constants.
        longest_path: Instructions on the longest path, from the call to the return.
    """

    text_bytes: int
    longest_path: int


def missing_tool() -> str:
    """Return the name of a tool that is not installed, or ""."""
    return next((tool for tool in TOOLS if shutil.which(tool) is None), "")


def check_tools() -> None:
    """Fail if the compiler is not there.

    Raises:
        MissingExtraError: It is not.
    """
    tool = missing_tool()
    if tool:
        raise MissingExtraError(f"the export to C needs {tool}, which is not installed")


def _run(*command: str | Path) -> str:
    """Run a tool and return what it prints.

    Raises:
        PolicyError: It fails.
    """
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise PolicyError(f"{command[0]} fails: {said[0] if said else 'without a word'}")
    return done.stdout


def _follows(rows: list[tuple[str, str, str | None]]) -> list[list[int]]:
    """Return which instructions may follow on each.

    Raises:
        PolicyError: One is a call.
    """
    place = {int(address, 16): number for number, (address, _, _) in enumerate(rows)}
    found = []
    for number, (_, name, operand) in enumerate(rows):
        if name.startswith(("call", "loop")):
            raise PolicyError(f"compiled code has {name} at instruction {number}")
        ahead = [] if name.startswith(("ret", "jmp")) else [number + 1]
        if name.startswith("j"):
            ahead.append(place[int(operand or "", 16)])
        found.append([one for one in ahead if one < len(rows)])
    return found


def longest_path(listing: str) -> int:
    """Return the instructions on the longest path through a function.

    Args:
        listing: What objdump shows of it.

    Raises:
        PolicyError: It has a loop or a call: no such path.
    """
    rows = [found.groups() for line in listing.splitlines() if (found := _INSTRUCTION.match(line))]
    follows = _follows([(one[0], one[1], one[2]) for one in rows])
    known: dict[int, int] = {}

    def length(number: int, above: frozenset[int]) -> int:
        if number in above:
            raise PolicyError(f"compiled code comes back to instruction {number}: a loop")
        if number not in known:
            ahead = (length(one, above | {number}) for one in follows[number])
            known[number] = 1 + max(ahead, default=0)
        return known[number]

    return length(0, frozenset())


class Compiled:
    """A tree compiled by gcc.

    Args:
        tree: The tree.
        header: Its header.
        folder: Where the files are put; they have to stay as long as it is asked.

    Attributes:
        measured: Size and longest path.
    """

    def __init__(self, tree: Tree, header: str, folder: Path) -> None:
        ident = identifier(tree.name)
        (folder / f"{ident}.h").write_text(header)
        caller = _CALLER.format(header=f"{ident}.h", ident=ident)
        (folder / "one.c").write_text(caller)
        (folder / "many.c").write_text(caller + _LOOP.format(ident=ident))
        _run("gcc", *FLAGS, "-c", folder / "one.c", "-o", folder / "one.o")
        library = folder / "many.so"
        _run("gcc", *FLAGS, "-shared", "-fPIC", folder / "many.c", "-o", library)
        self.measured = _measured(folder / "one.o")
        self._fields = ["allowed", *fields_of([TERMS[one.input] for one in tests_of(tree.root)])]
        self._many = getattr(ctypes.CDLL(str(library)), f"{ident}_many")
        self._many.argtypes = (ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p)
        self._many.restype = None

    def answers(self, records: dict[str, NDArray[np.int64]]) -> NDArray[np.uint8]:
        """Return C's answers to decisions, shape (n,).

        Args:
            records: Fields of the decisions by name, each of shape (n,).
        """
        table = np.stack([records[name] for name in self._fields], axis=1).astype(np.uint64)
        table = np.ascontiguousarray(table)
        answers = np.empty(len(table), np.uint8)
        self._many(table.ctypes.data, len(table), answers.ctypes.data)
        return answers


@contextmanager
def compiled_by_gcc(tree: Tree, header: str) -> Iterator[Compiled]:
    """Compile a tree's header; what was made goes when the context is left.

    Raises:
        MissingExtraError: A tool is missing.
        PolicyError: gcc refuses the header.
    """
    check_tools()
    with tempfile.TemporaryDirectory(prefix="tdx-export-") as folder:
        yield Compiled(tree, header, Path(folder))


def _measured(path: Path) -> CodeSize:
    """Return size and longest path of an object file's one function."""
    sizes = [line.split() for line in _run("size", "-A", path).splitlines()]
    code = [int(one[1]) for one in sizes if one and one[0].startswith((".text", ".rodata"))]
    listing = _run("objdump", "-d", "--no-show-raw-insn", path)
    return CodeSize(sum(code), longest_path(listing))
