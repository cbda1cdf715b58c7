"""Messages about TDX without a status: of KVM, of the core kernel, of QEMU and others, of guests.

Source: Linux 6.16 to 7.x, arch/x86/kvm/vmx/tdx.c, arch/x86/virt/vmx/tdx/tdx.c; QEMU,
target/i386/kvm/tdx.c and accel/kvm/kvm-all.c; cloud-hypervisor, crates hypervisor and vmm; the
guest's arch/x86/coco/tdx. Those marked posted were in series that were not merged so.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A message that is known.

    Attributes:
        name: What it is called in tables.
        pattern: How it is found in a line.
        meaning: What it says, in words.
        is_fatal: The TD is lost or never began.
    """

    name: str
    pattern: re.Pattern[str]
    meaning: str
    is_fatal: bool = False


def _message(name: str, pattern: str, meaning: str, is_fatal: bool = False) -> Message:
    """Return a message; letters may be large or small."""
    return Message(name, re.compile(pattern, re.I), meaning, is_fatal)


_KILLED = (
    "KVM killed the VM (KVM_BUG_ON): every later ioctl answers so. The cause stands in the kernel "
    "log: look for a kvm_intel line before this one."
)
_AGAIN = "Something was busy; the VMM may issue the ioctl again."

ERRNOS: dict[str, tuple[str, str]] = {
    "Resource temporarily unavailable": ("EAGAIN", _AGAIN),
    "Device or resource busy": ("EBUSY", _AGAIN),
    "Input/output error": ("EIO", _KILLED),
    "Invalid argument": ("EINVAL", "The kernel or the module does not accept a parameter."),
    "No such device": ("ENODEV", "The TDX module is not loaded."),
    "Operation not supported": ("EOPNOTSUPP", "TDX is off in the BIOS or in the kernel."),
    "Permission denied": ("EACCES", "The CPU is not in VMX operation."),
    "Interrupted system call": ("EINTR", "A signal; the VMM may issue the ioctl again."),
    "Cannot allocate memory": ("ENOMEM", "The host has no memory for it."),
    "No space left on device": (
        "ENOSPC",
        "No key id (HKID) is free: too many TDs, or keys leaked.",
    ),
}
"""What an errno of a TDX ioctl means, by its text."""

ERRNO_NUMBERS = {
    4: "Interrupted system call",
    5: "Input/output error",
    11: "Resource temporarily unavailable",
    12: "Cannot allocate memory",
    13: "Permission denied",
    16: "Device or resource busy",
    19: "No such device",
    22: "Invalid argument",
    28: "No space left on device",
    95: "Operation not supported",
}

