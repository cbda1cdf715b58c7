"""No case is forgotten: every dispatcher ends in an else that breaks the episode off."""

import ast
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path as File
from typing import Any

import numpy as np
import pytest

import tdx_env
from tdx_agents import load as load_policy
from tdx_env.engine.batch import Batch
from tdx_env.errors import BrokenError, PolicyError
from tdx_env.host.discipline import DEFAULT
from tdx_env.host.leaves import COST, HOST_LEAVES, Check, Effect
from tdx_env.host.lock_words import IS_MODELLED
from tdx_env.jit import decision
from tdx_env.module.seamcalls import MODULE_VERSIONS, calls
from tdx_env.scenarios import load
from tdx_env.state.actors import Exit, Kick, Path, Program, Purpose, State
from tdx_env.state.broken import DISPATCHERS, Place
from tdx_env.state.calls import LAST_CALL, LAST_SEAMCALL, NONE, Leaf, Lock, Op, Outcome
from tdx_env.state.discipline import Action
from tdx_env.state.world import End
from tests.strategies import random_world

ROOT = File(tdx_env.__file__).parent
BUSY = "s08-accept-2m/train"  # its seed 1 has decisions early and is short
UNKNOWN = 99
N_TRIED = 200  # random worlds, one of which meets the case

# Members that no dispatcher is ever given.
NEVER_DUE: dict[type[IntEnum], set[Any]] = {
    State: {State.PARKED, State.MMU_WAIT, State.FINISHED},  # somebody else ends them, or nobody
    Leaf: {leaf for leaf in Leaf if leaf > LAST_CALL},  # only in the module's table
    Lock: {lock for lock in Lock if not IS_MODELLED[lock]},
    Purpose: {Purpose.NONE},
    Kick: {Kick.NONE},
    Path: {Path.INTERRUPTED},  # a decision's; the chain that goes on is another
    Outcome: {
        Outcome.EPT_WALK_FAILED,
        Outcome.HOST_PRIORITY_BUSY_TIMEOUT,
        Outcome.OP_STATE_INCORRECT,
    },
    Check: {Check.UNKNOWN},
    Effect: {Effect.UNKNOWN},
}
BY_TABLE = {Place.LOCK: {lock for lock in Lock if IS_MODELLED[lock]}}
CASES = {each.cases for each in DISPATCHERS.values()} | {Check, Effect}


def functions() -> Iterator[ast.FunctionDef]:
    """Yield every function of the simulator."""
    for part in ("state", "guest", "host", "engine"):
        for file in sorted((ROOT / part).glob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.FunctionDef):
                    yield node


def compared(cases: type[IntEnum], function: ast.FunctionDef) -> set[Any]:
    """Return the members of an enum that a function compares something with."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            other = node.comparators[0]
            if isinstance(other, ast.Attribute) and ast.unparse(other.value) == cases.__name__:
                found.add(cases[other.attr])
    return found


def places(function: ast.FunctionDef) -> set[str]:
    """Return the names of the places at which a function breaks off."""
    return {
        node.args[2].attr
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "break_off"
        and isinstance(node.args[2], ast.Attribute)
    }


# --- every member


@pytest.mark.parametrize("cases", sorted(CASES, key=lambda cases: cases.__name__))
def test_every_member_is_handled_or_never_due(cases):
    """By an if of the simulator; a new member fails here until it has one or is named above."""
    handled = set().union(*(compared(cases, function) for function in functions()))
    handled |= set().union(*(BY_TABLE[p] for p, d in DISPATCHERS.items() if d.cases is cases and p in BY_TABLE))
    never = NEVER_DUE.get(cases, set())
    assert set(cases) - handled - never == set()
