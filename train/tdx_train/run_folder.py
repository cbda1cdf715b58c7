"""The folder of a training run: the best agent so far, its configuration, the log."""

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdx_agents.bundle import MANIFEST_NAME, WEIGHTS_NAME, Manifest, save_bundle
from tdx_env.errors import OutputError

CONFIG_NAME = "config.json"
LOG_NAME = "progress.csv"
_OURS = (CONFIG_NAME, LOG_NAME, MANIFEST_NAME, WEIGHTS_NAME)


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


class RunFolder:
    """The folder that a training run writes to.

    Args:
        path: Is made if it is missing.
        overwrite: The files of an earlier run there are removed; others are left alone.

    Raises:
        OutputError: It exists and isn't empty, or can't be written.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.path = path
        try:
            self._claim(overwrite)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{path}: can't be written: {error.strerror}") from error

    def _claim(self, overwrite: bool) -> None:
        """Make the folder, empty of our files, and try to write there."""
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path}: is a file, must be a folder")
        if self.path.is_dir() and any(self.path.iterdir()) and not overwrite:
            raise OutputError(
                f"{self.path}: exists and isn't empty, must be a new folder (or use --overwrite)"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        trial = self.path / f".{LOG_NAME}.{os.getpid()}"
        trial.touch()
        trial.unlink()
        for name in _OURS:
            (self.path / name).unlink(missing_ok=True)

    @property
    def log_path(self) -> Path:
        """Where the training log is."""
        return self.path / LOG_NAME

    def save_config(self, content: Mapping[str, Any]) -> None:
        """Write the resolved configuration."""
        path = self.path / CONFIG_NAME
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)

    def save_agent(self, weights: Mapping[str, NDArray[np.float32]], manifest: Manifest) -> None:
        """Write the agent in place of the one before."""
        with _ctrl_c_waits():
            save_bundle(self.path, weights, manifest)