MESSAGES: tuple[Message, ...] = (
    _message(
        "key id leaked",
        r"tdh_mng_(?:vpflushdone|key_freeid)\(\) failed\. HKID \d+ is leaked",
        "The key id is lost until the host reboots: a vCPU was still associated with a processor, "
        "or the caches were not written back. No status is shown.",
    ),
    _message(
        "touch before ACCEPT",
        r"Guest access before accepting 0x[0-9a-f]+ on vCPU \d+",
        "The guest touched a page that it had not accepted, with SEPT_VE_DISABLE set: a fault of "
        "the guest; KVM kills the TD.",
        is_fatal=True,
    ),
    _message(
        "split under mmu_lock for read",
        r"Splitting of GFN [0-9a-f]+ level \d+ under shared lock occurs",
        "A 4K ACCEPT met a 2M page, and KVM can't split it in the fault path (posted huge pages, "
        "version 3): scenario s14-split-accept, policy P21.",
        is_fatal=True,
    ),
    _message(
        "PAMT.ADD failed",
        r"WARNING:.*\btdx_pamt_get\b",
        "Dynamic PAMT: PHYMEM.PAMT.ADD failed, which KVM's host-wide lock should rule out; the "
        "fault ends in -EIO: scenario s23-boot-dynamic-pamt.",
        is_fatal=True,
    ),
    _message(
        "PAMT.REMOVE failed",
        r"WARNING:.*\btdx_pamt_put\b",
        "Dynamic PAMT: PHYMEM.PAMT.REMOVE failed; the pair of PAMT pages is lost, nothing else.",
    ),
    _message(
        "KVM_BUG_ON",
        r"WARNING:.*(?:arch/x86/kvm/vmx/tdx\.c|\btdx_(?:sept|mem_page|td_vcpu|track)\w*\+)",
        "KVM_BUG_ON in KVM's TDX code: the VM is dead. The SEAMCALL's line stands beside it.",
        is_fatal=True,
    ),
    _message(
        "Dynamic PAMT on",
        r"virt/tdx: Enable Dynamic PAMT",
        "Pages of the TDX metadata are added as memory is used; each add and remove takes a lock "
        "of the whole host. No error.",
    ),
    _message(
        "module not loaded",
        r"(?:virt/tdx|tdx): (?:TDX )?module (?:is )?not loaded|TDX module not loaded",
        "The P-SEAMLDR has no TDX module (VMfailInvalid, -ENODEV): load one in the BIOS or EFI.",
        is_fatal=True,
    ),
    _message(
        "TDX off in the BIOS",
        r"TDX (?:is not enabled|disabled) by BIOS",
        "A SEAMCALL met #GP: TDX is off in the BIOS.",
        is_fatal=True,
    ),
    _message(
        "CPU not in VMX operation",
        r"SEAMCALL failed: CPU (?:\d+ is )?not in VMX operation",
        "A SEAMCALL met #UD: VMXON is missing on that CPU.",
        is_fatal=True,
    ),
    _message(
        "module initialisation failed",
        r"TDX[- ]module initialization failed \((-?\d+)\)",
        "The TDX module could not be initialised; no TD can be built.",
        is_fatal=True,
    ),
    _message(
        "RBP clobber bug",
        r"frame pointer \(RBP\) clobber bug present",
        "The module lacks NO_RBP_MOD (before 1.5.06): Linux 6.16 and later refuse it. Upgrade it.",
        is_fatal=True,
    ),
    _message(
        "partial write to private memory",
        r"TDX private memory error\. Possible kernel bug",
        "A machine check: the host wrote part of a line of a TD's page.",
        is_fatal=True,
    ),
    _message(
        "not resettable",
        r"cpus are not resettable, terminating",
        "The TD asked for a reset or reboot; a TD can't be reset, so that QEMU ends. No error of "
        "the module.",
    ),
    _message(
        "interrupt lost",
        r"TDX: injection interrupt \d+ failed, interrupt lost",
        "QEMU could not inject an interrupt that the guest asked for (GetQuote): not contention.",
    ),
    _message(
        "guest reports a fatal error",
        r"TDX[:_ ].*REPORT_FATAL_ERROR|TDX guest reports fatal error|guest-panicked.*\btdx\b",
        "The guest asked to die (TDG.VP.VMCALL REPORT_FATAL_ERROR): its firmware's or kernel's "
        "message follows.",
        is_fatal=True,
    ),
    _message(
        "KVM_RUN failed",
        r"error: kvm run failed Input/output error",
        _KILLED,
        is_fatal=True,
    ),
    _message(
        "guest: ACCEPT failed",
        r"(?:TDX: |Kernel panic.*|panic.*)Failed to accept memory",
        "The guest could not accept a page at any size: the host removed it, or the entry was busy "
        "at 4K. Linux guests don't retry: scenario s10-hostile-accept shows who holds the entry.",
        is_fatal=True,
    ),
    _message(
        "guest: RELEASE refused",
        r"Failed to unaccept memory",
        "The guest could not give memory back (posted TDG.MEM.PAGE.RELEASE): perhaps only busy.",
        is_fatal=True,
    ),
    _message(
        "guest: TDCALL failed",
        r"TDCALL (\d+) failed \(Buggy TDX module!\)",
        "A TDCALL that may not fail did; the guest panics. The number is the leaf.",
        is_fatal=True,
    ),
)
