"""The number of seeds of each scenario."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numba
import pytest

from tdx_agents import user_file
from tdx_agents.tree import tree_of, write_tree
from tdx_env.scenarios import Scenario, load, loader
from tdx_eval.comparing.analysis import summarise
from tdx_eval.comparing.carrying_out import jobs_of_plan, tables
from tdx_eval.comparing.jobs import run_job
from tdx_eval.comparing.manifest import manifest
from tdx_eval.comparing.plan import REFERENCE, Plan, large_among, named, planned
from tdx_eval.comparing.seeds import FIRST_SEED
from tdx_eval.comparing.yardsticks import load_policy

SMALL, LARGE = "s22-clean/test", "s09-accept-4k/test"


def loaded(*names: str) -> dict[str, Scenario]:
    """Return scenarios by name."""
    return {name: load(name) for name in names}


def plan(n_large_seeds: int | None) -> Plan:
    """Return a plan of a small and a large scenario."""
    validation = loaded("s22-clean/validation", "s09-accept-4k/validation")
    large = [LARGE, "s09-accept-4k/validation"]
    return Plan({}, {}, loaded(SMALL, LARGE), validation, 800, {}, n_large_seeds, large)


def counted(function: Callable[[Path], object], calls: list[Path]) -> Callable[[Path], object]:
    """Return a function that notes what it is called with."""

    def noting(path: Path) -> object:
        calls.append(path)
        return function(path)

    return noting


def test_large_scenarios_have_seeds_of_their_own_number():
    first = FIRST_SEED["test"]
    assert plan(50).seeds("test") == {
        SMALL: range(first, first + 800),
        LARGE: range(first, first + 50),
    }


def test_all_scenarios_have_as_many_seeds_unless_said():
    assert {len(seeds) for seeds in plan(None).seeds("test").values()} == {800}


def test_validation_has_an_eighth_but_ten_at_least():
    assert [len(seeds) for seeds in plan(50).seeds("validation").values()] == [100, 10]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without")
def test_comparison_loads_each_scenario_and_policy_once(tmp_path, monkeypatch):
    """From the plan to the summary; jobs that run here take them from it too."""
    read, spoken = [], []
    original = loader.loaded
    monkeypatch.setattr(loader, "loaded", lambda name, *_: read.append(name) or original(name, *_))
    monkeypatch.setattr(user_file, "_import", counted(user_file._import, spoken))
    file = tmp_path / "mine.py"
    file.write_text("def decide(features, mask):\n    return 0\n")
    plan = planned([SMALL], "P18", [f"{file}:decide"], (2, 1), {})
    jobs = jobs_of_plan(plan, 50)
    manifest(plan)
    parts = {}
    for split, some in jobs.items():
        chunks = {job.key: run_job(job) for job in some}
        parts[split] = tables(some, plan.by_spec, chunks.__getitem__)
    summarise(plan, *parts["test"], parts["validation"][0])
    assert sorted(read) == [SMALL, "s22-clean/validation"]
    assert spoken == [file]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without")
def test_scenario_is_large_by_its_events():
    assert large_among(loaded(SMALL, LARGE), load_policy(REFERENCE)) == [LARGE]


def test_trees_are_policies_by_name_and_by_file(tmp_path):
    path = tmp_path / "mine.json"
    write_tree(replace(tree_of("greedy-tree"), name="mine"), path)
    chosen = named(f"greedy-tree,{path},P20")
    assert list(chosen) == ["p20-merged-6.19", "greedy-tree", str(path)]
    assert chosen[str(path)].name == "mine"
    plan_of_trees = Plan(chosen, {}, loaded(SMALL), {}, 2)
    assert list(plan_of_trees.by_name) == ["p20-merged-6.19", "greedy-tree", "mine"]
