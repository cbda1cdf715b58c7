"""Kicks: what they take, whom they stop, and the flush that ends a zap."""

from pathlib import Path

import numpy as np
import pytest

from tdx_agents import load as load_policy
from tdx_env.engine.batch import Batch
from tdx_env.scenarios import load, setup_of
from tdx_env.state.accounting import Category
from tdx_env.state.actors import State

SCENARIO = """
schema_version = 1
name = "kick"
family = "own"
title = "pages leave a TD"
description = "A host task removes pages while vCPUs compute."

[host]
n_vcpus = 8

[limits]
stall_us = 50_000
time_cap_us = 1_000_000
reward_scale = 1_000

[areas.ram]
initial = "mapped_4k"

[groups.others]
program = "compute"
count = "rest"

[tasks.zapper]
kind = "zap"
area = "ram"
items = 1
chunk = 1
think_cycles = 200_000
"""
CONVERTER = """
[groups.converter]
program = "convert"
count = 1
area = "ram"
items = 1
chunk = 1
think_cycles = 250_000
"""
ACCEPTORS = """
[areas.fresh]
initial = "free"

[groups.acceptors]
program = "accept"
count = 4
area = "fresh"
items = 100
"""
MHZ = 2_500
# Facts about kicks: nominal, low and high of each cost [µs]; the sums for so many targets.
SHEET = {
    "kick_fixed": (0.2, 0.1, 0.4),
    "kick_scan": (0.03, 0.01, 0.06),
    "kick_target": (0.19, 0.1, 0.3),
    "kick_icr": (0.25, 0.12, 0.5),
    "ipi_delivery": (0.7, 0.5, 1.3),
    "td_exit": (1.6, 1.2, 3.0),
    "kick_handler": (0.3, 0.15, 0.5),
    "kick_ack": (0.08, 0.04, 0.15),
}
DURATIONS = {
    1: (3.3, 2.2, 6),
    8: (5.2, 3, 13),
    32: (12, 7, 36),
    64: (21, 11, 66),
    128: (39, 21, 79),
    248: (74, 39, 133),
}
CLUSTERS_OF_A_HOST = 32  # the range's top: every target in another one, up to this many


def cycles(values: tuple[float, float, float], place: int) -> int:
    """Return a cost of the sheet in cycles."""
    return round(values[place] * MHZ)


def expected_us(n_targets: int, place: int, n_clusters: int) -> float:
    """Return how long a kick takes by the sum of its parts."""
    each = sum(SHEET[name][place] for name in ("kick_target", "kick_ack"))
    once = ("kick_fixed", "ipi_delivery", "td_exit", "kick_handler")
    return (
        n_targets * each
        + n_clusters * SHEET["kick_icr"][place]
        + sum(SHEET[name][place] for name in once)
    )


