"""Scenarios that are kept: who shares them, and what is read anew."""

import os

import pytest

from tdx_env.arguments import loaded_of
from tdx_env.errors import ScenarioError
from tdx_env.scenarios import Range, load, setup_of
from tdx_env.scenarios.loader import loaded
from tdx_env.state.setup import SETUP

OURS = "s22-clean/test"


@pytest.mark.parametrize("changes", [None, {"host.n_vcpus": Range(low=2, high=3)}])
def test_scenario_is_made_once(changes):
    assert loaded(OURS, changes) is loaded(OURS, changes)


def test_a_file_that_changed_on_disk_is_read_anew(write):
    """Its size and its time stay: only its text says so."""
    path = write()
    before, times = load(path), path.stat()
    write("items = 5", "items = 7")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (before.tasks["zapper"].items.low, load(path).tasks["zapper"].items.low) == (5, 7)


def test_a_file_that_became_wrong_is_an_error(write):
    load(write())
    with pytest.raises(ScenarioError, match="n_vcpus = 0"):
        load(write("n_vcpus = { low = 4, high = 6 }", "n_vcpus = 0"))


def test_overrides_that_look_alike_are_told_apart():
    """True is 1 to a dictionary, and no whole number to a scenario."""
    assert loaded(OURS, {"host.n_vcpus": 1}).scenario.host.n_vcpus.high == 1
    with pytest.raises(ScenarioError, match="n_vcpus = true"):
        loaded(OURS, {"host.n_vcpus": True})


def test_overrides_leave_the_scenario_as_it_is():
    before = load(OURS)
    changed = load(OURS, {"costs.bare": 1, "host.n_vcpus": 3})
    assert load(OURS) == before
    assert load(OURS).costs["bare"] != changed.costs["bare"]


@pytest.mark.parametrize("table", ["areas", "groups", "tasks", "costs"])
def test_what_somebody_changes_nobody_else_sees(table):
    changed = load(OURS)
    kept = dict(getattr(changed, table))
    getattr(changed, table).clear()
    assert getattr(load(OURS), table) == kept


def test_record_is_that_of_the_scenario():
    (found,) = loaded_of(OURS, {})
    assert found.setup.dtype == SETUP
    assert found.setup == setup_of(load(OURS))


def test_old_words_warn_whoever_loads_them(write):
    path = write(more='[module]\nversion = "1.5"\n')
    for _ in range(2):
        with pytest.warns(FutureWarning, match="old name"):
            load(path)


def test_a_scenario_that_was_copied_with_changes_is_checked():
    scenario = load(OURS)
    with pytest.raises(ScenarioError, match="groups"):
        loaded_of(scenario.model_copy(update={"groups": {}}), {})
