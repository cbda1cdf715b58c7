"""Reading back what one of the commands wrote as JSON."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from tdx_env.errors import ResultError

_Content = TypeVar("_Content")


def read_back(path: Path, kind: type[_Content], origin: str) -> _Content:
    """Read a file back.

    Args:
        path: The file.
        kind: What it holds, a dataclass.
        origin: What it must be, for the complaint: "a costs.json of tdx-eval costs".

    Raises:
        ResultError: It can't be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ResultError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ResultError(f"{path}: is no text file") from error
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ResultError(f"{path}: {where}: {first['msg']}; must be {origin}") from error
