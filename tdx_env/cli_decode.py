"""The command ``decode``: a status, a line or a whole log in words."""

import io
import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.table import Table

from tdx_env.errors import StatusError, escaped, printable
from tdx_env.status.decoder import Decoded
from tdx_env.status.lines import Finding, read_text
from tdx_env.status.log import Entry, LogReport, read_log
from tdx_env.status.stories import story_of

_STDIN = "standard input"
_LONGEST_ARGUMENT = 1 << 16


def _flags(status: Decoded) -> str:
    """Return the flags of a status in words."""
    flags = {
        "error": status.is_error,
        "non-recoverable": status.is_non_recoverable,
        "fatal": status.is_fatal,
        "host recoverability hint": status.has_host_recoverability_hint,
    }
    return ", ".join(name for name, is_set in flags.items() if is_set) or "none"


def _status_rows(decoded: Decoded) -> Iterable[tuple[str, str]]:
    """Yield what there is to say about a status: a word, and the text."""
    yield "Status", f"0x{decoded.value:016X}"
    yield "Name", decoded.name or "unknown"
    if decoded.operand_name:
        is_id = decoded.operand_name.isidentifier()
        yield "Operand", decoded.operand_name + (f" (0x{decoded.operand:X})" if is_id else "")
    if decoded.status_class is not None:
        yield "Class", decoded.status_class.name
    yield "Flags", _flags(decoded)
    yield "Meaning", decoded.explanation
    for number, meaning in enumerate(decoded.meanings):
        yield "" if number else "Lock", meaning


def _rows(entry: Entry) -> Iterable[tuple[str, str]]:
    """Yield what there is to say about a finding."""
    finding = entry.finding
    if finding.title:
        yield "What", escaped(finding.title)
    if finding.decoded is not None:
        yield from _status_rows(finding.decoded)
    for number, note in enumerate(finding.notes):
        yield "" if number else "Beside it", escaped(note)
    if entry.story is not None:
        yield "Story", entry.story.text
        if entry.story.scenarios:
            yield "Scenarios", ", ".join(entry.story.scenarios)
            yield "Policies", ", ".join(entry.story.policies)
            yield "Play it", str(entry.story.command)


def _grid(rows: Iterable[tuple[str, str]]) -> Table:
    """Return a table of a word and a text each."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for word, text in rows:
        table.add_row(word, text)
    return table


def _entry_json(entry: Entry) -> dict[str, Any]:
    """Return a finding as JSON has it."""
    finding, decoded = entry.finding, entry.finding.decoded
    record: dict[str, Any] = {
        "what": finding.title or None,
        "count": entry.count,
        "first_line": entry.first_line,
        "call": None if finding.call is None else vars(finding.call),
        "status": None,
        "beside": list(finding.notes),
        "story": None,
    }
    if decoded is not None:
        record["status"] = {
            "value": f"0x{decoded.value:016x}",
            "name": decoded.name,
            "operand": decoded.operand,
            "operand_name": decoded.operand_name,
            "class": None if decoded.status_class is None else decoded.status_class.name,
            "flags": _flags(decoded),
            "meaning": decoded.explanation,
            "locks": list(decoded.meanings),
        }
    if entry.story is not None:
        record["story"] = {
            "text": entry.story.text,
            "scenarios": list(entry.story.scenarios),
            "policies": list(entry.story.policies),
            "command": entry.story.command,
        }
    return record


def report_json(report: LogReport) -> str:
    """Return what a log says as JSON."""
    record = {
        "lines": report.n_lines,
        "left_out": report.n_left_out,
        "findings": [_entry_json(entry) for entry in report.entries],
    }
    return json.dumps(record, indent=2)


def _print_report(report: LogReport) -> None:
    """Print what a log says, one part for each finding."""
    console = Console(highlight=False, markup=False, emoji=False)
    if len(report.entries) == 1 and report.n_lines == 1:
        console.print(_grid(_rows(report.entries[0])))
        return
    total = sum(entry.count for entry in report.entries) + report.n_left_out
    console.print(f"{total:,} finding(s) in {report.n_lines:,} line(s)")
    for number, entry in enumerate(report.entries, 1):
        times = {1: "once", 2: "twice"}.get(entry.count, f"{entry.count:,} times")
        console.print(f"\n{number}. {times}, first in line {entry.first_line:,}")
        console.print(_grid(_rows(entry)))
    if report.n_left_out:
        console.print(f"\n{report.n_left_out:,} more after the first {len(report.entries):,}")


_FILE_NAME = re.compile(r"/|\.(?:log|txt|gz|xz|zst)$")  # no status is written so


def _one(finding: Finding) -> LogReport:
    """Return the report of a line that is given as an argument."""
    return LogReport([Entry(finding, 1, 1, story_of(finding))], n_lines=1)


def _of_stream(stream: BinaryIO, name: str) -> LogReport:
    """Return what a stream says.

    Raises:
        StatusError: It can't be read, or there is no status in it.
    """
    try:
        return read_log(stream, name)
    except OSError as error:
        raise StatusError(f"{name}: can't be read: {error.strerror or error}") from error


def _of_file(path: Path) -> LogReport:
    """Return what a file says.

    Raises:
        StatusError: It can't be read, or there is no status in it.
    """
    name = printable(str(path))
    try:
        stream = path.open("rb")
    except OSError as error:
        raise StatusError(f"{name}: can't be read: {error.strerror or error}") from error
    with stream:
        return _of_stream(stream, name)


def _is_file(text: str) -> bool:
    """Say whether a text is the name of a file, or of a pipe (<(dmesg))."""
    try:
        path = Path(text)
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or has a zero byte
        return False


def _is_folder(text: str) -> bool:
    """Say whether a text is the name of a folder."""
    try:
        return Path(text).is_dir()
    except (OSError, ValueError):
        return False


def _of_text(text: str) -> LogReport:
    """Return what a text of one or several lines says.

    Raises:
        StatusError: There is no status in it; what looks like a file's name is told apart.
    """
    lines = text.strip().splitlines()
    if len(lines) > 1:
        return read_log(io.BytesIO(text.encode(errors="replace")), "the text")
    try:
        return _one(read_text(text))
    except StatusError:
        if len(text.split()) == 1 and _FILE_NAME.search(text):
            said = "is a folder, must be a file" if _is_folder(text) else "is no file, nor a status"
            raise StatusError(f"{printable(text)}: {said}") from None
        raise


def decode_command(
    words: str | Sequence[str] = (), as_json: bool = False, stdin: BinaryIO | None = None
) -> None:
    """Say what statuses and messages about TDX mean.

    Args:
        words: A number, a name, a line or lines, or the name of a file; several words are one
            line. None, or a dash: standard input is read.
        as_json: Print JSON.
        stdin: Standard input; None for the process's own.

    Raises:
        StatusError: There is no status in it.
    """
    text = words if isinstance(words, str) else " ".join(words)
    if text in ("", "-"):
        stream = sys.stdin.buffer if stdin is None else stdin
        if stdin is None and sys.stdin.isatty():
            raise StatusError(
                "status: none given, must be a status, a line or a file, or come on standard "
                "input: dmesg | tdx-env decode"
            )
        report = _of_stream(stream, _STDIN)
    elif len(text) < _LONGEST_ARGUMENT and _is_file(text):
        report = _of_file(Path(text))
    else:
        report = _of_text(text)
    if as_json:
        print(report_json(report))
    else:
        _print_report(report)
