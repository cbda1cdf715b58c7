"""`tdx-eval trace`."""

import json

from typer.testing import CliRunner

from tdx_env.errors import ScenarioError
from tdx_eval.commands.app import app

RUN = CliRunner()


def test_trace_writes_a_file_and_says_where_the_time_went(tmp_path):
    out = tmp_path / "trace.json"
    result = RUN.invoke(app, ["trace", "s15-export/test", "--policy", "P18", "--out", str(out)])
    assert result.exit_code == 0
    content = json.loads(out.read_text())
    about = content["otherData"]
    assert (about["scenario"], about["policy"]) == ("s15-export/test", "p18-merged-6.16")
    us = about["cycles_by_category"]["idle"] / 2500
    line = next(line for line in result.stdout.splitlines() if line.startswith("  idle"))
    assert f"{us:,.1f} us" in line


def test_unknown_scenario_is_one_error(tmp_path):
    result = RUN.invoke(app, ["trace", "s99", "--out", str(tmp_path / "trace.json")])
    assert isinstance(result.exception, ScenarioError)
