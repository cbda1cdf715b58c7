"""Which versions of the module a scenario draws from, and how a user names others."""

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.module.versions import DEFAULT_VERSION, TRAINED_VERSIONS
from tdx_env.scenarios import load, machine_overrides

SPLITS = """
[splits.train]
cost_bands = [0]
[splits.test]
cost_bands = [3]
"""


def test_a_file_without_splits_has_todays_module(write):
    assert load(write()).module.version == (DEFAULT_VERSION,)


@pytest.mark.parametrize(
    ("split", "versions"), [("train", TRAINED_VERSIONS), ("test", ("1.5.34",))]
)
def test_train_draws_from_a_list_and_the_others_have_todays_module(split, versions, write):
    assert load(f"{write(more=SPLITS)}/{split}").module.version == versions


def test_a_name_pins_the_module_of_every_split(write):
    file = write(more='[module]\nversion = "1.5.01"\n' + SPLITS)
    assert load(f"{file}/train").module.version == ("1.5.01",)
    assert load(f"{file}/test").module.version == ("1.5.01",)


def test_a_list_is_kept_in_the_order_of_the_versions(write):
    found = load(write(), {"module.version": ["2.0.18", "1.5.06"]}).module.version
    assert found == ("1.5.06", "2.0.18")


@pytest.mark.parametrize("given", [[], ["1.5.34", "1.5.34"]])
def test_a_list_names_at_least_one_version_and_none_twice(given, write):
    with pytest.raises(ScenarioError, match="must be one, or a list of different ones, of 1.5.01"):
        load(write(), {"module.version": given})


@pytest.mark.parametrize("given", ["1.5.3", ["1.5.06", "1.5.3"], 1.5])
def test_an_unknown_version_is_answered_with_the_known_ones(given, write):
    with pytest.raises(ScenarioError, match=r"module\.version = .*must be one of 1\.5\."):
        load(write(), {"module.version": given})


@pytest.mark.parametrize(
    ("module", "kernel", "overrides"),
    [
        (None, None, {}),
        ("1.5.34", None, {"module.version": "1.5.34"}),
        ("1.5.06, 1.5.34", None, {"module.version": ["1.5.06", "1.5.34"]}),
        (["1.5.06"], "6.16", {"module.version": ["1.5.06"], "host.kernel": "6.16"}),
    ],
)
def test_a_machine_is_chosen_by_name_or_by_names_with_commas_between(module, kernel, overrides):
    assert machine_overrides(module, kernel) == overrides
