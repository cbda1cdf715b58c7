"""Draw which call takes which lock, from the module's table: `python docs/locks_picture.py`."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

from tdx_env.module.names import short_name
from tdx_env.module.seamcalls import calls
from tdx_env.module.versions import DEFAULT_VERSION
from tdx_env.state.calls import Leaf, Lock, Mode, Op

mpl.use("svg")
import matplotlib.pyplot as plt

PICTURE = Path(__file__).resolve().parent / "understand" / "locks.svg"
LOCKS = {
    Lock.TDVPR: "one vCPU",
    Lock.TDR: "the TD",
    Lock.OP_STATE: "the TD's\nstate",
    Lock.EPOCH: "TLB epoch",
    Lock.TREE: "whole\nS-EPT",
    Lock.ENTRY: "one page's\nS-EPT entry",
    Lock.PAGE: "one page's\nPAMT entry",
}
PATHS: Mapping[str, tuple[Leaf, ...]] = {
    "guest": (Leaf.ACCEPT, Leaf.ATTR_WR),
    "enter": (Leaf.VP_ENTER,),
    "fault": (Leaf.MEM_SEPT_ADD, Leaf.MEM_PAGE_AUG),
    "zap": (Leaf.MEM_RANGE_BLOCK, Leaf.MEM_TRACK, Leaf.MEM_PAGE_REMOVE),
    "split": (Leaf.MEM_PAGE_DEMOTE,),
    "export": (Leaf.EXPORT_BLOCKW, Leaf.EXPORT_MEM),
    "build": (Leaf.MEM_PAGE_ADD, Leaf.MR_EXTEND, Leaf.VP_INIT),
}
ALONE, TOGETHER, ARMED = "alone", "with others", "with others, if armed"
_COLOUR = "#1f618d"


def modes(leaf: Leaf, version: str = DEFAULT_VERSION) -> dict[Lock, str]:
    """Return how a call takes each of its locks that the picture has."""
    found = {}
    for step in calls(version)[leaf].steps:
        if step.op in (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED) and step.lock in LOCKS:
            shared = ARMED if step.op == Op.ACQUIRE_IF_ARMED else TOGETHER
            found[Lock(step.lock)] = ALONE if step.mode == Mode.EXCLUSIVE else shared
    return found


def draw() -> None:
    """Write the picture."""
    rows = [(path, leaf) for path, leaves in PATHS.items() for leaf in leaves]
    mpl.rcParams.update({"svg.hashsalt": "tdx-env", "svg.fonttype": "path", "font.size": 8})
    figure, axes = plt.subplots(figsize=(7.4, 5.2), layout="constrained")
    styles = {
        ALONE: {"facecolors": _COLOUR, "edgecolors": _COLOUR},
        TOGETHER: {"facecolors": "white", "edgecolors": _COLOUR},
        ARMED: {"facecolors": "white", "edgecolors": _COLOUR, "linestyles": ":"},
    }
    columns = list(LOCKS)
    for style, look in styles.items():
        found = [
            (columns.index(lock), row)
            for row, (_, leaf) in enumerate(rows)
            for lock, mode in modes(leaf).items()
            if mode == style
        ]
        axes.scatter(
            [at for at, _ in found], [row for _, row in found], s=90, lw=1.4, zorder=3,
            label=style, **look,
        )  # fmt: skip
    axes.set_xticks(range(len(columns)), [f"{lock.name}\n{LOCKS[lock]}" for lock in columns])
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(rows)), [f"{path}   {short_name(leaf)}" for path, leaf in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    starts = [row for row, (path, _) in enumerate(rows) if row and rows[row - 1][0] != path]
    axes.hlines([row - 0.5 for row in starts], -0.5, len(columns) - 0.5, "#d5dbdb", lw=0.8)
    axes.grid(axis="x", color="#eef1f1")
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, title="the call takes it")
    figure.savefig(PICTURE, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    draw()
