"""Files that are no files, and TOML that is none: one line that says why."""

import errno
import os
from pathlib import Path

import pytest

from tdx_env.toml_file import parse_toml, read_toml, why_not_toml

DEEP = 100_000
# What a text holds, and what is said about it.
REFUSED = {
    "lists in lists": ("x = " + "[" * DEEP + "]" * DEEP, "nested too deeply"),
    "tables in tables": ("x = " + "{a = " * DEEP + "1" + "}" * DEEP, "nested too deeply"),
    "a few too many lists": ("x = " + "[" * 17 + "]" * 17, "nested too deeply"),
    "dots without end": ("a." * 2_000 + "b = 1", "nested too deeply"),
    "5,000 digits": ("x = " + "9" * 5_000, "more than 64 bits"),
    "5,000 hexadecimal digits": ("x = 0x" + "f" * 5_000, "more than 64 bits"),
    "65 bits": (f"x = {1 << 63}", "more than 64 bits"),
    "65 bits in a list": (f"x = [[{-(1 << 63) - 1}]]", "more than 64 bits"),
    "a key twice": ("a = 1\na = 2", "is no TOML file"),
    "a NUL": ('a = "\0"', "is no TOML file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_text_is_refused_in_one_line(case):
    text, why = REFUSED[case]
    with pytest.raises(ValueError, match=why) as caught:
        parse_toml(text)
    assert len(str(caught.value).splitlines()) == 1


def test_what_fits_is_read():
    assert parse_toml(f"x = {'[' * 14}{(1 << 63) - 1}{']' * 14}")


def test_a_list_in_itself_is_too_deep():
    loop: list[object] = []
    loop.append(loop)
    assert why_not_toml(loop) is not None


# How a file is made, and what is said about it.
NO_FILES = {
    "a pipe": (os.mkfifo, "must be a file, is a pipe"),
    "a folder": (Path.mkdir, "must be a file, is a folder"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "must be a file, is a device"),
    "nothing": (lambda path: None, "No such file"),
    "a link to itself": (lambda path: path.symlink_to(path), "symbolic links"),
    "too large": (lambda path: path.write_bytes(b" " * 1_000_001), "at most 1,000,000 bytes"),
    "other bytes": (lambda path: path.write_bytes(b"a = '\xff'"), "is no TOML file: 'utf-8'"),
}


@pytest.mark.parametrize("case", NO_FILES)
def test_what_is_no_file_is_not_waited_for(case, tmp_path):
    make, why = NO_FILES[case]
    path = tmp_path / "given.toml"
    make(path)
    with pytest.raises(ValueError, match=why):
        read_toml(path)


@pytest.mark.parametrize(
    ("name", "why"), [("a" * 256, "name too long"), ("a\0b", "can't hold a NUL")]
)
def test_what_can_be_no_name_of_a_file_is_refused(name, why):
    with pytest.raises(ValueError, match=why):
        read_toml(Path(name))


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT, errno.EIO])
def test_a_file_that_is_there_and_cannot_be_opened_says_why(number, tmp_path, monkeypatch):
    """No permission, gone meanwhile, a broken disk."""
    path = tmp_path / "given.toml"
    path.write_text("a = 1")

    def refuse(*_: object) -> None:
        """Fail as the system would."""
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ValueError, match=f"can't be read: {os.strerror(number)}"):
        read_toml(path)
