"""Who waits for what: each cause in a small world, stopped at the instant at which it shows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import pytest

from tdx_agents import load as load_policy
from tdx_env.engine.batch import Batch
from tdx_env.engine.causes import Cause
from tdx_env.engine.waiting import Wait, together, waiting_actors, waits
from tdx_env.scenarios import load, setup_of
from tdx_env.simulate import account_text, simulate
from tdx_env.state.world import End

pytestmark = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="reads state that compiled code made"
)

HEAD = """
schema_version = 1
name = "small"
family = "own"
title = "a test"
description = "One thing."
limits = { stall_us = 20_000, time_cap_us = 200_000, reward_scale = 1_000 }
"""
ACCEPTERS = """
areas.fresh = { initial = "free" }
[groups.accepters]
program = "accept"
area = "fresh"
items = 40
think_cycles = { low = 0, high = 2_000 }
count = "rest"
"""
SHARED = f'{ACCEPTERS}layout = "shared"\n'
ZAPPER = """
[tasks.zapper]
kind = "zap"
area = "ram"
items = 4
chunk = 4
think_cycles = 20_000
"""
RAM_4K = 'areas.ram = { initial = "mapped_4k" }\n'
SLOT = """
areas.slot = { initial = "free" }
[groups.accepters]
program = "accept"
area = "slot"
items = 40
count = "rest"
[tasks.deleter]
kind = "slot_delete"
area = "slot"
items = 1
chunk = 40
count = 2
think_cycles = 200_000
"""
TOUCHED_SLOT = SLOT.replace('"accept"', '"touch"')
STORM = """
module = { version = "1.5.06" }
areas.ram = { initial = "mapped_2m" }
areas.fresh = { initial = "free" }
[groups.accepters]
program = "accept"
area = "fresh"
items = 400
count = "rest"
[tasks.puncher]
kind = "zap"
area = "ram"
items = 1
think_cycles = 100_000
device_us = 2
"""
LARGE = """
areas.ram = { initial = "pending_2m" }
[groups.accepters]
program = "accept"
area = "ram"
level = 1
items = 4
count = 1
[groups.computing]
program = "compute"
count = "rest"
[tasks.zapper]
kind = "zap"
area = "ram"
level = 1
items = 2
think_cycles = 50_000
trigger_group = "accepters"
trigger_period = 2
"""
ARMED = """
areas.ram = { initial = "mapped_4k" }
[groups.touchers]
program = "touch"
area = "ram"
layout = "shared"
items = 1
think_cycles = 100_000
count = "rest"
[tasks.blocker]
kind = "block_restore"
area = "ram"
items = 1
hold_us = 300
"""
HAMMERED = f"""
{RAM_4K}
[groups.hammers]
program = "hammer"
hostile = true
leaf = "attr_rd"
count = "rest"
{ZAPPER}
"""

Stop = Callable[..., Wait]


def host(n_vcpus: int, more: str = "") -> str:
    """Return the table of the host, and of what else goes before a world's areas."""
    return f"host = {{ n_vcpus = {n_vcpus}{more} }}\n"


def show(batch: Batch, decide: Any, step: int, is_it: Callable[[Wait], bool]) -> Wait:
    """Run a world in steps until some actor waits as wanted."""
    cap = int(batch.run["time_cap"][0])
    for instant in range(step, cap, step):
        batch.run["end"], batch.run["time_cap"] = End.RUNNING, instant
        batch.advance(decide)
        for wait in filter(is_it, waits(batch, 0)):
            return wait
        assert batch.run["end"][0] == End.CAPPED, End(int(batch.run["end"][0]))
    raise AssertionError("nobody waits so")


@pytest.fixture
def stop(tmp_path: Path) -> Stop:
    """Return a function that plays a world until some actor waits for a cause."""

    def play(
        text: str,
        policy: str,
        cause: Cause,
        step: int = 500,
        is_it: Callable[[Wait], bool] = lambda wait: True,
        **changes: Any,
    ) -> Wait:
        path = tmp_path / "small.toml"
        path.write_text(HEAD + text)
        chosen = load_policy(policy)
        batch = Batch(setup_of(load(path)), chosen.discipline.with_(**changes).record())
        batch.reset([3])
        return show(batch, chosen.decide, step, lambda wait: wait.cause == cause and is_it(wait))

    return play


