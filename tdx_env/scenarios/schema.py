"""What a scenario file holds: frozen models, one for each table of the file.

A field's description ends in its unit in brackets, if it has one. Ranges are drawn anew each
episode. What fits together across fields is checked in `tdx_env.scenarios.checks`; which keys a
kind of group or task has stands in `tdx_env.scenarios.kinds`.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from tdx_env.module.seamcalls import DEFAULT_VERSION, MODULE_VERSIONS
from tdx_env.module.zero_step import EPF_THRESHOLD, GPA_LIST_SIZE
from tdx_env.scenarios import checks, record
from tdx_env.scenarios.values import (
    AUTO,
    EACH,
    REST,
    Bands,
    OneOf,
    Range,
    Span,
    Whole,
    Word,
    refuse,
)
from tdx_env.state.setup import MAX_IPI_CLUSTER, MAX_PCPUS, MAX_SOCKETS, PAGES_PER_2M

SCHEMA_VERSION = 1
MAX_VCPUS = 248  # the largest TD anybody has reported numbers of (dstack, 2026)
SPLITS = ("train", "validation", "test")
_MAX_CYCLES = 10**9
_MAX_THINK_CYCLES = 10**10
_MAX_ITEMS = 10**6
_MAX_US = 10**7
_MAX_EPISODE_US = 10**9
_MIN_INTERRUPT_US = 5  # beyond some 100,000 interrupts a second a vCPU does nothing else
_MIN_HOST_INTERRUPT_US = 1  # a mean gap below that is less than one handler takes

Layout = Literal["own", "interleaved", "regions", "shared"]
_LAYOUT = (
    "which pages are whose: own (a block each), interleaved (page by page in turn), regions "
    "(a block each, starting at a 2M region of its own), shared (all work on the same)"
)
_LEVEL = "size of its pages: 0 for 4K, 1 for 2M"
_CHUNK = "pages of one item (level 1: 2M pages) [pages]"
_THINK = "time before each item [cycles]"


class Table(BaseModel):
    """A table of a scenario file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CostRange(Table):
    """A duration, drawn once an episode from the allowed bands between low and high."""

    low: StrictInt = Field(description="smallest value [cycles]")
    high: StrictInt = Field(description="largest value [cycles]")
    source: Literal["measured", "derived", "stated", "guessed", "user"] = Field(
        description="what the range rests on"
    )
    by: StrictStr = Field(min_length=1, description="who says so, where, or why")

    @model_validator(mode="before")
    @classmethod
    def _is_range(cls, data: Any) -> Any:
        """Check low and high together, so that there is one error for both."""
        if not isinstance(data, Mapping):
            raise refuse("a table with low, high, source and by")
        if {"low", "high"} <= data.keys():
            Span(0, _MAX_CYCLES).check({"low": data["low"], "high": data["high"]})
        return data


class Host(Table):
    """KVM and its machine."""

    n_vcpus: Annotated[Range, Span(1, MAX_VCPUS)] = Field(description="vCPUs of the TD")
    n_pcpus: Annotated[Range | Literal["each"], Span(1, MAX_PCPUS, (EACH,))] = Field(
        default=EACH,
        description="CPUs that the vCPU threads share; each: every vCPU has one of its own",
    )
    n_sockets: Annotated[int, Whole(1, MAX_SOCKETS)] = Field(
        default=1, description="sockets that the vCPUs are spread over; host tasks run on the first"
    )
    ipi_cluster: Annotated[int, Whole(1, MAX_IPI_CLUSTER)] = Field(
        default=MAX_IPI_CLUSTER,
        description="consecutive CPUs of a socket that one write of the ICR interrupts; "
        "1: physical mode, or scattered vCPUs",
    )
    irq_off_share: Annotated[int, Whole(0, 1_000)] = Field(
        default=0, description="windows with an irq-off section, on each vCPU's CPU [1/1000]"
    )
    irq_off_window_us: Annotated[int, Whole(1, _MAX_US)] = Field(
        default=1_000, description="window that has one irq-off section or none [µs]"
    )
    break_on_contention: StrictBool = Field(
        default=True, description="a zap drops mmu_lock between pages when others queue for it"
    )


