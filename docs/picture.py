"""Draw the picture of README.md from the table in docs/flush.md: `python docs/picture.py`."""

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).resolve().parent
PICTURE = DOCS / "when-to-kick.svg"
RULES = {
    "per page": ("KVM as merged: a kick for each page", "#c0392b", "o"),
    "until-waits": ("kick when somebody waits for mmu_lock", "#d68910", "s"),
    "greedy": ("kick when the waiting has cost as much as a kick", "#1f618d", "D"),
}
NO_DIFFERENCE = 1.02  # differences up to here don't matter


def measured() -> list[dict[str, str]]:
    """Return the rows of the first table of docs/flush.md that has a column λK."""
    lines = (DOCS / "flush.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    head = next(index for index, line in enumerate(cells) if "λK" in line)
    rows = []
    for line in cells[head + 2 :]:
        if len(line) != len(cells[head]):
            break
        rows.append(dict(zip(cells[head], line, strict=True)))
    return rows


def draw(rows: list[dict[str, str]]) -> None:
    """Write the picture."""
    rows = sorted(rows, key=lambda row: float(row["λK"]), reverse=True)
    mpl.rcParams.update({"svg.hashsalt": "tdx-env", "font.size": 9, "svg.fonttype": "path"})
    figure, axes = plt.subplots(figsize=(7.4, 3.5), layout="constrained")
    axes.axvspan(1 / NO_DIFFERENCE, NO_DIFFERENCE, color="#d5dbdb", lw=0)
    for name, (label, colour, marker) in RULES.items():
        values = [float(row[name]) for row in rows]
        axes.scatter(values, range(len(rows)), s=34, c=colour, marker=marker, label=label, zorder=3)
    axes.set_yticks(range(len(rows)), [f"{row['scenario']}   λK {row['λK']}" for row in rows])
    axes.set_xscale("log")
    ticks = (1, 1.5, 2, 3, 5, 10, 16)
    axes.set_xticks(ticks, [f"×{tick}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("CPU time lost by host and guest, against the best rule of the row")
    axes.grid(axis="x", color="#e5e8e8")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", frameon=False, ncols=1, handletextpad=0.2)
    figure.savefig(PICTURE, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    draw(measured())
    print(PICTURE)
