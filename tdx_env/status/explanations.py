"""What statuses, classes, locks and exit reasons mean, in words.

Source: TDX module 1.5.01 and, where a text names it, another release: the files that return them.
"""

from tdx_env.state.calls import Lock
from tdx_env.status.codes import LinuxStatus, SeamldrStatus, Status, StatusClass

LOCK_NAMES: dict[Lock, str] = {
    Lock.TDVPR: "the vCPU (TDVPR)",
    Lock.TDR: "the TD (TDR)",
    Lock.OP_STATE: "the TD's OP_STATE",
    Lock.TREE: "the S-EPT tree",
    Lock.ENTRY: "the S-EPT entry",
    Lock.PAGE: "the page's PAMT entry",
    Lock.EPOCH: "the TLB epoch",
    Lock.NEW_PAGE: "the second page's PAMT entry",
    Lock.CHILDREN: "one of the 512 child entries",
    Lock.MIG: "the migration lock",
    Lock.MIGSC: "the migration stream",
    Lock.RTMR: "the run-time measurements (RTMR)",
    Lock.SERVTD_BINDINGS: "the table of bound service TDs",
    Lock.OTHER_TDR: "the other TD (its TDR)",
    Lock.OTHER_OP_STATE: "the other TD's OP_STATE",
    Lock.PAMT_2M: "the PAMT entry of the 2M range",
    Lock.PAMT_PAGE_0: "the first of the range's two PAMT pages",
    Lock.PAMT_PAGE_1: "the second of the range's two PAMT pages",
    Lock.MEM_SCAN: "the memory scan's state",
    Lock.SCAN_CONTEXT: "the memory scan's context",
}

CLASS_MEANINGS: dict[StatusClass, str] = {
    StatusClass.GENERAL: "General result of a call or of the TD's run.",
    StatusClass.OPERAND: "An operand is not what the call allows.",
    StatusClass.BUSY: "Something is in use just now; the call may be repeated.",
    StatusClass.PAGE_METADATA: "A page's type, size or owner is not what the call needs.",
    StatusClass.DEPENDENT_PAGES: "Other pages still depend on this one.",
    StatusClass.SYSTEM_STATE: "The module or this processor is not in the state for the call.",
    StatusClass.TD_STATE: "The TD is not in the state for the call.",
    StatusClass.VCPU_STATE: "The vCPU is not in the state for the call.",
    StatusClass.KEYS: "A key or key id is not in the state for the call.",
    StatusClass.PLATFORM: "The platform is not configured as the module needs it.",
    StatusClass.MEMORY_REGIONS: "A description of memory regions is not accepted.",
    StatusClass.SECURE_EPT: "The S-EPT entry is not in the state for the call.",
    StatusClass.METADATA_FIELDS: "A metadata field can't be read or written so.",
    StatusClass.SERVICE_TD: "A service TD is not bound as the call needs it.",
    StatusClass.MIGRATION: "The migration session is not in the state for the call.",
    StatusClass.TRUSTED_IO: "A device that is attached to the TD is not in the state for the call.",
    StatusClass.ATTESTATION: "A report can't be made or verified.",
    StatusClass.TD_PARTITIONING: "Result of running a VM inside the TD.",
    StatusClass.LINUX: "Not the module's: the SEAMCALL itself failed, and Linux made this status.",
}

