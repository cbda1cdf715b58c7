"""TOML files that a user gives: read whole, or refused with the reason in one line."""

import stat
import tomllib
from pathlib import Path
from typing import Any

from tdx_env.errors import printable

_MAX_BYTES = 1_000_000
_MAX_DEPTH = 16
_OTHER_FILES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_TOO_DEEP = f"is nested too deeply, at most {_MAX_DEPTH} tables and lists may be in each other"


def _is_too_deep(table: dict[str, Any]) -> bool:
    """Say whether a table has more tables and lists in each other than are allowed."""
    level: list[Any] = [table]
    for _ in range(_MAX_DEPTH):
        inner = [list(one.values()) if isinstance(one, dict) else one for one in level]
        level = [item for items in inner for item in items if isinstance(item, dict | list)]
    return bool(level)


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table that a text holds.

    Raises:
        ValueError: It is no TOML, or too deep; the message is one line that begins with a verb.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is no TOML file: {printable(str(error))}") from error
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError as error:  # from int(), which refuses thousands of digits
        raise ValueError("is no TOML file: a number has thousands of digits") from error
    if _is_too_deep(table):
        raise ValueError(_TOO_DEEP)
    return table


def _content(path: Path) -> bytes:
    """Return what a regular file holds.

    Raises:
        ValueError: It is another kind of file, or too large, or its name holds a NUL.
        OSError: It can't be read.
    """
    kind = stat.S_IFMT(path.stat().st_mode)  # opening a pipe would wait for its writer
    if kind != stat.S_IFREG:
        raise ValueError(f"can't be read: must be a file, is {_OTHER_FILES.get(kind, 'another')}")
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"can't be read: must have at most {_MAX_BYTES:,} bytes")
    return content


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table that a file holds.

    Raises:
        ValueError: It can't be read, or isn't TOML; the message is one line that begins with a
            verb, to stand behind the file's name.
    """
    if "\0" in str(path):
        raise ValueError("can't be read: a file's name can't hold a NUL")
    try:
        return parse_toml(_content(path).decode())
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"is no TOML file: {error}") from error