def test_fault_waits_for_the_writer_of_mmu_lock(stop):
    wait = stop(host(2) + RAM_4K + ACCEPTERS + ZAPPER, "P18", Cause.MMU_LOCK)
    assert wait.on == (2,)
    assert wait.text == "waits for mmu_lock for read, held for write by host task 2 (ZAP_SOFTWARE)"


def test_zap_waits_for_the_readers_of_mmu_lock(stop):
    text = host(8) + RAM_4K + ACCEPTERS + ZAPPER.replace("20_000", "{ low = 0, high = 60_000 }")
    wait = stop(text, "P18", Cause.MMU_LOCK, 200, lambda wait: wait.name == "host task 8")
    assert "mmu_lock for write, held for read by vCPU" in wait.text


CROWD = """
module.version = "1.5.34"
areas.fresh = { initial = "free" }
[groups.accepters]
program = "accept"
area = "fresh"
items = 40
count = "rest"
[tasks.others]
kind = "other_tds"
count = 16
think_cycles = 1_000
"""
IN_PLACE = """
areas.ram = { initial = "mapped_4k" }
areas.fresh = { initial = "free" }
[groups.converter]
program = "convert"
area = "ram"
items = 2
chunk = 32
count = 1
in_place = true
[groups.accepters]
program = "accept"
area = "fresh"
items = 200
count = "rest"
"""


def test_page_waits_for_the_lock_of_dynamic_pamt(stop):
    more = ', kernel = "7.4-queue", dynamic_pamt = "locked"'
    wait = stop(host(4, more) + CROWD, "P18", Cause.PAMT_LOCK, 100)
    assert "waits for Dynamic PAMT's lock, held by" in wait.text


def test_fault_sleeps_for_the_lock_of_the_file(stop):
    wait = stop(host(3, ', kernel = "7.4-queue"') + IN_PLACE, "P18", Cause.FILE)
    assert wait.on == (0,)
    assert "waits for the lock of the guest_memfd file, held by vCPU 0" in wait.text


def test_call_waits_for_the_seamcall_lock(stop):
    wait = stop(host(3) + ACCEPTERS, "P4", Cause.HOST_LOCK)
    assert "waits for the SEAMCALL lock, held by vCPU" in wait.text
    assert len(wait.on) == 1


def test_second_deletion_waits_for_slots_lock(stop):
    wait = stop(host(1) + SLOT, "P18", Cause.GUARD)
    assert wait.text.startswith("waits for slots_lock, held by host task")
    assert set(wait.on) < {1, 2}


def test_build_waits_for_the_guard(stop):
    text = """
areas.image = { initial = "free" }
groups.vcpus = { program = "parked", count = "rest" }
[tasks.builder]
kind = "build"
area = "image"
items = 4
[tasks.creator]
kind = "init_vcpu"
items = 2
"""
    wait = stop(host(2) + text, "P20", Cause.GUARD)
    assert "waits for the guard of ioctls that build the TD, held by host task" in wait.text


def test_deletion_waits_for_the_handler_that_waits_for_it(stop):
    wait = stop(host(1) + SLOT.replace("count = 2", "count = 1"), "P18", Cause.DYING_SLOT, 5_000)
    assert (wait.actor, wait.on) == (0, (1,))
    wait = stop(host(1) + SLOT.replace("count = 2", "count = 1"), "P18", Cause.SRCU, 300_000)
    assert wait.text == "deletes a memslot, waits by SRCU for vCPU 0 to leave the handler"
    assert (wait.actor, wait.on) == (1, (0,))


def test_gated_vcpu_names_who_closed_the_gate(stop):
    wait = stop(host(4) + LARGE, "P13", Cause.GATE)
    assert (wait.text, wait.on) == ("waits at the gate that host task 4 closed", (4,))


