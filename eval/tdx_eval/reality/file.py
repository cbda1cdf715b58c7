"""The table as a file: written for others to read, read back for the report of a comparison."""

import json
from dataclasses import asdict
from pathlib import Path

from tdx_eval.comparing.read_back import SCHEMA_KEY, read_back
from tdx_eval.reality.row import RealityTable

JSON, PAGE = "reality.json", "reality.html"
_SCHEMA = 1


def table_json(table: RealityTable) -> str:
    """Return the table as JSON, with its counts."""
    content = {SCHEMA_KEY: _SCHEMA, **asdict(table), "counts": table.counts}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_table(path: Path) -> RealityTable:
    """Read a table back.

    Raises:
        ResultError: It can't be read, or isn't a table that `table_json` wrote.
    """
    origin = f"a {JSON} of tdx-eval reality"
    return read_back(path, RealityTable, origin, _SCHEMA, "tdx-eval reality --out FOLDER")
