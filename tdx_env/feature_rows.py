"""The table of features: what each says, its range, and where KVM would read it at which cost."""

from dataclasses import dataclass
from enum import IntEnum

from tdx_env.module.operands import Operand
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import LAST_SEAMCALL, NONE, EntryState
from tdx_env.state.features import TRIES_UNIT, Feature
from tdx_env.state.setup import PAGES_PER_2M

START = -1  # PATH of the start observation, when nothing was busy yet


class Scale(IntEnum):
    """How a feature becomes columns of the observation."""

    HIDDEN = 0  # not at all
    ONE_HOT = 1  # a column for each value of PATH and LEAF, each class of the others
    LOG2 = 2  # log2(1 + x) / log2(1 + high)
    LINEAR = 3  # (x - low) / (high - low); a flag stays as it is


class EntryClass(IntEnum):
    """What the S-EPT entry was when the call failed."""

    NO_ENTRY = 0  # the call works on none
    FREE = 1  # also REMOVED
    PENDING = 2
    MAPPED = 3
    BLOCKED = 4  # also PENDING_BLOCKED
    TABLE = 5  # points to a lower table
    OTHER = 6


@dataclass(frozen=True)
class FeatureRow:
    """One feature.

    Attributes:
        feature: Its place in the vector of integers.
        meaning: What it says about the decision that is asked for.
        unit: Unit of the integer, or what its values are.
        low: Smallest value.
        high: Largest value that the observation tells from larger ones.
        scale: How it becomes columns of the observation.
        read_from: Where KVM would read it.
        read_cost: What reading it, or keeping it up to date, costs KVM.
    """

    feature: Feature
    meaning: str
    unit: str
    low: int
    high: int
    scale: Scale
    read_from: str
    read_cost: str

    @property
    def name(self) -> str:
        """The feature's name in small letters."""
        return self.feature.name.lower()


_LONG = (1 << 32) - 1  # about 1.7 s at 2.5 GHz; times above read as this
_SHORT = (1 << 24) - 1  # about 7 ms
_MANY = (1 << 16) - 1
_VCPUS = (1 << 10) - 1

_HERE = "the caller's own variables"
_FREE = "none"
_TSC = "one RDTSC, 20 to 40 cycles"
_AVERAGE = "own running average"
_UPKEEP = "an add and a shift per sample, VM-wide cache line"

