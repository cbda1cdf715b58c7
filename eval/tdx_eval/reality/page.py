"""The table as HTML: a page of its own, and a section for the report of a comparison."""

import jinja2
from markupsafe import Markup

from tdx_eval.reality import wording
from tdx_eval.reality.row import Kind, RealityTable
from tdx_eval.reporting.html import environment


def _templates() -> jinja2.Environment:
    """Return the templates with what they call."""
    templates = environment(__package__)
    templates.globals |= {"r": wording, "kinds": list(Kind)}
    return templates


def reality_page(table: RealityTable) -> str:
    """Return the table as one self-contained page."""
    return _templates().get_template("reality.html").render(reality=table)


def reality_section(table: RealityTable) -> Markup:
    """Return the table as a section of a report."""
    return Markup(_templates().get_template("reality_section.html").render(reality=table))
