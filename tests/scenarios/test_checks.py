"""Each mistake in a file gives one error that says where, what was given, what is allowed."""

from pathlib import Path

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
    "unknown program": ('"compute"', '"sleep"', "", 'spinners.program = "sleep"', "or 4 others"),
    "family": ('family = "own"', 'family = "S99"', "", 'family = "S99"', "S1 to S27"),
    "version": (
        "[host]", '[module]\nversion = "2"\n[host]', "", 'module.version = "2"', "of 1.5.28, 2.0.18"
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
    "five tasks": (
        "", "", "".join(f'[tasks.t{n}]\nkind = "zap"\narea = "ram"\nitems = 1\n' for n in range(4)),
        "tasks = [", "at most 4",
    ),
    "five areas": (
        "", "", "".join(f'[areas.a{n}]\ninitial = "free"\n' for n in range(3)), "areas = [", "4"
    ),
    "unknown cost": (
        "", "", '[costs.busy]\nlow = 1\nhigh = 2\nsource = "user"\nby = "me"',
        "costs.busy", "or 61 others",
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
        "chunk = 4", "chunk = 4\nhold_us = 3", "", "zapper.hold_us = 3", "or 11 others"
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
    "4K pages blocked in an area of 2M pages": (
        'initial = "mapped_4k"', 'initial = "mapped_2m"',
        '[tasks.blocker]\nkind = "block_restore"\narea = "ram"\nitems = 1\nhold_us = 1',
        'ram.initial = "mapped_2m"', "mapped_4k",
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


BUILD = '[tasks.builder]\nkind = "build"\narea = "fresh"\nitems = 1\n'
CREATE = '[tasks.creator]\nkind = "init_vcpu"\ncount = 2\nitems = 3\n'
# What is added to the tiny scenario, overrides, and the whole message behind the file's name.
REFUSED = {
    "Dynamic PAMT on a kernel without": (
        "", {"host.dynamic_pamt": "locked"},
        'host.dynamic_pamt = "locked", must be "static": KVM 6.19 has no Dynamic PAMT, host.kernel '
        "must be one of: 7.4-queue",
    ),
    "Dynamic PAMT on a module without": (
        "", {"host.dynamic_pamt": "fast", "host.kernel": "7.4-queue", "module.version": "1.5.06"},
        'host.dynamic_pamt = "fast", must be "static": module 1.5.06 has no Dynamic PAMT',
    ),
    "Dynamic PAMT on a module without, among others": (
        "", {"host.dynamic_pamt": "fast", "host.kernel": "7.4-queue",
             "module.version": ["1.5.28", "1.5.06"]},
        'host.dynamic_pamt = "fast", must be "static": module 1.5.06 has no Dynamic PAMT',
    ),
    "other TDs with static PAMT": (
        '[tasks.others]\nkind = "other_tds"\nthink_cycles = 10_000\n', {},
        'host.dynamic_pamt = "static", must be "locked" or "fast": with static PAMT no TD meets '
        "another (tasks.others)",
    ),
    "items of other TDs": (
        '[tasks.others]\nkind = "other_tds"\nthink_cycles = 10_000\nitems = 1\n', {},
        "tasks.others.items = 1, other_tds has no such key, must be one of: "
        "think_cycles, block_pages, kind, count",
    ),
    "conversion in place on a kernel without": (
        "", {"tasks.zapper.in_place": True},
        "tasks.zapper.in_place = true, must be false: KVM 6.19 can't convert in place, host.kernel "
        "must be one of: 7.4-queue",
    ),
    "pages of a vCPU's creation": (
        CREATE + 'area = "ram"\n', {},
        'tasks.creator.area = "ram", init_vcpu has no such key, must be one of: '
        "items, think_cycles, count, kind",
    ),
    "export without pages": (
        '[tasks.exporter]\nkind = "export"\nitems = 1\n', {},
        "tasks.exporter.area is missing, export needs it",
    ),
    "export of 2M pages": (
        '[tasks.exporter]\nkind = "export"\nitems = 1\narea = "ram"\nlevel = 1\n', {},
        "tasks.exporter.level = 1, export has no such key, must be one of: "
        "device_us, think_cycles, trigger_lead or 8 others",
    ),
    "interrupts of a task that no interrupt concerns": (
        '[tasks.filler]\nkind = "prefault"\nitems = 1\narea = "fresh"\ndevice_us = 9\n', {},
        "tasks.filler.device_us = 9, prefault has no such key, must be one of: "
        "level, chunk, count or 8 others",
    ),
    "module version": (
        "", {"module.version": "1.4"},
        'module.version = "1.4", must be one of 1.5.34, 1.5.01, 1.5.06 or another '
        "version",
    ),
    "kind of task": (
        "", {"tasks.zapper.kind": "import"},
        'tasks.zapper.kind = "import", must be one of: export, prefault, other_tds '
        "or 5 others",
    ),
    "unknown key of a program": (
        '[groups.more]\nprogram = "hammer"\ncount = 1\nleaf = "accept"\ntikc_us = 3\n', {},
        "groups.more.tikc_us = 3, unknown key, must be one of: tick_us, "
        "host_tick_us, device_us or 7 others",
    ),
    "group without a program": (
        "[groups.more]\ncount = 1\n", {},
        "groups.more.program is missing, must be one of: compute, idle, touch, accept, convert, "
        "hammer, parked",
    ),
    "program that is a number": (
        "[groups.more]\nprogram = 3\ncount = 1\n", {},
        "groups.more.program = 3, must be one of: compute, idle, touch, accept, convert, hammer, "
        "parked",
    ),
    "program that is a list": (
        "[groups.more]\nprogram = [1]\ncount = 1\n", {},
        "groups.more.program = [1], must be one of: compute, idle, touch, accept, convert, "
        "hammer, parked",
    ),
    "group that is a number": (
        "[groups]\nmore = 3\n", {}, "groups.more = 3, must be a table"
    ),
    "task that is a list of tables": (
        '[[tasks.more]]\nkind = "zap"\n', {}, 'tasks.more = [{kind = "zap"}], must be a table'
    ),
    "no CPU": (
        "", {"host.n_pcpus": 0},
        "host.n_pcpus = 0, must be a whole number or a range low..high from 1 to 256 or "
        '"each"',
    ),
    "more CPUs than there is room for": (
        "", {"host.n_pcpus": 257},
        "host.n_pcpus = 257, must be a whole number or a range low..high from 1 to 256 or "
        '"each"',
    ),
    "five sockets": (
        "", {"host.n_sockets": 5}, "host.n_sockets = 5, must be a whole number from 1 to 4"
    ),
    "more CPUs than a cluster has": (
        "", {"host.ipi_cluster": 17}, "host.ipi_cluster = 17, must be a whole number from 1 to 16"
    ),
    "CPUs shared without ticks": (
        "", {"host.n_pcpus": {"low": 2, "high": 3}, "groups.spinners.tick_us": 0},
        "groups.spinners.tick_us = 0, must be above 0: host.n_pcpus is 2..3, only a tick ends a "
        "thread's slice",
    ),
    "irq-off sections in more than all windows": (
        "", {"host.irq_off_share": 1_001},
        "host.irq_off_share = 1001, must be a whole number from 0 to 1,000",
    ),
    "irq-off section longer than its window": (
        "", {"host.irq_off_share": 1, "host.irq_off_window_us": 249},
        "host.irq_off_window_us = 249, must be at least 250: costs.irq_off is up to 500000 cycles",
    ),
    "device interrupts of a vCPU faster than it can serve them": (
        "", {"groups.spinners.device_us": {"low": 4, "high": 9}},
        "groups.spinners.device_us = 4..9, must be a whole number or a range low..high from 5 to "
        "10,000,000 or 0 (none)",
    ),
    "device interrupts of a host CPU without a gap": (
        "", {"tasks.zapper.device_us": {"low": 0, "high": 9}},
        "tasks.zapper.device_us = 0..9, must be a whole number or a range low..high from 1 to "
        "10,000,000 or 0 (none)",
    ),
    "signals without interrupts": (
        "", {"groups.spinners.signal_every": 10},
        "groups.spinners.signal_every = 10, must be 0: signals come with device interrupts, "
        "device_us is 0",
    ),
    "a timer that is armed and never ticks": (
        "", {"groups.spinners.arm_cycles": 3_000, "groups.spinners.tick_us": 0},
        "groups.spinners.arm_cycles = 3000, must be 0: the timer is armed for ticks, tick_us is 0",
    ),
    "build while vCPUs run": (
        BUILD, {},
        'groups.acceptors.program = "accept", must be "parked": tasks.builder builds the TD, no '
        "vCPU can run yet",
    ),
    "creation of vCPUs while vCPUs run": (
        CREATE, {},
        'groups.acceptors.program = "accept", must be "parked": tasks.creator builds the TD, no '
        "vCPU can run yet",
    ),
}  # fmt: skip

PARKED = """
schema_version = 1
name = "parked"
family = "own"
title = "a test"
description = "Nothing in particular."

[host]
n_vcpus = 5

[limits]
stall_us = 20_000
time_cap_us = 500_000
reward_scale = 1_000

[areas.fresh]
initial = "free"

[areas.ram]
initial = "mapped_4k"

[groups.vcpus]
program = "parked"
count = "rest"

[tasks.other]
kind = "zap"
area = "ram"
items = 1

"""
# The other task's kind, or none; what is added; the whole message behind the file's name.
REFUSED_WHILE_BUILT = {
    "export": (
        "export", BUILD,
        'tasks.other.kind = "export", must be one of build, init_vcpu, other_tds, zap: '
        "tasks.builder builds the TD",
    ),
    "memslot deletion": (
        "slot_delete", CREATE,
        'tasks.other.kind = "slot_delete", must be one of build, init_vcpu, other_tds, zap: '
        "tasks.creator builds the TD",
    ),
    "more vCPUs than the TD has": (
        "zap", CREATE, "host.n_vcpus = 5, must be at least 6: so many are created"
    ),
    "build in memory that is there": (
        "build", BUILD,
        'areas.ram.initial = "mapped_4k", must be one of free: tasks.other works there at level 0',
    ),
}  # fmt: skip


def refusal(path: Path, overrides: dict[str, object] | None = None) -> str:
    """Return what is said about a file, without the file's name."""
    with pytest.raises(ScenarioError) as caught:
        load(path, overrides)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_says_all_there_is_to_say(case, write):
    more, overrides, message = REFUSED[case]
    assert refusal(write(more=more), overrides) == message


@pytest.mark.parametrize("case", REFUSED_WHILE_BUILT)
def test_a_td_that_is_being_built_is_not_used_otherwise(case, tmp_path):
    kind, more, message = REFUSED_WHILE_BUILT[case]
    path = tmp_path / "parked.toml"
    path.write_text(PARKED.replace('"zap"', f'"{kind}"') + more)
    assert refusal(path) == message


def test_a_td_may_be_built_while_pages_are_removed_and_vcpus_created(tmp_path):
    path = tmp_path / "parked.toml"
    text = PARKED.replace("n_vcpus = 5", "n_vcpus = 6") + CREATE
    path.write_text(text.replace('[areas.fresh]\ninitial = "free"\n', ""))
    assert list(load(path).tasks) == ["other", "creator"]


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
