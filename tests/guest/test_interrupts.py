"""TD exits of a vCPU that computes: its ticks, the arming of its timer, the host's ticks."""

from pathlib import Path

import pytest

from tdx_agents import load as load_policy
from tdx_env.engine.batch import Batch
from tdx_env.scenarios import load, setup_of
from tdx_env.state.actors import State

SCENARIO = """
schema_version = 1
name = "ticks"
family = "own"
title = "a vCPU computes for a second"
description = "A host task ends the episode after a second."
host.n_vcpus = 1
limits = { stall_us = 2_100_000, time_cap_us = 21_000_000, reward_scale = 1_000 }
areas.ram.initial = "free"
groups.computing = { program = "compute", count = 1 }
tasks.last = { kind = "prefault", items = 1, area = "ram", think_cycles = 2_500_000_000 }
"""
TICK = "groups.computing.tick_us"
ARM = "groups.computing.arm_cycles"
HOST_TICK = "groups.computing.host_tick_us"


def exits(folder: Path, **changes: object) -> int:
    """Return how often the vCPU leaves the guest in a second."""
    path = folder / "ticks.toml"
    path.write_text(SCENARIO)
    chosen = load_policy("P18")
    setup = setup_of(load(path, changes))
    batch = Batch(setup, chosen.discipline.record(), 1, n_events_traced=100_000)
    batch.reset([3])
    batch.advance(chosen.decide)
    world = batch.world(0)
    rows = world.trace["event"][: int(world.run["n_traced"])]
    return int(((rows["actor"] == 0) & (rows["state"] == State.TD_EXIT)).sum())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({TICK: 4_000}, 250),
        ({TICK: 4_000, ARM: 3_000}, 500),
        ({TICK: 1_000, ARM: 3_000}, 2_000),
        ({HOST_TICK: 4_000}, 250),
        ({TICK: 1_000, ARM: 3_000, HOST_TICK: 4_000}, 2_250),
    ],
)
def test_exits_in_a_second_are_two_a_guest_tick_and_one_a_host_tick(changes, expected, tmp_path):
    """Ticks that meet outside the guest, or before the timer is armed, share an exit."""
    assert exits(tmp_path, **changes) == pytest.approx(expected, abs=0.02 * expected + 1)


def test_a_halted_vcpu_sleeps_through_the_hosts_ticks(tmp_path):
    idle = {"groups.computing.program": "idle"}
    assert exits(tmp_path, **idle, **{HOST_TICK: 4_000}) == 0
