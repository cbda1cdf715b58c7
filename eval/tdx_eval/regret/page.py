"""The study of regrets as a page, and as a file."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tdx_eval.comparing.read_back import SCHEMA_KEY, read_back
from tdx_eval.regret.regrets import LEAST_US, CellBest, RuleRegret

JSON, PAGE = "what-if.json", "what-if.md"
GOOD = 30.0  # a fixed rule whose worst regret is below is worth its name [%]
_SCHEMA = 1
_FACTOR = 100.0  # above, a factor says more than a percentage [%]


@dataclass(frozen=True)
class RegretStudy:
    """What was measured.

    Attributes:
        command: That made it.
        objective: What counts.
        n_seeds: Episodes of each rule and cell.
        n_choice: Episodes that a cell's best rule is chosen by.
        cells: All cells.
        rules: All rules.
    """

    command: str
    objective: str
    n_seeds: int
    n_choice: int
    cells: list[CellBest]
    rules: list[RuleRegret]


def regret_json(study: RegretStudy) -> str:
    """Return the study as JSON, one cell and one rule a line."""
    content = {SCHEMA_KEY: _SCHEMA, **asdict(study)}
    lists = {name: content.pop(name) for name in ("cells", "rules")}
    parts = [f' "{name}": {json.dumps(value)}' for name, value in content.items()]
    for name, rows in lists.items():
        joined = ",\n".join(f"  {json.dumps(row)}" for row in rows)
        parts.append(f' "{name}": [\n{joined}\n ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def read_regret(path: Path) -> RegretStudy:
    """Read a study back.

    Raises:
        ResultError: It can't be read, or isn't a study that `regret_json` wrote.
    """
    again = "tdx-eval regret --write"
    return read_back(path, RegretStudy, f"a {JSON} of tdx-eval regret", _SCHEMA, again)


def regret_text(percent: float) -> str:
    """Return a regret in words: percent, or a factor if it is large."""
    return f"{percent:.0f} %" if percent <= _FACTOR else f"× {1 + percent / 100:.1f}"


def answer(study: RegretStudy) -> str:
    """Say which fixed rule is never far off, or which comes nearest."""
    fixed = [rule for rule in study.rules if rule.is_fixed and not rule.n_lost]
    if not fixed:
        return "Every fixed rule loses TDs somewhere."
    good = sorted((rule for rule in fixed if rule.worst < GOOD), key=lambda rule: rule.worst)
    if good:
        names = ", ".join(f"`{rule.rule}` ({regret_text(rule.worst)})" for rule in good)
        return f"Fixed rules that stay below {GOOD:.0f} % everywhere and lose no TD: {names}."
    best = min(fixed, key=lambda rule: rule.worst)
    return (
        f"No fixed rule that loses no TD stays below {GOOD:.0f} % everywhere: the best, "
        f"`{best.rule}`, is off by {regret_text(best.worst)} ({regret_text(best.low)} to "
        f"{regret_text(best.high)}) in {best.worst_cell}."
    )


def _rows(study: RegretStudy, is_fixed: bool) -> Iterator[str]:
    """Yield the table's rows of fixed rules, or of the others, the best first."""
    some = [rule for rule in study.rules if rule.is_fixed == is_fixed]
    for rule in sorted(some, key=lambda one: (one.n_lost > 0, one.worst)):
        lost = f"{rule.n_lost} in {rule.lost_cells} cells" if rule.n_lost else "none"
        yield (
            f"| `{rule.rule}` | {rule.title} | {regret_text(rule.worst)} ({regret_text(rule.low)} "
            f"to {regret_text(rule.high)}) | {rule.worst_cell} | {regret_text(rule.median)} | "
            f"{rule.n_best} | {lost} |"
        )


def _bests(study: RegretStudy) -> Iterator[str]:
    """Yield how many cells each rule is the best of, by holder."""
    counts: dict[str, Counter[str]] = {}
    for cell in study.cells:
        holder = cell.cell.split("-")[1]
        counts.setdefault(holder, Counter())[cell.best or "every rule loses TDs"] += 1
    for holder, found in counts.items():
        named = ", ".join(f"`{name}` {n}" for name, n in found.most_common())
        yield f"| {holder} | {named} |"


_HEAD = """# What if: worlds that may come

None of these worlds exists today. A call of the host meets a holder that keeps its lock for long: a
guest's ACCEPT of a 2M page, of 0.2 to 4 ms (2 MiB at 10 to 0.5 GB/s: a good or a slow device behind
CXL, or one that many share), a host's export that holds the S-EPT tree as long for each page, or
both. A kick costs its sender what it costs today, or a tenth of it (posted interrupts); the TD has
1, 8, 64 or 248 vCPUs. The grid is fixed: `w-grid`, 120 cells. No policy is trained or tuned on it.

A rule's **regret** in a cell is what it costs more than the cell's best rule, which is chosen on
other seeds ({n_choice} episodes) and loses no TD there. Its worst regret over all cells says how
far off it can be for somebody who does not know in which world he is. Held fixed: the bounded
discipline (1,024 tries, a gated kick, as many again, KVM_BUG_ON) and the objective `{objective}`;
rows that yield in the zap path too need a change of KVM. {n_seeds} episodes of each rule and cell;
intervals are bootstrap percentiles over seeds, 95 %. Cells whose best rule costs less than
{least:.0f} µs are left out: {n_left_out}. A lost TD is counted, not averaged in.

`{command}`

{answer}
"""
_COLUMNS = (
    "| rule | what it does | worst regret | where | median | best in cells | TDs lost |\n"
    "|---|---|--:|---|--:|--:|--:|"
)


def regret_page(study: RegretStudy) -> str:
    """Return the page as Markdown."""
    head = _HEAD.format(
        n_choice=study.n_choice,
        objective=study.objective,
        n_seeds=study.n_seeds,
        least=LEAST_US,
        n_left_out=sum(not cell.is_counted for cell in study.cells),
        command=study.command,
        answer=answer(study),
    )
    parts = [
        head,
        "## Fixed rules\n",
        _COLUMNS,
        *_rows(study, is_fixed=True),
        "\n## Rules that look at state\n",
        _COLUMNS,
        *_rows(study, is_fixed=False),
        "\n## Which rule is the best of a cell\n",
        "Number of cells, by who holds the lock.\n",
        "| holder | best rules |",
        "|---|---|",
        *_bests(study),
    ]
    return "\n".join(parts) + "\n"
