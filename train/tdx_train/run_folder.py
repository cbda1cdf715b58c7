"""The folder of a training run: the best agent so far, its configuration, the log."""

import fcntl
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tdx_agents.bundle import Manifest, is_ours, put_file, save_bundle
from tdx_env.errors import CheckpointError, OutputError

CONFIG_NAME = "config.json"
LOG_NAME = "progress.csv"
CHECKPOINT_NAME = "checkpoint.npz"
_LOCK_NAME = ".lock"


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Let an interrupt wait until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):
        before(*came[0])


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into an `OutputError`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: can't be written: {error.strerror}") from error


def _locked(folder: Path) -> int:
    """Return an open file that keeps other runs away, however this process ends.

    Raises:
        OutputError: Another run has it.
    """
    path = folder / _LOCK_NAME
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A run that ended in between took the file away: nobody else would find it locked.
            if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
                return file
        except BlockingIOError:
            os.close(file)
            raise OutputError(f"{folder}: another run is writing there") from None
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _staged(name: str) -> str:
    """Return what a file is called until there is an agent."""
    return f".{name}.new"


def _is_leftover(name: str) -> bool:
    """Say whether a file's name is one that only a killed run leaves behind."""
    staged = (_LOCK_NAME, _staged(CONFIG_NAME), _staged(LOG_NAME))
    written = name[1:].rpartition(".")[0] if name.startswith(".") else ""
    return name in staged or written == CHECKPOINT_NAME or is_ours(written)


class RunFolder:
    """The folder that a training run writes to; no other run can until it is closed.

    What an earlier run left there stays as it is until the first agent of this one is saved:
    configuration and log have other names until then.

    A checkpoint lies there while the run goes on, and is written whole or not at all; there is
    none before the first agent.

    Args:
        path: Is made if it is missing.
        overwrite: An earlier run there may be replaced; files that are none of a run stay.
        resume: The run whose checkpoint lies there goes on.

    Raises:
        OutputError: It exists and isn't empty, another run is writing there, or it can't be
            written.
        CheckpointError: There is no checkpoint to go on from.
    """

    def __init__(self, path: Path, overwrite: bool, resume: bool = False) -> None:
        self.path = path
        self._has_agent = resume
        if resume and not (path / CHECKPOINT_NAME).is_file():
            raise CheckpointError(
                f"{path}: has no {CHECKPOINT_NAME}: the run is over, or was stopped before there "
                "was one; start it anew without --resume"
            )
        overwrite = overwrite or resume
        with _explained(path):
            self._refuse_used(overwrite)
            self._is_new = not path.exists()
            path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(path)
        try:
            with _explained(path):
                self._refuse_used(overwrite)  # another run may have ended there since
                self._remove_leftovers()
        except BaseException:
            self.close()
            raise

    def _refuse_used(self, overwrite: bool) -> None:
        """Refuse a file, and a folder with files if they must not be replaced."""
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path}: is a file, must be a folder")
        if overwrite or not self.path.is_dir():
            return
        if not all(_is_leftover(file.name) for file in self.path.iterdir()):
            raise OutputError(
                f"{self.path}: exists and isn't empty, must be a new folder (or use --overwrite, "
                "or --resume)"
            )

    def _remove_leftovers(self) -> None:
        """Remove what a killed run left."""
        for file in self.path.iterdir():
            if file.name != _LOCK_NAME and _is_leftover(file.name):
                file.unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        """Return where a file is now: it gets its name with the first agent."""
        return self.path / (name if self._has_agent else _staged(name))

    @property
    def log_path(self) -> Path:
        """Where the training log is now."""
        return self._place(LOG_NAME)

    def save_config(self, content: Mapping[str, Any]) -> None:
        """Write the resolved configuration.

        Raises:
            OutputError: It can't be written.
        """
        with _explained(self.path / CONFIG_NAME):
            self._place(CONFIG_NAME).write_text(
                json.dumps(content, indent=2) + "\n", encoding="utf-8"
            )

    def save_agent(self, weights: Mapping[str, NDArray[np.float32]], manifest: Manifest) -> None:
        """Write the agent in place of the one before.

        Raises:
            OutputError: It can't be written; the one before is still there.
        """
        with _ctrl_c_waits():
            save_bundle(self.path, weights, manifest)
            if not self._has_agent:
                with _explained(self.path):
                    self._name_files()

    @property
    def checkpoint_path(self) -> Path:
        """Where the checkpoint is."""
        return self.path / CHECKPOINT_NAME

    def save_checkpoint(self, content: bytes) -> None:
        """Write a checkpoint in place of the one before.

        Raises:
            OutputError: It can't be written; the one before is still there.
        """
        with _ctrl_c_waits(), _explained(self.checkpoint_path):
            put_file(self.checkpoint_path, content)

    def remove_checkpoint(self) -> None:
        """Remove the checkpoint: the run is over."""
        with _explained(self.checkpoint_path):
            self.checkpoint_path.unlink(missing_ok=True)

    def _name_files(self) -> None:
        """Put configuration and log in place of those of an earlier run."""
        for name in (CONFIG_NAME, LOG_NAME):
            if self._place(name).exists():
                self._place(name).replace(self.path / name)
            else:
                (self.path / name).unlink(missing_ok=True)
        self._has_agent = True

    def close(self) -> None:
        """Let other runs in; without an agent, leave everything as it was found."""
        try:
            if self.path.is_dir():
                self._remove_leftovers()
                (self.path / _LOCK_NAME).unlink(missing_ok=True)
                if self._is_new and not any(self.path.iterdir()):
                    self.path.rmdir()
        finally:
            os.close(self._lock)

    def __enter__(self) -> Self:
        """Return the folder."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
