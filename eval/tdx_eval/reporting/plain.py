"""The answer as plain text for a mailing list, 72 columns wide, and as LaTeX for a paper."""

import textwrap

from markupsafe import Markup

from tdx_eval.comparing.summary import ScenarioResult, Summary
from tdx_eval.reporting import answer
from tdx_eval.reporting.turning import turning_text
from tdx_eval.reporting.verdicts import (
    Verdict,
    factor_text,
    interval_text,
    lost_between,
    verdict_on,
)

COLUMNS = 72
_SHORT = {
    Verdict.BETTER: "better",
    Verdict.NO_DIFFERENCE: "same",
    Verdict.WORSE: "worse",
    Verdict.NOT_TOLD_APART: "?",
}
_NAME, _NUMBER, _FACTOR, _INTERVAL = 27, 4, 9, 22  # columns
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "÷": r"$\div$",
    "×": r"$\times$",
    "\N{MINUS SIGN}": r"$-$",
    "\N{NO-BREAK SPACE}": "~",
    "µ": r"\textmu{}",
    "±": r"$\pm$",
}


def _wrapped(text: str, indent: str = "") -> str:
    """Return a text in lines of 72 columns."""
    plain = text.replace("\N{NO-BREAK SPACE}", " ")
    return textwrap.fill(
        plain, COLUMNS, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _findings(summary: Summary) -> list[str]:
    """Return the first screen's sentences without marks, or why there are none."""
    few = answer.too_few(summary)
    if few:
        return [few]
    if not summary.contested:
        return ["None of the scenarios has contention: no answer is told from controls."]
    told = {
        "Which": answer.which_text(summary),
        "When": answer.when_text(summary),
        "Why": answer.why_text(summary),
        "How sure": answer.how_sure(summary),
        "What would turn it": turning_text(summary),
    }
    return [f"{head}: {Markup(text).striptags()}" for head, text in told.items()]


def _row(summary: Summary, one: ScenarioResult) -> list[str]:
    """Return a scenario in one line, and who lost TDs there in another."""
    found = one.results[summary.best].to_reference
    name, n = one.short_name[:_NAME], f"{one.n_episodes}"
    verdict = _SHORT[verdict_on(found, one.n_episodes)]
    line = (
        f"{name:{_NAME}}{n:>{_NUMBER}}{factor_text(found):>{_FACTOR}}"
        f"{interval_text(found):>{_INTERVAL}} {verdict}"
    )
    lost = lost_between(one, summary.best, summary.reference)
    rows = [line.replace("\N{NO-BREAK SPACE}", " ")]
    return [*rows, _wrapped(lost, "    ")] if lost else rows


def mail_text(summary: Summary) -> str:
    """Return the answer as plain text of 72 columns."""
    parts = [_wrapped(answer.headline(summary)), *map(_wrapped, _findings(summary))]
    if summary.contested and not answer.too_few(summary):
        head = (
            f"{summary.best} against {summary.reference}, mean cost of an episode (95 % interval):"
        )
        lines = [line for one in summary.contested for line in _row(summary, one)]
        parts += [_wrapped(head), "\n".join(lines)]
        parts.append("same: within 2 %; ?: not told apart")
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    """Return a text as LaTeX has it."""
    return "".join(_LATEX.get(one, one) for one in text)


def latex_text(summary: Summary) -> str:
    """Return the table of all scenarios as LaTeX, with booktabs' rules."""
    rows = []
    for one in summary.contested:
        found = one.results[summary.best].to_reference
        cells = [
            one.short_name,
            f"{one.n_episodes}",
            factor_text(found),
            interval_text(found),
            verdict_on(found, one.n_episodes).value,
            lost_between(one, summary.best, summary.reference),
        ]
        rows.append(" & ".join(map(_escaped, cells)) + r" \\")
    return "\n".join(
        [
            *(f"% {line}" for line in _wrapped(answer.headline(summary)).splitlines()),
            r"\begin{tabular}{lrrrll}",
            r"\toprule",
            r"scenario & $n$ & cost & 95\,\% interval & verdict & TDs lost \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )
