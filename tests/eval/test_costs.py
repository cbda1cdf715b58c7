"""The page of the costs: that it is current, when it is stale, and what it is computed from."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

import tdx_agents
from tdx_env.errors import ResultError, ScenarioError
from tdx_env.scenarios import load, setup_of
from tdx_env.state.costs import COST_USES, Cost
from tdx_eval.cli import main
from tdx_eval.costs import ranges
from tdx_eval.costs.check import check_study
from tdx_eval.costs.file import JSON, PAGE, read_study, study_json
from tdx_eval.costs.page import page
from tdx_eval.costs.rank import tau
from tdx_eval.costs.runs import FIELDS, at_ends, distinct_policies, pinned, play_all, setup_digest
from tdx_eval.costs.sensitivity import grouped, study_scenario
from tdx_eval.costs.study import Effect, ScenarioStudy, Study, verdicts
from tdx_eval.costs.whole import contested
from tests.called import called

DOCS = Path(__file__).resolve().parents[2] / "docs"
COMPILED = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="takes minutes with the compiler off"
)
SMALL = "s19-build/validation"
RANGES = ranges.ranges_of(ranges.common(), {})


def effect(cost: str, value: float | None, is_change: bool = False) -> Effect:
    """Return what a cost does, with two names for the best policies."""
    return Effect(cost, value, "p1", "p2", 0.1, 0.2, is_change)


def scenario(name: str, floor: float, *effects: Effect) -> ScenarioStudy:
    """Return a scenario of four policies."""
    return ScenarioStudy(
        name=f"{name}/validation",
        digest="0" * 16,
        n_seeds=8,
        n_events=1_000,
        policies={"p1": ["p3"], "p2": [], "p4": []},
        best="p1",
        floor=[1.0, floor],
        effects=list(effects),
    )


STUDY = Study(
    scenarios=[
        scenario("one", 0.9, effect("bare", 0.7), effect("track", 0.95)),
        scenario("two", 0.6, effect("bare", 0.5, True), effect("touch", None)),
    ],
    left_out={"large/validation": 400_000},
    controls=["calm/validation"],
    n_policies=4,
    max_seeds=8,
    max_events=10_000,
    first_seed=5,
    n_sets=8,
    tie_share=0.01,
    ranges=dict(RANGES),
    ranges_digest=ranges.digest_of_ranges(RANGES),
    versions={"numba": "0.61"},
)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with a small study and its page."""
    (tmp_path / JSON).write_text(study_json(STUDY), encoding="utf-8")
    (tmp_path / PAGE).write_text(page(STUDY, ranges.common(), {}), encoding="utf-8")
    return tmp_path


def test_docs_are_current():
    assert check_study(DOCS) == read_study(DOCS / JSON)


def test_study_and_page_that_fit_are_current(docs: Path):
    assert check_study(docs) == STUDY


@pytest.mark.parametrize(("key", "value"), [("flag", "stated"), ("by", "him"), ("use", "all")])
def test_changed_text_of_a_cost_makes_the_page_stale(
    docs: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: str
):
    first, *others = ranges.common()
    monkeypatch.setattr(ranges, "common", lambda: [replace(first, **{key: value}), *others])
    with pytest.raises(ResultError, match=r"costs.md: line \d+ is stale, must be \| `bare`"):
        check_study(docs)


def test_changed_range_makes_the_study_stale(docs: Path, monkeypatch: pytest.MonkeyPatch):
    first, *others = ranges.common()
    monkeypatch.setattr(ranges, "common", lambda: [replace(first, low=1_200), *others])
    with pytest.raises(ResultError, match="with bare = 1,000..3,000, now it is 1,200..3,000, run"):
        check_study(docs)


def test_range_of_one_scenario_makes_the_study_stale(docs: Path, monkeypatch: pytest.MonkeyPatch):
    given_here = {"s01/train": ranges.common()[:1]}
    monkeypatch.setattr(ranges, "overridden", lambda: given_here)
    with pytest.raises(ResultError, match="s01/train: bare = no such cost, now it is 1,000"):
        check_study(docs)


def test_edited_page_is_stale(docs: Path):
    with (docs / PAGE).open("a") as file:
        file.write("One more line.\n")
    with pytest.raises(ResultError, match="is stale, must be the end; run tdx-eval costs --page"):
        check_study(docs)


@pytest.mark.parametrize("missing", [JSON, PAGE])
def test_missing_file_is_named(docs: Path, missing: str):
    (docs / missing).unlink()
    with pytest.raises(ResultError, match=f"{missing}: can't be read"):
        check_study(docs)


@pytest.mark.parametrize("text", ["", "[]", '{"scenarios": []}'])
def test_other_file_is_refused_by_name(tmp_path: Path, text: str):
    (tmp_path / JSON).write_text(text)
    with pytest.raises(ResultError, match="must be a costs.json of tdx-eval costs"):
        read_study(tmp_path / JSON)


def test_every_cost_says_what_it_is_used_for():
    assert list(COST_USES) == list(Cost)


def test_page_has_every_cost_with_its_source():
    text = page(STUDY, ranges.common(), {})
    for row in ranges.common():
        assert f"| `{row.name}` | {row.low:,} " in text
        assert row.by in text


def test_page_shows_costs_that_a_scenario_overrides():
    rows = ranges.common()
    text = page(STUDY, rows, {"s01/train": [replace(rows[0], low=7, high=7, flag="user")]})
    assert "| s01/train | `bare` | 7 | 0.0028 | user |" in text


def test_most_important_cost_comes_first():
    order = [one.cost for one in verdicts(STUDY, list(RANGES))]
    assert order[0] == "bare"
    assert set(order[1:3]) == {"track", "touch"}


def test_verdict_names_lowest_median_and_drops():
    bare = verdicts(STUDY, list(RANGES))[0]
    assert (bare.lowest[0].slug, bare.lowest[1].tau) == ("two", 0.5)
    assert bare.median == 0.6
    assert [where.slug for where, _ in bare.below] == ["one", "two"]
    assert bare.largest_drop == pytest.approx(0.2)
    assert [where.slug for where, _ in bare.changes] == ["two"]


def test_cost_that_nothing_uses_is_listed_apart():
    last = page(STUDY, ranges.common(), {}).partition("Used in none of these scenarios")[2]
    listed = last.partition("\n")[0]
    assert "`demote`" in listed
    assert "`bare`" not in listed


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=12))
def test_tau_is_kendalls(pairs: list[tuple[int, int]]):
    """Of numbers that are equal or far apart."""
    means, others = (np.array(side, float) for side in zip(*pairs, strict=True))
    wanted = kendalltau(means, others).statistic
    found = tau(means, others)
    assert found is None if np.isnan(wanted) else found == pytest.approx(wanted)


def test_means_within_one_percent_are_a_tie():
    assert tau(np.array([100.0, 100.9, 200.0]), np.array([100.9, 100.0, 200.0])) == 1.0
    assert tau(np.array([100.0, 102.0]), np.array([102.0, 100.0])) == -1.0


def test_policies_differ_and_none_is_random():
    names = {policy.name for policy in distinct_policies()}
    assert "random" not in names
    assert not any(policy.behaves_as for policy in distinct_policies())


def test_policies_that_did_the_same_count_once():
    """Under the name of one that KVM could merge today."""
    some = [tdx_agents.load(name) for name in ("retry-batch-16", "P1", "P18")]
    outcomes = np.array([[1, 2], [1, 2], [1, 3]])
    found = [(place, one.policy.name, one.twins) for place, one in grouped(some, outcomes)]
    assert found == [(1, "p1-blind-16", ["retry-batch-16"]), (2, "p18-merged-6.16", [])]


