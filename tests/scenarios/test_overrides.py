"""Single keys that a user changes, and files of measured costs."""

import numpy as np
import pytest

from tdx_env.errors import ScenarioError
from tdx_env.scenarios import Range, load, overrides_from


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("host.n_vcpus", 5),
        ("host.n_vcpus", {"low": 4, "high": 5}),
        ("host.n_vcpus", Range(low=4, high=5)),
        ("host.n_vcpus", np.int64(5)),
        ("limits.yield_weight", 0),
        ("groups.spinners.tick_us", 1_000),
        ("guest.sept_ve_disable", False),
        ("module.version", "hypothetical-no-free-lock"),
        ("cost_bands", [3]),
    ],
)
def test_a_key_can_be_changed(key, value, write):
    path = write()
    assert load(path, {key: value}) != load(path)


def test_a_cost_of_a_user_says_so(write):
    cost = load(write(), {"costs.bare": 2300}).costs["bare"]
    assert (cost.low, cost.high, cost.source) == (2300, 2300, "user")


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("limit.yield_weight", "limits"),
        ("limits.yield", "yield_weight"),
        ("groups.spinner.tick_us", "spinners, acceptors"),
        ("groups.spinners.ticks", "tick_us"),
        ("costs.bear", "one of: bare, "),
        ("host.n_vcpus.low", "n_vcpus"),
        ("splits.train", "others"),
    ],
)
def test_an_unknown_key_is_answered_with_the_known_ones(key, known, write):
    with pytest.raises(ScenarioError, match=f"{key} = 3, unknown key.*{known}"):
        load(write(), {key: 3})


@pytest.mark.parametrize("key", ["host", "groups", "groups.spinners", "costs"])
def test_a_table_cannot_be_replaced(key, write):
    with pytest.raises(ScenarioError, match=f"{key} is a table"):
        load(write(), {key: {}})


def test_one_end_of_a_cost_cannot_be_given_alone(write):
    with pytest.raises(ScenarioError, match=r"give costs.bare = low..high"):
        load(write(), {"costs.bare.low": 3})


def test_a_bad_value_is_refused_as_in_a_file(write):
    with pytest.raises(ScenarioError, match=r"costs.bare = -3, must be .* from 0"):
        load(write(), {"costs.bare": -3})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("a.b=3", 3),
        ("a.b = 1_000", 1000),
        ("a.b=2..5", {"low": 2, "high": 5}),
        ("a.b=true", True),
        ("a.b=rest", "rest"),
        ("a.b=6.18", "6.18"),
        ("a.b=7.4-queue", "7.4-queue"),
        ('a.b="hypothetical-no-free-lock"', "hypothetical-no-free-lock"),
        ("a.b=[1, 2]", [1, 2]),
    ],
)
def test_set_options_are_read(option, value):
    assert overrides_from([option]) == {"a.b": value}


@pytest.mark.parametrize("option", ["a.b", "=3", "a.b=", "a.b=1..", "a.b={"])
def test_a_set_option_that_makes_no_sense_is_an_error(option):
    with pytest.raises(ScenarioError, match="--set"):
        overrides_from([option])


def test_a_costs_file_has_numbers_and_ranges(tmp_path, write):
    path = tmp_path / "mine.toml"
    path.write_text("bare = 2300\n[touch]\nlow = 600\nhigh = 700\nby = 'perf'\n")
    costs = load(write(), overrides_from([], path)).costs
    assert (costs["bare"].low, costs["bare"].by) == (2300, "mine.toml")
    assert (costs["touch"].high, costs["touch"].by, costs["touch"].source) == (700, "perf", "user")


def test_a_set_option_goes_before_the_costs_file(tmp_path, write):
    path = tmp_path / "mine.toml"
    path.write_text("bare = 2300\n")
    assert load(write(), overrides_from(["costs.bare=1..2"], path)).costs["bare"].low == 1


def test_an_unknown_cost_in_a_costs_file_is_an_error(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("bear = 2300\n")
    with pytest.raises(ScenarioError, match="mine.toml: bear.*one of: bare, "):
        overrides_from([], path)
