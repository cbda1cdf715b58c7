"""The study as a file: written by `tdx-eval costs`, read back for the page."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tdx_eval.comparing.read_back import SCHEMA_KEY, read_back
from tdx_eval.costs.study import Study

JSON, PAGE = "costs.json", "costs.md"
_SCHEMA = 1


def _listed(rows: Iterable[str], indent: str) -> str:
    """Return the items of a JSON list or object, one a line."""
    return ",\n".join(indent + row for row in rows)


def _scenario_json(scenario: dict[str, Any]) -> str:
    """Return a scenario as JSON, one effect a line."""
    effects = _listed(map(json.dumps, scenario.pop("effects")), "   ")
    return f'{json.dumps(scenario)[:-1]}, "effects": [\n{effects}\n  ]}}'


def study_json(study: Study) -> str:
    """Return the study as JSON: one range and one effect a line, so that a change is seen."""
    content = {SCHEMA_KEY: _SCHEMA, **asdict(study)}
    scenarios = _listed(map(_scenario_json, content.pop("scenarios")), "  ")
    ends = content.pop("ranges").items()
    ranges = _listed((f'"{name}": {json.dumps(given)}' for name, given in ends), "  ")
    parts = [f'"{name}": {json.dumps(value)}' for name, value in content.items()]
    parts += [f'"ranges": {{\n{ranges}\n }}', f'"scenarios": [\n{scenarios}\n ]']
    return "{\n" + _listed(parts, " ") + "\n}\n"


def read_study(path: Path) -> Study:
    """Read a study back.

    Raises:
        ResultError: It can't be read, or isn't a study that `study_json` wrote.
    """
    return read_back(path, Study, f"a {JSON} of tdx-eval costs", _SCHEMA, "tdx-eval costs --write")