class Module(Table):
    """The TDX module."""

    version: Annotated[str, OneOf(tuple(MODULE_VERSIONS))] = Field(
        default=DEFAULT_VERSION, description="table of locks that the calls follow"
    )
    zero_step_threshold: Annotated[int, Whole(0, 1000)] = Field(
        default=EPF_THRESHOLD, description="EPT violations at one RIP that only count"
    )
    zero_step_capacity: Annotated[int, Whole(1, GPA_LIST_SIZE)] = Field(
        default=GPA_LIST_SIZE, description="GPAs that a vCPU's zero-step list holds"
    )
    hp_timeout_us: Annotated[int, Whole(10_000, 100_000_000)] = Field(
        default=1_000_000,
        description="HP_LOCK_TIMEOUT: host priority may refuse a guest so long [µs]",
    )
    guests_lock_free: StrictBool = Field(
        default=True,
        description="guest calls lock FREE entries too (version 1.5-no-free-lock never does)",
    )


class Guest(Table):
    """The TD's attributes."""

    sept_ve_disable: StrictBool = Field(
        default=True, description="SEPT_VE_DISABLE: a touched PENDING page kills the TD (else #VE)"
    )


class Limits(Table):
    """When an episode ends without being finished, and what the reward counts."""

    stall_us: Annotated[int, Whole(1_000, _MAX_US)] = Field(
        description="an episode without progress for so long hangs [µs]"
    )
    time_cap_us: Annotated[int, Whole(1_000, _MAX_EPISODE_US)] = Field(
        description="longest episode [µs]"
    )
    preempt_limit_us: Annotated[int, Whole(1, _MAX_US)] = Field(
        default=1_000,
        description="non-preemptible time beyond this in one stretch is a penalty [µs]",
    )
    yield_weight: Annotated[int, Whole(0, 1)] = Field(
        default=1,
        description="whether off-CPU time of an unfinished operation counts as waste: 0 or 1",
    )
    reward_scale: Annotated[int, Whole(1, 10**12)] = Field(
        description="waste that costs a reward of 1 [cycles]"
    )


class Area(Table):
    """Guest memory that begins in one state."""

    initial: Literal["empty", "free", "pending_4k", "mapped_4k", "pending_2m", "mapped_2m"] = Field(
        description="S-EPT and mirror at the start; empty: no tables either"
    )
    n_regions: Annotated[int | Literal["auto"], Whole(1, 1 << 18, (AUTO,))] = Field(
        default=AUTO, description="size; auto: what groups and tasks need [2M regions]"
    )


class Group(Table):
    """vCPUs that run one program."""

    program: Literal["compute", "idle", "touch", "accept", "convert", "hammer", "parked"] = Field(
        description="what its vCPUs run"
    )
    count: Annotated[Range | Literal["rest"], Span(1, MAX_VCPUS, (REST,))] = Field(
        description="vCPUs; rest: all that no other group has"
    )
    items: Annotated[Range | None, Span(1, _MAX_ITEMS)] = Field(
        default=None, description="work items of each vCPU"
    )
    think_cycles: Annotated[Range, Span(0, _MAX_THINK_CYCLES)] = Field(
        default=Range(low=0, high=0), description=_THINK
    )
    area: StrictStr | None = Field(default=None, description="area that its pages are in")
    level: Annotated[int, Whole(0, 1)] = Field(default=0, description=_LEVEL)
    layout: Layout = Field(default="own", description=_LAYOUT)
    chunk: Annotated[int, Whole(1, PAGES_PER_2M)] = Field(default=1, description=_CHUNK)
    is_shared_after: StrictBool = Field(
        default=True,
        description="converted pages stay shared: a fault on them only exits to user space",
    )
    same_rip: StrictBool = Field(
        default=False,
        description="all items are one instruction (rep movs): no progress to zero-step",
    )
    leaf: Literal["accept", "attr_rd", "attr_wr"] | None = Field(
        default=None, description="TDCALL that it repeats on whatever entry the host works on"
    )
    tick_us: Annotated[Range, Span(_MIN_INTERRUPT_US, _MAX_US, has_zero=True)] = Field(
        default=Range(low=0, high=0), description="period of its timer interrupts, 0: none [µs]"
    )
    device_us: Annotated[Range, Span(_MIN_INTERRUPT_US, _MAX_US, has_zero=True)] = Field(
        default=Range(low=0, high=0), description="mean gap of device interrupts, 0: none [µs]"
    )
    signal_every: Annotated[int, Whole(0, _MAX_ITEMS)] = Field(
        default=0,
        description="every so many device interrupts a signal sends KVM to user space, 0: never",
    )


