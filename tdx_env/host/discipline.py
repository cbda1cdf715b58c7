"""The host discipline as users write it, and its default."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tdx_env.errors import N_NEAREST, one_of
from tdx_env.host.flush_table import DECIDED, GREEDY, FlushRule, flush_rule
from tdx_env.state.calls import LAST_SEAMCALL, Leaf
from tdx_env.state.discipline import (
    DISCIPLINE,
    UNLIMITED,
    Asks,
    EnterYield,
    Exhaustion,
    FaultYield,
    GateScope,
    KickFlagged,
    OnFrozen,
    SeamcallLock,
    SplitCheck,
    TrackKick,
)
from tdx_env.state.kernels import KERNELS, OF_SCENARIO, kernel_number, nearest_kernels
from tdx_env.state.setup import PAGES_PER_2M

DEFAULT_KEY = "default"
HOST_LEAVES = tuple(leaf.name for leaf in Leaf if leaf <= LAST_SEAMCALL)
DECISION_CYCLES = {"counter": 10, "tree": 50}
"""What one decision takes, by kind of policy [cycles]; a network's follows its shape.

Source: guess.
"""

_PER_LEAF = ("max_issues", "on_exhaustion", "tree_only", "on_foreign")
_Limit = Annotated[int, Field(ge=1, lt=UNLIMITED)] | Literal["unlimited"]
_Interruptions = Annotated[int, Field(ge=0, lt=UNLIMITED)] | Literal["unlimited"]
_Exhaustion = Literal[
    "kill", "reenter", "local_retry", "user_error", "gated_kick", "gated_kick_once", "swallow"
]


def _per_leaf(default: object) -> BeforeValidator:
    """Return what completes a table: a lone value stands for all leaves, a gap for the default."""

    def complete(given: object) -> dict[str, object]:
        if not isinstance(given, Mapping):
            return {DEFAULT_KEY: given}
        unknown = [str(name) for name in given if name not in (DEFAULT_KEY, *HOST_LEAVES)]
        if unknown:
            must = one_of(unknown[0], (DEFAULT_KEY, *HOST_LEAVES))
            raise ValueError(f"unknown leaf {', '.join(unknown)}, {must}")
        return {DEFAULT_KEY: default, **given}

    return BeforeValidator(complete)


def _known_kernel(name: str | None) -> str | None:
    """Return a kernel's name if the table has it."""
    if name is None or name in KERNELS:
        return name
    raise ValueError(f"must be one of: {', '.join(nearest_kernels(name)[:N_NEAREST])}")


def _flush(given: object) -> object:
    """Return a flush rule as it is kept: a number, a word or a `FlushRule`.

    Raises:
        ValueError: It is none.
    """
    if isinstance(given, Mapping):
        return FlushRule.model_validate(given)
    if isinstance(given, FlushRule) or given in (GREEDY, DECIDED):
        return given
    if isinstance(given, int) and given is not True and 1 <= given <= PAGES_PER_2M:
        return given
    fields = ", ".join(FlushRule.model_fields)
    raise ValueError(
        f"must be from 1 to {PAGES_PER_2M} pages, '{GREEDY}', '{DECIDED}', or a table of {fields}"
    )


