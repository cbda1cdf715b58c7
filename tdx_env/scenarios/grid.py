"""Family W, what if: worlds that may exist, one for each cell of a grid that is fixed here.

A host call meets a holder that keeps its lock for long: a guest's ACCEPT of a 2M page behind CXL, a
host's export of a page, or both. What differs from cell to cell: who holds, for how long, what a
kick costs its sender, and how many vCPUs there are. Nothing here is trained on, nor in any list but
the word `WORD`.
"""

import functools
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

HOLDERS = ("guest", "host", "both")
HOLDS_US = (200, 500, 1_000, 2_000, 4_000)
KICKS = {"today": 1, "tenth": 10}
SIZES = (1, 8, 64, 248)
WORD = "w-grid"
FILES = tuple(f"w-{holder}" for holder in HOLDERS)
PATTERN = (
    f"w-({'|'.join(HOLDERS)})-({'|'.join(map(str, HOLDS_US))})us-({'|'.join(KICKS)})-"
    f"({'|'.join(map(str, SIZES))})"
)

_KICK_COSTS = (
    "kick_fixed",
    "kick_target",
    "kick_scan",
    "kick_icr",
    "kick_remote",
    "ipi_delivery",
    "kick_handler",
    "kick_ack",
)
_CYCLES_PER_US = 2_500
_ACCEPT_STARTS = 3_000_000  # think time of the acceptor in the files [cycles]
_LEAD = 20_000  # BLOCK comes so much before the ACCEPT at the earliest [cycles]
_EXPORTED_US = 60_000  # what an episode's lists take in all
_LIST = 8  # pages of a list in the files
_BY = "what if: the grid's value; 2 MiB at 10 to 0.5 GB/s for ACCEPT"


class Cell(NamedTuple):
    """A world of the grid.

    Attributes:
        holder: Who holds the lock: guest, host or both.
        hold_us: How long, ACCEPT of a 2M page or export of a page [us].
        kick: What a kick costs its sender: as today, or a tenth.
        n_vcpus: Size of the TD.
    """

    holder: str
    hold_us: int
    kick: str
    n_vcpus: int

    @property
    def name(self) -> str:
        """The name that `load` takes."""
        return f"w-{self.holder}-{self.hold_us}us-{self.kick}-{self.n_vcpus}"


@functools.cache
def cells() -> dict[str, Cell]:
    """Return all cells by name."""
    every = (Cell(*one) for one in itertools.product(HOLDERS, HOLDS_US, KICKS, SIZES))
    return {cell.name: cell for cell in every}


def file_of(cell: Cell) -> str:
    """Return the name of the file that a cell's world stands in, without its ending."""
    return f"w-{cell.holder}"


def _fixed(cycles: int) -> dict[str, Any]:
    """Return a cost of one value."""
    return {"low": cycles, "high": cycles, "source": "guessed", "by": _BY}


def parameters(cell: Cell, costs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a cell lays over its file.

    Args:
        cell: Which.
        costs: The package's costs, of which the cheap kick is a tenth.
    """
    hold = cell.hold_us * _CYCLES_PER_US
    own: dict[str, Any] = {"host": {"n_vcpus": cell.n_vcpus}, "costs": {}, "tasks": {}}
    if cell.holder != "host":
        own["costs"]["accept_2m"] = _fixed(hold)
        last = _ACCEPT_STARTS + hold * 9 // 10
        during = {"low": _ACCEPT_STARTS - _LEAD, "high": last}
        own["tasks"]["zapper"] = {"think_cycles": during}
    if cell.holder != "guest":
        own["costs"]["export_mem"] = _fixed(hold)
        own["tasks"]["exporter"] = {"items": max(1, _EXPORTED_US // (_LIST * cell.hold_us))}
    divisor = KICKS[cell.kick]
    if divisor > 1:
        for name in _KICK_COSTS:
            cost = costs[name]
            ends = {end: cost[end] // divisor for end in ("low", "high")}
            own["costs"][name] = {**ends, "source": "guessed", "by": f"what if: a tenth of {name}"}
    return own
