"""The rankings as a page in Markdown, and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from tdx_eval.ranks.order import SAME, movers
from tdx_eval.ranks.playing import REFERENCE, PlayedPolicy, Ranking

MERGED = ("p18-merged-6.16", "p19-merged-6.18", "p20-merged-6.19")
_ALIKE = 0.9  # of tau: below, reasons and movers are told
_MOST_MOVERS = 3
_PERCENT = 100.0
_HEAD = """# Ranks

Which policies rank otherwise on another version of the TDX module? Every policy plays the same
episodes of each scenario below on {before} and on {after}, the same seeds, with the kernel that the
scenario names (a row of the catalogue that is a kernel brings its own). Policies are ordered by the
mean of overhead and penalties; two whose costs differ by less than {same:.0f} % are tied. Kendall's
tau-b says how alike two orders are: 1 alike, 0 unrelated, -1 reversed.

Nothing but the module differs between the two columns of a row, also where no machine runs the
pair: KVM refuses modules before 1.5.06. Made with {versions} by:

    {command} --write
"""


@dataclass(frozen=True)
class RankStudy:
    """What was played and what came of it.

    Attributes:
        modules: Version before and after.
        rankings: A ranking for each scenario.
        bounded: Policies whose zap gives up after a last try, and that KVM could merge today.
        command: What makes it, without the files that it writes.
        versions: Package versions.
    """

    modules: tuple[str, str]
    rankings: Sequence[Ranking]
    bounded: Sequence[str]
    command: str
    versions: Mapping[str, str] = field(default_factory=dict)


def table_line(*cells: object) -> str:
    """Return a line of a table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _short(scenario: str) -> str:
    """Return a scenario's name without its split."""
    return scenario.removesuffix("/test")


def moved_text(ranking: Ranking) -> str:
    """Say who changes place most."""
    moved = movers(*ranking.costs, _MOST_MOVERS)
    return ", ".join(f"{name} {before} → {after}" for name, before, after in moved)


def tau_text(ranking: Ranking) -> str:
    """Return tau as a table shows it."""
    return "–" if ranking.tau is None else f"{ranking.tau:.2f}"


def is_changed(ranking: Ranking) -> bool:
    """Say whether the order is another one, or there is one on one version alone."""
    return bool(ranking.before) and (ranking.tau is None or ranking.tau < _ALIKE)


def why_moved(ranking: Ranking) -> str:
    """Say why an order changes, or that there is none."""
    if ranking.refused:
        return ranking.refused
    if not is_changed(ranking):
        return ""
    return "; ".join([*map(str, ranking.reasons), *losses_text(ranking)]) or "nothing is ordered"


def losses_text(ranking: Ranking) -> list[str]:
    """Say which policies lose more or less episodes, those with the largest change first."""
    changed = {
        name: (ranking.before[name].n_lost, ranking.after[name].n_lost) for name in ranking.before
    }
    changed = {name: both for name, both in changed.items() if both[0] != both[1]}
    first = sorted(changed, key=lambda name: -abs(changed[name][0] - changed[name][1]))
    if not first:
        return []
    told = [f"{name} {changed[name][0]} → {changed[name][1]}" for name in first[:_MOST_MOVERS]]
    more = len(first) - len(told)
    return [f"episodes lost: {', '.join(told)}" + (f" and {more} more policies" if more else "")]


def _scenarios(ranks: RankStudy) -> Iterator[str]:
    """Yield the table of scenarios."""
    yield "\n## By scenario\n"
    yield f"Busy replies are those of {REFERENCE}. Places: 1 and how many are cheaper.\n"
    yield table_line("scenario", "episodes", "tau", "what comes or goes", "who moves most (place)")
    yield table_line("---", "--:", "--:", "---", "---")
    for one in ranks.rankings:
        moved = moved_text(one) if is_changed(one) else ""
        yield table_line(
            _short(one.scenario), one.n_episodes or "–", tau_text(one), why_moved(one), moved
        )


def best_bounded(played: Mapping[str, PlayedPolicy], bounded: Sequence[str]) -> str | None:
    """Return the cheapest of the bounded policies that lost nothing, or None."""
    safe = {name: played[name].cost for name in bounded if name in played}
    safe = {name: cost for name, cost in safe.items() if played[name].n_lost == 0}
    return min(safe, key=lambda name: safe[name]) if safe else None


def held_against(played: Mapping[str, PlayedPolicy], name: str, best: str | None) -> str:
    """Return what a policy costs over the best bounded one, or how many episodes it lost."""
    if name not in played:
        return "–"
    if played[name].n_lost:
        return f"{played[name].n_lost} lost"
    if best is None or played[best].cost == 0:
        return "–"
    return f"{_PERCENT * (played[name].cost / played[best].cost - 1):+.1f} %"


def _merged(ranks: RankStudy) -> Iterator[str]:
    """Yield the table of the merged rows against the best bounded one."""
    before, after = ranks.modules
    yield "\n## What is merged, against the best bounded row\n"
    yield (
        "Bounded: BLOCK, TRACK and REMOVE have a last try, after which the host gives up. Best: "
        "the cheapest of those that KVM could merge today and that loses nothing in these "
        "episodes, in hindsight. The merged rows are bounded themselves.\n"
    )
    numbers = [name.partition("-")[0].upper() for name in MERGED]
    heads = [f"{number} on {module}" for module in ranks.modules for number in numbers]
    yield table_line("scenario", f"best on {before}", f"best on {after}", *heads)
    yield table_line("---", "---", "---", *["--:"] * len(heads))
    for one in ranks.rankings:
        if one.refused:
            continue
        bests = [best_bounded(played, ranks.bounded) for played in (one.before, one.after)]
        cells = [
            held_against(played, name, best)
            for played, best in zip((one.before, one.after), bests, strict=True)
            for name in MERGED
        ]
        yield table_line(_short(one.scenario), *(best or "–" for best in bests), *cells)


def ranks_page(ranks: RankStudy) -> str:
    """Return the page."""
    versions = ", ".join(f"{name} {number}" for name, number in ranks.versions.items())
    head = _HEAD.format(
        before=ranks.modules[0],
        after=ranks.modules[1],
        same=_PERCENT * SAME,
        command=ranks.command,
        versions=versions,
    )
    lines = [head.rstrip(), *_scenarios(ranks), *_merged(ranks)]
    return "\n".join(lines) + "\n"


def ranks_json(ranks: RankStudy) -> str:
    """Return all that was found as JSON."""
    content = asdict(ranks)
    for record, one in zip(content["rankings"], ranks.rankings, strict=True):
        record["tau"] = one.tau
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