class Discipline(BaseModel):
    """What a policy brings along beside its decision function: how the host issues SEAMCALLs.

    Enum values are written as their names in small letters. ``max_issues``, ``on_exhaustion``,
    ``tree_only`` and ``on_foreign`` are tables: a mapping from the name of a leaf to its value,
    where ``default`` stands for all that are not named; a lone value stands for all leaves. The
    defaults of the fields are the discipline that agents get unless they name one: everything in it
    is possible in KVM as it is, in each version that scenarios name: the rules that came with a
    version are the scenario's (`tdx_env.state.kernels`), and a fault looks for a mapping to split
    before it takes mmu_lock for write.

    Source:
        docs/model.md, sections 4 to 6, 8 and 10; the rows that differ: `tdx_agents.catalogue`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    max_issues: Annotated[dict[str, _Limit], _per_leaf(1024)] = Field(
        default={DEFAULT_KEY: 1024},
        description="issues of one SEAMCALL, the first included, or unlimited; the last busy one "
        "asks no decision. 1024: Paolo Bonzini, 10 Sep 2024",
    )
    on_exhaustion: Annotated[dict[str, _Exhaustion], _per_leaf("gated_kick")] = Field(
        default={DEFAULT_KEY: "gated_kick"},
        description="what then happens: KVM_BUG_ON, unwind and re-enter the guest or retry the "
        "fault locally, an error to user space, kick and gate and try again, for ever or as often "
        "as before and then KVM_BUG_ON, or nothing (bug B1: in a split; elsewhere KVM_BUG_ON)",
    )
    tree_only: Annotated[dict[str, bool], _per_leaf(False)] = Field(
        default={DEFAULT_KEY: False},
        description="any operand but SEPT_TREE ends the tries at once. Source: the retry wrapper "
        "of the series v8 to v19, which compares with TDX_ERROR_SEPT_BUSY",
    )
    on_foreign: Annotated[dict[str, _Exhaustion], _per_leaf("kill")] = Field(
        default={DEFAULT_KEY: "kill"},
        description="what then happens. Source: the callers of v19 made KVM_BUG_ON of every error "
        "but TDX_ERROR_SEPT_BUSY",
    )
    seamcall_lock: Literal["never", "always", "after_busy", "mirror"] = Field(
        default="never",
        description="a per-VM lock round the S-EPT SEAMCALLs: none, a spinlock, one taken after "
        "the first busy reply, or a rwlock held as the module holds its tree lock. Source: Isaku "
        "Yamahata, 7 Aug 2022; Paolo Bonzini, 10 Sep 2024; Yan Zhao, 22 May 2025",
    )
    gate_scope: Literal["nothing", "call", "page"] = Field(
        default="call",
        description="how long a decided kick keeps the vCPUs out: not at all, until the call has "
        "succeeded, until the page is gone. Source: Linux 6.16, wait_for_sept_zap",
    )
    gate_first: bool = Field(
        default=False, description="zap kicks and gates before BLOCK. Source: Yan Zhao, 13 Sep 2024"
    )
    on_frozen: Literal["local_retry", "reenter", "walk_again"] = Field(
        default="local_retry", description="what a fault does that meets a FROZEN SPTE"
    )
    walks_again: int = Field(
        default=0, ge=0, le=1000, description="walks repeated under mmu_lock if walk_again"
    )
    fault_yield: Literal["local_retry", "reenter"] = Field(
        default="local_retry", description="what YIELD means in the fault path"
    )
    enter_yield: Literal["fastpath", "barrier"] = Field(
        default="fastpath",
        description="what YIELD means when VP.ENTER was busy: leave the fast path, or take and "
        "drop mmu_lock for write",
    )
    zap_yield: bool = Field(
        default=False, description="YIELD is allowed in the zap path, which needs a KVM change"
    )
    kick_flagged: Literal["never", "busy", "zero_step"] = Field(
        default="never",
        description="a vCPU's next fault kicks before AUG: after a tree-busy VP.ENTER, or after a "
        "synthetic exit too. Source: Sean Christopherson, 9 and 10 Sep 2024",
    )
    track_kick: Literal["after", "before"] = Field(
        default="after",
        description="TRACK's unconditional kick follows it, or comes first and gates it. Source: "
        "Linux 6.16, tdx_track; Isaku Yamahata, series v19, tdh_mem_track",
    )
    flush: Annotated[int | Literal["greedy", "decided"] | FlushRule, BeforeValidator(_flush)] = (
        Field(
            default=1,
            description="when a zap stops blocking pages and stops the vCPUs, by one TRACK and its "
            "kick, to remove all that is blocked: after so many pages, by a table of rules, greedy "
            "(the waiting has reached the price of a flush), or as is decided page by page; but "
            "for 1 it needs a KVM change. Source: KVM tracks each page; batches are a proposal of "
            "this project",
        )
    )
    asks: Literal["busy", "flush", "all"] = Field(
        default="busy",
        description="where somebody is asked: at busy replies, at the flush points of a zap if "
        "flush is decided, or at both. Unasked, a busy call is issued again, and a flush comes "
        "when somebody waits for mmu_lock; it goes with who decides",
    )
    prepopulate: bool = Field(
        default=False,
        description="all private memory is there before the TD runs, which needs a KVM change. "
        "Source: David Matlack, Jan 2023; rejected on the call that was reported on 17 Dec 2024",
    )
    kernel: Annotated[str | None, AfterValidator(_known_kernel)] = Field(
        default=None,
        description="the version of KVM whose rules hold: that of the row's time for rows that are "
        "kernels; none: the scenario's",
    )
    split_check: Literal["flag", "locked"] = Field(
        default="flag",
        description="a fault that asks for 4K takes mmu_lock for write if a 2M mapping is in the "
        "way, or always, to look under the lock. Source: Yan Zhao, 2 Jul 2025",
    )
    split_read: bool = Field(
        default=False,
        description="a fault splits under mmu_lock for read. Source: Yan Zhao, 22 May 2025",
    )
    irqs_off: bool = Field(
        default=False,
        description="SEAMCALLs that an interrupt may end are issued with interrupts off. Source: "
        "Rick Edgecombe, 14 May 2025",
    )
    max_interrupted: _Interruptions = Field(
        default="unlimited",
        description="interruptions of one SEAMCALL that are borne, or unlimited; one more is "
        "KVM_BUG_ON. Source: Linux 6.16, TDX_SEAMCALL_RETRIES",
    )
    enter_irqs_off: bool = Field(
        default=False, description="RETRY of VP.ENTER keeps interrupts off (bug B8)"
    )
    decision_cycles: int = Field(
        default=DECISION_CYCLES["counter"],
        ge=0,
        le=1_000_000_000,
        description="what one decision takes [cycles]",
    )

    def with_(self, **changes: Any) -> Self:
        """Return a copy with some fields replaced.

        A table without ``default`` changes only the leaves that it names.

        Raises:
            ValidationError: A field is unknown or its value not allowed.
        """
        fields = self.model_dump()
        for name in _PER_LEAF:
            given = changes.get(name)
            if isinstance(given, Mapping) and DEFAULT_KEY not in given:
                changes[name] = {**fields[name], **given}
        return self.model_validate({**fields, **changes})

    def limit(self, leaf: Leaf) -> int:
        """Return how often a SEAMCALL may be issued, the first time included."""
        return _count(_of_leaf(self.max_issues, leaf))

    @property
    def needs_kvm_change(self) -> bool:
        """Whether KVM would have to be restructured for it, not only get another rule."""
        return self.zap_yield or self.flush != 1 or self.prepopulate

    def exhaustion(self, leaf: Leaf) -> Exhaustion:
        """Return what happens when a SEAMCALL was busy that often."""
        return Exhaustion[_of_leaf(self.on_exhaustion, leaf).upper()]

    def record(self) -> NDArray[np.void]:
        """Return the discipline as the simulator reads it, dtype DISCIPLINE, shape (1,)."""
        record = np.zeros(1, DISCIPLINE)
        row = record[0]
        for leaf in Leaf:
            row["max_issues"][leaf] = self.limit(leaf)
            row["on_exhaustion"][leaf] = self.exhaustion(leaf)
            row["tree_only"][leaf] = _of_leaf(self.tree_only, leaf)
            row["on_foreign"][leaf] = Exhaustion[_of_leaf(self.on_foreign, leaf).upper()]
        for name, members in _NAMED.items():
            row[name] = members[getattr(self, name).upper()]
        for name in _NUMBERS:
            row[name] = getattr(self, name)
        row["flush"] = flush_rule(self.flush).record(is_decided=self.flush == DECIDED)
        row["max_interrupted"] = _count(self.max_interrupted)
        row["kernel"] = OF_SCENARIO if self.kernel is None else kernel_number(self.kernel)
        return record


_NAMED: dict[str, type[IntEnum]] = {
    "seamcall_lock": SeamcallLock,
    "gate_scope": GateScope,
    "on_frozen": OnFrozen,
    "fault_yield": FaultYield,
    "enter_yield": EnterYield,
    "kick_flagged": KickFlagged,
    "track_kick": TrackKick,
    "split_check": SplitCheck,
    "asks": Asks,
}
_NUMBERS = (
    "gate_first",
    "walks_again",
    "zap_yield",
    "prepopulate",
    "split_read",
    "irqs_off",
    "enter_irqs_off",
    "decision_cycles",
)


def _count(value: int | str) -> int:
    """Return a limit as the simulator reads it."""
    return UNLIMITED if value == "unlimited" else int(value)


def _of_leaf(table: Mapping[str, Any], leaf: Leaf) -> Any:
    """Return a leaf's value in a table."""
    return table.get(leaf.name, table[DEFAULT_KEY])


DEFAULT = Discipline()
"""No SEAMCALL lock; a kick gates for the one call; 1,024 issues, then a kick with a gate."""
BOUNDED = DEFAULT.with_(on_exhaustion="gated_kick_once")
"""The same with an end: 1,024 issues, a kick with a gate, as many issues again, KVM_BUG_ON."""