MEANINGS: dict[Status, str] = {
    Status.SUCCESS: "The call succeeded. Of VP.ENTER: the TD exited, for the reason in bits 31:0.",
    Status.INTERRUPTED_RESUMABLE: (
        "A pending interrupt stopped the call between two of its parts; what is done stays done, "
        "and the same call goes on from there. From 1.5.34 on a list call returns it as well when "
        "it gives way to a call that waits for the S-EPT tree."
    ),
    Status.INTERRUPTED_RESTARTABLE: (
        "A pending interrupt stopped the call and nothing was changed; the same call starts again."
    ),
    Status.OPERAND_INVALID: "The operand named in bits 31:0 is not allowed.",
    Status.OPERAND_ADDR_RANGE_ERROR: "The physical address lies in no initialised memory region.",
    Status.OPERAND_BUSY: (
        "A lock that the call needs is held by another call or by the guest. The module never "
        "waits: the caller may repeat the call. A guest sees the same status when host priority "
        "turns it away."
    ),
    Status.PREVIOUS_TLB_EPOCH_BUSY: (
        "TRACK: a vCPU that entered in the previous epoch is still in the guest. It must leave "
        "(kick the vCPUs) before the epoch can advance."
    ),
    Status.SYS_BUSY: "Another call holds the module's global lock.",
    Status.RND_NO_ENTROPY: "The processor had no random number; the call may be repeated.",
    Status.OPERAND_BUSY_HOST_PRIORITY: (
        "Inside the module only: a guest is turned away because a host call was refused before. "
        "The guest sees OPERAND_BUSY; outside it appears only through a service TD's exit."
    ),
    Status.HOST_PRIORITY_BUSY_TIMEOUT: (
        "TD exit: the guest was turned away for longer than the host-priority timeout. The host "
        "should repeat the call that it gave up, which clears the mark."
    ),
    Status.INTERRUPTED_BUSY: (
        "MEM.SCAN.RANGE gave way to a call that waits for the S-EPT tree; the same call goes on "
        "from there. The module names it SEPT_ENTRY."
    ),
    Status.INTERRUPTED_LIST_FULL: "The list for the results is full; the same call goes on.",
    Status.CROSS_TD_TRAP: "TD exit: a service TD's call met a busy lock of its target TD.",
    Status.PAGE_METADATA_INCORRECT: "The page's type or size is not what the call needs.",
    Status.PAGE_NOT_FREE: "PHYMEM.PAMT.ADD: one of the two pages is in use.",
    Status.HPA_RANGE_NOT_FREE: "PHYMEM.PAMT.ADD: the 2M range is in use.",
    Status.NO_PAMT_PAGE_PAIR: "PHYMEM.PAMT.REMOVE: the 2M range has no pair of PAMT pages.",
    Status.PAMT_PAGE_NOT_EMPTY: (
        "PHYMEM.PAMT.REMOVE: one of the two PAMT pages still speaks of a 4K page in use."
    ),
    Status.INTERRUPTED_PAMT: (
        "IMPORT.MEM: the 2M range of the page in this entry of the list has no pair of PAMT pages; "
        "add one (PHYMEM.PAMT.ADD) and repeat the call, which goes on from there."
    ),
    Status.MISSING_PAMT_PAGE_PAIR: (
        "The 2M range of the page has no pair of PAMT pages: PHYMEM.PAMT.ADD comes first."
    ),
    Status.TD_ASSOCIATED_PAGES_EXIST: "The TD's root page must be reclaimed last.",
    Status.SYS_NOT_READY: "The module is not initialised.",
    Status.INCORRECT_MSR_VALUE: (
        "An MSR of this processor has a value that the module does not allow; bits 31:0 are the "
        "MSR's number, not an operand id."
    ),
    Status.INCONSISTENT_MSR: (
        "An MSR has not the same value on all processors; bits 31:0 are the MSR's number."
    ),
    Status.SYS_SHUTDOWN: "The module was shut down.",
    Status.TD_FATAL: "The TD met a fatal error and can only be torn down.",
    Status.LIFECYCLE_STATE_INCORRECT: "The TD's life cycle doesn't allow the call.",
    Status.OP_STATE_INCORRECT: "The TD's OP_STATE doesn't allow the call.",
    Status.X2APIC_ID_NOT_UNIQUE: "VP.INIT version 1: another vCPU has that x2APIC id.",
    Status.VCPU_STATE_INCORRECT: "The vCPU is running already, or not initialised.",
    Status.VCPU_ASSOCIATED: "The vCPU is associated with another processor: flush it there first.",
    Status.VCPU_NOT_ASSOCIATED: "The vCPU is not associated with this processor.",
    Status.TSC_ROLLBACK: "The TSC went backwards since the vCPU's last exit.",
    Status.TD_KEYS_NOT_CONFIGURED: "The TD's key is not configured on every package.",
    Status.FLUSHVP_NOT_DONE: "A vCPU of the TD is still associated with a processor.",
    Status.EPT_WALK_FAILED: (
        "The S-EPT walk ended above the level asked for: a table is missing or blocked."
    ),
    Status.EPT_ENTRY_NOT_PRESENT: "The S-EPT walk ended above the page.",
    Status.GPA_RANGE_NOT_BLOCKED: "The entry must be blocked (RANGE.BLOCK) before this call.",
    Status.GPA_RANGE_ALREADY_BLOCKED: "The entry was blocked already; no error.",
    Status.TLB_TRACKING_NOT_DONE: (
        "The entry is blocked, but a vCPU that entered before may still use it: TRACK, then let "
        "every vCPU leave the guest once. A repeat makes sense although the status counts as "
        "non-recoverable. RANGE.UNBLOCK of 1.5.01 reports it with SEPT_TREE, of 1.5.34 with RCX."
    ),
    Status.IOMMU_IOTLB_TRACKING_NOT_DONE: (
        "As TLB_TRACKING_NOT_DONE, but it is a device's IOTLB that is not flushed yet (2.0 alone)."
    ),
    Status.BLOCKED_MEMORY_EXISTS: "Non-blocking export: no page of the TD may be blocked.",
    Status.BLOCKING_DISALLOWED: (
        "Non-blocking export: pages can't be blocked for writing. No public release can switch it "
        "on, so that this doesn't come."
    ),
    Status.INCOMPATIBLE_EXPORT_MODE_TD_NON_ACCESSIBLE: (
        "The TD's memory can't be reached in its present mode of export."
    ),
    Status.EPT_INVALID_PROMOTE_CONDITIONS: (
        "PROMOTE: the 512 child entries don't make one large page."
    ),
    Status.PAGE_ALREADY_ACCEPTED: "ACCEPT: the page is mapped at this level; no error.",
    Status.PAGE_SIZE_MISMATCH: "The guest asked for a large page, but smaller ones are mapped.",
    Status.EPT_ENTRY_STATE_INCORRECT: "The S-EPT entry's state doesn't allow the call.",
    Status.EPT_PAGE_NOT_FREE: (
        "SEPT.REMOVE: the table still has entries that are not FREE (from 1.5.34 on: nor REMOVED)."
    ),
    Status.NON_RECOVERABLE_VCPU: "The vCPU can't be entered again.",
    Status.NON_RECOVERABLE_TD: "The TD can't be entered again.",
    Status.NON_RECOVERABLE_TD_NON_ACCESSIBLE: (
        "The TD can't be entered again, and its memory is not accessible."
    ),
    Status.NON_RECOVERABLE_TD_WRONG_APIC_MODE: (
        "The TD can't be entered again: the local APIC was disabled during single-stepping."
    ),
}

