"""The answer for a mailing list and for LaTeX; the summary's file."""

import json
import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tdx_env.errors import ResultError
from tdx_eval.commands.app import app
from tdx_eval.comparing.output import SUMMARY
from tdx_eval.comparing.summary_file import read_summary, summary_json
from tdx_eval.reporting.answer import headline
from tdx_eval.reporting.plain import COLUMNS, latex_text, mail_text

RUN = CliRunner()


@pytest.fixture
def folder(compared, tmp_path):
    """A folder with the summary of the small comparison."""
    (tmp_path / SUMMARY).write_text(summary_json(compared.summary))
    return tmp_path


def test_summary_comes_back_as_it_was(compared, folder):
    assert summary_json(read_summary(folder)) == summary_json(compared.summary)


def test_mail_fits_into_72_columns(compared):
    text = mail_text(compared.summary)
    assert max(map(len, text.splitlines())) <= COLUMNS
    assert headline(compared.summary) in re.sub(r"\s+", " ", text)
    assert "<" not in text
    for one in compared.summary.contested:
        assert f"\n{one.short_name} " in text


def test_mail_says_who_lost_tds(compared):
    summary = compared.summary
    one = summary.contested[0]
    lost = replace(one.results[summary.best], hung=3)
    changed = replace(one, results={**one.results, summary.best: lost})
    text = mail_text(replace(summary, scenarios=[changed]))
    assert f"{summary.best} loses the TD in 3 of {one.n_episodes}" in re.sub(r"\s+", " ", text)


def test_mail_of_controls_is_one_sentence(compared):
    text = mail_text(replace(compared.summary, scenarios=compared.summary.controls))
    assert "None of the scenarios has contention" in text
    assert "95 %" not in text


def test_latex_has_a_row_for_each_scenario_and_is_escaped(compared):
    text = latex_text(compared.summary)
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 1 + len(compared.summary.contested)
    assert all(row.count("&") == 5 for row in rows)
    table = "\n".join(line for line in text.splitlines() if not line.startswith("% "))
    assert not re.search(r"(?<!\\)%", table)


@pytest.mark.parametrize("kind", ["mail", "latex"])
def test_command_shows_a_folder(compared, folder, kind):
    result = RUN.invoke(app, ["report", str(folder), "--format", kind])
    wanted = {"mail": mail_text, "latex": latex_text}[kind](compared.summary)
    assert result.stdout == wanted


def test_summary_of_another_schema_is_one_error(folder):
    content = json.loads((folder / SUMMARY).read_text())
    del content["schema"]  # as those of the first format
    (folder / SUMMARY).write_text(json.dumps(content))
    result = RUN.invoke(app, ["report", str(folder)])
    assert isinstance(result.exception, ResultError)
    assert "is of another version of tdx-eval (schema 1, here 2)" in str(result.exception)
