"""Flush rules as users write them, a field of the discipline."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tdx_env.state.discipline import FLUSH, Waiting
from tdx_env.state.setup import PAGES_PER_2M

GREEDY = "greedy"
DECIDED = "decided"
_LONGEST_US = 1_000_000


class FlushRule(BaseModel):
    """When a zap that has blocked pages stops the vCPUs: as soon as one of these holds.

    A batch ends by itself with the chunk, at 512 pages, and before a page that has to be split or
    that somebody else works on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    pages: int = Field(
        default=PAGES_PER_2M, ge=1, le=PAGES_PER_2M, description="so many are blocked [pages]"
    )
    held_us: int = Field(
        default=0,
        ge=0,
        le=_LONGEST_US,
        description="so long ago the batch's first page was begun, 0: however long [µs]",
    )
    contended: bool = Field(default=False, description="somebody waits for mmu_lock")
    resched: bool = Field(
        default=False, description="the thread's slice is over, and another one is to have its CPU"
    )
    waiting: Literal["none", "greedy", "random", "root"] = Field(
        default="none",
        description="the waiting for mmu_lock in this batch has reached the price of a flush; or a "
        "share of it, drawn for the batch; or what is best if waiters come at their average rate. "
        "Source: docs/flush.md",
    )
    price_percent: int = Field(
        default=100, ge=1, le=10_000, description="what the price is taken for [%]"
    )
    sees: Literal["bit", "count"] = Field(
        default="bit",
        description="what is known of the waiting: that somebody waits, and since when that is "
        "seen; or what all have waited, which KVM can't know",
    )

    def record(self, is_decided: bool) -> tuple[int, ...]:
        """Return the rule as the simulator reads it, a row of dtype FLUSH."""
        row = {
            "is_decided": is_decided,
            "pages": self.pages,
            "held_us": self.held_us,
            "contended": self.contended,
            "resched": self.resched,
            "waiting": Waiting[self.waiting.upper()],
            "price_percent": self.price_percent,
            "sees_count": self.sees == "count",
        }
        return tuple(int(row[name]) for name in np.dtype(FLUSH).names or ())


def flush_rule(flush: int | str | FlushRule) -> FlushRule:
    """Return the rule that the discipline's field stands for.

    Unasked, what is decided elsewhere is *until somebody waits*.
    """
    if isinstance(flush, FlushRule):
        return flush
    if isinstance(flush, str):
        return FlushRule(waiting="greedy") if flush == GREEDY else FlushRule(contended=True)
    return FlushRule(pages=flush)
