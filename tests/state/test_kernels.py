"""The table of kernels against what was merged when, and names that are none."""

import pytest

from tdx_env.state.kernels import KERNELS, kernel_number, nearest_kernels

NAMES = ("series-2024", "6.16", "6.18", "6.19", "7.4-queue")


@pytest.mark.parametrize(
    ("rule", "since"),
    [
        ("leaves_dying_slot", "6.18"),  # commits 2bc2694fe20b and 3ccbf6f47098
        ("build_guard", "6.19"),  # tdx_vm_state_guard
        ("vp_init_locked", "6.19"),  # commit 9a89894f30d5
        ("add_retried", "6.19"),  # kvm_tdp_mmu_map_private_pfn
        ("can_dynamic_pamt", "7.4-queue"),  # tip x86/tdx, cee9395acd80..e61c837817ac
        ("can_convert_in_place", "7.4-queue"),  # linux-next, e088c7f86beb
    ],
)
def test_a_rule_holds_since_the_kernel_that_brought_it(rule, since):
    first = NAMES.index(since)
    assert [getattr(KERNELS[name], rule) for name in NAMES] == [
        place >= first for place in range(len(NAMES))
    ]


def test_kernels_stand_in_order_of_time():
    assert tuple(KERNELS) == NAMES
    assert [kernel_number(name) for name in NAMES] == list(range(len(NAMES)))


@pytest.mark.parametrize("name", NAMES[1:])
def test_releases_are_merged(name):
    assert KERNELS[name].is_merged


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ("6.17", "6.16"),  # the same rules
        ("7.0", "6.19"),
        ("7.3", "6.19"),
        ("7.5", "7.4-queue"),
        ("5.19", "6.16"),
        ("series", "series-2024"),
        ("7.4-que", "7.4-queue"),
    ],
)
def test_the_nearest_kernel_comes_first(given, first):
    found = nearest_kernels(given)
    assert found[0] == first
    assert sorted(found) == sorted(NAMES)
