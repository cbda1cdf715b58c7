"""The table as a page of its own."""

from tdx_eval.reality.row import Table
from tdx_eval.report import environment


def html(table: Table) -> str:
    """Return the table as one self-contained page."""
    return environment().get_template("reality.html").render(reality=table)