FEATURES = (
    FeatureRow(
        Feature.PATH, "call chain that asks", "path", START, CallPath.FLUSH, Scale.ONE_HOT,
        "the call chain; INTERRUPTED: RAX bits 63:32", _FREE,
    ),
    FeatureRow(
        Feature.LEAF, "SEAMCALL that came back", "leaf", 0, LAST_SEAMCALL, Scale.ONE_HOT,
        _HERE, _FREE,
    ),
    FeatureRow(
        Feature.OPERAND, "operand id of the status: which lock", "operand", 0, Operand.MIG,
        Scale.ONE_HOT, "RAX bits 31:0; Linux 6.16 masks them away (tdx_operand_busy)", _FREE,
    ),
    FeatureRow(
        Feature.LEVEL, "level of the S-EPT entry (0 4K, 1 2M)", "level", 0, 3, Scale.LINEAR,
        _HERE, _FREE,
    ),
    FeatureRow(
        Feature.ENTRY_STATE, "state of the S-EPT entry, -1: none", "state", NONE,
        EntryState.NL_MAPPED, Scale.ONE_HOT,
        "RDX of the failed MEM call: an unlocked snapshot, may be stale", _FREE,
    ),
    FeatureRow(
        Feature.ISSUES, "issues of this SEAMCALL so far", "issues", 0, _MANY, Scale.LOG2,
        _HERE, _FREE,
    ),
    FeatureRow(
        Feature.KICKS, "kicks during this SEAMCALL so far", "kicks", 0, _VCPUS, Scale.LOG2,
        _HERE, _FREE,
    ),
    FeatureRow(
        Feature.TRY_CYCLES, "duration of the last busy try", "cycles", 0, _SHORT, Scale.LOG2,
        "TSC before and after the SEAMCALL", _TSC,
    ),
    FeatureRow(
        Feature.BUSY_CYCLES, "own time in busy tries of this SEAMCALL", "cycles", 0, _LONG,
        Scale.LOG2, "sum of the durations", _TSC,
    ),
    FeatureRow(
        Feature.CALL_CYCLES, "since the first issue of this SEAMCALL", "cycles", 0, _LONG,
        Scale.LOG2, "TSC at the first try", _TSC,
    ),
    FeatureRow(
        Feature.OPERATION_CYCLES, "since the fault or the page's zap began", "cycles", 0,
        _LONG, Scale.LOG2, "TSC at the start of the operation", _TSC,
    ),
    FeatureRow(
        Feature.OPERATION_BUSIES, "busy replies in this operation so far", "replies", 0, _MANY,
        Scale.LOG2, _HERE, _FREE,
    ),
    FeatureRow(
        Feature.N_VCPUS, "vCPUs of the TD", "vCPUs", 0, _VCPUS, Scale.LOG2,
        "kvm->online_vcpus", "one shared cache line",
    ),
    FeatureRow(
        Feature.N_IN_GUEST, "vCPUs in guest mode, own one excluded", "vCPUs", 0, _VCPUS,
        Scale.LOG2, "vcpu->mode of every vCPU, racy",
        "one cache line per vCPU; or a VM-wide counter",
    ),
    FeatureRow(
        Feature.GATES, "threads that hold the gate now", "threads", 0, _VCPUS, Scale.LOG2,
        "wait_for_sept_zap, as a counter", "one shared cache line",
    ),
    FeatureRow(
        Feature.MMU_CONTENDED, "somebody waits for the mmu_lock held", "flag", 0, 1, Scale.LINEAR,
        "rwlock_is_contended(), rwlock_needbreak()", "one shared cache line",
    ),
    FeatureRow(
        Feature.HAS_EVENTS, "own vCPU has an interrupt pending", "flag", 0, 1, Scale.LINEAR,
        "kvm_vcpu_has_events()", "a few own cache lines",
    ),
    FeatureRow(
        Feature.ACCEPT_FAULT, "the fault came from ACCEPT or ATTR", "flag", 0, 1, Scale.LINEAR,
        "extended exit qualification of VP.ENTER", _FREE,
    ),
    FeatureRow(
        Feature.REPEATS, "unresolved faults in a row on this vCPU", "faults", 0, _MANY, Scale.LOG2,
        "own count per vCPU, by GPA", "one own cache line",
    ),
    FeatureRow(
        Feature.PAGES_LEFT, "pages left in the zap or build request", "pages", 0, (1 << 20) - 1,
        Scale.LOG2, _HERE, _FREE,
    ),
    FeatureRow(
        Feature.TRY_TREE, "average busy try on SEPT_TREE", "cycles", 0, _SHORT, Scale.LOG2,
        _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.TRY_ENTRY, "average busy try on an entry", "cycles", 0, _SHORT, Scale.LOG2,
        _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.TRY_EPOCH, "average busy try on TD_EPOCH", "cycles", 0, _SHORT, Scale.LOG2,
        _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.TRIES_TREE, "average tries to success on SEPT_TREE", f"1/{TRIES_UNIT}", 0,
        (1 << 20) - 1, Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.TRIES_ENTRY, "average tries to success on an entry", f"1/{TRIES_UNIT}", 0,
        (1 << 20) - 1, Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.TRIES_EPOCH, "average tries to success on TD_EPOCH", f"1/{TRIES_UNIT}", 0,
        (1 << 20) - 1, Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.KICK_SEND_TARGET, "average cost of one more IPI", "cycles", 0,
        _SHORT, Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.KICK_WAIT, "average wait after a kick's last IPI", "cycles", 0, _SHORT,
        Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.KICK_TARGET, "average trip of a kicked vCPU", "cycles", 0, _SHORT,
        Scale.LOG2, _AVERAGE, _UPKEEP,
    ),
)  # fmt: skip

# What is asked at flush points has these columns behind the others. At busy replies they are 0.
FLUSH_FEATURES = (
    FeatureRow(
        Feature.BLOCKED, "pages blocked in this batch", "pages", 0, PAGES_PER_2M, Scale.LOG2,
        _HERE, _FREE,
    ),
    FeatureRow(
        Feature.BATCH_CYCLES, "since the batch's first page was begun", "cycles", 0, _LONG,
        Scale.LOG2, "TSC at the batch's start", _TSC,
    ),
    FeatureRow(
        Feature.HELD_CYCLES, "since mmu_lock was taken", "cycles", 0, _LONG, Scale.LOG2,
        "TSC when mmu_lock was taken", _TSC,
    ),
    FeatureRow(
        Feature.CONTENDED_CYCLES, "since this batch first saw a waiter", "cycles", 0, _LONG,
        Scale.LOG2, "TSC when rwlock_is_contended() was first true", _TSC,
    ),
    FeatureRow(
        Feature.NEED_RESCHED, "another thread is to have the CPU", "flag", 0, 1, Scale.LINEAR,
        "need_resched()", "one own cache line",
    ),
    FeatureRow(
        Feature.FROZEN_FAULTS, "faults that met a FROZEN SPTE meanwhile", "faults", 0, _MANY,
        Scale.LOG2, "own count, VM-wide", "one shared cache line a fault",
    ),
    FeatureRow(
        Feature.FLUSH_SEND, "average time of TRACK's kick", "cycles", 0, _SHORT, Scale.LOG2,
        _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.FLUSH_TARGET, "average trip of a vCPU it stops", "cycles", 0, _SHORT, Scale.LOG2,
        _AVERAGE, _UPKEEP,
    ),
    FeatureRow(
        Feature.WAIT_GAP, "estimated gap between waiters", "cycles", 0, _LONG, Scale.LOG2,
        "own running averages: batch up to its first waiter, share with one", _UPKEEP,
    ),
)  # fmt: skip
