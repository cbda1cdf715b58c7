"""The documented columns are those that are written."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tdx_eval.comparing.episodes import cells_table, episodes_table

PAGE = Path(__file__).parents[3] / "docs" / "results.md"
TYPES = {"int64": "int64", "bool": "bool", "object": "string"}


def documented(head: str) -> list[tuple[str, str]]:
    """Return column and type of each row of a section's table."""
    section = PAGE.read_text().split(f"## {head}")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE)


@pytest.mark.parametrize(
    ("head", "table"),
    [
        ("Columns of `results.parquet`", lambda: episodes_table([], [], [])),
        ("Columns of `busy.parquet`", lambda: cells_table([], [])),
    ],
)
def test_page_has_every_column_in_order(head, table):
    written: pd.DataFrame = table()
    found = [(str(name), TYPES[str(kind)]) for name, kind in written.dtypes.items()]
    assert documented(head) == found
