"""The tables of a scenario file but its groups and tasks: frozen models, and what all share.

A field's description ends in its unit in brackets, if it has one. Ranges are drawn anew each
episode.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from tdx_env.module.versions import DEFAULT_VERSION, TRAINED_VERSIONS
from tdx_env.module.zero_step import EPF_THRESHOLD, GPA_LIST_SIZE
from tdx_env.scenarios.values import (
    AUTO,
    EACH,
    Choice,
    KernelName,
    ModuleNames,
    Range,
    Sizes,
    Span,
    Whole,
    refuse,
)
from tdx_env.state.costs import Cost
from tdx_env.state.kernels import DEFAULT_KERNEL
from tdx_env.state.setup import MAX_IPI_CLUSTER, MAX_PCPUS, MAX_SOCKETS, PAGES_PER_2M

MAX_VCPUS = 248  # the largest TD anybody has reported numbers of (dstack, 2026)
MAX_ITEMS = 10**6
MAX_US = 10**7
_MAX_CYCLES = 10**9
MAX_THINK_CYCLES = 10**10
_MAX_EPISODE_US = 10**9

COST_NAMES = tuple(cost.name.lower() for cost in Cost)
_WITH_4K = ("empty", "free", "pending_4k", "mapped_4k")  # an area's beginnings, by page size
_WITH_2M = ("empty", "pending_2m", "mapped_2m")
MAPPED_2M = ("pending_2m", "mapped_2m")
NONE_DRAWN = Range(low=0, high=0)
LAYOUT = (
    "which pages are whose: own (a block each), interleaved (page by page in turn), regions "
    "(a block each, starting at a 2M region of its own), shared (all work on the same)"
)
# Keys that several kinds of groups and tasks have.
Items = Annotated[Range, Span(1, MAX_ITEMS)]
Think = Annotated[
    Range,
    Span(0, MAX_THINK_CYCLES),
    Field(description="time before each item [cycles]"),
]
AreaName = Annotated[StrictStr, Field(description="area that its pages are in")]
Level = Annotated[int, Whole(0, 1), Field(description="size of its pages: 0 for 4K, 1 for 2M")]
Chunk = Annotated[
    int,
    Whole(1, PAGES_PER_2M),
    Field(description="pages of one item (level 1: 2M pages) [pages]"),
]


IN_PLACE: Any = Field(
    default=False,
    description="the conversion is one in place: it holds the lock of the guest_memfd file, for "
    "which faults sleep",
)


class FileTable(BaseModel):
    """A table of a scenario file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def initials_of(level: int, splits: bool) -> tuple[str, ...]:
    """Return what the area of a group or task may begin as.

    Args:
        level: The size of its pages: 0 for 4K, 1 for 2M.
        splits: Whether 2M pages come apart under it.
    """
    if level == 1:
        return _WITH_2M
    return (*_WITH_4K, *MAPPED_2M) if splits else _WITH_4K


def models_of(union: Any, key: str) -> dict[str, Any]:
    """Return the models of a discriminated union by the word that a file has for each.

    Args:
        union: As pydantic takes it: the models, annotated with the key.
        key: The key that holds the word.
    """
    models = get_args(get_args(union)[0])
    return {get_args(model.model_fields[key].annotation)[0]: model for model in models}


class CostRange(FileTable):
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


class Host(FileTable):
    """KVM and its machine."""

    kernel: Annotated[str, KernelName()] = Field(
        default=DEFAULT_KERNEL, description="version of KVM whose rules hold"
    )
    dynamic_pamt: Literal["static", "locked", "fast"] = Field(
        default="static",
        description="PAMT: all of it from the start (static), or by need, with pages counted under "
        "a lock of the whole host (locked, as queued for 7.4), or without it but for a block's "
        "first and last page (fast, posted and not merged)",
    )
    n_vcpus: Annotated[Range | Choice, Sizes(1, MAX_VCPUS)] = Field(
        description="vCPUs of the TD; choices and weights (as many, not negative, not all 0): one "
        "of these sizes, as often as its weight says"
    )
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
    irq_off_window_us: Annotated[int, Whole(1, MAX_US)] = Field(
        default=1_000, description="window that has one irq-off section or none [µs]"
    )
    timeout_exit: Literal["stop", "enter"] = Field(
        default="stop",
        description="what user space does with an exit that KVM doesn't know, "
        "HOST_PRIORITY_BUSY_TIMEOUT: stop the TD (QEMU), or enter it again",
    )
    freezes_sptes: StrictBool = Field(
        default=True,
        description="a fault freezes the SPTE of the page that it adds, as KVM does; false: two "
        "faults may add one page at once",
    )
    break_on_contention: StrictBool = Field(
        default=True,
        description="a zap drops mmu_lock between pages when others queue for it: preemptible "
        "kernels (rwlock_needbreak)",
    )
    resched: Literal["never", "vcpus", "all"] = Field(
        default="never",
        description="a zap drops mmu_lock between pages when its thread's slice is over and "
        "another thread wants the CPU (need_resched): never modelled, for vCPU threads that share "
        "CPUs, or for host tasks too, whose CPUs another thread then always wants",
    )


class Module(FileTable):
    """The TDX module."""

    version: Annotated[tuple[str, ...], ModuleNames()] = Field(
        default=(DEFAULT_VERSION,),
        description="version of the module, or a list of which each episode draws one; left out, "
        f"train draws from {', '.join(TRAINED_VERSIONS)}",
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
        description="guest calls lock FREE entries too (hypothetical-no-free-lock never does)",
    )


class Guest(FileTable):
    """The TD's attributes."""

    sept_ve_disable: StrictBool = Field(
        default=True, description="SEPT_VE_DISABLE: a touched PENDING page kills the TD (else #VE)"
    )


class Limits(FileTable):
    """When an episode ends without being finished, and what the reward counts."""

    stall_us: Annotated[int, Whole(1_000, MAX_US)] = Field(
        description="an episode without progress for so long hangs [µs]"
    )
    time_cap_us: Annotated[int, Whole(1_000, _MAX_EPISODE_US)] = Field(
        description="longest episode [µs]"
    )
    preempt_limit_us: Annotated[int, Whole(1, MAX_US)] = Field(
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
    reward_scale_v1: Annotated[int | None, Whole(1, 10**12)] = Field(
        default=None,
        description="the same from version 1 of the environment on: the mean cost, by cpu, of an "
        "episode of the train split whose zaps flush when somebody waits for mmu_lock, measured by "
        "tdx-eval scale [cycles]",
    )


class Area(FileTable):
    """Guest memory that begins in one state."""

    initial: Literal["empty", "free", "pending_4k", "mapped_4k", "pending_2m", "mapped_2m"] = Field(
        description="S-EPT and mirror at the start; empty: no tables either"
    )
    n_regions: Annotated[int | Literal["auto"], Whole(1, 1 << 18, (AUTO,))] = Field(
        default=AUTO, description="size; auto: what groups and tasks need [2M regions]"
    )
