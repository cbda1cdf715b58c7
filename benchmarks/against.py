"""Decisions per second of this source tree against another one's, in turns.

    git worktree add ../before 7dd5080
    python -m benchmarks.against ../before

A rate is that of one core's CPU time, so that what else the machine does disturbs both alike.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.rounds import Median, median_of
from benchmarks.tables import spread, table

_HERE = Path(__file__).resolve().parents[1]
_PROGRAM = Path(__file__).resolve().parent / "client_programs" / "events.py"
_CASES = (  # a scenario and its number of vCPUs, 0: as it has them
    "s06-conversion/test 8",
    "s06-conversion/test 64",
    "s06-conversion/test 248",
    "s06-conversion-248/test 0",
    "s10-hostile/test 0",
    "s03-zero-step/test 0",
    "s09-accept-4k/test 0",
    "s13-balloon/test 0",
    "s14-split-storm/test 0",
)
_ROUNDS = 5


def run_in(tree: Path) -> dict[str, dict[str, float]]:
    """Run the program in a source tree; return what it measured by case."""
    folders = [tree, *(tree / name for name in ("agents", "eval", "train"))]
    if (tree / "agents" / "__init__.py").exists():
        folders = folders[:1]  # an older tree: they are packages, not folders of packages
    path = os.pathsep.join(map(str, folders))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(_PROGRAM), *_CASES], cwd=tree, text=True,
        env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    measured: dict[str, dict[str, float]] = json.loads(done.stdout)
    return measured


def against_table(before: list[Any], after: list[Any]) -> str:
    """Return the table: events for a decision and rates of both, and the ratio of the medians.

    Args:
        before: What each round measured in the other tree.
        after: In this one.
    """
    rows = []
    for case in before[0]:
        rates: list[Median] = [
            median_of([one[case]["rate"] for one in rounds]) for rounds in (before, after)
        ]
        events = [f"{rounds[0][case]['events']:,.0f}" for rounds in (before, after)]
        ratio = f"{rates[1].median / rates[0].median:.2f}"
        name, n_vcpus = case.split()
        size = n_vcpus if n_vcpus != "0" else ""
        rows.append([name, size, *events, *(spread(rate._asdict()) for rate in rates), ratio])
    head = ["scenario", "vCPUs", "events/decision before", "after"]
    head += ["decisions/s before", "after", "ratio"]
    return table(head, rows)


def main() -> None:
    """Measure both trees in turns, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("tree", type=Path, help="folder with the other sources")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    given = parser.parse_args()
    trees = (given.tree.resolve(), _HERE)
    rounds: list[list[Any]] = [[], []]
    for number in range(given.rounds + 1):
        for place, tree in enumerate(trees):
            measured = run_in(tree)
            if number > 0:  # the first one may compile
                rounds[place].append(measured)
    print(against_table(*rounds), end="")


if __name__ == "__main__":
    main()
