"""The host discipline as users write it, and its default."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import (
    DISCIPLINE,
    UNLIMITED,
    EnterYield,
    Exhaustion,
    FaultYield,
    GateScope,
    OnFrozen,
    SeamcallLock,
)

DEFAULT_KEY = "default"
HOST_LEAVES = tuple(leaf.name for leaf in Leaf if leaf <= Leaf.MR_EXTEND)
DECISION_CYCLES = {"counter": 10, "tree": 50, "network": 3000}
"""What one decision takes, by kind of policy [cycles]. Source: guess."""

_PER_LEAF = ("max_issues", "on_exhaustion", "tree_only")
_Limit = Annotated[int, Field(ge=1, lt=UNLIMITED)] | Literal["unlimited"]
_Exhaustion = Literal["kill", "reenter", "local_retry", "user_error", "gated_kick", "swallow"]


def _per_leaf(default: object) -> BeforeValidator:
    """Return what completes a table: a lone value stands for all leaves, a gap for the default."""

    def complete(given: object) -> dict[str, object]:
        if not isinstance(given, Mapping):
            return {DEFAULT_KEY: given}
        unknown = [str(name) for name in given if name not in (DEFAULT_KEY, *HOST_LEAVES)]
        if unknown:
            known = ", ".join((DEFAULT_KEY, *HOST_LEAVES))
            raise ValueError(f"unknown leaf {', '.join(unknown)}, must be one of: {known}")
        return {DEFAULT_KEY: default, **given}

    return BeforeValidator(complete)


class Discipline(BaseModel):
    """What a policy brings along beside its decision function: how the host issues SEAMCALLs.

    Enum values are written as their names in small letters. ``max_issues``, ``on_exhaustion`` and
    ``tree_only`` are tables: a mapping from the name of a leaf to its value, where ``default``
    stands for all that are not named; a lone value stands for all leaves. The defaults of the
    fields are the discipline that agents get unless they name one: everything in it is possible
    in KVM as it is.

    Source:
        docs/model.md, sections 4 to 6; the rows that differ are in `agents.catalogue`.
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
        "fault locally, an error to user space, kick and gate for ever, or nothing (bug B1)",
    )
    tree_only: Annotated[dict[str, bool], _per_leaf(False)] = Field(
        default={DEFAULT_KEY: False},
        description="any operand but SEPT_TREE is exhaustion at once. Source: the retry wrapper of "
        "the series v8 to v19, which compares with TDX_ERROR_SEPT_BUSY",
    )
    seamcall_lock: Literal["never", "always", "after_busy"] = Field(
        default="never", description="a per-VM spinlock round the S-EPT SEAMCALLs"
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
    kick_flagged: bool = Field(
        default=False, description="a fault after a tree-busy VP.ENTER kicks before AUG"
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
        value = _of_leaf(self.max_issues, leaf)
        return UNLIMITED if value == "unlimited" else int(value)

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
        for name, members in _NAMED.items():
            row[name] = members[getattr(self, name).upper()]
        for name in _NUMBERS:
            row[name] = getattr(self, name)
        return record


_NAMED: dict[str, type[IntEnum]] = {
    "seamcall_lock": SeamcallLock,
    "gate_scope": GateScope,
    "on_frozen": OnFrozen,
    "fault_yield": FaultYield,
    "enter_yield": EnterYield,
}
_NUMBERS = (
    "gate_first",
    "walks_again",
    "zap_yield",
    "kick_flagged",
    "enter_irqs_off",
    "decision_cycles",
)


def _of_leaf(table: Mapping[str, Any], leaf: Leaf) -> Any:
    """Return a leaf's value in a table."""
    return table.get(leaf.name, table[DEFAULT_KEY])


DEFAULT = Discipline()
"""No SEAMCALL lock; a kick gates for the one call; 1,024 issues, then a kick with a gate."""
