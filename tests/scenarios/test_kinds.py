"""Each program and kind of task has a model, and each key of a model reaches the simulator."""

from pathlib import Path
from typing import Any

import pytest

from tdx_env.scenarios import load, setup_of
from tdx_env.scenarios.groups import PROGRAMS
from tdx_env.scenarios.tasks import KINDS
from tdx_env.state.actors import Program, Task

HEAD = """
schema_version = 1
name = "kinds"
family = "own"
title = "a test"
description = "Nothing in particular."
host = { n_vcpus = 4, kernel = "7.4-queue", dynamic_pamt = "{pamt}" }
module.version = "1.5.34"
limits = { stall_us = 500_000, time_cap_us = 50_000_000, reward_scale = 1_000 }
"""
# What is beside the group or task in question: a TD that runs, or one that is being built.
RUNNING = """
areas = { ram.initial = "mapped_4k", other.initial = "mapped_4k" }
groups.workers = { program = "touch", count = 1, items = 2, area = "ram" }
tasks.other = { kind = "prefault", items = 1, area = "other" }
"""
BUILT = """
areas = { ram.initial = "free", other.initial = "free" }
groups.workers = { program = "parked", count = 1 }
tasks.other = { kind = "build", items = 1, area = "other" }
tasks.more = { kind = "build", items = 1, area = "ram" }
"""
NEEDED = {"area": '"ram"', "items": "2", "leaf": '"accept"', "hold_us": "1"}
NEEDED_OF = {"other_tds": ["think_cycles = 4_000"]}
# A value of each key that isn't its default, and what has to be given beside it.
CHANGED: dict[str, tuple[object, dict[str, object]]] = {
    "think_cycles": (5_000, {}),
    "items": (1, {}),
    "area": ("other", {}),
    "level": (1, {}),
    "layout": ("shared", {}),
    "chunk": (2, {}),
    "same_rip": (True, {}),
    "leaf": ("attr_wr", {}),
    "tick_us": (1_000, {}),
    "device_us": (50, {}),
    "arm_cycles": (3_000, {"tick_us": 1_000}),
    "host_tick_us": (4_000, {}),
    "signal_every": (3, {"device_us": 50}),
    "hold_us": (7, {}),
    "trigger_group": ("workers", {}),
    "trigger_period": (2, {"trigger_group": "workers"}),
    "trigger_lead": (1, {"trigger_group": "workers"}),
    "in_place": (True, {}),
    "hostile": (True, {}),
    "block_pages": (7, {}),
    "when_refused": ("fall_back", {}),
}
NEVER = ("touch", "level")  # must be 0
ROWS = [
    (kind, key)
    for models in (PROGRAMS, KINDS)
    for kind, model in models.items()
    for key in model.model_fields
    if key not in ("program", "kind") and (kind, key) != NEVER
]


def test_every_program_and_kind_of_task_has_a_model():
    assert set(PROGRAMS) == {program.name.lower() for program in Program}
    assert set(KINDS) == {task.name.lower() for task in Task}


def written(kind: str, folder: Path) -> Path:
    """Write a scenario whose last group or first task is of a kind."""
    models: dict[str, Any] = PROGRAMS | KINDS
    needed = [
        f"{key} = {value}" for key, value in NEEDED.items() if key in models[kind].model_fields
    ]
    needed += NEEDED_OF.get(kind, [])
    beside = BUILT if kind in KINDS and KINDS[kind].builds else RUNNING
    rest = "" if kind in PROGRAMS else 'groups.rest = { program = "parked", count = "rest" }\n'
    if kind in PROGRAMS:
        needed += [f'program = "{kind}"', 'count = "rest"']
    else:
        needed += [f'kind = "{kind}"', "count = 2"]
    table = "groups" if kind in PROGRAMS else "tasks"
    path = folder / "kinds.toml"
    head = HEAD.replace("{pamt}", "locked" if kind == "other_tds" else "static")
    path.write_text(f"{head}{beside}{rest}{table}.one = {{ {', '.join(needed)} }}\n")
    return path


def row_of(kind: str, path: Path, changed: dict[str, object]) -> bytes:
    """Return what the simulator reads of the group or task of a kind."""
    scenario = load(path, changed)
    table = "groups" if kind in PROGRAMS else "tasks"
    place = list(getattr(scenario, table)).index("one")
    return setup_of(scenario)[0][table][place].tobytes()


@pytest.mark.parametrize(("kind", "key"), ROWS)
def test_every_key_changes_what_the_simulator_reads(kind, key, tmp_path):
    table = "groups" if kind in PROGRAMS else "tasks"
    value, beside = CHANGED.get(key, (3 if kind in PROGRAMS else 1, {}))
    if key == "is_shared_after":
        value = not (PROGRAMS | KINDS)[kind].model_fields[key].default
    path = written(kind, tmp_path)
    given = {f"{table}.one.{name}": one for name, one in beside.items()}
    changed = {"areas.ram.initial": "mapped_2m"} if key == "level" else {}
    before = row_of(kind, path, given)
    assert row_of(kind, path, given | changed | {f"{table}.one.{key}": value}) != before
