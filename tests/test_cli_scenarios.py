"""The commands that list and show scenarios."""

import json

import pytest

from tdx_env.cli_scenarios import list_command, show_command
from tdx_env.errors import ScenarioError
from tdx_env.scenarios import names
from tdx_env.scenarios.tables import COST_NAMES


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def test_the_list_has_every_name(capsys):
    list_command()
    shown = capsys.readouterr().out
    assert all(name.partition("/")[0] in shown for name in names())


def test_the_list_of_all_spans_the_splits(capsys):
    list_command()
    row = next(r for r in capsys.readouterr().out.splitlines() if r.startswith("s05-zap-idle"))
    assert row.split()[1:4] == ["4..248", "0..2", "control"]


def test_the_list_as_json_has_every_scenario_and_split(capsys):
    list_command(as_json=True)
    records = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in records] == list(names())
    assert set(records[0]) == {"name", "family", "title", "vcpus", "decisions", "marks"}


def test_the_list_of_a_split_has_no_other(capsys):
    list_command("test")
    shown = capsys.readouterr().out
    assert "s22-clean/test" in shown
    assert "s22-clean/train" not in shown


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("command", [list_command, lambda: show_command("s22-clean/test")])
def test_a_narrow_terminal_cuts_nothing(command, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "1000")
    command()
    whole = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", str(columns))
    command()
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= columns
    heads = {"name", "title", "marks", "cost", "[cycles]", "parameter"}  # of tables
    words = [set(text.replace("-", " ").replace(":", "").split()) for text in (whole, shown)]
    assert words[0] - heads <= words[1]


def test_show_as_json_has_parameters_and_costs(capsys):
    show_command("s22-clean/test", {"limits.reward_scale": 7}, as_json=True)
    record = json.loads(capsys.readouterr().out)
    rows = {row["key"]: row for row in record["parameters"]}
    assert (rows["limits.reward_scale"]["value"], rows["limits.reward_scale"]["set_by"]) == (
        "7",
        "user",
    )
    assert set(record["costs"]) == set(COST_NAMES)


def test_show_has_every_cost_with_its_source(capsys):
    show_command("s22-clean")
    shown = capsys.readouterr().out
    assert all(f"costs.{name} " in shown for name in COST_NAMES)
    assert "guessed" in shown


@pytest.mark.parametrize(
    ("key", "value", "set_by"),
    [
        ("limits.reward_scale", "7", "user"),
        ("host.n_vcpus", "4..7", "split"),
        ("limits.stall_us", "50,000", "file"),
        ("limits.yield_weight", "1", "default"),
    ],
)
def test_show_says_who_set_a_parameter(key, value, set_by, capsys):
    show_command("s22-clean/test", {"limits.reward_scale": 7})
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.split()[:1] == [key])
    assert row.split()[1] == value
    assert f" {set_by} " in f"{row} "


def test_show_of_an_unknown_scenario_is_an_error():
    with pytest.raises(ScenarioError):
        show_command("s99-nothing")


ODD = "[bold]loud[/bold] [/] :smile: \x1b[31mred"  # markup, an emoji, a terminal's colours


def test_show_shows_a_users_texts_as_they_are(capsys):
    cost = {"low": 1, "high": 2, "by": ODD}
    show_command("s22-clean", {"title": ODD, "description": f"{ODD}\n{ODD}", "costs.bare": cost})
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.count("[bold]loud[/bold] [/] :smile: \\x1b[31mred") == 4


def test_show_has_the_expectation_and_the_weight_of_each_size(capsys):
    show_command("s13-balloon-calm")
    shown = capsys.readouterr().out
    assert "Expected: The best number of pages for one stop grows with the TD" in shown
    assert "2:15 4:20" in shown
    assert "248:3" in shown
