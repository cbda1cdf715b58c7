"""Charts: Vega-Lite specifications, their static SVG, and the library that brings them to life.

Each chart stands in the page as SVG, for print and for browsers without JavaScript; with it, Vega
draws the same specification anew on wide screens, with what hovering shows. Colours are those of
`PALETTE`; the style sheet replaces them in the dark.
"""

import base64
import functools
import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

VEGA_LITE = "6.4"
INK, SOFT, LINE, BAND_FILL = "#1d2330", "#566072", "#d5dae3", "#e3e6ec"
BETTER, WORSE, NEUTRAL = "#0b6aa8", "#b8480a", "#6f7785"
PALETTE = (INK, SOFT, LINE, BAND_FILL, BETTER, WORSE, NEUTRAL)
_FONT = "sans-serif"
_CONFIG: dict[str, Any] = {
    "font": _FONT,
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": SOFT,
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 220,
    },
    "title": {"color": INK, "fontSize": 13, "anchor": "start", "subtitleColor": SOFT},
    "legend": {"labelColor": INK, "titleColor": SOFT, "labelFontSize": 12, "titleFontSize": 12},
    "text": {"color": INK},
}
_SNIPPET = "window.vegaEmbed = vegaEmbed; dispatchEvent(new Event('vega-is-there'));"
_DIGITS = re.compile(r"(\d+\.\d)\d+")  # of coordinates: tenths of a pixel are enough


@dataclass(frozen=True)
class Chart:
    """A chart and its table.

    Attributes:
        name: Names it in the page.
        title: The finding.
        wide: Specification for wide screens and print.
        narrow: The same for a telephone.
        heads: Heads of the table of what is shown.
        rows: Its rows; the first cell is the row's head.
    """

    name: str
    title: str
    wide: dict[str, Any]
    narrow: dict[str, Any]
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def svg_wide(self) -> Markup:
        """Return the chart drawn for wide screens."""
        return svg(self.wide, self.title)

    @property
    def svg_narrow(self) -> Markup:
        """Return the chart drawn for a telephone."""
        return svg(self.narrow, self.title)


def spec(content: dict[str, Any]) -> dict[str, Any]:
    """Return a whole specification: with the schema and the page's style."""
    return {
        "$schema": f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE.split('.')[0]}.json",
        "config": _CONFIG,
        **content,
    }


def svg(content: dict[str, Any], label: str) -> Markup:
    """Return a specification drawn as SVG that takes the width it is given."""
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(content, vl_version=VEGA_LITE)
    drawn = _DIGITS.sub(r"\1", drawn)
    head, _, body = drawn.partition(">")
    view_box = re.search(r'viewBox="([^"]*)"', head)
    assert view_box is not None
    width = view_box[1].split()[2]
    opening = Markup('<svg role="img" aria-label="{}" viewBox="{}" style="max-width:{}px">').format(
        label, view_box[1], width
    )
    return opening + Markup(re.sub(r' (aria-\w+|role|class)="[^"]*"', "", body))


def as_json(content: dict[str, Any]) -> Markup:
    """Return a specification as JSON that may stand in a script element."""
    return Markup(json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"))


@functools.cache
def library() -> Markup:
    """Return Vega, Vega-Lite and Vega-Embed, packed: gzip in base64, a third of its size."""
    import vl_convert

    source = vl_convert.javascript_bundle(_SNIPPET, vl_version=VEGA_LITE)
    packed = gzip.compress(source.encode(), 9, mtime=0)
    return Markup(base64.b64encode(packed).decode())
