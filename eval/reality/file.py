"""The table as a file: written for others to read, read back for the report of a comparison."""

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from eval.reality.row import Table
from tdx_env.errors import ResultError

JSON, PAGE = "reality.json", "reality.html"
_PACKAGES = ("tdx-env", "numpy", "numba")


def versions() -> dict[str, str]:
    """Return what the table was made with."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def as_json(table: Table) -> str:
    """Return the table as JSON, with its counts."""
    return json.dumps(asdict(table) | {"counts": table.counts}, indent=1, ensure_ascii=False) + "\n"


def read(path: Path) -> Table:
    """Read a table back.

    Raises:
        ResultError: It can't be read, or isn't a table that `as_json` wrote.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ResultError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ResultError(f"{path}: is no text file") from error
    try:
        return TypeAdapter(Table).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ResultError(
            f"{path}: {where}: {first['msg']}; must be a {JSON} of tdx-eval reality"
        ) from error
