"""The study as a page."""

from collections.abc import Iterator, Sequence

from tdx_eval.room.study import Effort, Gain, RoomCell, RoomRow, RoomStudy

_NOTHING, _MUCH = 2.0, 10.0  # [%]
_NOT_PLAYED = "-"
_DECIDED = "decided-"
_DENSE = 1.0  # λK above which `until-waits` is not the best threshold
_HEAD = """# The room above a simple rule

What can a decision gain at all? Held against *flush when somebody waits for mmu_lock, and RETRY
whatever is busy* (`{base}`), with flush points and busy replies both asked. Three
measurements, by which nobody knows the future:

- **look ahead**: at some decisions of an episode, spread evenly, every allowed answer is played on
  to the end by the rule, in some futures: what was drawn before stays, what is drawn later has new
  keys, the same for every answer. The best answer is taken if it saves more than twice its standard
  error. It sees few of many decisions: their share stands beside it.
- **tree**: the same play at some decisions of each of some episodes (2 futures), and a tree of 6
  leaves at most, grown on what each answer saved. It takes another answer than the rule only where
  it saves more than twice its standard error, and counts only if it was better on other episodes.
  It is then measured on new ones, at all decisions. A tree sees what *one* other answer saves if
  the rule goes on behind it: what takes several in a row it can miss.
- **other rule**: `decided-greedy`, `decided-root` and `decided-retry-batch-16` of
  [flush.md](flush.md) on the same episodes, where there are flush points; the best one is named.

All are lower ends: a better learner may find more. A gain is what is saved of the rule's mean
cost, paired by seed, with a 95 % interval; the objectives are those of
[objectives.md](objectives.md). λK says how many threads come to wait while as much is waited as a
flush costs ([flush.md](flush.md)); with λK ≤ 1 the rule is the best threshold by theorem, as far as
`cpu` and waiters for mmu_lock count: faults on blocked pages wait too. Where episodes are long, a
third of them is played. Scenarios of the core list that have no row were not measured.
"""


_LEARNERS = """
## For learners

`tdx_eval.room.advantages.advantages(scenarios, base, seeds=range(8), n_futures=8,
max_decisions=16)` returns the table that trees are grown on
(`tdx_eval.room.advantage_table.AdvantageTable`): observations, features, masks, and for each
allowed answer the mean cost from there on by each objective, with the standard error of its
difference to the base's answer, paired by future. `save` and `load` keep it as .npz, arrays
only."""


def gain_text(gain: Gain | None, without: str = "none") -> str:
    """Return a gain as the table has it."""
    if gain is None:
        return without
    return f"{gain.percent:+.1f} ({gain.low:+.1f} to {gain.high:+.1f})"


def room_line(row: RoomRow, cell: RoomCell) -> str:
    """Return a cell in one line, for a terminal."""
    rate = "" if row.lambda_k is None else f", λK {row.lambda_k:.2f}"
    return (
        f"{row.scenario} {cell.objective}{rate}: tree {gain_text(cell.learned)} %, look ahead "
        f"{gain_text(cell.ahead, _NOT_PLAYED)} %{'' if not cell.rule else f': {cell.rule}'}"
    )


def room_verdict(cell: RoomCell) -> str:
    """Return what a cell's gains come to in a word."""
    if cell.best >= _MUCH:
        return f"**{cell.best:.0f} %**"
    if cell.best >= _NOTHING:
        return f"{cell.best:.0f} %"
    return "nothing"


def _other(cell: RoomCell) -> str:
    """Return the gain of the best other rule, with its name."""
    if not cell.rules:
        return _NOT_PLAYED
    name = cell.best_rule
    return (
        "none" if name is None else f"{gain_text(cell.rules[name])} {name.removeprefix(_DECIDED)}"
    )


def _table(study: RoomStudy) -> Iterator[str]:
    """Yield a row for each scenario and objective."""
    is_bounded = any(cell.clairvoyant for row in study.rows for cell in row.cells)
    bound = " clairvoyant look ahead, % (a bound: luck counts) |" if is_bounded else ""
    yield (
        "| scenario | λK | busy, flush points an episode | objective | rule's cost, ms | tree, % | "
        f"other rule, % | look ahead, % | share looked at |{bound} room |"
    )
    yield "|---|--:|--:|---|--:|--:|--:|--:|--:|" + ("--:|" if is_bounded else "") + "---|"
    for row in study.rows:
        rate = "" if row.lambda_k is None else f"{row.lambda_k:.2f}"
        for cell in row.cells:
            extra = f" {gain_text(cell.clairvoyant, _NOT_PLAYED)} |" if is_bounded else ""
            yield (
                f"| {row.scenario} | {rate} | {row.n_busy:,.0f}, {row.n_flush:,.0f} | "
                f"{cell.objective} | {cell.base_ms:,.2f} | {gain_text(cell.learned)} | "
                f"{_other(cell)} | "
                f"{gain_text(cell.ahead, _NOT_PLAYED)} | {100 * cell.looked_share:.1f} % |{extra} "
                f"{room_verdict(cell)} |"
            )


