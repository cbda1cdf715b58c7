"""TOML files that a user gives: read whole, or refused with the reason in one line."""

import stat
import tomllib
from collections.abc import Mapping
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
_NUMBERS = range(-(1 << 63), 1 << 63)
_TOO_DEEP = f"is nested too deeply, at most {_MAX_DEPTH} tables and lists may be in each other"
_TOO_LARGE = "holds a whole number of more than 64 bits"


def why_not_toml(value: object) -> str | None:
    """Return why a value can't stand in a TOML file that is read here, or None if it can.

    What its parts are for is not looked at: only how deep they are and how large numbers are.
    """
    level = [value]
    for _ in range(_MAX_DEPTH + 1):
        if any(isinstance(item, int) and item not in _NUMBERS for item in level):
            return _TOO_LARGE
        tables = [one for one in level if isinstance(one, Mapping)]
        lists = [one for one in level if isinstance(one, list | tuple)]
        level = [item for table in tables for item in table.values()]
        level += [item for items in lists for item in items]
    return _TOO_DEEP if level else None


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
        raise ValueError(_TOO_LARGE) from error
    reason = why_not_toml(table)
    if reason:
        raise ValueError(reason)
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


def toml_text(path: Path) -> str:
    """Return the text that a file holds, before anybody looks whether it is TOML.

    Raises:
        ValueError: It can't be read; the message as of `read_toml`.
    """
    if "\0" in str(path):
        raise ValueError("can't be read: a file's name can't hold a NUL")
    try:
        return _content(path).decode()
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"is no TOML file: {error}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table that a file holds.

    Raises:
        ValueError: It can't be read, or isn't TOML; the message is one line that begins with a
            verb, to stand behind the file's name.
    """
    return parse_toml(toml_text(path))
