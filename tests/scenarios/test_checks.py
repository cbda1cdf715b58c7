"""Each mistake in a file gives one error that says where, what was given, what is allowed."""

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.scenarios import load
from tdx_env.scenarios.values import Range
from tests.scenarios.conftest import TINY

TRIGGER = 'trigger_group = "acceptors"'
# (what is replaced, by what, what is added to the file, key in the message, what is allowed)
BAD = {
    "unknown key": ("clock_khz =", "clock_kzh =", "", "clock_kzh = 2000000", "clock_khz"),
    "unknown key in a table": (
        "items = 5", "itmes = 5\nitems = 5", "", "tasks.zapper.itmes = 5", "items"
    ),
    "missing key": ("reward_scale = 1_000", "", "", "limits.reward_scale is missing", "stall_us"),
    "missing table": ("[host]\nn_vcpus = { low = 4, high = 6 }", "", "", "host is missing", "host"),
    "no table": (
        "[host]\nn_vcpus = { low = 4, high = 6 }", "host = 3", "", "host = 3", "must be a table"
    ),
    "wrong type": ("count = \"rest\"", "count = \"few\"", "", 'spinners.count = "few"', '"rest"'),
    "float": ("reward_scale = 1_000", "reward_scale = 0.5", "", "reward_scale = 0.5", "whole"),
    "low above high": ("low = 4, high = 6", "low = 7, high = 6", "", "n_vcpus = 7..6", "low not"),
    "zero vCPUs": ("{ low = 4, high = 6 }", "0", "", "host.n_vcpus = 0", "from 1 to 248"),
    "249 vCPUs": ("{ low = 4, high = 6 }", "249", "", "host.n_vcpus = 249", "from 1 to 248"),
    "yield_weight 2": (
        "reward_scale", "yield_weight = 2\nreward_scale", "", "yield_weight = 2", "from 0 to 1"
    ),
    "future schema": ("schema_version = 1", "schema_version = 2", "", "schema_version = 2", "1"),
    "unknown program": ('"compute"', '"sleep"', "", 'spinners.program = "sleep"', "'parked'"),
    "family": ('family = "own"', 'family = "S23"', "", 'family = "S23"', "S1 to S22"),
    "version": (
        "[host]", '[module]\nversion = "2"\n[host]', "", 'module.version = "2"', "1.5-no-free-lock"
    ),
    "hp_timeout": (
        "[host]", "[module]\nhp_timeout_us = 9_999\n[host]", "", "hp_timeout_us = 9999", "10,000"
    ),
    "bands": ("clock_khz", "cost_bands = [1, 1]\nclock_khz", "", "cost_bands = [1, 1]", "0 to 9"),
    "tick faster than it can be served": (
        "tick_us = 1_000", "tick_us = 4", "", "acceptors.tick_us = 4", "0 (none)"
    ),
    "group name": (
        "[groups.spinners]", '[groups."Spin.ners"]', "", 'groups = "Spin.ners"', "lower-case"
    ),
    "five groups": (
        "", "", "".join(f'[groups.g{n}]\nprogram = "idle"\ncount = 1\n' for n in range(3)),
        "groups = [", "at most 4",
    ),
    "four tasks": (
        "", "", "".join(f'[tasks.t{n}]\nkind = "zap"\narea = "ram"\nitems = 1\n' for n in range(3)),
        "tasks = [", "at most 3",
    ),
    "five areas": (
        "", "", "".join(f'[areas.a{n}]\ninitial = "free"\n' for n in range(3)), "areas = [", "4"
    ),
    "unknown cost": (
        "", "", '[costs.busy]\nlow = 1\nhigh = 2\nsource = "user"\nby = "me"', "costs.busy", "bare"
    ),
    "negative cost": (
        "", "", '[costs.bare]\nlow = -1\nhigh = 2\nsource = "guessed"\nby = "me"',
        "costs.bare = -1..2", "from 0",
    ),
    "cost low above high": (
        "", "", '[costs.bare]\nlow = 3\nhigh = 2\nsource = "guessed"\nby = "me"',
        "costs.bare = 3..2", "low not above high",
    ),
    "cost without source": (
        "", "", '[costs.bare]\nlow = 1\nhigh = 2\nby = "me"', "costs.bare.source is missing", "low"
    ),
    "cost as a number": ("", "", "[costs]\nbare = 5", "costs.bare = 5", "low, high, source and by"),
    "key of another program": (
        'count = "rest"', 'count = "rest"\nitems = 3', "", "spinners.items = 3", "tick_us"
    ),
    "key of another task": (
        "chunk = 4", "chunk = 4\nhold_us = 3", "", "zapper.hold_us = 3", "is_shared_after"
    ),
    "program without items": (
        "items = { low = 10, high = 300 }", "", "", "acceptors.items is missing", "accept needs it"
    ),
    "hammer without leaf": ('"compute"', '"hammer"', "", "spinners.leaf is missing", "needs it"),
    "hold missing": ('"zap"', '"block_restore"', "", "zapper.chunk = 4", "hold_us"),
    "rest twice": (
        "count = { low = 1, high = 2 }", 'count = "rest"', "", 'spinners.count = "rest"', "only one"
    ),
    "more vCPUs than there are": (
        "count = { low = 1, high = 2 }", "count = 5", "", "host.n_vcpus = 4..6", "at least 5"
    ),
    "vCPUs without a program": ('count = "rest"', "count = 2", "", "n_vcpus = 4..6", '"rest"'),
    "unknown area": ('area = "fresh"', 'area = "rom"', "", 'acceptors.area = "rom"', "ram, fresh"),
    "unused area": ("", "", '[areas.more]\ninitial = "free"', "areas.more", "no group or task"),
    "too small an area": (
        'initial = "free"', 'initial = "free"\nn_regions = 1', "", "fresh.n_regions = 1", "2 or"
    ),
    "too large an area": (
        'initial = "free"', 'initial = "free"\nn_regions = 3', "", "fresh.n_regions = 3", "2 or"
    ),
    "more memory than the model has": (
        "items = 5", "items = 300_000", "", "areas = [", "at most 2048 2M regions"
    ),
    "2M pages in an area of 4K pages": (
        "chunk = 4", "chunk = 4\nlevel = 1", "", 'ram.initial = "mapped_4k"', "pending_2m"
    ),
    "4K pages in an area of 2M pages": (
        'initial = "free"', 'initial = "pending_2m"', "", 'fresh.initial = "pending_2m"', "free"
    ),
    "trigger that isn't there": (
        "chunk = 4", 'trigger_group = "nobody"', "", 'trigger_group = "nobody"', "acceptors"
    ),
    "trigger without items": (
        "chunk = 4", 'trigger_group = "spinners"', "", 'trigger_group = "spinners"', "acceptors"
    ),
    "lead without trigger": (
        "chunk = 4", "trigger_lead = 3", "", "zapper.trigger_group is missing", "need it"
    ),
    "layout beside a trigger": (
        'area = "ram"\nitems = 5\nchunk = 4',
        f'area = "fresh"\nitems = 5\nlayout = "shared"\n{TRIGGER}\n[tasks.other]\nkind = "zap"\n'
        'area = "ram"\nitems = 1', "", 'zapper.layout = "shared"', "must be left out",
    ),
    "build while vCPUs run": (
        "", "", '[tasks.builder]\nkind = "build"\narea = "fresh"\nitems = 1',
        'acceptors.program = "accept"', "parked",
    ),
    "cap too near": (
        "time_cap_us = 500_000", "time_cap_us = 21_000", "", "time_cap_us = 21000", "10 times"
    ),
    "cap too far": (
        "time_cap_us = 500_000", "time_cap_us = 2_000_000_000", "", "cap_us = 2000000000", "from"
    ),
    "stall at the cap": (
        "stall_us = 20_000", "stall_us = 500_000", "", "stall_us = 500000", "below"
    ),
    "stall shorter than the work": (
        "think_cycles = 5_000", "think_cycles = 50_000_000", "", "stall_us = 20000", "at least 5"
    ),
}  # fmt: skip

