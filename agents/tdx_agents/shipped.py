"""Agents that come with the package: one for each objective preset, and one for all.

Each was trained by one command (docs/agents.md). They decide at busy replies and at flush points.
"""

from dataclasses import replace
from pathlib import Path

from tdx_agents.bundle import load_bundle
from tdx_agents.protocol import Policy
from tdx_env.state.objectives import PRESETS

FOLDER = Path(__file__).resolve().parent / "shipped"
PREFIX = "agent-"
DEFAULT_NAME = "default"
_DEFAULT = "cpu"  # what version 1 of the environment pays by
_ALL = "all"


def _served() -> list[str]:
    """Return the presets that an agent of their own is there for."""
    return [name for name in PRESETS if (FOLDER / name).is_dir()]


def shipped_names() -> list[str]:
    """Return what the shipped agents are called: agent-cpu; agent-all-cpu is the one for all."""
    served = _served()
    for_all = served if (FOLDER / _ALL).is_dir() else []
    return [
        *([DEFAULT_NAME] if _DEFAULT in served else []),
        *(f"{PREFIX}{name}" for name in served),
        *(f"{PREFIX}{_ALL}-{name}" for name in for_all),
    ]


def _place(name: str) -> tuple[str, str | None] | None:
    """Return the folder's name and the objective that a shipped agent's name means, or None."""
    wanted = name.lower()
    if wanted not in shipped_names():
        return None
    if wanted == DEFAULT_NAME:
        return _DEFAULT, None
    who = wanted.removeprefix(PREFIX)
    if who.startswith(f"{_ALL}-"):
        return _ALL, who.removeprefix(f"{_ALL}-")
    return who, None


def shipped_folder(name: str) -> Path | None:
    """Return the folder of a shipped agent's bundle, or None if there is none of that name."""
    place = _place(name)
    return None if place is None else FOLDER / place[0]


def find_shipped(name: str) -> Policy | None:
    """Return the shipped agent of a name, in capital or small letters, or None."""
    place = _place(name)
    if place is None:
        return None
    policy = load_bundle(FOLDER / place[0], place[1])
    if place[0] == _ALL:
        policy = replace(policy, name=f"{PREFIX}{_ALL}-{place[1]}")
    return replace(policy, source=f"shipped with the package, {policy.title}")
