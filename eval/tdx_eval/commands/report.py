"""The command `tdx-eval report`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdx_eval.commands.libraries import need
from tdx_eval.commands.overwriting import OverwriteOption

if TYPE_CHECKING:
    from tdx_eval.comparing.summary import Summary

_LIBRARIES = ("jinja2", "vl_convert")


class Format(StrEnum):
    """What a report is written as."""

    HTML = "html"
    MAIL = "mail"
    LATEX = "latex"


def _page(summary: "Summary") -> str:
    """Return the page, its timelines played anew."""
    from tdx_env.scenarios import load
    from tdx_eval.forking.page import fork_pictures
    from tdx_eval.reporting.html import NOTHING_MORE, report_page
    from tdx_eval.sweeping.page import sweep_section

    need("tdx-eval report", _LIBRARIES)
    overrides = summary.manifest["overrides"]
    scenarios = {name: load(name, overrides) for name in summary.manifest["scenarios"]}
    pictures = fork_pictures(scenarios)
    return report_page(summary, NOTHING_MORE, pictures, sweep_section(summary))


def report(
    folder: Annotated[Path, typer.Argument(help="Folder that tdx-eval compare wrote")],
    format_: Annotated[
        Format, typer.Option("--format", help="A page, text of 72 columns, a LaTeX table")
    ] = Format.MAIL,
    out: Annotated[Path | None, typer.Option(help="File; default: the terminal")] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Show a comparison that was made: as text for a mailing list, for LaTeX, or as the page."""
    from tdx_eval.comparing.output import check_new_file, write_text
    from tdx_eval.comparing.summary_file import read_summary
    from tdx_eval.reporting.plain import latex_text, mail_text

    if out is not None:
        check_new_file(out, overwrite)
    summary = read_summary(folder)
    kinds = {Format.HTML: _page, Format.MAIL: mail_text, Format.LATEX: latex_text}
    text = kinds[format_](summary)
    if out is None:
        print(text, end="")
        return
    write_text(out, text)
    print(f"report: {out}")
