"""Whole logs: every finding of a stream once, with counts, in bounded memory.

A line is read in pieces of 64 KiB at most, and at most 1,000 different findings are kept: the size
of a log doesn't matter. Nothing is kept of lines that say nothing about TDX.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from tdx_env.errors import StatusError
from tdx_env.status.lines import Finding, read_line, read_text, registers_of
from tdx_env.status.registers import register_notes
from tdx_env.status.stories import Story, story_of

LONGEST_PIECE = 1 << 16  # bytes of a line that are looked at together
MOST_FINDINGS = 1_000  # different ones
_REGISTERS_WITHIN = 4  # lines after a SEAMCALL's, in which its registers may follow
_WORDS = (
    b"tdx", b"tdh", b"tdg", b"seamcall", b"seamldr", b"hardware reason", b"vp_enter",
    b"rbp) clobber", b"not resettable", b"kvm run failed", b"guest access before",
    b"splitting of gfn", b"accept memory",
)  # fmt: skip
_NUMBER = re.compile(rb"[4689ce]000[0-9a-f]{4}_?[0-9a-f]{8}|\d{19}")  # small letters
_REGISTER_LINE = re.compile(rb"\bR(?:CX|09) ", re.I)
_FAILS = re.compile(rb"failed|RAX", re.I)
_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "zcat"),
    b"(\xb5/\xfd": ("zstd", "zstdcat"),
    b"\xfd7zXZ": ("xz", "xzcat"),
    b"BZh": ("bzip2", "bzcat"),
}


@dataclass
class Entry:
    """A finding, and how often it came.

    Attributes:
        finding: It.
        count: Number of times.
        first_line: Number of the line where it came first, from 1 on.
        story: What most likely happened; None if there is nothing to add.
    """

    finding: Finding
    count: int
    first_line: int
    story: Story | None


@dataclass
class LogReport:
    """What a log says.

    Attributes:
        entries: Its findings in the order of their first lines.
        n_lines: Lines read.
        n_left_out: Findings that were left out, after the first 1,000 different ones.
        is_binary: It has zero bytes.
    """

    entries: list[Entry] = field(default_factory=list)
    n_lines: int = 0
    n_left_out: int = 0
    is_binary: bool = False


class _Collector:
    """Counts findings; a SEAMCALL's may wait for the registers in the lines after it."""

    def __init__(self, report: LogReport) -> None:
        """Begin with an empty report."""
        self._report = report
        self._known: dict[tuple[object, ...], Entry] = {}
        self._open: Finding | None = None
        self._opened = 0

    def add(self, finding: Finding, line: int) -> None:
        """Take in a finding."""
        self.close()
        if finding.is_core:
            self._open, self._opened = finding, line
        else:
            self._count(finding, line)

    def add_registers(self, text: str, line: int) -> None:
        """Take in a line of registers, if a SEAMCALL waits for it."""
        waiting = self._open
        if waiting is None or line - self._opened > _REGISTERS_WITHIN:
            return
        notes = register_notes(waiting.call, registers_of(text), waiting.status)
        new = tuple(note for note in notes if note not in waiting.notes)
        self._open = replace(waiting, notes=waiting.notes + new)

    def close(self) -> None:
        """Count what waits."""
        if self._open is not None:
            waiting, self._open = self._open, None
            self._count(waiting, self._opened)

    def _count(self, finding: Finding, line: int) -> None:
        """Count a finding; those that differ in registers alone are one."""
        value = None if finding.decoded is None else finding.decoded.value
        key = (finding.title, value, finding.notes if finding.decoded is None else ())
        entry = self._known.get(key)
        if entry is not None:
            entry.count += 1
        elif len(self._known) >= MOST_FINDINGS:
            self._report.n_left_out += 1
        else:
            self._known[key] = Entry(finding, 1, line, story_of(finding))
            self._report.entries.append(self._known[key])


def _pieces(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield a stream's lines with their numbers, long ones in pieces."""
    number, is_new = 0, True
    while piece := stream.readline(LONGEST_PIECE):
        number += is_new
        is_new = piece.endswith(b"\n")
        yield number, piece


def _may_say_something(piece: bytes) -> bool:
    """Say whether a line is worth a look: most lines of a log are not, and this is quick."""
    small = piece.lower()
    return any(word in small for word in _WORDS) or _NUMBER.search(small) is not None


def _refuse_compressed(piece: bytes, where: str) -> None:
    """Raise an error if a stream begins like a compressed file.

    Raises:
        StatusError: It does.
    """
    for magic, (kind, tool) in _COMPRESSED.items():
        if piece.startswith(magic):
            raise StatusError(
                f"{where} is compressed ({kind}), must be text: {tool} FILE | tdx-env decode"
            )


def read_log(stream: BinaryIO, where: str) -> LogReport:
    """Return what a log says about TDX.

    Args:
        stream: It, in bytes; read to its end.
        where: What to call it in messages.

    Raises:
        StatusError: It is empty or compressed, or nothing in it is about TDX.
    """
    report = LogReport()
    collector = _Collector(report)
    first = b""
    for number, piece in _pieces(stream):
        if report.n_lines == 0:
            _refuse_compressed(piece, where)
            first = piece
        report.n_lines = number
        report.is_binary |= b"\0" in piece
        if _REGISTER_LINE.search(piece) and not _FAILS.search(piece):
            collector.add_registers(piece.decode(errors="replace"), number)
        elif _may_say_something(piece):
            for finding in read_line(piece.decode(errors="replace")):
                collector.add(finding, number)
    collector.close()
    if report.n_lines == 1 and not report.entries and first.strip():
        collector.add(read_text(first.decode(errors="replace")), 1)
        collector.close()
    if not report.entries:
        raise StatusError(_nothing(report, where))
    report.entries.sort(key=lambda entry: entry.first_line)
    return report


def _nothing(report: LogReport, where: str) -> str:
    """Return why there is nothing to say."""
    must = "must have a line with a TDX status, as SEAMCALL (0x26) failed: 0x80000200000000a9"
    if not report.n_lines:
        return f"{where} is empty, {must}"
    what = "binary data" if report.is_binary else f"{report.n_lines:,} line(s)"
    return f"{where}: no status in {what}, {must}"
