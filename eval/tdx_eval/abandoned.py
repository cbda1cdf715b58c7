"""The mark that a busy host call leaves when it is given up: who leaves it, who is lost: a page.

`python -m tdx_eval.abandoned --docs docs` plays the family S26 and writes `abandoned-mark.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Annotated

import typer

import tdx_agents
from tdx_env.scenarios import load
from tdx_env.state.calls import Leaf, Outcome
from tdx_env.state.world import End
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.output import write_text
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.lost.replay import Case
from tdx_eval.lost.table import trace_of

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

PAGE = "abandoned-mark.md"
MET, SAME = "s26-abandoned-mark/test", "s26-same-page/test"
REPEATS, PREFAULT = "s26-abandoned-mark-repeats/test", "s20-prefault/test"
MERGED, RETRY, REENTERS = "p20-merged-6.19", "p8-host-priority", "p9-fault-loop-16"
VERSIONS = ("1.5.01", "1.5.06", "1.5.28", "1.5.34", "2.0.18")
_TEMPLATE = Path(__file__).parent / "templates" / "abandoned.md"
_FALLS_BACK = ("groups.acceptors.when_refused", "fall_back")
_WORLDS: tuple[tuple[str, str, tuple[tuple[str, object], ...]], ...] = (
    ("AUG meets AUG, no FROZEN SPTE (what if)", MET, ()),
    ("the same, KVM freezes the SPTE", MET, (("host.freezes_sptes", True),)),
    ("the same page, a guest that repeats", SAME, ()),
    ("the same page, Linux' guest", SAME, (_FALLS_BACK,)),
    ("prefault beside boot (S20), a guest that repeats", PREFAULT, ()),
    ("prefault beside boot (S20), Linux' guest", PREFAULT, (_FALLS_BACK,)),
)


@dataclass(frozen=True)
class Marks:
    """What a policy came to in a world.

    Attributes:
        n: Episodes.
        by_mark: Of them those whose guest panicked for a mark, or was refused for HP_LOCK_TIMEOUT.
        by_holder: Those whose guest panicked because a host call held its page.
        by_host: Those that KVM ended, or that hung.
        met: TDCALLs refused for a mark that nobody was about to clear, an episode.
    """

    n: int
    by_mark: int
    by_holder: int
    by_host: int
    met: float

    def __str__(self) -> str:
        """Return how many were lost by what, and how often a mark was met."""
        parts = ((self.by_mark, "mark"), (self.by_holder, "holder"), (self.by_host, "KVM"))
        lost = ", ".join(f"{n} {what}" for n, what in parts if n)
        return f"{lost or 'none'} ({self.met:.3g})"


def marks_of(policy: str, scenario: str, n: int, **given: object) -> Marks:
    """Play a policy in a scenario, some keys of which are given."""
    changed = {key.replace("__", "."): value for key, value in given.items()}
    run = run_batch(load_policy(policy), load(scenario, changed), range(n)).run
    lost = run["end"] != End.FINISHED
    is_panic = lost & (run["kill_leaf"] == Leaf.ACCEPT)
    by_mark = is_panic & (run["kill_outcome"] == Outcome.OPERAND_BUSY_HOST_PRIORITY)
    by_mark |= lost & (run["kill_outcome"] == Outcome.HOST_PRIORITY_BUSY_TIMEOUT)
    by_holder = is_panic & ~by_mark
    by_host = lost & ~by_mark & ~by_holder
    met = float(run["n_abandoned"].mean())
    return Marks(n, int(by_mark.sum()), int(by_holder.sum()), int(by_host.sum()), met)


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def by_policy(n: int) -> str:
    """Return the table of all policies; rows that came to the same stand together."""
    rows: dict[tuple[str, str], list[str]] = {}
    for name in tdx_agents.names():
        came_to = (str(marks_of(name, MET, n)), str(marks_of(name, SAME, n)))
        rows.setdefault(came_to, []).append(f"`{name}`")
    heads = ("policies", "lost, AUG meets AUG", "lost, the same page")
    return _table(heads, [(", ".join(names), *came_to) for came_to, names in rows.items()])


def by_version(n: int) -> str:
    """Return the table of module versions."""
    rows = [
        (version, *(marks_of(name, MET, n, module__version=version) for name in (RETRY, MERGED)))
        for version in VERSIONS
    ]
    return _table(("module", f"`{RETRY}`", f"`{MERGED}`"), rows)


def by_world(n: int) -> str:
    """Return the table of worlds: what KVM freezes, and what the guest does."""
    rows = []
    for title, scenario, given in _WORLDS:
        keys = {key.replace(".", "__"): value for key, value in given}
        policies = (RETRY, MERGED, REENTERS)
        rows.append((title, *(marks_of(name, scenario, n, **keys) for name in policies)))
    return _table(("world", *(f"`{name}`" for name in (RETRY, MERGED, REENTERS))), rows)


def abandoned_page(n: int, n_long: int) -> str:
    """Return the page.

    Args:
        n: Episodes of each number.
        n_long: Of the guest that repeats its ACCEPT for a second.
    """
    trace = "\n".join(trace_of(Case(MERGED, MET, 0), "killed"))
    return Template(_TEMPLATE.read_text()).substitute(
        n=n,
        last=n - 1,
        merged=MERGED,
        n_long=n_long,
        policies=by_policy(n),
        versions=by_version(n),
        worlds=by_world(n),
        repeats=marks_of(MERGED, REPEATS, n_long),
        enters=marks_of(MERGED, REPEATS, n_long, host__timeout_exit="enter"),
        trace=trace,
    )


@app.command()
def remake_abandoned(
    episodes: Annotated[int, typer.Option(min=1, help="Episodes of each number")] = 24,
    long: Annotated[int, typer.Option(min=1, help="Of the guest that repeats for 1 s")] = 4,
    docs: Annotated[Path, typer.Option(help="Folder of the page")] = Path("docs"),
) -> None:
    """Play the worlds, and write the page."""
    write_text(docs / PAGE, abandoned_page(episodes, long))
    print(f"page: {docs / PAGE}")


if __name__ == "__main__":
    app()
