"""The reality table: its rows, when they hold, its file, its command, and a few cheap rows."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest

from tdx_env.errors import ResultError, ScenarioError
from tdx_eval.cli import main
from tdx_eval.reality import criteria
from tdx_eval.reality.catalogue import find, put_to_simulator, rows, running_order
from tdx_eval.reality.file import JSON, PAGE, read_table, table_json
from tdx_eval.reality.markdown import reality_markdown
from tdx_eval.reality.page import reality_page, reality_section
from tdx_eval.reality.row import Kind, RealityTable, Row, RowResult, RowVerdict, Sample
from tdx_eval.reality.wording import simulated
from tdx_eval.reality.worlds import World, per_unit
from tdx_eval.reporting.html import report_page
from tests.called import called

TEN = np.arange(1.0, 11.0)  # 5 to 95 %: 1.45 to 9.55
DRAWS = 20
COMPILED = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="takes minutes with the compiler off"
)
RESULT = RowResult(
    id="fault-quiet",
    kind=Kind.MEASURED.value,
    observed="One fault.",
    source="somebody",
    given="8",
    unit="µs",
    criterion="8 lies within",
    rests_on="vp_enter",
    verdict=RowVerdict.HOLDS.value,
    note="<none>",
    median=9.0,
    low=8.0,
    high=10.0,
    mean=9.0,
    n_values=200,
)
TABLE = RealityTable(
    (RESULT, replace(RESULT, id="B2", kind=Kind.BUG.value)), 200, {"numba": "0.61"}
)


def test_every_bug_of_the_list_has_a_row():
    ids = {row.id for row in rows() if row.kind == Kind.BUG}
    assert {f"B{number}" for number in range(1, 16)} <= ids


def test_names_of_rows_differ():
    names = [row.id for row in rows()]
    assert len(set(names)) == len(names)


def test_sections_are_in_order_and_none_is_empty():
    kinds = [row.kind for row in rows()]
    assert kinds == sorted(kinds, key=list(Kind).index)
    assert set(kinds) == set(Kind)


def test_running_order_is_a_permutation():
    assert sorted(row.id for row in running_order(rows())) == sorted(row.id for row in rows())


def test_row_that_is_neither_measured_nor_explained_is_a_mistake_of_ours():
    with pytest.raises(AssertionError, match="nothing"):
        Row("nothing", Kind.BUG, "something", "somebody")


def test_world_file_is_named_by_some_row():
    """No scenario file lies about unused."""
    folder = Path(criteria.__file__).parent
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    for path in folder.glob("*.toml"):
        assert f'"{path.name}"' in source, path.name


@pytest.mark.parametrize(
    ("criterion", "holds"),
    [
        (criteria.Within(5), True),
        (criteria.Within(1), True),  # published as 1: from 0.5 to 1.5
        (criteria.Within(1, 0.1), False),
        (criteria.Within(11), False),
        (criteria.Overlaps(9, 20), True),
        (criteria.Overlaps(10, 20), False),
        (criteria.reaches(9), True),
        (criteria.reaches(10), False),
        (criteria.mostly_reaches(5.5), True),
        (criteria.mostly_reaches(6), False),
        (criteria.below(10), True),
        (criteria.below(9.5), False),
    ],
)
def test_number_holds_against_the_middle_of_the_draws(criterion: criteria.Criterion, holds: bool):
    assert criterion.holds(TEN) is holds


@pytest.mark.parametrize(
    ("values", "always", "sometimes"),
    [([1, 1], True, True), ([0, 1], False, True), ([0, 0], False, False)],
)
def test_statement_holds_always_or_sometimes(values: list[int], always: bool, sometimes: bool):
    truth = np.array(values, float)
    assert criteria.Always().holds(truth) is always
    assert criteria.Sometimes().holds(truth) is sometimes


def test_unknown_row_is_named_with_the_known_ones():
    with pytest.raises(ScenarioError, match='row "B99" is unknown, must be one of: B9, B1, B2'):
        find(["B99"])


def test_rows_are_found_in_the_order_of_the_table():
    assert [row.id for row in find(["b1", "Stop"])] == ["stop", "B1"]


def test_row_without_a_measurement_says_why():
    result = put_to_simulator(find(["B2"])[0], DRAWS)
    assert result.verdict == RowVerdict.NOT_MODELLED
    assert "TEARDOWN" in result.note
    assert simulated(result) == "\N{EN DASH}"


def test_row_without_a_value_asks_for_more_draws():
    row = Row(
        "empty", Kind.STATED, "", "", "", criteria.Always(), lambda n_draws: Sample(np.empty(0))
    )
    with pytest.raises(ScenarioError, match="none of 20 draws says anything"):
        put_to_simulator(row, DRAWS)


def test_statement_reads_as_a_count():
    result = replace(RESULT, unit="", mean=0.25, n_values=40)
    assert simulated(result) == "true in 10 of 40"


def test_number_reads_as_median_and_range():
    assert simulated(replace(RESULT, low=0.00859, high=12345.6)) == "9 (0.00859 to 12,346)"


def test_table_comes_back_from_its_file(tmp_path: Path):
    path = tmp_path / JSON
    path.write_text(table_json(TABLE), encoding="utf-8")
    assert read_table(path) == TABLE
    assert json.loads(path.read_text())["counts"] == "2 rows: 2 hold, 0 do not, 0 not modelled"


@pytest.mark.parametrize("text", ["", "[]", '{"n_draws": 3}', '{"results": [{}], "n_draws": 1}'])
def test_other_file_is_refused_by_name(tmp_path: Path, text: str):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ResultError, match="other.json"):
        read_table(path)


def test_table_of_another_version_is_refused_with_what_to_do(tmp_path: Path):
    path = tmp_path / JSON
    path.write_text(table_json(TABLE).replace('"schema": 1', '"schema": 9'))
    wanted = r"schema 9, here 1\); make it anew: tdx-eval reality --out FOLDER"
    with pytest.raises(ResultError, match=wanted):
        read_table(path)


def test_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(ResultError, match="can't be read"):
        read_table(tmp_path / JSON)


def test_page_shows_every_row_escaped():
    page = reality_page(TABLE)
    assert page.count("&lt;none&gt;") == len(TABLE.results)
    assert "8 µs" in page and "9 (8 to 10)" in page
    assert "<style>" in page


def test_markdown_tells_why_a_row_fails():
    failed = replace(RESULT, verdict=RowVerdict.FAILS.value, note="a | b")
    page = reality_markdown(RealityTable((failed,), 200, {}))
    assert "- `fault-quiet`: a | b" in page
    assert "1 rows: 0 hold, 1 do not" in page


def test_range_says_why_it_is_one():
    text = criteria.Overlaps(1, 2, "three runs were made").text
    assert text.endswith("overlap; a range, since three runs were made")


def test_report_has_the_table_if_it_is_given(compared):
    assert "fault-quiet" in report_page(compared.summary, reality_section(TABLE))
    assert "fault-quiet" not in report_page(compared.summary)


@COMPILED
def test_more_units_take_proportionally_longer():
    """What an episode has once cancels: a page costs the same from 8 or from 16 pages on."""
    world, key = World("removal.toml"), "tasks.closer.chunk"
    some = per_unit(world, "p18-merged-6.16", key, (8, 16), DRAWS)
    more = per_unit(world, "p18-merged-6.16", key, (16, 32), DRAWS)
    assert np.allclose(some, more, rtol=0.03)  # the entry half of each call varies by 6.25 %


@COMPILED
def test_same_draws_give_the_same_result():
    row = find(["fault-quiet"])[0]
    first, second = put_to_simulator(row, DRAWS), put_to_simulator(row, DRAWS)
    assert first == second
    assert first.n_values == DRAWS


@COMPILED
@pytest.mark.parametrize(
    "name",
    ["B1", "B4", "B5", "B7", "B7-fixed", "B15", "zero-step-seventh", "accept-erases-mark"],
)
def test_story_happens(name: str):
    assert put_to_simulator(find([name])[0], DRAWS).verdict == RowVerdict.HOLDS


@COMPILED
def test_vcpus_outside_of_the_guest_cost_a_removal_nothing():
    result = put_to_simulator(find(["removal-64"])[0], DRAWS)
    assert result.verdict == RowVerdict.FAILS
    assert "change the median by" in result.note


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``tdx-eval reality`` to its end."""
    return called(main, "tdx-eval", "reality", *arguments)


@COMPILED
@pytest.mark.slow
def test_command_writes_table_and_page(tmp_path: Path):
    out = tmp_path / "out"
    result = run("--row", "B15", "--row", "B2", "--draws", DRAWS, "--out", out)
    assert result.returncode == 0, result.stderr
    assert "2 rows: 1 hold, 0 do not, 1 not modelled" in result.stdout
    assert sorted(path.name for path in out.iterdir()) == [PAGE, JSON]
    assert [one.id for one in read_table(out / JSON).results] == ["B2", "B15"]


@COMPILED
@pytest.mark.slow
def test_command_prints_json_alone():
    result = run("--row", "B15", "--draws", DRAWS, "--json")
    assert json.loads(result.stdout)["results"][0]["verdict"] == "holds"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--row", "B99"], '"B99" is unknown'), (["--draws", "1"], "--draws")],
)
def test_mistake_is_a_message_and_exit_code_2(arguments: list[str], message: str):
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr and "Traceback" not in result.stderr


@pytest.mark.slow
def test_existing_folder_is_refused(tmp_path: Path):
    result = run("--row", "B2", "--out", tmp_path)
    assert result.returncode == 2
    assert "--overwrite" in result.stderr
    assert list(tmp_path.iterdir()) == []
