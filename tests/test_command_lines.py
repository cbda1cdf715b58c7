"""What the three command lines have in common."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from tdx_agents.handwritten import policies_table, rows
from tdx_env.cli import app as env_app
from tdx_eval.commands.app import app as eval_app
from tdx_eval.commands.policies import policies
from tdx_eval.reality import catalogue
from tdx_eval.reality.row import RealityTable, RowResult, RowVerdict
from tdx_eval.reality.terminal import show_reality
from tdx_train.cli import app as train_app

APPS = {"tdx-env": env_app, "tdx-train": train_app, "tdx-eval": eval_app}
Capture = pytest.CaptureFixture[str]


def called(app, *arguments: str) -> str:
    """Return what a command line prints, which must go well."""
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", APPS)
def test_version_is_that_of_the_package(name: str) -> None:
    assert called(APPS[name], "--version").startswith("tdx-env ")


@pytest.mark.parametrize("name", APPS)
def test_help_offers_completion_and_says_what_the_tool_is(name: str) -> None:
    text = called(APPS[name], "--help")
    assert "--install-completion" in text
    assert "TDX_OPERAND_BUSY" in text


@pytest.mark.parametrize("name", ["tdx-env", "tdx-eval"])
def test_mistyped_command_is_answered_with_the_nearest(name: str) -> None:
    typed = {"tdx-env": "simulat", "tdx-eval": "compar"}[name]
    done = CliRunner().invoke(APPS[name], [typed])
    assert done.exit_code == 2
    assert f"Did you mean '{typed}e'?" in " ".join(done.output.replace("│", " ").split())


def options(command: Any) -> Iterator[tuple[str, set[str]]]:
    """Yield each command below one, with the names of its options."""
    children = getattr(command, "commands", {})
    for child in children.values():
        yield from options(child)
    if not children:
        yield command.name, {name for param in command.params for name in param.opts}


@pytest.mark.parametrize("name", APPS)
def test_every_command_with_a_place_for_results_replaces_them_only_if_asked(name: str) -> None:
    for command, known in options(typer.main.get_command(APPS[name])):
        assert "--out" not in known or "--overwrite" in known, command


def policies_text(columns: int) -> str:
    """Return the table of policies."""
    return policies_table(columns)


def reality_text(columns: int) -> str:
    """Return the table of reality with made-up numbers in each row."""
    results = tuple(
        RowResult(
            id=row.id, kind=row.kind.value, observed=row.observed, source=row.source, given="",
            unit=row.unit, criterion="", rests_on=row.rests_on, note="",
            verdict=RowVerdict.HOLDS.value, median=1.5, low=1.25, high=12345.5, mean=2.0,
            n_values=9,
        )
        for row in catalogue.rows()
    )  # fmt: skip
    console = Console(file=io.StringIO(), width=columns)
    show_reality(RealityTable(results, 9), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


TABLES: dict[str, tuple[Callable[[int], str], list[str]]] = {
    "policies": (policies_text, [row.name for row in rows()]),
    "reality": (reality_text, [row.id for row in catalogue.rows()]),
}


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("name", TABLES)
def test_table_fits_and_cuts_no_name(name: str, columns: int) -> None:
    render, names = TABLES[name]
    text = render(columns)
    assert max(map(len, text.splitlines())) <= columns
    assert [one for one in names if one not in text.split()] == []


def test_policies_as_json_have_every_row_and_yardstick(capsys: Capture) -> None:
    policies(as_json=True)
    record = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in record["policies"]] == [row.name for row in rows()]
    assert {one["name"] for one in record["yardsticks"]} >= {"always-retry", "always-kick"}
