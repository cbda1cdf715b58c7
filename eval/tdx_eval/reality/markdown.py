"""The table in Markdown: docs/reality.md."""

from collections.abc import Iterator

from tdx_eval.reality.row import Kind, RealityTable, RowResult, RowVerdict
from tdx_eval.reality.wording import observed_number, simulated
from tdx_eval.reporting.wording import NOTHING

_HEAD = """# Reality

What was measured of TDX, said in the discussion and reported as bugs, and what the simulator gives.
Each row has its criterion in the code (`eval/tdx_eval/reality/`), written before the simulator was
asked; no cost was changed to make a row hold. Every row is played with {n_draws} draws of all costs
over their whole ranges. A number holds if it lies within 5 to 95 % of the draws, to the digits it
was published with: what those leave open is all the tolerance there is. A range holds if it
overlaps the draws', a bound if the draws keep it; a statement, as its row says, in every draw or in
one at least.

Made by `tdx-eval reality --draws {n_draws} --write` with {versions}.

**{counts}.**
"""


def _cell(text: str) -> str:
    """Return a text that does not end its cell."""
    return text.replace("|", "\\|")


def _line(*cells: str) -> str:
    """Return a line of a table."""
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _section(kind: Kind, results: list[RowResult]) -> Iterator[str]:
    """Yield the table of one section."""
    yield f"\n## {kind.value[0].upper()}{kind.value[1:]}\n"
    yield _line("row", "observed", "number", "simulated: median (5 to 95 %)", "criterion", "")
    yield "|---|---|---:|---:|---|---|"
    for result in results:
        yield _line(
            f"`{result.id}`",
            f"{result.observed} *{result.source}*",
            observed_number(result),
            simulated(result),
            result.criterion or NOTHING,
            result.verdict,
        )


def _reasons(results: list[RowResult], verdict: RowVerdict) -> Iterator[str]:
    """Yield why each row with a verdict has it."""
    yield f"\n### Rows with “{verdict.value}”\n"
    for result in results:
        if result.verdict == verdict:
            yield f"- `{result.id}`: {result.note}"


def reality_markdown(table: RealityTable) -> str:
    """Return the table as a page in Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in table.versions.items())
    lines = [_HEAD.format(n_draws=table.n_draws, versions=versions, counts=table.counts)]
    for kind in Kind:
        results = table.of_kind(kind)
        lines += _section(kind, results)
        for verdict in (RowVerdict.FAILS, RowVerdict.NOT_MODELLED):
            if any(result.verdict == verdict for result in results):
                lines += _reasons(results, verdict)
    based = [result for result in table.results if result.rests_on]
    lines.append("\n## Rows that can hardly fail\n")
    lines.append("A cost's range was derived from the very observation.\n")
    lines += [f"- `{result.id}`: {result.rests_on}" for result in based]
    return "\n".join(lines) + "\n"