LINUX_MEANINGS: dict[LinuxStatus, str] = {
    LinuxStatus.SW_ERROR: "Linux's class for errors of its own; the low bits say which.",
    LinuxStatus.SEAMCALL_UD: (
        "#UD: the SEAMCALL was made on a CPU that is not in VMX operation (VMXON is missing). "
        "Linux returns -EACCES; at a reboot or kexec this is expected."
    ),
    LinuxStatus.SEAMCALL_GP: (
        "#GP: the BIOS has not enabled TDX, or SEAM mode is off. Linux returns -EOPNOTSUPP."
    ),
    LinuxStatus.SEAMCALL_VMFAILINVALID: (
        "VMfailInvalid: the module is not loaded or was disabled, or the P-SEAMLDR is busy with "
        "another call. Linux returns -ENODEV."
    ),
}

SEAMLDR_MEANINGS: dict[SeamldrStatus, str] = {
    SeamldrStatus.EBADPARAM: "The P-SEAMLDR does not accept a parameter.",
    SeamldrStatus.EBADCALL: "The P-SEAMLDR has no such call, or not in its present state.",
    SeamldrStatus.ENOMEM: "The module does not fit into the memory reserved for it.",
    SeamldrStatus.EUNSPECERR: "The P-SEAMLDR met an error that it does not name.",
    SeamldrStatus.EUNSUPCPU: "The module is not made for this processor.",
    SeamldrStatus.EBADSIG: "The module's signature is wrong.",
    SeamldrStatus.EBADHASH: "The module's hash is not the signed one.",
    SeamldrStatus.EINTERRUPT: "An interrupt stopped the P-SEAMLDR; the call may be repeated.",
    SeamldrStatus.ENOENTROPY: "The processor had no random number; the call may be repeated.",
}

MSRS: dict[int, str] = {
    0x8B: "IA32_BIOS_SIGN_ID",
    0xCF: "IA32_CORE_CAPABILITIES",
    0x10A: "IA32_ARCH_CAPABILITIES",
    0x122: "IA32_TSX_CTRL",
    0x1A0: "IA32_MISC_ENABLE",
    0x345: "IA32_PERF_CAPABILITIES",
    0x480: "IA32_VMX_BASIC",
    0x982: "IA32_TME_ACTIVATE",
    0xE1: "IA32_UMWAIT_CONTROL",
}
