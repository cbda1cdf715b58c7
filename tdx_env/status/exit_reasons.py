"""VMX exit reasons, which VP.ENTER returns in the low half of its status.

Source: Intel SDM volume 3, appendix C, basic exit reasons; 27.9.1 for the bits above.
"""

BASIC_MASK = 0xFFFF
ENTRY_FAILURE = 1 << 31
_FLAGS = {27: "from enclave mode", 28: "pending MTF", 29: "from VMX root", 30: "reserved bit 30"}

EXIT_REASONS: dict[int, str] = {
    0: "exception or NMI",
    1: "external interrupt",
    2: "triple fault",
    3: "INIT",
    4: "SIPI",
    5: "I/O SMI",
    6: "other SMI",
    7: "interrupt window",
    8: "NMI window",
    9: "task switch",
    10: "CPUID",
    11: "GETSEC",
    12: "HLT",
    13: "INVD",
    14: "INVLPG",
    15: "RDPMC",
    16: "RDTSC",
    17: "RSM",
    18: "VMCALL",
    28: "control register",
    29: "debug register",
    30: "I/O instruction",
    31: "RDMSR",
    32: "WRMSR",
    33: "invalid guest state",
    34: "MSR loading",
    36: "MWAIT",
    37: "monitor trap flag",
    39: "MONITOR",
    40: "PAUSE",
    41: "machine check at entry",
    43: "TPR below threshold",
    44: "APIC access",
    45: "virtualised EOI",
    46: "GDTR or IDTR",
    47: "LDTR or TR",
    48: "EPT violation",
    49: "EPT misconfiguration",
    50: "INVEPT",
    51: "RDTSCP",
    52: "preemption timer",
    53: "INVVPID",
    54: "WBINVD or WBNOINVD",
    55: "XSETBV",
    56: "APIC write",
    57: "RDRAND",
    58: "INVPCID",
    59: "VMFUNC",
    60: "ENCLS",
    61: "RDSEED",
    62: "page-modification log full",
    63: "XSAVES",
    64: "XRSTORS",
    65: "PCONFIG",
    66: "SPP",
    67: "UMWAIT",
    68: "TPAUSE",
    69: "LOADIWKEY",
    70: "ENCLV",
    72: "ENQCMD",
    73: "ENQCMDS",
    74: "bus lock",
    75: "notify window",
    76: "SEAMCALL",
    77: "TDCALL",
}


def exit_reason_text(reason: int) -> str:
    """Return a 32-bit exit reason in words: its basic reason, and the bits above it."""
    basic = reason & BASIC_MASK
    name = EXIT_REASONS.get(basic)
    text = f"{basic} ({name})" if name else str(basic)
    notes = ["VM-entry failure (bit 31)"] if reason & ENTRY_FAILURE else []
    notes += [note for bit, note in _FLAGS.items() if reason >> bit & 1]
    return ", ".join([text, *notes])
