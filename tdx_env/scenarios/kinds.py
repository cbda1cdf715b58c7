"""What each guest program and each kind of host task is described by, and where it can work."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tdx_env.scenarios.schema import Group, Task

_INTERRUPTS = {"tick_us", "device_us", "signal_every"}
_PAGES = {"items", "think_cycles", "area", "level", "layout"}
_GROUP_ALWAYS = {"program", "count"}
_GROUP_KEYS: dict[str, set[str]] = {
    "parked": set(),
    "compute": _INTERRUPTS,
    "idle": _INTERRUPTS | {"think_cycles"},
    "touch": _INTERRUPTS | _PAGES | {"same_rip"},
    "accept": _INTERRUPTS | _PAGES,
    "convert": _INTERRUPTS | _PAGES | {"chunk", "is_shared_after"},
    "hammer": _INTERRUPTS | {"think_cycles", "leaf"},
}
_GROUP_NEEDS: dict[str, tuple[str, ...]] = {
    "touch": ("items", "area"),
    "accept": ("items", "area"),
    "convert": ("items", "area"),
    "hammer": ("leaf",),
}
_TASK_ALWAYS = {"kind", "count", "items", "think_cycles"}
_PLACE = {"area", "layout"}
_TRIGGER = {"trigger_group", "trigger_period", "trigger_lead"}
_TASK_KEYS: dict[str, set[str]] = {
    "zap": _PLACE | _TRIGGER | {"level", "chunk", "is_shared_after", "device_us"},
    "block_restore": _PLACE | _TRIGGER | {"level", "hold_us"},
    "build": _PLACE | {"chunk"},
    "export": _PLACE | _TRIGGER | {"chunk", "device_us"},
    "slot_delete": _PLACE | _TRIGGER | {"level", "chunk", "device_us"},
    "prefault": _PLACE | _TRIGGER | {"level", "chunk"},
    "init_vcpu": set(),
}
_TASK_NEEDS: dict[str, tuple[str, ...]] = {
    "block_restore": ("area", "hold_us"),
    "init_vcpu": (),
}

BUILDING = ("build", "init_vcpu")  # tasks that make a TD one that is being built
REMOVING = ("zap", "convert", "slot_delete")  # what takes pages out of a TD
SPLITTING = (*REMOVING, "accept")  # what splits a 2M mapping if it works there at 4K

_WITH_4K = ("empty", "free", "pending_4k", "mapped_4k")
_WITH_2M = ("empty", "pending_2m", "mapped_2m")
_WITH_ALL = (*_WITH_4K, "pending_2m", "mapped_2m")
MAPPED_2M = ("pending_2m", "mapped_2m")


def keys_of(table: Group | Task) -> set[str]:
    """Return the keys that a group or task of this kind may have."""
    if hasattr(table, "program"):
        return _GROUP_ALWAYS | _GROUP_KEYS[table.program]
    return _TASK_ALWAYS | _TASK_KEYS[table.kind]


def needs_of(table: Group | Task) -> tuple[str, ...]:
    """Return the keys that a group or task of this kind must have beyond the common ones."""
    if hasattr(table, "program"):
        return _GROUP_NEEDS.get(table.program, ())
    return _TASK_NEEDS.get(table.kind, ("area",))


def allowed_initial(what: str, level: int) -> tuple[str, ...]:
    """Return what an area may begin as for a program or kind of task."""
    if what == "build":
        return ("free",)
    if what == "export":
        return ("pending_4k", "mapped_4k")
    if what == "touch" or (what in SPLITTING and level == 0):
        return _WITH_ALL
    return _WITH_2M if level == 1 else _WITH_4K