def _losses(cell: RoomCell) -> str:
    """Return what other answers cost, in words."""
    return ", ".join(
        f"{name} {lost:+,.0f} ± {2 * error:,.0f} µs"
        for name, (lost, error) in cell.losses_us.items()
    )


def why_nothing(row: RoomRow, cell: RoomCell) -> str:
    """Say why nothing was found to gain in a cell."""
    points = []
    if row.n_flush < 1:
        points.append("there is no flush point")
    elif any(lost + 2 * error < 0 for lost, error in cell.losses_us.values()):
        points.append("a single other answer saves, but no tree was surely better with it")
    elif row.lambda_k is not None and row.lambda_k <= _DENSE:
        points.append(f"λK is {row.lambda_k:.2f}, where the rule is the best threshold")
    else:
        points.append("no tree and no other rule was surely better")
    found = _losses(cell)
    if found:
        points.append(f"another answer costs in the mean, to the end of the episode: {found}")
    return "; ".join(points)


def _named(rows: Sequence[RoomRow], objectives: Sequence[str], least: float) -> Iterator[str]:
    """Yield scenario, objective and rule of each cell with so much room."""
    for row in rows:
        for cell in row.cells:
            if cell.best >= least and cell.objective in objectives:
                rule = f": {cell.rule}" if cell.rule else ""
                if cell.best_rule is not None and cell.rules[cell.best_rule].percent == cell.best:
                    rule = f": `{cell.best_rule}`"
                yield f"- {row.scenario}, {cell.objective}: {cell.best:.0f} %{rule}"


def _controls(study: RoomStudy) -> Iterator[str]:
    """Yield the scenarios in which no objective has room, and why."""
    for row in study.rows:
        if all(cell.best < _NOTHING for cell in row.cells):
            yield (
                f"- **{row.scenario}** (control): nothing can be learned here above the rule, by "
                f"any of the objectives. By `{row.cells[0].objective}`: "
                f"{why_nothing(row, row.cells[0])}."
            )


def _partial(study: RoomStudy) -> Iterator[str]:
    """Yield the cells without room of the scenarios that have some elsewhere."""
    for row in study.rows:
        empty = [cell for cell in row.cells if cell.best < _NOTHING]
        if 0 < len(empty) < len(row.cells):
            names = ", ".join(f"`{cell.objective}`" for cell in empty)
            yield f"- {row.scenario}, by {names}: {why_nothing(row, empty[0])}."


def _played(study: RoomStudy) -> Iterator[str]:
    """Yield what was played: each command, its effort and its scenarios."""
    groups: dict[tuple[str, Effort], list[str]] = {}
    for row in study.rows:
        groups.setdefault((row.command, row.effort), []).append(row.scenario)
    for (command, effort), names in groups.items():
        ahead = "no look ahead"
        if effort.ahead_seeds:
            ahead = (
                f"a look ahead in {effort.ahead_seeds} at about {effort.ahead_decisions} "
                f"decisions each, {effort.futures} futures"
            )
        yield (
            f"- {effort.seeds} episodes; trees grown on {effort.fit_decisions} decisions of each "
            f"of {effort.fit_seeds}; {ahead} (`{command}`): {', '.join(names)}."
        )


def room_page(study: RoomStudy) -> str:
    """Return the page as Markdown."""
    objectives = [cell.objective for cell in study.rows[0].cells] if study.rows else []
    much = list(_named(study.rows, objectives, _MUCH))
    ids = {line.partition(",")[0] for line in much}
    parts = [
        _HEAD.format(base=study.base),
        "## Measured\n",
        *_table(study),
        f"\n## 10 % or more\n\n{len(ids)} scenarios, with the tree's answers or the other rule:\n",
        *(much or ["- none"]),
        "\n## Controls: below 2 % whatever counts\n",
        *(list(_controls(study)) or ["- none"]),
        "\n## Below 2 % by some objectives\n",
        *(list(_partial(study)) or ["- none"]),
        "\n## What was played\n",
        *_played(study),
        _LEARNERS,
    ]
    return "\n".join(parts) + "\n"
