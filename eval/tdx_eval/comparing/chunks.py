"""Finished chunks of a run that is not finished, so that it can go on where it stopped.

Each is a file of its own, named by the digest of all that it depends on: a chunk of other code,
another policy or scenario is never taken for one of this run.
"""

import fcntl
import json
import os
import shutil
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from tdx_env.errors import OutputError
from tdx_eval.comparing.episodes import CELL, EPISODE
from tdx_eval.comparing.jobs import Chunk
from tdx_eval.comparing.output import PARTS, explained, has_results, write_text

_PLAN, _LOCK = "plan.json", "lock"
_SCHEMA_KEY, _SCHEMA = "schema", 2  # of a chunk's file and of the plan beside it
_SUFFIX = ".npz"
_SHOWN, _LONGEST = 3, 40  # differences that an error names; characters of a value


def _show(value: object) -> str:
    """Return a value of a plan, shortened."""
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def differences(theirs: object, ours: object, place: str = "") -> Iterator[str]:
    """Yield where two plans differ, and how."""
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        if theirs != ours:
            yield f"{place} is {_show(theirs)} there, {_show(ours)} here"
        return
    for key in sorted({*theirs, *ours}):
        below = f"{place}.{key}" if place else key
        if key in theirs and key in ours:
            yield from differences(theirs[key], ours[key], below)
        else:
            yield f"{below} is {'only there' if key in theirs else 'only here'}"


def _refuse_finished(folder: Path) -> None:
    """Refuse to write over the results of a run that has finished since the folder was checked.

    Raises:
        OutputError: The folder holds results, and no unfinished run.
    """
    if has_results(folder) and not (folder / PARTS / _PLAN).exists():
        shutil.rmtree(folder / PARTS)
        raise OutputError(
            f"{folder}: another run has finished there meanwhile, give another --out, or "
            "--overwrite"
        )


def _differences_to(path: Path, plan: Mapping[str, Any]) -> list[str]:
    """Return where a plan that was written differs from this one."""
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return [f"{path} is damaged"]
    schema = theirs.get(_SCHEMA_KEY, 1) if isinstance(theirs, dict) else None
    if schema != _SCHEMA:
        return [f"it is of another version of tdx-eval (schema {schema}, here {_SCHEMA})"]
    return list(differences(theirs, json.loads(json.dumps(plan))))


def _refuse_other(folder: Path, plan: Mapping[str, Any]) -> None:
    """Refuse to go on with the run of another plan.

    Raises:
        OutputError: The folder holds one.
    """
    path = folder / PARTS / _PLAN
    found = _differences_to(path, plan) if path.exists() else []
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        where = "; ".join(found[:_SHOWN]) + more
        raise OutputError(
            f"{folder}: holds an unfinished run of another plan: {where}; "
            "give its options to go on with it, another --out, or --overwrite (what both plans "
            "have in common is kept)"
        )


def _locked(folder: Path) -> TextIO:
    """Return a file that keeps other processes away while it is open, however this one ends.

    Raises:
        OutputError: Another process has it open.
    """
    path = folder / PARTS / _LOCK
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise OutputError(f"{folder}: another run is writing there") from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # whoever held it has finished and removed it


@contextmanager
def opened(
    folder: Path, plan: Mapping[str, Any], keys: Collection[str], overwrite: bool
) -> Iterator["ChunkStore"]:
    """Begin a run, or go on with an unfinished one; no other process can meanwhile.

    Args:
        folder: The output folder; is made if it is missing.
        plan: All that the results depend on, as JSON has it.
        keys: Of all jobs of the plan.
        overwrite: Whether the chunks of another plan may go.

    Raises:
        OutputError: The folder can't be written, another process works there, or there is an
            unfinished run of another plan.
    """
    plan = {_SCHEMA_KEY: _SCHEMA, **plan}
    with explained(folder):
        lock = _locked(folder)
    with lock:
        if not overwrite:
            _refuse_finished(folder)
            _refuse_other(folder, plan)
        with explained(folder):
            write_text(folder / PARTS / _PLAN, json.dumps(plan, indent=1) + "\n")
            store = ChunkStore(folder, keys)
        yield store


class ChunkStore:
    """The finished chunks of one run; `opened` returns them.

    Args:
        folder: The output folder.
        keys: Of all jobs; what else is there is removed.

    Attributes:
        finished: Keys of the finished chunks.
        n_dropped: Chunks that were there and are of no use: of another key, or damaged.
    """

    def __init__(self, folder: Path, keys: Collection[str]) -> None:
        self._folder = folder / PARTS
        self.n_dropped = 0
        self.finished = self._sweep(keys)

    def _path(self, key: str) -> Path:
        """Return the file of a chunk."""
        return self._folder / f"{key}{_SUFFIX}"

    def _sweep(self, keys: Collection[str]) -> set[str]:
        """Remove what is of no use; return the keys of the chunks that are finished."""
        wanted = set(keys)
        found = set()
        for path in self._folder.iterdir():
            if path.name in (_PLAN, _LOCK):
                continue
            if path.suffix == _SUFFIX and path.stem in wanted and self._is_whole(path.stem):
                found.add(path.stem)
            else:
                path.unlink()
                self.n_dropped += path.suffix == _SUFFIX
        return found

    def _is_whole(self, key: str) -> bool:
        """Say whether a chunk can be read, and is the one that its file's name says."""
        try:
            self.read(key)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return False
        return True

    def add(self, chunk: Chunk) -> None:
        """Keep a finished chunk: its file is there as a whole, or not at all."""
        path = self._path(chunk.key)
        temporary = path.with_suffix(".tmp")
        with explained(path):
            with temporary.open("wb") as file:
                np.savez(file, key=chunk.key, episodes=chunk.episodes, cells=chunk.cells)
            temporary.replace(path)
        self.finished.add(chunk.key)

    def read(self, key: str) -> Chunk:
        """Return a finished chunk.

        Raises:
            ValueError: The file is another chunk's, or has other fields.
        """
        with self._path(key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if arrays["key"].item() != key:
                raise ValueError(f"is the chunk {arrays['key'].item()}")
            return Chunk(key, _as(arrays["episodes"], EPISODE), _as(arrays["cells"], CELL))

    def remove(self) -> None:
        """Remove all chunks, and the output folder if nothing else is in it."""
        folder = self._folder.parent
        with explained(folder):
            shutil.rmtree(self._folder)
            if not any(folder.iterdir()):
                folder.rmdir()


def _as(array: NDArray[Any], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Return an array that was read, if it has the fields it must have.

    Raises:
        ValueError: It has others.
    """
    if array.dtype != dtype:
        raise ValueError(f"has dtype {array.dtype}")
    return array
