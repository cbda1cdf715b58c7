"""Groups of vCPUs: a model for each program, with the keys that this program has and no others.

The class of a group says what else depends on its program: which pages it works on, what it
removes or splits there. A program is added as a class here and a row of `AnyGroup`.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictBool, StrictStr

from tdx_env.scenarios.tables import (
    IN_PLACE,
    LAYOUT,
    MAX_ITEMS,
    MAX_US,
    MAX_VCPUS,
    NONE_DRAWN,
    AreaName,
    Chunk,
    FileTable,
    Items,
    Level,
    Think,
    initials_of,
    models_of,
)
from tdx_env.scenarios.values import REST, Range, Span, Whole

_MIN_INTERRUPT_US = 5  # beyond some 100,000 interrupts a second a vCPU does nothing else
_MAX_ARM = 10**6  # cycles
_Gap = Annotated[Range, Span(_MIN_INTERRUPT_US, MAX_US, has_zero=True)]

_PROGRAM: Any = Field(description="what its vCPUs run")


class Group(FileTable):
    """vCPUs that run one program."""

    program: Annotated[StrictStr, _PROGRAM]
    count: Annotated[Range | Literal["rest"], Span(1, MAX_VCPUS, (REST,))] = Field(
        description="vCPUs; rest: all that no other group has"
    )


class Parked(Group):
    """vCPUs of a TD that is being built: they can't run yet."""

    program: Annotated[Literal["parked"], _PROGRAM]


class Running(Group):
    """vCPUs that run, and are interrupted."""

    tick_us: _Gap = Field(
        default=NONE_DRAWN, description="period of its timer interrupts, 0: none [µs]"
    )
    arm_cycles: Annotated[int, Whole(0, _MAX_ARM)] = Field(
        default=0,
        description="in the guest, from a tick to the TDVMCALL that arms the next, 0: no TD exit"
        " for that [cycles]",
    )
    host_tick_us: _Gap = Field(
        default=NONE_DRAWN,
        description="period of the timer interrupts of the host's own, 0: nohz_full [µs]",
    )
    device_us: _Gap = Field(
        default=NONE_DRAWN, description="mean gap of device interrupts, 0: none [µs]"
    )
    hostile: StrictBool = Field(
        default=False,
        description="a hostile guest's vCPUs: what they lose is their own fault and nobody's cost",
    )
    signal_every: Annotated[int, Whole(0, MAX_ITEMS)] = Field(
        default=0,
        description="every so many device interrupts a signal sends KVM to user space, 0: never",
    )


class Compute(Running):
    """vCPUs that compute, for ever."""

    program: Annotated[Literal["compute"], _PROGRAM]


class Thinking(Running):
    """vCPUs that compute for a while before they do something."""

    think_cycles: Think = NONE_DRAWN


class Idle(Thinking):
    """vCPUs that halt, for ever."""

    program: Annotated[Literal["idle"], _PROGRAM]


class Hammer(Thinking):
    """vCPUs that repeat a TDCALL on whatever entry the host works on, for ever."""

    program: Annotated[Literal["hammer"], _PROGRAM]
    leaf: Literal["accept", "attr_rd", "attr_wr"] = Field(
        description="TDCALL that it repeats on whatever entry the host works on"
    )


class Working(Thinking):
    """vCPUs that have work items, on pages of an area."""

    unmaps: ClassVar[bool] = False  # takes pages away, for good or for a while
    splits: ClassVar[bool] = False  # splits a 2M mapping where it works at 4K

    items: Items = Field(description="work items of each vCPU")
    area: AreaName
    level: Level = 0
    layout: Literal["own", "interleaved", "regions", "shared"] = Field(
        default="own", description=LAYOUT
    )

    @property
    def page_level(self) -> int:
        """The size of its pages: 0 for 4K, 1 for 2M."""
        return self.level

    @property
    def item_pages(self) -> int:
        """How many pages of its level one item is about."""
        return 1

    @property
    def initials(self) -> tuple[str, ...]:
        """What its area may begin as."""
        return initials_of(self.level, self.splits)


class Touch(Working):
    """vCPUs that touch pages, one an item."""

    program: Annotated[Literal["touch"], _PROGRAM]
    same_rip: StrictBool = Field(
        default=False,
        description="all items are one instruction (rep movs): no progress to zero-step",
    )

    @property
    def initials(self) -> tuple[str, ...]:
        """What its area may begin as: a page of any size can be touched."""
        return initials_of(0, splits=True)


class Accept(Working):
    """vCPUs that accept pages, one an item."""

    splits: ClassVar[bool] = True

    program: Annotated[Literal["accept"], _PROGRAM]
    when_refused: Literal["repeat", "fall_back"] = Field(
        default="repeat",
        description="what the guest makes of a refused ACCEPT (OPERAND_BUSY): repeat it after a "
        "pause, or fall_back, as Linux does: from a 2M page to its 4K pages, from a 4K page to a "
        "panic",
    )


class Convert(Working):
    """vCPUs that ask for the conversion of pages from private to shared, a chunk an item."""

    unmaps: ClassVar[bool] = True
    splits: ClassVar[bool] = True

    program: Annotated[Literal["convert"], _PROGRAM]
    chunk: Chunk = 1
    is_shared_after: StrictBool = Field(
        default=True,
        description="converted pages stay shared: a fault on them only exits to user space",
    )
    in_place: StrictBool = IN_PLACE

    @property
    def item_pages(self) -> int:
        """How many pages of its level one item is about."""
        return self.chunk


AnyGroup = Annotated[
    Compute | Idle | Touch | Accept | Convert | Hammer | Parked, Field(discriminator="program")
]
PROGRAMS: dict[str, type[Group]] = models_of(AnyGroup, "program")