def test_ends_fix_one_cost_and_no_other():
    setup = setup_of(load(SMALL))
    low, high = at_ends(setup, Cost.TRACK, ["low", "high"])
    assert low["cost_low"][Cost.TRACK] == low["cost_high"][Cost.TRACK] == 3_000
    assert high["cost_low"][Cost.TRACK] == high["cost_high"][Cost.TRACK] == 6_000
    assert low["cost_high"][Cost.BARE] == setup[0]["cost_high"][Cost.BARE]


def test_digest_is_blind_to_texts_and_sees_ranges():
    plain = setup_digest(setup_of(load(SMALL)))
    assert setup_digest(setup_of(load(SMALL, {"title": "another"}))) == plain
    assert setup_digest(setup_of(load(SMALL, {"costs.bare": 2_000}))) != plain


def test_controls_are_left_out():
    assert contested([SMALL, "s05-zap-idle/validation"]) == ([SMALL], ["s05-zap-idle/validation"])


@pytest.mark.parametrize(
    ("name", "message"),
    [("s05-zap-idle/validation", "all are controls"), ("s19/test", "untouched")],
)
def test_scenarios_that_say_nothing_are_refused(name: str, message: str):
    with pytest.raises(ScenarioError, match=message):
        contested([name])


@COMPILED
def test_costs_that_are_pinned_give_the_same_episodes():
    seeds, some = np.arange(3), distinct_policies()[:1]
    setup = setup_of(load(SMALL))
    usual = play_all(some, setup, seeds)[0, 0]
    fixed = play_all(some, pinned(setup, seeds), seeds)[0]
    assert (fixed[[0, 1, 2], [0, 1, 2]] == usual).all()


@COMPILED
def test_scenario_is_studied_alike_again():
    """No page of a TD that is being built is exported: that cost doesn't matter there."""
    some = distinct_policies()[::6]
    result = study_scenario(SMALL, some, 8)
    assert isinstance(result, ScenarioStudy)
    assert result == study_scenario(SMALL, some, 8)
    costs = [one.cost for one in result.effects]
    assert "page_add" in costs and "export_mem" not in costs


@COMPILED
def test_scenario_that_is_too_large_says_how_large(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tdx_eval.costs.sensitivity.MAX_EVENTS", 100)
    n_events = study_scenario(SMALL, distinct_policies()[:1], 8)
    assert isinstance(n_events, int) and n_events > 25


@COMPILED
def test_outcome_begins_with_the_events():
    outcomes = play_all(distinct_policies()[:1], setup_of(load(SMALL)), np.arange(2))
    assert outcomes.shape == (1, 1, 2, len(FIELDS))
    assert (outcomes[..., FIELDS.index("n_events")] > 0).all()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``tdx-eval costs`` to its end."""
    return called(main, "tdx-eval", "costs", *arguments)


@pytest.mark.slow
def test_check_of_stale_docs_is_one_line_and_exit_code_2(docs: Path):
    (docs / PAGE).write_text("# Costs\n")
    result = run("--check", "--docs", docs)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "is stale" in result.stderr


@pytest.mark.slow
def test_page_is_written_from_the_study_alone(docs: Path):
    wanted = (docs / PAGE).read_text()
    (docs / PAGE).unlink()
    assert run("--page", "--docs", docs).returncode == 0
    assert (docs / PAGE).read_text() == wanted


@COMPILED
@pytest.mark.slow
def test_study_does_not_depend_on_the_number_of_processes(tmp_path: Path):
    texts = []
    for n_jobs in (1, 2):
        scenarios = f"{SMALL},s19-build-vp-init-v1/validation"
        options = ["--scenarios", scenarios, "--seeds", 4, "--jobs", n_jobs, "--write"]
        result = run(*options, "--docs", tmp_path)
        assert result.returncode == 0, result.stderr
        texts.append((tmp_path / JSON).read_text())
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_missing_folder_is_refused_before_any_work(tmp_path: Path):
    result = run("--write", "--docs", tmp_path / "none")
    assert result.returncode == 2
    assert "must be a folder" in result.stderr
