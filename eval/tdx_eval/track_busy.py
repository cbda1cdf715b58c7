"""How often a zap's TRACK is busy, by the TD's size and its vCPUs' exits: a page and a figure.

`python -m tdx_eval.track_busy --docs docs` converts pages while all other vCPUs compute and leave
the guest at random, so many times a second, and writes `track-busy.md` and `track-busy.svg`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from tdx_env.scenarios.values import Range
from tdx_env.state.calls import Leaf
from tdx_eval.comparing.output import write_text
from tdx_eval.reality.worlds import MERGED, World, busy, finished, n_zaps, run_world

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

SIZES = (2, 8, 32, 96, 176, 248)
RATES = (500, 1_000, 2_300, 5_000, 17_000, 50_000)  # exits a second of each vCPU
MOST_REAL = 2_300  # of a busy vCPU on a real host
PAGE, FIGURE = "track-busy.md", "track-busy.svg"
_CHUNK = 2
_FEWEST_ITEMS, _MOST_ITEMS = 64, 512  # small TDs convert more pages, since busy is rarer there
_PERCENT = 100.0
_QUIET = World("s06-conversion-248-calm/train").with_(
    groups__converter__tick_us=0,
    groups__converter__arm_cycles=0,
    groups__converter__host_tick_us=0,
    groups__computing__tick_us=0,
    groups__computing__arm_cycles=0,
    groups__computing__host_tick_us=0,
    limits__time_cap_us=100_000_000,
)


@dataclass(frozen=True)
class BusyShare:
    """What one size and one rate came to.

    Attributes:
        n_vcpus: Size of the TD.
        rate: Exits a second of each computing vCPU, while it is in the guest.
        n_zaps: Pages removed, each with its TRACK.
        n_busy: Busy replies of TRACK.
        expected: By the closed form, a share of the zaps.
    """

    n_vcpus: int
    rate: int
    n_zaps: int
    n_busy: int
    expected: float

    @property
    def share(self) -> float:
        """Busy replies for each zap."""
        return self.n_busy / self.n_zaps


def closed_form(n_vcpus: int, rate: int) -> float:
    """Return vCPUs x rate x hold, with the middle of the hold's range, 1 at most."""
    scenario = _QUIET.scenario()
    hold = scenario.costs["epoch_hold"]
    seconds = (hold.low + hold.high) / 2 / (scenario.clock_khz * 1_000)
    return min(1.0, (n_vcpus - 1) * rate * seconds)


