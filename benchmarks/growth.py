"""Growth: what an event and a decision cost as the TD, its memory and the batch grow."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import tdx_agents
from benchmarks.common import always_retry
from benchmarks.rounds import Effort, in_rounds
from benchmarks.single import SCENARIOS
from benchmarks.tables import table
from benchmarks.vector import Loop
from tdx_env.engine.batch import Batch
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import Scenario, load, setup_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT = "benchmarks-growth.svg"
_VCPUS = (2, 4, 8, 16, 32, 64, 128, 248)
_PAGES = (1_000, 4_000, 16_000, 64_000, 250_000, 1_000_000)
_PAGES_SCENARIO = Path(__file__).resolve().with_name("pages.toml")
_N_SEEDS = 3  # episodes at least, of different costs
_TOUCHED_PER_ZAPPED = 330  # pages: so the vCPUs and the zapper are done at about the same time
_ENVS = (1, 4, 16, 64, 256, 1024, 4096, 16384)
_N_QUICK = 2  # sizes of each that a quick run measures
_OURS = "tdx_env/SeamcallRetry-v0"
_TITLES = {"vcpus": "vCPUs", "pages": "mapped 4K pages", "envs": "environments"}
_CAPTIONS = {
    "vcpus": "S6 conversion (test), random policy; an event is looked up among all actors",
    "pages": "8 vCPUs touch all pages, one zapper; an episode's start lays out every page's entry",
    "envs": f"`make_vec`, {SCENARIOS[0]}, one thread, everything that a step does included",
}
_TEXT = """
## Growth

![cost of an event and of a decision against vCPUs, pages and environments]({plot})
{tables}"""


class Episodes:
    """One episode after the other of a scenario, decided inside the loop.

    Args:
        scenario: What is played.
        decide: Compiled policy.
        seconds: How long, at least.
    """

    def __init__(self, scenario: Scenario, decide: Any, seconds: float) -> None:
        self._batch = Batch(setup_of(scenario), DEFAULT.record())
        self._decide = decide
        self._seconds = seconds
        self.start_ms: list[float] = []
        self._n_events = self._n_decisions = 0

    def nanoseconds_per_event(self, number: int) -> float:
        """Play episodes until that has taken a while, from the same first seed each time."""
        run, seed, seconds, n_events = self._batch.run, 0, 0.0, 0
        while seconds < self._seconds or seed < _N_SEEDS:
            start = time.perf_counter()
            self._batch.reset([seed])
            between = time.perf_counter()
            self._batch.advance(self._decide)
            seconds += time.perf_counter() - between
            n_events += int(run["n_events"][0])
            self._n_decisions += int(run["n_decisions"][0])
            seed += 1
        self._n_events += n_events
        self.start_ms.append((between - start) * 1e3)
        return seconds / n_events * 1e9

    @property
    def events_per_decision(self) -> float:
        """Of all episodes that were played."""
        return self._n_events / max(1, self._n_decisions)


def _of_episodes(cases: dict[int, Episodes], effort: Effort) -> list[dict[str, Any]]:
    """Return the rows of episodes of several sizes."""
    ways: dict[str, Callable[[int], float]] = {
        str(size): case.nanoseconds_per_event for size, case in cases.items()
    }
    found = in_rounds(ways, effort)
    return [
        {
            "size": size,
            "ns_per_event": found[str(size)].median,
            "events_per_decision": case.events_per_decision,
            "start_ms": sorted(case.start_ms[1:])[effort.n_rounds // 2],
        }
        for size, case in cases.items()
    ]


def _by_vcpus(sizes: Sequence[int], effort: Effort) -> list[dict[str, Any]]:
    """Return a row for each number of vCPUs."""
    decide = tdx_agents.load("random").decide
    cases = {}
    for n_vcpus in sizes:
        scenario = load("s06-conversion/test", {"host.n_vcpus": n_vcpus})
        cases[n_vcpus] = Episodes(scenario, decide, effort.seconds / 5)
    return _of_episodes(cases, effort)


def _by_pages(sizes: Sequence[int], effort: Effort) -> list[dict[str, Any]]:
    """Return a row for each number of mapped pages."""
    cases = {}
    for n_pages in sizes:
        sizes_of = {
            "groups.touching.items": n_pages // 8,
            "tasks.zapper.items": n_pages // _TOUCHED_PER_ZAPPED,
        }
        scenario = load(_PAGES_SCENARIO, sizes_of)
        cases[n_pages] = Episodes(scenario, always_retry(), effort.seconds / 5)
    return _of_episodes(cases, effort)


def _by_envs(sizes: Sequence[int], effort: Effort) -> list[dict[str, Any]]:
    """Return a row for each number of environments, one after the other for their memory."""
    rows = []
    for n_envs in sizes:
        loop = Loop(effort.seconds, _OURS, n_envs, scenario=SCENARIOS[0], n_threads=1)
        rate = in_rounds({"": loop.steps_per_second}, effort)[""].median
        events = loop.events_per_step(10)
        row = {"size": n_envs, "ns_per_event": 1e9 / rate / events, "events_per_decision": events}
        rows.append(row)
    return rows


def measure(effort: Effort) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each kind of growth."""
    kinds: dict[str, tuple[Callable[..., Any], Sequence[int]]] = {
        "vcpus": (_by_vcpus, _VCPUS),
        "pages": (_by_pages, _PAGES),
        "envs": (_by_envs, _ENVS),
    }
    n_sizes = _N_QUICK if effort.is_quick else None
    return {name: way(sizes[:n_sizes], effort) for name, (way, sizes) in kinds.items()}


def _table(name: str, rows: list[dict[str, Any]]) -> str:
    """Return the table of one kind of growth."""
    head = [_TITLES[name], "ns/event", "events/decision", "us/decision"]
    lines = []
    for row in rows:
        ns, events = row["ns_per_event"], row["events_per_decision"]
        cells = [f"{row['size']:,}", f"{ns:.0f}", f"{events:,.0f}", f"{ns * events / 1e3:,.2f}"]
        lines.append(cells + [f"{row[key]:.2f}" for key in ("start_ms",) if key in row])
    if "start_ms" in rows[0]:
        head.append("start of an episode, ms")
    return f"\n{_CAPTIONS[name]}:\n\n{table(head, lines)}"


def text(found: dict[str, list[dict[str, Any]]]) -> str:
    """Return what the page says about it."""
    tables = "".join(_table(name, rows) for name, rows in found.items())
    return _TEXT.format(plot=PLOT, tables=tables)


def _panel(axes: "Axes", name: str, rows: list[dict[str, Any]]) -> None:
    """Draw one kind of growth."""
    sizes = [row["size"] for row in rows]
    ns = np.array([row["ns_per_event"] for row in rows])
    decisions = ns * [row["events_per_decision"] for row in rows]
    axes.loglog(sizes, ns, "o-", color="#1f4e9c", markersize=4, label="an event")
    axes.loglog(sizes, decisions, "s--", color="#12805c", markersize=4, label="a decision")
    axes.set_xlabel(_TITLES[name])
    axes.minorticks_off()
    axes.grid(axis="y", color="#eef1f5")
    axes.spines[["top", "right"]].set_visible(False)


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Write the plot, one panel for each kind of growth."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "tdx-env", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(10, 3), layout="constrained")
        panels = figure.subplots(1, len(found), sharey=True)
        for axes, (name, rows) in zip(panels, found.items(), strict=True):
            _panel(axes, name, rows)
        panels[0].set_ylabel("ns")
        panels[0].legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
