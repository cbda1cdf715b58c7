"""Fill in the tables of `docs/answers`: `python docs/answers.py [--play] [RUN ...]`.

A page has a place for each table, between two comments; the first says which run it is made from
and which scenarios it shows. Runs are comparisons, listed in `answers.toml`; their results are kept
in `out/answers`, and are read from there unless they are to be played.
"""

import argparse
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tdx_eval.commands.app import app

FOLDER = Path(__file__).parent / "answers"
RUNS: dict[str, dict[str, list[str]]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text()
)["runs"]
RESULTS = Path("out/answers")
PLACE = re.compile(r"<!-- table: (\S+) (\S+) -->\n(.*?)<!-- end -->", re.DOTALL)
HEAD = (
    "policy",
    "cost [µs]",
    "to 6.16",
    "with TRACK's kicks",
    "not preemptible [µs]",
    "kicks",
    "lost",
)
_FACTOR = 2  # beyond it a difference is written as a factor


def arguments(run: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what `tdx-eval` gets to play a run, without the folder."""
    named = ["--scenarios", ",".join(run["scenarios"]), "--policies", ",".join(run["policies"])]
    return ["compare", *named, *run["options"]]


def command(run: Mapping[str, Sequence[str]]) -> str:
    """Return the command of a run as a reader types it."""
    return " ".join(["tdx-eval", *arguments(run), "--out", "out/mine"])


def _relative(found: Mapping[str, float] | None) -> str:
    """Return a paired difference with its 95 % interval: in percent, or as a factor if large."""
    if found is None:
        return "-"
    value, low, high = (1 + found[end] for end in ("value", "low", "high"))
    if 1 / _FACTOR < value < _FACTOR:
        return f"{value - 1:+.1%} ({low - 1:+.1%} to {high - 1:+.1%})"
    return f"× {value:.2g} ({low:.2g} to {high:.2g})"


def _row(name: str, number: str, result: Mapping[str, Any], clock_khz: int) -> tuple[str, ...]:
    """Return a policy's cells in one scenario."""
    per_us = clock_khz / 1000
    other = result["to_reference"] or {}
    n_lost = result["killed"] + result["hung"] + result["capped"]
    return (
        f"`{name}`" if number.lower() in ("", name) else f"{number} `{name}`",
        f"{result['cost']['value'] / per_us:,.0f}",
        _relative(other.get("relative")),
        _relative(other.get("with_track")),
        f"{result['worst']['longest_nonpreemptible_cycles'] / per_us:,.0f}",
        f"{result['means']['n_kicks']:,.0f}",
        f"{n_lost} of {result['n_episodes']}",
    )


def _line(cells: Sequence[str]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def table(name: str, shown: Sequence[str], summary: Mapping[str, Any]) -> str:
    """Return the tables of a run's scenarios, and what they were made by.

    Args:
        name: The run.
        shown: The scenarios to show, without split.
        summary: Its `summary.json`.
    """
    run, policies = RUNS[name], summary["policies"]
    numbers = {key: policy["number"] for key, policy in policies.items()}
    asked = {one.lower() for one in run["policies"]}
    lines = []
    for scenario in summary["scenarios"]:
        slug = scenario["name"].partition("/")[0]
        if slug not in shown:
            continue
        lines += [f"**{slug}**: {scenario['title']}", "", _line(HEAD), _line(["---"] * len(HEAD))]
        for key, result in scenario["results"].items():
            if key in asked or numbers[key].lower() in asked:
                lines.append(_line(_row(key, numbers[key], result, scenario["clock_khz"])))
        lines.append("")
    machines = "; ".join(sorted(summary["footing"]["machines"]))
    played = f"Played on {machines}; rows that are a kernel bring their own."
    return "\n".join([*lines, f"`{command(run)}`", "", played])


def fill(path: Path, results: Path) -> None:
    """Fill in the tables of a page from the results that there are."""

    def filled(match: re.Match[str]) -> str:
        name, shown = match[1], match[2].split(",")
        file = results / name / "summary.json"
        if not file.exists():
            print(f"{path}: a table is left as it is, {file} is missing: --play {name}")
            return match[0]
        summary = json.loads(file.read_text())
        text = table(name, shown, summary)
        return f"<!-- table: {name} {match[2]} -->\n{text}\n<!-- end -->"

    path.write_text(PLACE.sub(filled, path.read_text()), encoding="utf-8")


def play(name: str) -> None:
    """Play a run."""
    where = ["--jobs", "1", "--backend", "sequential", "--out", str(RESULTS / name), "--overwrite"]
    app([*arguments(RUNS[name]), *where], standalone_mode=False)


def main() -> None:
    """Play what is asked for, and fill in all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", help="runs to play; default: all")
    parser.add_argument("--play", action="store_true", help="play them first")
    options = parser.parse_args()
    for name in (options.runs or RUNS) if options.play else ():
        play(name)
    for path in sorted(FOLDER.glob("*.md")):
        fill(path, RESULTS)


if __name__ == "__main__":
    main()