def measured(n_vcpus: int, rate: int, n_draws: int) -> BusyShare:
    """Play conversions on a TD of one size whose vCPUs leave the guest at one rate."""
    n_items = max(_FEWEST_ITEMS, min(_MOST_ITEMS, _FEWEST_ITEMS * SIZES[-1] // n_vcpus))
    world = _QUIET.with_(
        host__n_vcpus=Range(low=n_vcpus, high=n_vcpus),
        groups__converter__items=Range(low=n_items, high=n_items),
        groups__converter__chunk=_CHUNK,
        groups__computing__device_us=Range(low=1_000_000 // rate, high=1_000_000 // rate),
    )
    batch = finished(run_world(world, MERGED, n_draws))
    n_busy = int(busy(batch, Leaf.MEM_TRACK).sum())
    return BusyShare(n_vcpus, rate, int(n_zaps(batch).sum()), n_busy, closed_form(n_vcpus, rate))


def busy_by_size_and_rate(
    sizes: tuple[int, ...], rates: tuple[int, ...], n_draws: int
) -> list[list[BusyShare]]:
    """Return a row of cells for each size."""
    return [[measured(size, rate, n_draws) for rate in rates] for size in sizes]


def _written(cell: BusyShare) -> str:
    """Return a cell as text: the share, or what it lies below if nothing was busy."""
    expected = f"{_PERCENT * cell.expected:.2g}"
    if cell.n_busy == 0:
        return f"< {_PERCENT * 3 / cell.n_zaps:.2g} ({expected})"  # rule of three, 95 %
    return f"{_PERCENT * cell.share:.2g} ({expected})"


def _totals(rows: list[list[BusyShare]]) -> str:
    """Return how measured and expected compare, at real rates and beyond."""
    lines = []
    for title, is_real in (("At real rates", True), ("Beyond", False)):
        cells = [cell for row in rows for cell in row if (cell.rate <= MOST_REAL) == is_real]
        n_busy = sum(cell.n_busy for cell in cells)
        expected = sum(cell.expected * cell.n_zaps for cell in cells)
        lines.append(f"  {title}: {n_busy:,} busy replies, {expected:,.0f} by the closed form.")
    return "\n".join(lines)


def track_busy_page(rows: list[list[BusyShare]], n_draws: int) -> str:
    """Return the page."""
    heads = ["vCPUs", *(f"{cell.rate:,}/s" for cell in rows[0])]
    lines = [
        "| " + " | ".join(heads) + " |",
        "|" + "---:|" * len(heads),
        *("| " + " | ".join([str(row[0].n_vcpus), *map(_written, row)]) + " |" for row in rows),
    ]
    return f"""# How often TRACK is busy

Busy replies of TDH.MEM.TRACK for each page that a conversion removes, in percent, by the TD's vCPUs
and the TD exits of each of them; in brackets the closed form vCPUs × rate × hold of the epoch lock.
A busy vCPU of a real host makes 500 to 2,300 exits a second; what is hotter is a stress.

{chr(10).join(lines)}

![busy replies of TRACK against exits a second]({FIGURE})

- Made by `python -m tdx_eval.track_busy --draws {n_draws}`; {n_draws} draws of all costs for each
  number, decided as Linux 6.16 does (`{MERGED}`). "<": nothing was busy; 95 % upper end.
- The closed form takes the middle of the hold's range (`costs.epoch_hold`, a guess) and arrivals
  that know nothing of each other. Re-entries do: each TRACK's kick throws all vCPUs out, and they
  enter again together while the next page is cleared and blocked, mostly before its TRACK.
{_totals(rows)}
- The exits come at random (device interrupts with gaps of 0 to 2 means), the same for each vCPU;
  an interrupt that comes while the vCPU is out makes no exit, so that the hottest column has less.
"""


def _top_down(axes: "Axes") -> "tuple[list[Artist], list[str]]":
    """Return the legend's handles and labels, the largest TD first, as its line is on top."""
    handles, labels = axes.get_legend_handles_labels()
    n_sizes = len(SIZES)
    return (
        [*handles[:n_sizes][::-1], *handles[n_sizes:]],
        [*labels[:n_sizes][::-1], *labels[n_sizes:]],
    )


def draw(rows: list[list[BusyShare]], path: Path) -> None:
    """Draw the figure: a line for each size, the closed form dotted."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter

    with plt.rc_context({"svg.hashsalt": PAGE}):
        figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
        for row in rows:
            rates = [cell.rate for cell in row]
            shares = [_PERCENT * cell.share if cell.n_busy else np.nan for cell in row]
            (line,) = axes.loglog(rates, shares, marker="o", label=f"{row[0].n_vcpus} vCPUs")
            expected = [_PERCENT * cell.expected for cell in row]
            axes.loglog(rates, expected, linestyle=":", color=line.get_color())
        axes.loglog([], [], linestyle=":", color="black", label="vCPUs × rate × hold")
        axes.axvspan(rows[0][0].rate, MOST_REAL, alpha=0.15, label="a real host")
        axes.set_title("TRACK is busy as often as vCPUs × rate × hold says", loc="left")
        axes.set_xlabel("TD exits a second of each vCPU")
        axes.set_ylabel("busy TRACKs [% of zaps]")
        axes.set_xticks([cell.rate for cell in rows[0]])
        axes.minorticks_off()
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.legend(*_top_down(axes), loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


@app.command()
def remake(
    draws: Annotated[int, typer.Option(min=1, help="Draws of all costs for each number")] = 24,
    docs: Annotated[Path, typer.Option(help="Folder of page and figure")] = Path("docs"),
) -> None:
    """Measure, and write page and figure."""
    rows = busy_by_size_and_rate(SIZES, RATES, draws)
    write_text(docs / PAGE, track_busy_page(rows, draws))
    draw(rows, docs / FIGURE)
    print(f"page: {docs / PAGE}")


if __name__ == "__main__":
    app()
