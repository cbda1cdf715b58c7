"""The output folder of a comparison: made before any work, filled by renaming."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tdx_env.errors import OutputError

RESULTS, CELLS, VALIDATION = "results.parquet", "busy.parquet", "validation.parquet"
SUMMARY, REPORT = "summary.json", "report.html"
_OURS = (RESULTS, CELLS, VALIDATION, SUMMARY, REPORT)


def prepare(folder: Path, overwrite: bool) -> None:
    """Make the folder.

    Raises:
        OutputError: It exists and may not be overwritten, or can't be written.
    """
    if folder.exists() and not overwrite:
        raise OutputError(f"{folder}: exists already, give another --out or --overwrite")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, must be a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _OURS:
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / "parts", ignore_errors=True)
        (folder / "parts").mkdir()
    except OSError as error:
        raise OutputError(f"{folder}: can't be written: {error.strerror}") from error


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as parquet, under a temporary name first."""
    temporary = path.with_name(path.name + ".tmp")
    table.to_parquet(temporary, index=False)
    os.replace(temporary, path)


def write_text(path: Path, text: str) -> None:
    """Write a text file, under a temporary name first."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write the summary as JSON."""
    write_text(folder / SUMMARY, json.dumps(summary, indent=1, default=str) + "\n")


class Parts:
    """Finished chunks of a run, each in a file of its own until all are put together."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder / "parts"
        self._name = name

    def add(self, place: int, episodes: pd.DataFrame, cells: pd.DataFrame) -> None:
        """Keep a finished chunk."""
        write_table(self._folder / f"{self._name}-{place:05}-episodes.parquet", episodes)
        if not cells.empty:
            write_table(self._folder / f"{self._name}-{place:05}-cells.parquet", cells)

    def collect(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return all finished chunks' episodes and cells, in the order of the jobs."""
        return self._read("episodes"), self._read("cells")

    def _read(self, kind: str) -> pd.DataFrame:
        """Return all chunks of one kind."""
        files = sorted(self._folder.glob(f"{self._name}-*-{kind}.parquet"))
        if not files:
            return pd.DataFrame()
        return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
