"""The study as a file: written by `tdx-eval room`, read back for the page."""

import json
from dataclasses import asdict
from pathlib import Path

from tdx_eval.comparing.read_back import SCHEMA_KEY, read_back
from tdx_eval.room.study import RoomStudy

JSON, PAGE = "room.json", "room.md"
_SCHEMA = 1


def room_json(study: RoomStudy) -> str:
    """Return the study as JSON, one cell a line, so that a change is seen."""
    content = {SCHEMA_KEY: _SCHEMA, **asdict(study)}
    rows = []
    for row in content.pop("rows"):
        cells = ",\n   ".join(json.dumps(cell) for cell in row.pop("cells"))
        rows.append(f'  {json.dumps(row)[:-1]}, "cells": [\n   {cells}\n  ]}}')
    joined = ",\n".join(rows)
    parts = [f' "{name}": {json.dumps(value)}' for name, value in content.items()]
    return "{\n" + ",\n".join([*parts, f' "rows": [\n{joined}\n ]']) + "\n}\n"


def read_room(path: Path) -> RoomStudy:
    """Read a study back.

    Raises:
        ResultError: It can't be read, or isn't a study that `room_json` wrote.
    """
    return read_back(
        path, RoomStudy, f"a {JSON} of tdx-eval room", _SCHEMA, "tdx-eval room --write"
    )