def test_kick_names_who_has_not_answered(stop):
    wait = stop(host(4) + LARGE, "P18", Cause.KICK)
    assert wait.name == "host task 4"
    assert "to answer its kick before RANGE.BLOCK, issue 1" in wait.text
    assert wait.on


def test_task_names_the_vcpu_and_the_item_it_waits_for(stop):
    wait = stop(host(4) + LARGE, "P18", Cause.TRIGGER)
    assert (wait.name, wait.on) == ("host task 4", (0,))
    assert "waits until vCPU 0 begins item 2; it is at" in wait.text


def test_thread_without_a_cpu_names_those_who_have_one(stop):
    text = host(3, ", n_pcpus = 1") + ACCEPTERS + "tick_us = 1_000\n"
    wait = stop(text, "P18", Cause.CPU)
    assert wait.text == "waits for a CPU, which vCPU 0 have"


def test_interrupted_call_counts_its_issues(stop):
    wait = stop(host(2) + STORM, "P23", Cause.INTERRUPTED, 50_000)
    assert wait.name == "host task 2"
    assert wait.text.startswith("PAGE.DEMOTE, issue ")
    assert wait.text.endswith("each ended by an interrupt; holds mmu_lock for write")


def test_busy_call_names_lock_and_holder(stop):
    wait = stop(host(2) + LARGE, "P8", Cause.BUSY)
    assert wait.text.startswith("RANGE.BLOCK, issue ")
    assert "busy on the S-EPT entry, last held by vCPU 0 in PAGE.ACCEPT" in wait.text


def test_refused_guest_names_host_priority_or_holder(stop):
    wait = stop(host(3) + HAMMERED, "P8", Cause.REFUSED)
    assert wait.text.startswith("repeats PAGE.ATTR.RD on 4K page ")


def test_armed_vcpu_names_the_page_that_nobody_accepts(stop):
    guest = "guest = { sept_ve_disable = false }\n"
    text = host(1) + guest + TOUCHED_SLOT.replace("count = 2", "count = 1")
    wait = stop(text, "P20", Cause.ZERO_STEP, 20_000)
    assert "armed by zero-step: 4K page " in wait.text


def test_enter_with_interrupts_off_says_that_it_answers_no_ipi(stop):
    wait = stop(host(16) + ARMED, "P2", Cause.IRQS_OFF, 5_000, enter_irqs_off=True)
    assert "with interrupts off: answers no IPI; busy on the S-EPT tree lock" in wait.text


def test_fault_names_who_has_frozen_its_page(stop):
    wait = stop(host(3) + SHARED, "P9", Cause.FROZEN, 100)
    assert " FROZEN by vCPU " in wait.text


def test_fault_on_a_page_that_is_not_private_says_so(stop):
    wait = stop(host(2) + ARMED, "P20", Cause.FOREIGN_PAGE)
    assert wait.text.startswith("faults on 4K page 0, which isn't private now")


def test_every_actor_has_a_line():
    batch = Batch(setup_of(load("s22-clean/test")), load_policy("P18").discipline.record())
    batch.reset([1])
    lines = waiting_actors(batch, 0)
    assert len(lines) == batch.run["n_actors"][0]
    assert lines[0].startswith("vCPU 0: ")


def test_lines_that_say_the_same_are_put_together():
    lines = ["vCPU 0: a", "vCPU 1: a", "vCPU 2: b", "vCPU 3: a", "host task 4: a"]
    assert list(together(lines)) == ["vCPUs 0 to 1, 3: a", "vCPU 2: b", "host task 4: a"]


def test_simulate_shows_who_waits_in_a_hang(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(HEAD + host(1) + SLOT.replace("count = 2", "count = 1"))
    account = simulate(load(path), load_policy("P18"), seed=3, n_conflicts=0)
    text = account_text(account)
    assert "The episode hung: no progress. Who waits:" in text
    assert "host task 1: deletes a memslot, waits by SRCU for vCPU 0 to leave the handler" in text
    assert account.metrics["waiting"][1] in text
