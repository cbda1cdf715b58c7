"""Which module and kernel a scenario stands for, and which pairs no machine runs."""

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.scenarios import load, machine_of
from tdx_env.scenarios.machine import why_counterfactual


def test_the_kernel_is_6_19_unless_a_scenario_names_another():
    assert machine_of(load("s06-conversion")).kernel == "6.19"
    assert machine_of(load("s19-build")).kernel == "6.18"


def test_a_policy_may_bring_its_own_kernel():
    assert machine_of(load("s06-conversion"), "6.16").kernel == "6.16"


@pytest.mark.parametrize(
    ("module", "kernel", "why"),
    [
        ("1.5.34", "6.19", ""),
        ("1.5.06", "6.16", ""),
        ("2.0.18", "7.4-queue", ""),
        ("1.5.01", "6.16", "refuses modules before 1.5.06"),
        ("1.5", "6.19", "refuses modules before 1.5.06"),
        ("hypothetical-no-free-lock", "6.19", "was never released"),
        ("1.5.34", "series-2024", "kernel series-2024 was never released"),
    ],
)
def test_pairs_that_no_machine_runs_are_counterfactual(module, kernel, why):
    assert why in why_counterfactual(module, kernel)
    assert bool(why) == bool(why_counterfactual(module, kernel))


def test_a_machine_is_told_in_one_line():
    told = str(machine_of(load("s06-conversion")))
    assert "KVM 6.19" in told
    assert "counterfactual" in told or "before" not in told


@pytest.mark.parametrize("kernel", ["6.17", 6.17, 3])
def test_an_unknown_kernel_is_answered_with_the_known_ones(kernel, write):
    with pytest.raises(ScenarioError, match=r"host.kernel = .*, must be one of .*6\.16"):
        load(write(), {"host.kernel": kernel})


def test_an_unknown_kernel_is_answered_with_the_nearest_first(write):
    with pytest.raises(ScenarioError, match=r"must be one of 6\.19, "):
        load(write(), {"host.kernel": "7.1"})
