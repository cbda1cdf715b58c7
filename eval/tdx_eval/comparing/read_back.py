"""Reading back what one of the commands wrote as JSON."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from tdx_env.errors import ResultError

_Content = TypeVar("_Content")


SCHEMA_KEY = "schema"  # of the number of the format; a file without it is of the first one


def _check_schema(path: Path, text: str, schema: int, again: str) -> None:
    """Check that a file has the format that is read here.

    Raises:
        ResultError: It is of another version.
    """
    try:
        content = json.loads(text)
    except ValueError:
        return  # what is wrong with it is told by whoever reads it
    found = content.get(SCHEMA_KEY, 1) if isinstance(content, dict) else schema
    if found != schema:
        raise ResultError(
            f"{path}: is of another version of tdx-eval (schema {found}, here {schema}); make it "
            f"anew: {again}"
        )


def read_back(path: Path, kind: type[_Content], origin: str, schema: int, again: str) -> _Content:
    """Read a file back.

    Args:
        path: The file.
        kind: What it holds, a dataclass.
        origin: What it must be, for the complaint: "a costs.json of tdx-eval costs".
        schema: Number of the format that `kind` is read from.
        again: The command that makes such a file.

    Raises:
        ResultError: It can't be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ResultError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ResultError(f"{path}: is no text file") from error
    _check_schema(path, text, schema, again)
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ResultError(
            f"{path}: {where}: {first['msg']}; must be {origin}; make it anew: {again}"
        ) from error
