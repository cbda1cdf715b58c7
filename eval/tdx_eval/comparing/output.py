"""The output folder of a comparison: checked before any work, filled by renaming."""

import os
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
def explained(path: Path) -> Iterator[None]:
    """Turn a failure to write into an error for the user."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: can't be written: {error.strerror or error}") from error


def check_folder(folder: Path, overwrite: bool) -> None:
    """Check that results may be written to a folder; changes nothing.

    Raises:
        OutputError: They may not.
    """
    with explained(folder):
        is_there = folder.exists()
    if is_there and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, must be a folder")
    if is_there and not overwrite and not (folder / PARTS).is_dir():
        raise OutputError(f"{folder}: exists already, give another --out, or --overwrite")
    place = folder if is_there else _existing_parent(folder)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: can't be written: no permission to write to {place}")


def check_file(path: Path) -> None:
    """Check that a file of results may be written, over an earlier one too; changes nothing.

    Raises:
        OutputError: It may not.
    """
    with explained(path):
        is_folder = path.is_dir()
    if is_folder:
        raise OutputError(f"{path}: is a folder, must be a file")
    check_folder(path.absolute().parent, overwrite=True)


def check_new_file(path: Path, overwrite: bool) -> None:
    """Check that a file that a user asks for may be written; changes nothing.

    Raises:
        OutputError: It may not, or it is there and isn't to be replaced.
    """
    check_file(path)
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already, give another --out, or --overwrite")


def has_results(folder: Path) -> bool:
    """Say whether a folder holds results of ours."""
    return any((folder / name).exists() for name in _OURS)


def remove_results(folder: Path) -> None:
    """Remove the results of an earlier run; what is not ours stays."""
    with explained(folder):
        for name in _OURS:
            (folder / name).unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """Return the name that a file has while it is written: no other process's, and never long."""
    return path.with_name(f".tdx-eval-{os.getpid()}.tmp")


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as parquet, under a temporary name first."""
    temporary = _temporary(path)
    with explained(path):
        table.to_parquet(temporary, index=False)
        temporary.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file, under a temporary name first."""
    temporary = _temporary(path)
    with explained(path):
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
