"""Worlds made by hand, each for a rule that random worlds hardly ever meet."""

import tomllib
from collections.abc import Callable
from typing import Any

from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.scenarios import Scenario, load, setup_of

_HEAD = """
schema_version = 1
name = "directed"
family = "own"
title = "a test"
description = "One rule."
limits = { stall_us = 1_000, time_cap_us = 20_000, reward_scale = 1_000 }
"""
_SPLITS_BESIDE_ACCEPTS = """
module = { version = "1.5.01" }
host = { n_vcpus = 6 }
areas.ram = { initial = "pending_2m" }
areas.fresh = { initial = "free" }
[groups.splitters]
program = "accept"
area = "ram"
items = 4
count = 3
[groups.accepters]
program = "accept"
area = "fresh"
items = 4
count = "rest"
"""
_TOUCH_OF_A_DYING_SLOT = """
module = { version = "1.5.28" }
host = { n_vcpus = 1, kernel = "6.18" }
guest = { sept_ve_disable = true }
areas.slot = { initial = "mapped_4k" }
[groups.touchers]
program = "touch"
area = "slot"
items = 1
think_cycles = 400_000
count = "rest"
[tasks.deleter]
kind = "slot_delete"
area = "slot"
items = 1
chunk = 12
"""


def _world(scenario: str, discipline: Discipline) -> tuple[Any, Any, int]:
    """Return setup and discipline, each an array of one, and the seed of an episode."""
    table = tomllib.loads(_HEAD + scenario) | {"costs": load("s22-clean").costs}
    return setup_of(Scenario.model_validate(table)), discipline.record(), 0


def aug_beside_an_exclusive_call() -> tuple[Any, Any, int]:
    """Under the mirror of the tree lock, pages are added while a split's BLOCK wants it alone.

    A zap's BLOCK never meets an AUG, since it holds mmu_lock for write; a split may hold it for
    read.
    """
    discipline = Discipline(seamcall_lock="mirror", split_read=True)
    return _world(_SPLITS_BESIDE_ACCEPTS, discipline)


def armed_on_a_pending_page() -> tuple[Any, Any, int]:
    """A newer module arms a vCPU whose page is PENDING then; no #VE may tell the guest.

    The page is blocked for a while: a touch of a PENDING one would kill the TD at once.
    """
    return _world(_TOUCH_OF_A_DYING_SLOT, DEFAULT)


DIRECTED: dict[str, Callable[[], tuple[Any, Any, int]]] = {
    world.__name__: world for world in (aug_beside_an_exclusive_call, armed_on_a_pending_page)
}