# (overrides of the tiny scenario, key in the message, what is allowed)
BAD_TOGETHER = {
    "no vCPU for the work": (
        {"groups.acceptors.count": "rest", "groups.spinners.count": 4}, "n_vcpus = 4..6", "least 5"
    ),
    "touch of a 2M page": (
        {"groups.acceptors.program": "touch", "groups.acceptors.level": 1},
        "acceptors.level = 1", "must be 0",
    ),
    "regions of 2M pages": (
        {"groups.acceptors.layout": "regions", "groups.acceptors.level": 1},
        'acceptors.layout = "regions"', "another",
    ),
    "chunks in turn": (
        {"groups.acceptors.program": "convert", "groups.acceptors.layout": "interleaved",
         "groups.acceptors.chunk": 2},
        'acceptors.layout = "interleaved"', "another",
    ),
    "following pages taken in turn": (
        {"groups.acceptors.layout": "interleaved", "tasks.zapper.area": "fresh",
         "tasks.zapper.trigger_group": "acceptors", "areas.ram.initial": "free"},
        'zapper.trigger_group = "acceptors"', "own, regions or shared",
    ),
    "two levels below one empty root": (
        {"areas.ram.initial": "empty", "groups.acceptors.area": "ram", "tasks.zapper.level": 1},
        "tasks.zapper.level = 1", "as others",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_each_mistake_names_file_key_and_what_is_allowed(case, write):
    old, new, more, key, allowed = BAD[case]
    path = write(old, new, more)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert key in message
    assert allowed in message.partition(key)[2]


@pytest.mark.parametrize("case", BAD_TOGETHER)
def test_each_mistake_of_several_keys_names_one_of_them(case, write):
    overrides, key, allowed = BAD_TOGETHER[case]
    with pytest.raises(ScenarioError) as caught:
        load(write(), overrides)
    assert allowed in str(caught.value).partition(key)[2]


def test_a_scenario_without_work_is_refused(write):
    idle = '[areas]\n[groups.idlers]\nprogram = "idle"\ncount = "rest"\n'
    path = write(TINY[TINY.index("[areas.ram]") :], idle)
    with pytest.raises(ScenarioError, match="groups is missing, must hold a group that touches"):
        load(path)


def test_several_mistakes_are_named_one_a_line(write):
    path = write("clock_khz = 2_000_000", "clock_khz = 1\nfoo = 2")
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert len(str(caught.value).splitlines()) == 2


def test_a_group_with_the_rest_may_be_empty_if_it_has_no_work(write):
    path = write("count = { low = 1, high = 2 }", "count = 4")
    assert load(path).groups["acceptors"].count == Range(low=4, high=4)
