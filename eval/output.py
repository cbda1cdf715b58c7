"""The output folder of a comparison: checked before any work, filled by renaming."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tdx_env.errors import OutputError

if TYPE_CHECKING:
    import pandas as pd

RESULTS, CELLS, VALIDATION = "results.parquet", "busy.parquet", "validation.parquet"
SUMMARY, REPORT = "summary.json", "report.html"
PARTS = ".unfinished"  # folder of the chunks of a run that goes on
_OURS = (RESULTS, CELLS, VALIDATION, SUMMARY, REPORT)


def _existing_parent(folder: Path) -> Path:
    """Return the nearest folder above that exists."""
    return next(parent for parent in folder.absolute().parents if parent.exists())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a failure to write into an error for the user."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: can't be written: {error.strerror or error}") from error


def check(folder: Path, overwrite: bool) -> None:
    """Check that results may be written to a folder; changes nothing.

    Raises:
        OutputError: They may not.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, must be a folder")
    if folder.exists() and not overwrite:
        raise OutputError(f"{folder}: exists already, give another --out, or --overwrite")
    place = folder if folder.exists() else _existing_parent(folder)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: can't be written: no permission to write to {place}")


def prepare(folder: Path) -> None:
    """Make the folder and the place for a run's chunks; earlier results stay until new ones come.

    Raises:
        OutputError: It can't be written.
    """
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / PARTS).exists():
            shutil.rmtree(folder / PARTS)
        (folder / PARTS).mkdir()


def abandon(folder: Path) -> None:
    """Remove what a run that failed has written, and the folder if nothing else is in it."""
    with _explained(folder):
        shutil.rmtree(folder / PARTS, ignore_errors=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def has_parts(folder: Path) -> bool:
    """Say whether any chunk of a run that goes on is finished."""
    return any((folder / PARTS).glob("*.parquet"))


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as parquet, under a temporary name first."""
    temporary = path.with_name(f".{path.name}.tmp")
    with _explained(path):
        table.to_parquet(temporary, index=False)
        temporary.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file, under a temporary name first."""
    temporary = path.with_name(f".{path.name}.tmp")
    with _explained(path):
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)


class Parts:
    """Finished chunks of a run, each in a file of its own until all are put together.

    Args:
        folder: The output folder.
        kind: "test" or "validation".
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder / PARTS
        self._kind = kind

    def add(self, place: int, episodes: "pd.DataFrame", cells: "pd.DataFrame") -> None:
        """Keep a finished chunk."""
        write_table(self._folder / f"{self._kind}-{place:06}-episodes.parquet", episodes)
        if not cells.empty:
            write_table(self._folder / f"{self._kind}-{place:06}-cells.parquet", cells)

    def collect(self) -> tuple["pd.DataFrame", "pd.DataFrame"]:
        """Return all finished chunks' episodes and cells, in the order of the jobs."""
        return self._read("episodes"), self._read("cells")

    def _read(self, content: str) -> "pd.DataFrame":
        """Return all chunks of one content."""
        import pandas as pd

        files = sorted(self._folder.glob(f"{self._kind}-*-{content}.parquet"))
        if not files:
            return pd.DataFrame()
        return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)


def collect(folder: Path) -> tuple["pd.DataFrame", "pd.DataFrame", "pd.DataFrame"]:
    """Put the finished chunks together, in place of an earlier run's results.

    Returns:
        Test episodes, their busy cells, validation episodes; as in the files that are written.
    """
    episodes, cells = Parts(folder, "test").collect()
    validation, _ = Parts(folder, "validation").collect()
    with _explained(folder):
        for name in _OURS:
            (folder / name).unlink(missing_ok=True)
    for name, table in ((RESULTS, episodes), (CELLS, cells), (VALIDATION, validation)):
        if len(table.columns):
            write_table(folder / name, table)
    with _explained(folder):
        shutil.rmtree(folder / PARTS)
    return episodes, cells, validation
