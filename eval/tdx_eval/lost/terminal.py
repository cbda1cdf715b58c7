"""What was lost, in the terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from tdx_eval.lost.table import LostTable, Story
from tdx_eval.lost.wording import ends_text, losers, never, short
from tdx_eval.reporting.wording import listing


def _policies(table: LostTable) -> Grid:
    """Return who loses where."""
    grid = Grid(
        title="Who loses where; in brackets the chains below", title_justify="left",
        box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True,
    )  # fmt: skip
    grid.add_column("policy", no_wrap=True)
    grid.add_column("loses in")
    for policy in table.policies:
        places = [
            f"{short(pair.scenario)} {ends_text(pair)} {table.numbers(pair)}"
            for pair in table.of_policy(policy)
        ]
        if places:
            grid.add_row(Text(policy), Text("; ".join(places)))
    return grid


def _show_story(story: Story, table: LostTable, console: Console) -> None:
    """Print a chain: who lost by it, and its trace."""
    console.print(
        f"\n{story.number}. {story.title}", style="bold", markup=False, emoji=False, highlight=False
    )
    for scenario, who in losers(story, table).items():
        console.print(f"  {short(scenario)}: {who}", markup=False, emoji=False, highlight=False)
    case = story.case
    said = f"  {case.policy} in {case.scenario}, seed {case.seed}:"
    console.print(said, style="dim", markup=False, emoji=False, highlight=False)
    for line in story.trace:
        console.print(
            f"  {line}", style="dim", markup=False, emoji=False, highlight=False, soft_wrap=True
        )


def show_lost(table: LostTable, console: Console) -> None:
    """Print the table, the chains, and what was expected."""
    console.print(_policies(table))
    if spared := never(table):
        console.print(Text(f"Nothing is lost by {listing(spared)}."))
    for note in table.counterfactual:
        console.print(Text(f"{note}."))
    for story in table.stories:
        _show_story(story, table, console)
    console.print()
    for one in table.expected:
        verdict = ("holds", "green") if one.holds else ("does not hold", "red")
        console.print(Text.assemble(verdict, f"  {one.text} ({one.found})"))
        if not one.holds:
            console.print(
                f"  {one.remark}", style="dim", markup=False, emoji=False, highlight=False
            )