def clusters(n_targets: int, place: int) -> int:
    """Return how many clusters the sheet's table has so many targets in."""
    if place == 2:
        return min(n_targets, CLUSTERS_OF_A_HOST if n_targets > 64 else n_targets)
    return -(-n_targets // 16)


def play(folder: Path, more: str = "", policy: str = "P18", **changes: object) -> Batch:
    """Play one episode; a double underscore in a key stands for a dot."""
    path = folder / "kick.toml"
    path.write_text(SCENARIO + more)
    overrides = {key.replace("__", "."): value for key, value in changes.items()}
    chosen = load_policy(policy)
    setup = setup_of(load(path, overrides))
    batch = Batch(setup, chosen.discipline.record(), 1, n_events_traced=100_000)
    batch.reset([3])
    batch.advance(chosen.decide)
    assert not batch.waiting[0]
    return batch


def costs(place: int) -> dict[str, object]:
    """Return overrides that pin every cost of a kick."""
    return {f"costs__{name}": cycles(values, place) for name, values in SHEET.items()}


def events(batch: Batch, actor: int) -> list[tuple[int, State]]:
    """Return time and state of an actor's events."""
    world = batch.world(0)
    rows = world.trace["event"][: int(world.run["n_traced"])]
    mine = rows[rows["actor"] == actor]
    return [(int(row["time"]), State(int(row["state"]))) for row in mine]


def zapper(batch: Batch) -> int:
    """Return the number of the host task."""
    return int(batch.run["n_vcpus"][0])


def kicks(batch: Batch, actor: int) -> list[tuple[State, int]]:
    """Return what an actor did before each of its kicks, and how long that took [cycles]."""
    found = []
    rows = events(batch, actor)
    for place, (_, state) in enumerate(rows):
        if state == State.KICK_SEND:
            begin, before = rows[place - 1]
            is_waiting = place + 1 < len(rows) and rows[place + 1][1] == State.KICK_WAIT
            end = rows[place + 1][0] if is_waiting else rows[place][0]
            found.append((before, end - begin))
    return found


def flushes(batch: Batch, actor: int) -> int:
    """Return how many of an actor's kicks were flushes: they come when a page is done."""
    return sum(before == State.ZAP_CLEAR for before, _ in kicks(batch, actor))


def booked(batch: Batch, category: Category) -> np.ndarray:
    """Return what was booked to a category, for each actor."""
    n_actors = int(batch.run["n_actors"][0])
    return batch.world(0).actors["row"]["booked"][:n_actors, category]


# --- how long a kick takes


@pytest.mark.parametrize("place", [0, 1, 2], ids=["nominal", "low", "high"])
@pytest.mark.parametrize("n_targets", DURATIONS)
def test_parts_add_up_to_the_sheet_s_table(n_targets, place):
    """To the digits of the table, which rounds to 1 µs, below 10 µs to 0.1 or 1."""
    total = expected_us(n_targets, place, clusters(n_targets, place))
    assert total == pytest.approx(DURATIONS[n_targets][place], abs=0.51)


@pytest.mark.parametrize("place", [0, 1, 2], ids=["nominal", "low", "high"])
@pytest.mark.parametrize("n_targets", DURATIONS)
def test_a_kick_takes_what_its_parts_add_up_to(n_targets, place, tmp_path):
    """TRACK's kick of vCPUs that all compute; clusters of 16, for the range's top of 1 to 8."""
    n_clusters = clusters(n_targets, place)
    size = max(1, n_targets // n_clusters)
    changes = costs(place) | {"host__n_vcpus": n_targets, "host__ipi_cluster": min(16, size)}
    batch = play(tmp_path, **changes)
    n_touched = -(-n_targets // min(16, size))
    total = expected_us(n_targets, place, n_touched)
    track = kicks(batch, zapper(batch))[0]
    assert track[0] == State.SEAMCALL
    # Each cost is rounded to cycles.
    assert track[1] == pytest.approx(total * MHZ, abs=n_targets + n_touched + 4)


def test_vcpus_outside_the_guest_cost_a_look_each(tmp_path):
    """Nobody in the guest: no IPI, the scan alone."""
    times = []
    for n_vcpus in (10, 110):
        batch = play(tmp_path, **costs(0), host__n_vcpus=n_vcpus, groups__others__program="parked")
        assert batch.run["n_ipis"][0] == 0
        times.append(kicks(batch, zapper(batch))[0][1])
    assert times[1] - times[0] == 100 * cycles(SHEET["kick_scan"], 0)


def test_ipis_of_a_cluster_arrive_at_once_and_clusters_follow_each_other(tmp_path):
    batch = play(tmp_path, **costs(0), host__n_vcpus=40, host__ipi_cluster=16)
    first_exit = [
        next(time for time, state in events(batch, vcpu) if state == State.TD_EXIT)
        for vcpu in range(40)
    ]
    write = cycles(SHEET["kick_icr"], 0)
    assert [time - first_exit[0] for time in first_exit] == [
        vcpu // 16 * write for vcpu in range(40)
    ]


def test_clusters_end_with_their_socket(tmp_path):
    """20 vCPUs on two sockets are two clusters, not one and a part."""
    batch = play(tmp_path, **costs(0), host__n_vcpus=20, host__n_sockets=2)
    exits = [
        next(time for time, state in events(batch, vcpu) if state == State.TD_EXIT)
        for vcpu in range(20)
    ]
    assert len(set(exits[:10])) == len(set(exits[10:])) == 1
    assert exits[10] > exits[0]


def test_a_target_runs_again_while_others_are_waited_for(tmp_path):
    """The first is back in the guest before the sender goes on."""
    batch = play(tmp_path, **costs(0), host__n_vcpus=64, host__ipi_cluster=1)
    over = next(time for time, state in events(batch, zapper(batch)) if state == State.KICK_WAIT)
    reentered = [
        time
        for time, state in events(batch, 0)
        if state == State.SEAMCALL and time > cycles(SHEET["td_exit"], 0) + 200_000
    ]
    assert reentered[0] < over


def test_a_target_serves_the_ipi_by_its_own_handler(tmp_path):
    """An empty function and an answer, not a timer's handler; then straight back."""
    batch = play(tmp_path, **costs(0), costs__irq_handler=3_000, costs__run_loop=1_000)
    rows = events(batch, 0)
    place = next(place for place, (_, state) in enumerate(rows) if state == State.TD_EXIT)
    (left, _), (served, irq), (entering, loop) = rows[place : place + 3]
    assert (irq, loop) == (State.HOST_IRQ, State.RUN_LOOP)
    assert served - left == cycles(SHEET["kick_handler"], 0)
    assert entering - served == 1_000


# --- the flush of the shared EPT


@pytest.mark.parametrize("chunk", [1, 2, 8])
def test_a_zap_ends_with_one_flush(chunk, tmp_path):
    """One page stops the guest twice, eight stop it nine times."""
    batch = play(tmp_path, tasks__zapper__chunk=chunk)
    assert len(kicks(batch, zapper(batch))) == chunk + 1
    assert flushes(batch, zapper(batch)) == 1
    assert kicks(batch, zapper(batch))[-1][0] == State.ZAP_CLEAR
    assert batch.run["n_ipis"][0] == (chunk + 1) * 8


def test_a_flush_is_no_decided_kick(tmp_path):
    batch = play(tmp_path)
    assert batch.run["n_kicks"][0] == 0
    assert booked(batch, Category.IPI_SEND).sum() == 0
    assert booked(batch, Category.KICK_TARGET).sum() == 0


def test_a_flush_looks_at_every_vcpu_twice(tmp_path):
    """One locked bit more in each vCPU than TRACK's kick."""
    batch = play(tmp_path, **costs(0))
    (_, track), (_, flush) = kicks(batch, zapper(batch))
    assert flush - track == 8 * cycles(SHEET["kick_scan"], 0)


def test_each_vcpu_flushes_once(tmp_path):
    batch = play(tmp_path, tasks__zapper__chunk=8)
    for vcpu in range(8):
        states = [state for _, state in events(batch, vcpu)]
        assert states.count(State.FLUSH_TLB) == 1


def test_a_sleeping_vcpu_flushes_when_it_wakes(tmp_path):
    """It gets no IPI; INVEPT comes before its next VP.ENTER."""
    changes = {"groups__others__program": "idle", "groups__others__tick_us": 1_000}
    batch = play(tmp_path, **changes, tasks__zapper__items=2, tasks__zapper__think_cycles=8_000_000)
    assert batch.run["n_ipis"][0] == 0
    for vcpu in range(8):
        states = [state for _, state in events(batch, vcpu)]
        assert states.count(State.FLUSH_TLB) == 1
        place = states.index(State.FLUSH_TLB)
        assert states[place - 1] == State.RUN_LOOP
        assert states[place + 1] == State.SEAMCALL


def test_a_vcpu_that_converts_flushes_too(tmp_path):
    batch = play(tmp_path, CONVERTER, tasks__zapper__think_cycles=20_000_000)
    converter = next(vcpu for vcpu in range(8) if flushes(batch, vcpu))
    states = [state for _, state in events(batch, converter)]
    assert states.count(State.FLUSH_TLB) == 1


def test_a_td_that_is_built_is_not_flushed(tmp_path):
    creator = '\n[tasks.creator]\nkind = "init_vcpu"\nitems = 1\n'
    batch = play(tmp_path, creator, groups__others__program="parked")
    assert kicks(batch, zapper(batch)) == []


def test_a_zap_flushes_before_it_makes_way(tmp_path):
    """Faults queue for mmu_lock: every time it is dropped, a flush came just before."""
    batch = play(tmp_path, ACCEPTORS, tasks__zapper__chunk=32)
    rows = [state for _, state in events(batch, zapper(batch))]
    drops = [place for place, state in enumerate(rows) if state == State.RESCHED]
    assert drops
    assert flushes(batch, zapper(batch)) == len(drops) + 1
    for place in drops:
        kick = rows[: place - 1] if rows[place - 1] == State.KICK_WAIT else rows[:place]
        assert kick[-1] == State.KICK_SEND
        assert kick[-2] == State.ZAP_CLEAR


def test_no_page_no_flush(tmp_path):
    batch = play(tmp_path, areas__ram__initial="free")
    assert State.KICK_SEND not in [state for _, state in events(batch, zapper(batch))]
