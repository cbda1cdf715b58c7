"""The section of a report on what was swept."""

from markupsafe import Markup

from tdx_eval.comparing.summary import Summary
from tdx_eval.reporting.charts import as_json
from tdx_eval.reporting.html import NOTHING_MORE, environment, svg_of
from tdx_eval.sweeping.chart import sweep_chart, swept


def sweep_section(summary: Summary) -> Markup:
    """Return the charts of all swept fields as a section; nothing if none was swept."""
    charts = [sweep_chart(summary, field, some) for field, some in swept(summary).items()]
    if not charts:
        return NOTHING_MORE
    templates = environment(__package__)
    templates.globals |= {"svg_of": svg_of, "json_of": as_json}
    return Markup(templates.get_template("sweep_section.html").render(sweeps=charts))
