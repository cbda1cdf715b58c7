"""The commands that list and show scenarios."""

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
    assert all(name in shown for name in names())


def test_the_list_of_a_split_has_no_other(capsys):
    list_command("test")
    shown = capsys.readouterr().out
    assert "s22-clean/test" in shown
    assert "s22-clean/train" not in shown


@pytest.mark.parametrize("width", ["60", "80"])
def test_no_name_is_cut_in_a_narrow_terminal(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", width)
    list_command()
    shown = capsys.readouterr().out
    assert all(name in shown for name in names())


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
    assert (row.split()[1], row.split()[-1]) == (value, set_by)


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
