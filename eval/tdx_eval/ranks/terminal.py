"""The rankings in the terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from tdx_eval.ranks.page import RankStudy, is_changed, moved_text, tau_text, why_moved


def show_ranks(ranks: RankStudy, console: Console) -> None:
    """Print tau, reasons and movers of each scenario."""
    grid = Grid(
        title=f"Ranks on {ranks.modules[0]} and {ranks.modules[1]}", title_justify="left",
        box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True,
    )  # fmt: skip
    grid.add_column("scenario", no_wrap=True)
    grid.add_column("tau", justify="right")
    grid.add_column("why")
    grid.add_column("who moves most")
    for one in ranks.rankings:
        moved = moved_text(one) if is_changed(one) else ""
        grid.add_row(Text(one.scenario), tau_text(one), Text(why_moved(one)), Text(moved))
    console.print(grid)
