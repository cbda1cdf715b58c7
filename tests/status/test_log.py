"""Whole logs: counts, order, bounded memory, and input that is none."""

import gzip
import io
import tracemalloc

import pytest

from tdx_env.errors import StatusError
from tdx_env.status.log import MOST_FINDINGS, LogReport, read_log

BUSY = b"[  12.3] kvm_intel: SEAMCALL TDH_MEM_TRACK failed: 0x80000200000000a9\n"
DMESG = b"""\
[    0.000000] Linux version 6.16.0 (build@host) (gcc 14.2.1) #1 SMP PREEMPT_DYNAMIC
[    0.003117] virt/tdx: BIOS enabled: private KeyID range [64, 128)
[    3.118220] virt/tdx: 4202516 KB allocated for PAMT
[    3.118224] virt/tdx: TDX-Module initialized
[   41.770012] usb 1-1: new high-speed USB device number 2, bus 0x0000000012345678
[  912.443121] ------------[ cut here ]------------
[  912.443124] WARNING: CPU: 7 PID: 901 at arch/x86/kvm/vmx/tdx.c:1803 tdx_sept_drop+0x1c4/0x260
[  912.443131] Modules linked in: kvm_intel kvm irqbypass
[  912.443140] RIP: 0010:tdx_sept_remove_private_spte+0x1c4/0x260 [kvm_intel]
[  912.443144] RAX: 8000020000000092 RBX: ffff8881123f5000 RCX: 0000000000000000
[  912.443146] RDX: 0000000000000000 RSI: ffff888112345000 RDI: 0000000000000007
[  912.443150] ---[ end trace 0000000000000000 ]---
[9.4] kvm_intel: SEAMCALL TDH_MEM_RANGE_BLOCK failed: 0x8000020000000092, entry 0x0, level_state 0x0
[  912.550001] virt/tdx: SEAMCALL (0x000000000000001c) failed: 0xc000030000000001
[  912.550004] virt/tdx: RCX 0x0000000000000003 RDX 0x0000000112345000 R08 0x0000000000000001
[  912.550006] virt/tdx: R09 0x0000000000000000 R10 0x0000000000000000 R11 0x0000000000000000
[  912.550010] virt/tdx: SEAMCALL (0x000000000000001c) failed: 0xc000030000000001
[  913.000000] qemu-system-x86[901]: error: kvm run failed Input/output error
"""


def read(data: bytes) -> LogReport:
    """Return what a log says."""
    return read_log(io.BytesIO(data), "log")


def test_dmesg_gives_every_finding_in_order() -> None:
    entries = read(DMESG).entries
    titles = [entry.finding.title for entry in entries]
    assert titles == [
        "KVM_BUG_ON",
        "register dump: RAX",
        "TDH.MEM.RANGE.BLOCK (leaf 0x07) failed",
        "TDH.PHYMEM.PAGE.RECLAIM (leaf 0x1C) failed",
        "KVM_RUN failed",
    ]
    assert [entry.count for entry in entries] == [1, 1, 1, 2, 1]
    assert [entry.first_line for entry in entries] == [7, 10, 13, 14, 18]


def test_registers_of_the_next_line_belong_to_the_call() -> None:
    reclaim = read(DMESG).entries[3].finding
    assert reclaim.notes[0] == "RCX: page type 3 (REG: a TD's memory)"
    assert reclaim.notes[-1] == "R8: page size 1 (2M)"


def test_registers_of_a_line_far_away_do_not() -> None:
    far = b"virt/tdx: SEAMCALL (0x1c) failed: 0xc000030000000001\n" + b"x\n" * 9
    assert read(far + b"RCX 0x0000000000000003\n").entries[0].finding.notes == ()


def test_journal_and_dmesg_prefixes_do_not_matter() -> None:
    journal = b"Nov 28 10:00:00 host kernel: " + BUSY.split(b"] ")[1]
    assert read(BUSY + journal).entries[0].count == 2


@pytest.mark.parametrize(
    "line",
    [
        b"[    1.0] pci 0000:00:1f.0: reg 0x10: [mem 0x00000b0700000000-0x00000b07000fffff 64bit]",
        b"[    1.0] page:ffffea0004471140 refcount:1 mapcount:0 mapping:0000000000000000",
        b"[    1.0] uuid 8000020000000092-0000 of disk",
        b"[    1.0] sha256: c000030000000001c000030000000001c000030000000001c000030000000001",
        b"[    1.0] KVM: unknown thing, reason none",
        b"[    1.0] virt/tdx: TDX-Module initialized",
    ],
)
def test_line_without_a_status_is_not_taken_for_one(line: bytes) -> None:
    with pytest.raises(StatusError, match="no status in 2 line"):
        read(line + b"\nnothing\n")


def test_memory_does_not_grow_with_the_log() -> None:
    class Endless(io.RawIOBase):
        """A stream of so many bytes that nobody keeps."""

        left = 2_000_000

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            n = min(len(buffer), self.left)
            buffer[:n] = (BUSY * (n // len(BUSY) + 1))[:n]
            self.left -= n
            return n

    tracemalloc.start()
    report = read_log(io.BufferedReader(Endless()), "log")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(entry.count for entry in report.entries) > 16_000
    assert peak < 1_500_000


def test_one_line_without_an_end_is_read_in_pieces() -> None:
    report = read(b"x" * 3_000_000 + b" " + BUSY)
    assert (report.n_lines, report.entries[0].count) == (1, 1)


def test_too_many_different_findings_are_counted_not_kept() -> None:
    lines = (b"vp_enter_ret 0x%x\n" % (0x6000000200000000 + i) for i in range(MOST_FINDINGS + 5))
    report = read(b"".join(lines))
    assert (len(report.entries), report.n_left_out) == (MOST_FINDINGS, 5)


def test_binary_without_a_status_is_called_so() -> None:
    with pytest.raises(StatusError, match="log: no status in binary data, must"):
        read(bytes(range(256)) * 100)


def test_status_between_binary_is_found() -> None:
    assert read(b"\0\xff\n" + BUSY + b"\0\n").entries[0].count == 1


def test_compressed_log_names_the_tool() -> None:
    with pytest.raises(StatusError, match=r"compressed \(gzip\), must be text: zcat"):
        read(gzip.compress(DMESG))


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n"])
def test_empty_log_is_called_so(data: bytes) -> None:
    with pytest.raises(StatusError, match="empty|no status in"):
        read(data)


def test_line_about_nothing_is_refused() -> None:
    with pytest.raises(StatusError, match="is not understood"):
        read(b"hello world\n")
