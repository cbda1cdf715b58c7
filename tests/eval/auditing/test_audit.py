"""Gate, diff and replay, on the small comparison written to a folder."""

import json
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

from tdx_env.errors import ResultError
from tdx_eval.commands.app import app
from tdx_eval.comparing.output import RESULTS, SUMMARY

RUN = CliRunner()
REFERENCE = "p18-merged-6.16"


@pytest.fixture(scope="module")
def folder(compared, tmp_path_factory):
    """The results of the small comparison."""
    found = tmp_path_factory.mktemp("results")
    compared.episodes.to_parquet(found / RESULTS, index=False)
    (found / SUMMARY).write_text(json.dumps(compared.summary.as_json()))
    return found


@pytest.fixture
def copy(folder, tmp_path):
    """Another folder with the same results."""
    return shutil.copytree(folder, tmp_path / "copy")


def run(*arguments: object):
    """Run a command; a mistake of the user's is its exception."""
    return RUN.invoke(app, list(map(str, arguments)))


def change(path, policy, factor):
    """Make a policy dearer in a table."""
    rows = pd.read_parquet(path / RESULTS)
    is_its = rows["policy"] == policy
    rows.loc[is_its, "total_cost"] = (rows.loc[is_its, "total_cost"] * factor).astype("int64")
    rows.to_parquet(path / RESULTS, index=False)


def gate(path, policy, baseline, *arguments):
    """Run the gate."""
    return run("gate", path, "--policy", policy, "--baseline", baseline, *arguments)


def test_gate_opens_for_the_baseline_itself(folder):
    result = gate(folder, "P18", "P20")
    assert result.exit_code == 0
    assert "0 of 3 scenarios are regressions beyond 1 %" in result.stdout


def test_gate_stays_shut_for_a_certain_regression(copy):
    change(copy, "p20-merged-6.19", 1.5)
    result = gate(copy, "P20", "P18", "--max-regression", "20%")
    assert result.exit_code == 1
    assert "REGRESSION" in result.stdout
    assert gate(copy, "P20", "P18", "--max-regression", "60%").exit_code == 0


def test_gate_stays_shut_if_more_tds_are_lost(copy):
    rows = pd.read_parquet(copy / RESULTS)
    rows.loc[rows.index[rows["policy"] == "p20-merged-6.19"][0], "killed"] = True
    rows.to_parquet(copy / RESULTS, index=False)
    result = gate(copy, "P20", "P18")
    assert result.exit_code == 1
    assert "TDs lost 1 against 0" in result.stdout


def test_gate_takes_the_name_of_a_contender(folder):
    assert gate(folder, "mine:kick", "always-retry").exit_code == 1


@pytest.mark.parametrize(
    ("policy", "share", "told"),
    [
        ("P8", "1%", "has no row of p8-host-priority"),
        ("P20", "one", "must be a percentage"),
        ("P20", "-1%", "must be a percentage"),
    ],
)
def test_gate_refuses_what_it_cannot_judge(folder, policy, share, told):
    result = gate(folder, policy, "P18", "--max-regression", share)
    assert isinstance(result.exception, ResultError)
    assert told in str(result.exception)


def test_same_results_have_no_difference(folder, copy):
    result = run("diff", folder, copy)
    assert result.exit_code == 0
    assert "0 of them differ" in result.stdout


def test_difference_names_policy_scenario_and_factor(folder, copy):
    change(copy, "random", 2)
    result = run("diff", folder, copy)
    assert result.exit_code == 1
    assert "random in s09-accept-4k/test: 12 of 12 episodes differ, cost ×2.0" in result.stdout


def test_missing_rows_are_counted(folder, copy):
    rows = pd.read_parquet(copy / RESULTS)
    rows[rows["policy"] != "random"].to_parquet(copy / RESULTS, index=False)
    result = run("diff", folder, copy)
    assert result.exit_code == 1
    assert "36 are in the first alone, 0 in the second" in result.stdout


def test_differences_of_the_manifest_are_told(folder, copy):
    content = json.loads((copy / SUMMARY).read_text())
    content["manifest"]["versions"]["numpy"] = "1.0"
    (copy / SUMMARY).write_text(json.dumps(content))
    result = run("diff", folder, copy)
    assert "made otherwise: versions.numpy is" in result.stdout
    assert result.exit_code == 0


def test_rows_come_out_bit_for_bit(folder, user_file):
    result = run("replay", folder, "--rows", "12", "--policy", f"{user_file}:kick")
    assert "12 of 12 rows came out bit for bit" in result.stdout
    assert result.exit_code == 0


def test_contenders_that_nobody_names_are_left_out(folder):
    result = run("replay", folder, "--rows", "2")
    assert "36 rows are of contenders" in result.stdout
    assert result.exit_code == 0


def test_row_that_was_changed_is_found(copy):
    change(copy, REFERENCE, 2)
    result = run("replay", copy, "--rows", "20")
    assert result.exit_code == 1
    assert f"{REFERENCE} in s09-accept-4k/test" in result.stdout
    assert "total_cost differs" in result.stdout


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("code", "0" * 16, "was made by other code"),
        ("scenarios", {}, "no longer the scenario"),
    ],
)
def test_replay_refuses_what_is_not_what_it_was(copy, name, value, told):
    content = json.loads((copy / SUMMARY).read_text())
    content["manifest"][name] = value
    (copy / SUMMARY).write_text(json.dumps(content))
    result = run("replay", copy)
    assert isinstance(result.exception, ResultError)
    assert told in str(result.exception)


def _cut(path):
    path.write_bytes(path.read_bytes()[:100])


def _drop_column(path):
    pd.read_parquet(path).drop(columns="total_cost").to_parquet(path)


@pytest.mark.parametrize(
    ("file", "damage", "told"),
    [
        (RESULTS, _cut, "is damaged"),
        (RESULTS, lambda path: path.unlink(), "is missing"),
        (RESULTS, _drop_column, "is of another schema: has no column total_cost"),
        (SUMMARY, _cut, "is damaged"),
        (SUMMARY, lambda path: path.write_text("{}"), "is damaged"),
    ],
)
@pytest.mark.parametrize("command", ["gate", "diff", "replay"])
def test_damaged_folders_are_one_error(copy, folder, command, file, damage, told):
    damage(copy / file)
    rest = {"gate": ["--policy", "P20", "--baseline", "P18"], "diff": [folder], "replay": []}
    result = run(command, copy, *rest[command])
    assert isinstance(result.exception, ResultError)
    assert told in str(result.exception)


def test_diff_names_another_format_of_the_summary(copy, folder):
    content = json.loads((copy / SUMMARY).read_text())
    (copy / SUMMARY).write_text(json.dumps({"schema": 7, **content}))
    assert "made otherwise: schema is" in run("diff", folder, copy).stdout


def test_folder_that_is_none_is_one_error(tmp_path):
    result = run("replay", tmp_path / "nothing")
    assert isinstance(result.exception, ResultError)
    assert "is no folder of results" in str(result.exception)