class Task(Table):
    """Host threads that do one kind of work."""

    kind: Literal[
        "zap", "block_restore", "build", "export", "slot_delete", "prefault", "init_vcpu"
    ] = Field(description="what it does")
    count: Annotated[Range, Span(1, 64)] = Field(Range(low=1, high=1), description="threads at it")
    items: Annotated[Range, Span(1, _MAX_ITEMS)] = Field(description="work items of each thread")
    think_cycles: Annotated[Range, Span(0, _MAX_THINK_CYCLES)] = Field(
        default=Range(low=0, high=0), description=_THINK
    )
    area: StrictStr | None = Field(default=None, description="area that its pages are in")
    level: Annotated[int, Whole(0, 1)] = Field(default=0, description=_LEVEL)
    layout: Literal["own", "regions", "shared"] = Field(default="own", description=_LAYOUT)
    chunk: Annotated[int, Whole(1, PAGES_PER_2M)] = Field(default=1, description=_CHUNK)
    is_shared_after: StrictBool = Field(
        default=False, description="a fault on its pages only exits to user space from then on"
    )
    hold_us: Annotated[Range | None, Span(0, _MAX_US)] = Field(
        default=None, description="how long a page stays blocked [µs]"
    )
    trigger_group: StrictStr | None = Field(
        default=None, description="group whose vCPUs it waits for; it then works on their pages"
    )
    trigger_period: Annotated[int, Whole(1, _MAX_ITEMS)] = Field(
        default=1, description="item i waits until the vCPU has begun its item i × period"
    )
    trigger_lead: Annotated[int, Whole(0, _MAX_ITEMS)] = Field(
        default=0, description="it works on the page that comes so many items later"
    )
    device_us: Annotated[Range, Span(_MIN_HOST_INTERRUPT_US, _MAX_US, has_zero=True)] = Field(
        default=Range(low=0, high=0),
        description="mean gap of the interrupts of its CPU, which end an interruptible SEAMCALL, "
        "0: none [µs]",
    )


class Scenario(Table):
    """A scenario, resolved: one split, all costs, all overrides.

    Its name is what `load` takes: ``family-slug/split`` for those of the package.
    """

    schema_version: Annotated[int, Whole(SCHEMA_VERSION, SCHEMA_VERSION)] = Field(
        description="version of this file format"
    )
    name: Annotated[
        str, Word(r"[a-z0-9]+(-[a-z0-9]+)*(/[a-z]+)?", "lower-case words joined by hyphens")
    ] = Field(description="name, the split included")
    family: Annotated[
        str, Word(r"S([1-9]|1[0-9]|2[0-2])|own", 'a family from S1 to S22, or "own"')
    ] = Field(description="scenario family")
    title: StrictStr = Field(min_length=1, description="a few words")
    description: StrictStr = Field(min_length=1, description="what it answers, what is expected")
    is_control: StrictBool = Field(
        default=False, description="has few decisions by nature and is reported apart"
    )
    decisions: Annotated[Range | None, Span(0, 10**6)] = Field(
        default=None, description="decisions of most episodes under blind retry, as calibrated"
    )
    clock_khz: Annotated[int, Whole(100_000, 10_000_000)] = Field(
        default=2_500_000, description="TSC frequency [kHz]"
    )
    cost_bands: Annotated[tuple[int, ...], Bands()] = Field(
        default=tuple(range(10)), description="tenths of every cost range that are drawn from"
    )
    host: Host
    module: Module = Module()
    guest: Guest = Guest()
    limits: Limits
    areas: dict[str, Area]
    groups: dict[str, Group]
    tasks: dict[str, Task] = {}
    costs: dict[str, CostRange]

    @model_validator(mode="after")
    def _fits_together(self) -> "Scenario":
        checks.check(self)
        return self

    def setup(self) -> NDArray[np.void]:
        """Return the scenario as the kernel reads it: dtype SETUP, shape (1,)."""
        return record.setup_record(self)

    def cycles(self, us: int) -> int:
        """Return a time in cycles of the scenario's clock."""
        return us * self.clock_khz // 1_000


def digest(scenario: Scenario) -> str:
    """Return a hash of the resolved content, for report manifests."""
    content = json.dumps(scenario.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:16]
