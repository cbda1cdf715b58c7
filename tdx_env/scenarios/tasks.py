"""Host tasks: a model for each kind of work, with the keys that this kind has and no others.

The class of a task says what else depends on its kind: which pages it works on, what it removes,
splits or builds there. A kind is added as a class here and a row of `AnyTask`.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictBool, StrictStr

from tdx_env.scenarios.tables import (
    IN_PLACE,
    LAYOUT,
    MAX_ITEMS,
    MAX_THINK_CYCLES,
    MAX_US,
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
from tdx_env.scenarios.values import Range, Span, Whole
from tdx_env.state.setup import PAGES_PER_2M

_MIN_GET_CYCLES = 1_000  # a fault takes longer
_MIN_INTERRUPT_US = 1  # a mean gap below that is less than one handler takes
_Interrupts = Annotated[
    Range,
    Span(_MIN_INTERRUPT_US, MAX_US, has_zero=True),
    Field(
        description="mean gap of the interrupts of its CPU, which end an interruptible SEAMCALL, "
        "0: none [µs]"
    ),
]

_KIND: Any = Field(description="what it does")


class HostTask(FileTable):
    """Host threads that do one kind of work."""

    builds: ClassVar[bool] = False  # the TD is being built as long as it works

    kind: Annotated[StrictStr, _KIND]
    count: Annotated[Range, Span(1, 64)] = Field(
        default=Range(low=1, high=1), description="threads at it"
    )
    think_cycles: Think = NONE_DRAWN


class OtherTds(HostTask):
    """vCPUs of other TDs that get pages, for ever: load on Dynamic PAMT's lock."""

    kind: Annotated[Literal["other_tds"], _KIND]
    think_cycles: Annotated[
        Range,
        Span(_MIN_GET_CYCLES, MAX_THINK_CYCLES),
        Field(description="between two pages of one vCPU [cycles]"),
    ]
    block_pages: Annotated[int, Whole(1, PAGES_PER_2M)] = Field(
        default=PAGES_PER_2M,
        description="every so many pages of a vCPU one is the first of its 2M block [pages]",
    )


class Finite(HostTask):
    """A task with work items, which end."""

    items: Items = Field(description="work items of each thread")


class InitVcpu(Finite):
    """Creates and initialises vCPUs, one an item."""

    builds: ClassVar[bool] = True

    kind: Annotated[Literal["init_vcpu"], _KIND]


class Placed(Finite):
    """A task on pages of an area."""

    unmaps: ClassVar[bool] = False  # takes pages away, for good or for a while
    splits: ClassVar[bool] = False  # splits a 2M mapping where it works at 4K

    area: AreaName
    layout: Literal["own", "regions", "shared"] = Field(default="own", description=LAYOUT)

    @property
    def page_level(self) -> int:
        """The size of its pages: 0 for 4K, 1 for 2M."""
        return 0

    @property
    def item_pages(self) -> int:
        """How many pages of its level one item is about."""
        return 1

    @property
    def initials(self) -> tuple[str, ...]:
        """What its area may begin as."""
        return initials_of(self.page_level, self.splits)


class Build(Placed):
    """Adds and measures pages, a chunk an item."""

    builds: ClassVar[bool] = True

    kind: Annotated[Literal["build"], _KIND]
    chunk: Chunk = 1

    @property
    def item_pages(self) -> int:
        """How many pages one item is about."""
        return self.chunk

    @property
    def initials(self) -> tuple[str, ...]:
        """What its area may begin as."""
        return ("free",)


class Following(Placed):
    """A task that may wait for vCPUs of a group, and then works on their pages."""

    trigger_group: StrictStr | None = Field(
        default=None, description="group whose vCPUs it waits for; it then works on their pages"
    )
    trigger_period: Annotated[int, Whole(1, MAX_ITEMS)] = Field(
        default=1, description="item i waits until the vCPU has begun its item i × period"
    )
    trigger_lead: Annotated[int, Whole(0, MAX_ITEMS)] = Field(
        default=0, description="it works on the page that comes so many items later"
    )


class BlockRestore(Following):
    """Blocks a page, waits, unblocks it."""

    unmaps: ClassVar[bool] = True

    kind: Annotated[Literal["block_restore"], _KIND]
    level: Level = 0
    hold_us: Annotated[Range, Span(0, MAX_US)] = Field(
        description="how long a page stays blocked [µs]"
    )

    @property
    def page_level(self) -> int:
        """The size of its pages: 0 for 4K, 1 for 2M."""
        return self.level


class Export(Following):
    """Live migration: blocks pages for writing and exports them, a list an item."""

    kind: Annotated[Literal["export"], _KIND]
    chunk: Chunk = 1
    device_us: _Interrupts = NONE_DRAWN

    @property
    def item_pages(self) -> int:
        """How many pages one item is about."""
        return self.chunk

    @property
    def initials(self) -> tuple[str, ...]:
        """What its area may begin as."""
        return ("pending_4k", "mapped_4k")


class Ranged(Following):
    """A task on chunks of pages of either size."""

    level: Level = 0
    chunk: Chunk = 1

    @property
    def page_level(self) -> int:
        """The size of its pages: 0 for 4K, 1 for 2M."""
        return self.level

    @property
    def item_pages(self) -> int:
        """How many pages of its level one item is about."""
        return self.chunk


class Prefault(Ranged):
    """KVM_PRE_FAULT_MEMORY: adds pages before the guest asks for them, a chunk an item."""

    kind: Annotated[Literal["prefault"], _KIND]


class Zap(Ranged):
    """Removes pages, a chunk an item."""

    unmaps: ClassVar[bool] = True
    splits: ClassVar[bool] = True

    kind: Annotated[Literal["zap"], _KIND]
    is_shared_after: StrictBool = Field(
        default=False, description="a fault on its pages only exits to user space from then on"
    )
    in_place: StrictBool = IN_PLACE
    device_us: _Interrupts = NONE_DRAWN


class SlotDelete(Ranged):
    """Deletes a memslot and creates it anew, a chunk of its pages an item."""

    unmaps: ClassVar[bool] = True
    splits: ClassVar[bool] = True

    kind: Annotated[Literal["slot_delete"], _KIND]
    device_us: _Interrupts = NONE_DRAWN


AnyTask = Annotated[
    Zap | BlockRestore | Build | Export | SlotDelete | Prefault | InitVcpu | OtherTds,
    Field(discriminator="kind"),
]
KINDS: dict[str, type[HostTask]] = models_of(AnyTask, "kind")
