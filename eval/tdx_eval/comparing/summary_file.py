"""The summary as a file: written by `tdx-eval compare`, read back by those who show it."""

import json
from pathlib import Path

from tdx_eval.comparing.output import SUMMARY
from tdx_eval.comparing.read_back import SCHEMA_KEY, read_back
from tdx_eval.comparing.summary import Summary

SCHEMA = 2


def summary_json(summary: Summary) -> str:
    """Return a summary as JSON."""
    content = {SCHEMA_KEY: SCHEMA, **summary.as_json()}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def read_summary(folder: Path) -> Summary:
    """Read the summary of a comparison back.

    Raises:
        ResultError: It can't be read, or isn't one that `summary_json` wrote.
    """
    path = folder / SUMMARY
    return read_back(path, Summary, f"a {SUMMARY} of tdx-eval compare", SCHEMA, "tdx-eval compare")
