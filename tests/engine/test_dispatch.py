"""No case is forgotten: every dispatcher ends in an else that breaks the episode off."""

import ast
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
from tdx_env.host.leaves import CHECK, COST, EFFECT, HOST_LEAVES, Check, Effect
from tdx_env.host.lock_words import UNKNOWN, WORD_OF
from tdx_env.jit import decision
from tdx_env.module.seamcalls import MODULE_VERSIONS, calls
from tdx_env.scenarios import load, setup_of
from tdx_env.state.actors import CallPath, Kick, Purpose, State
from tdx_env.state.broken import DISPATCHERS, Place
from tdx_env.state.calls import LAST_CALL, LAST_SEAMCALL, NONE, Leaf, Lock, Outcome
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.world import End
from tests.strategies import random_world

ROOT = File(tdx_env.__file__).parent
BUSY = "s08-accept-2m/train"  # its seed 1 has decisions early and is short
SEED = 1
NEW = 99  # a member that nobody has heard of
N_TRIED = 400  # random worlds, one of which meets the case

# Members that no dispatcher of theirs is ever given.
NEVER_DUE: dict[type[IntEnum], set[Any]] = {
    State: {State.PARKED, State.MMU_WAIT, State.RUNNABLE, State.FINISHED},  # others end them
    Leaf: {leaf for leaf in Leaf if leaf > LAST_CALL},  # in the module's table only
    Purpose: {Purpose.NONE},
    Kick: {Kick.NONE},
    CallPath: {CallPath.INTERRUPTED, CallPath.FLUSH},  # a decision's alone, not an actor's path
    Outcome: {  # no call of the simulation ends so
        Outcome.EPT_WALK_FAILED,
        Outcome.HOST_PRIORITY_BUSY_TIMEOUT,
        Outcome.OP_STATE_INCORRECT,
    },
    Check: {Check.UNKNOWN},
    Effect: {Effect.UNKNOWN},
}
# Functions of a dispatcher beside those that break off.
ALSO = {
    Place.EVENT: {"handle"},
    Place.STATUS: {"seamcall_returned", "_was_interrupted", "_is_fatal"},
    Place.AFTER_CALL: {"go_on"},
    Place.STEP: {"go_through_steps"},
    Place.TDCALL_OVER: {"is_answer"},
    Place.TDCALL_RETURN: {"is_answer"},
    Place.VCPU_START: {"is_foreground"},
    Place.TRACKED: {"after_kick"},
}
BY_TABLE = {Place.ACTION_GIVEN, Place.LOCK, Place.ISSUE, Place.CHECK, Place.COMMIT}
FOUND = {
    **{place: each.cases for place, each in DISPATCHERS.items() if place not in BY_TABLE},
    Place.CHECK: Check,
    Place.COMMIT: Effect,
}


def functions() -> dict[str, ast.FunctionDef]:
    """Return every function of the simulator, by module and name."""
    found = {}
    for part in ("state", "guest", "host", "engine"):
        for file in sorted((ROOT / part).glob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.FunctionDef):
                    found[f"{part}.{file.stem}, {node.name}"] = node
    return found


FUNCTIONS = functions()


def breaks_at(function: ast.FunctionDef) -> set[Place]:
    """Return the places at which a function breaks the episode off."""
    return {
        Place[ast.unparse(node.args[2]).removeprefix("Place.")]
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "break_off"
    }


def compared(cases: type[IntEnum], function: ast.FunctionDef) -> set[Any]:
    """Return the members of an enum that a function compares something with."""
    sides = [
        ast.unparse(node.comparators[0])
        for node in ast.walk(function)
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq)
    ]
    return {member for member in cases if f"{cases.__name__}.{member.name}" in sides}


def handled_at(place: Place, cases: type[IntEnum]) -> set[Any]:
    """Return the members that a dispatcher has a branch for."""
    found: set[Any] = set()
    for name, function in FUNCTIONS.items():
        is_also = name.partition(", ")[2] in ALSO.get(place, set())
        if is_also or place in breaks_at(function):
            found |= compared(cases, function)
    return found


# --- every member


@pytest.mark.parametrize("cases", sorted(set(FOUND.values()), key=lambda kind: kind.__name__))
def test_every_member_is_handled_or_never_due(cases):
    """A new member fails here until it has a branch, or is named above."""
    handled = set()
    for place, kind in FOUND.items():
        if kind is cases:
            handled |= handled_at(place, cases)
    assert handled | NEVER_DUE.get(cases, set()) == set(cases)
    if cases is not Outcome:  # a status has two dispatchers, and some end in one of them only
        assert not handled & NEVER_DUE.get(cases, set())


def test_every_state_but_those_never_due_has_one_handler():
    names = [f for f, node in FUNCTIONS.items() if Place.EVENT in breaks_at(node)]
    seen = [state for name in names for state in compared(State, FUNCTIONS[name])]
    assert len(seen) == len(set(seen)) == len(State) - len(NEVER_DUE[State]) - 1  # SEAMCALL


@pytest.mark.parametrize("place", set(Place) - {Place.NONE})
def test_every_place_is_described_and_is_where_it_is_said_to_be(place):
    where = DISPATCHERS[place].where
    breaking = [name for name, node in FUNCTIONS.items() if place in breaks_at(node)]
    assert breaking
    assert where in FUNCTIONS
    assert where in breaking or where.partition(", ")[2] in ALSO[place]


def test_every_seamcall_that_is_executed_has_all_facts_of_its_row():
    leaves = {row.leaf for row in HOST_LEAVES}
    assert leaves == {leaf for leaf in Leaf if leaf <= LAST_SEAMCALL}
    for column, missing in ((COST, NONE), (CHECK, Check.UNKNOWN), (EFFECT, Effect.UNKNOWN)):
        assert set(np.flatnonzero(column != missing)) == leaves


def test_every_lock_that_a_seamcall_takes_is_modelled():
    taken = {
        step.lock
        for version in MODULE_VERSIONS
        for leaf, call in calls(version).items()
        for step in call.steps
        if leaf <= LAST_SEAMCALL and step.lock != NONE
    }
    assert taken == {lock for lock in Lock if WORD_OF[lock] != UNKNOWN} | {Lock.ENTRY}


# --- what is raised


def waiting_batch() -> Batch:
    """Return a batch whose one world waits for its first decision."""
    batch = Batch(setup_of(load(BUSY)), DEFAULT.record())
    batch.reset([SEED])
    batch.advance()
    assert batch.waiting[0]
    return batch


def broken(batch: Batch, **advance: Any) -> tuple[type[IntEnum], str]:
    """Run on until the episode breaks off; return the place's enum and what the error says.

    It names the place, and the actor with its state and leaf if there is one.
    """
    with pytest.raises(BrokenError) as caught:
        while not batch.ended[0]:
            batch.advance(**advance)
    run, text = batch.run[0], str(caught.value)
    assert run["end"] == End.BROKEN
    dispatcher = DISPATCHERS[Place(run["broken_place"])]
    assert f"{dispatcher.where} has no case for " in text
    if run["broken_actor"] != NONE:
        assert f" {run['broken_actor']}, state " in text
        assert "leaf " in text
    return dispatcher.cases, text


@pytest.mark.parametrize("state", [NEW, State.PARKED, State.FINISHED])
def test_state_without_a_handler_is_broken(state):
    batch = waiting_batch()
    actor = int(batch.run["decision_actor"][0] == 0)  # another one
    batch.actors["row"]["state"][0, actor] = state
    batch.actors["due"][0, actor] = batch.run["now"][0]
    cases, text = broken(batch, actions=[Action.RETRY])
    assert cases is State
    assert f" has no case for State {state}" in text


@pytest.mark.parametrize("action", [-3, N_ACTIONS, 100, 1 << 40])
def test_action_that_is_none_is_the_deciders_mistake(action):
    batch = waiting_batch()
    with pytest.raises(PolicyError, match=rf"action {action} for .* state SEAM_RETURN, leaf"):
        batch.advance(actions=[action])
    assert batch.run["n_masked"][0] == 0


def one_too_many(features: np.ndarray) -> int:
    """Answer with an action that there is not."""
    return N_ACTIONS


def test_compiled_policy_that_answers_no_action_is_told():
    batch = waiting_batch()
    with pytest.raises(PolicyError, match=rf"action {N_ACTIONS} .* 0 \(RETRY\), 1 \(KICK\), 2"):
        batch.advance(decision(one_too_many))


def test_new_action_without_a_branch_is_broken():
    """As if the enum had one more: the decision is taken, and nobody carries it out."""
    batch = waiting_batch()
    actor = int(batch.run["decision_actor"][0])
    batch.advance(actions=[NONE])
    batch.actors["row"]["action"][0, actor] = NEW
    batch.actors["row"]["state"][0, actor] = State.DECIDED
    batch.actors["due"][0, actor] = batch.run["now"][0]
    batch.run["decision_actor"][0] = NONE
    cases, text = broken(batch)
    assert cases is Action
    assert f" has no case for Action {NEW}" in text


@pytest.mark.parametrize(
    ("field", "cases", "case"),
    [
        ("path", CallPath, NEW),
        ("leaf", Leaf, Leaf.MEM_SEPT_REMOVE),
    ],
)
def test_waiting_actor_with_an_unknown_fact_is_broken(field, cases, case):
    """An unknown path can't yield; a call without a row can't be issued."""
    batch = waiting_batch()
    actor = int(batch.run["decision_actor"][0])
    batch.actors["row"][field][0, actor] = case
    batch.run["mask"][0] = 1
    found, text = broken(batch, actions=[Action.YIELD if field == "path" else Action.RETRY])
    assert found is cases
    assert f" has no case for {cases.__name__} {case}" in text


RULES = {
    "seamcall_lock": NEW,
    "gate_scope": NEW,
    "on_frozen": NEW,
    "fault_yield": NEW,
    "enter_yield": NEW,
    "kick_flagged": NEW,
    "track_kick": NEW,
    "split_check": NEW,
    "asks": NEW,
}


def cases_of(field: str) -> type[IntEnum]:
    """Return the enum of a field of the discipline."""
    name = "".join(part.title() for part in field.split("_"))
    return next(each.cases for each in DISPATCHERS.values() if each.cases.__name__ == name)


def first_broken(change: Any) -> Batch:
    """Run random worlds, each with a change, until one is broken."""
    lottery = load_policy("random").decide
    for seed in range(N_TRIED):
        setup, discipline, episode_seed = random_world(seed)
        change(setup[0], discipline[0])
        batch = Batch(setup, discipline)
        batch.reset([episode_seed])
        try:
            batch.advance(lottery)
        except BrokenError as error:
            assert batch.run["end"][0] == End.BROKEN
            batch.text = str(error)
            return batch
    raise AssertionError(f"none of {N_TRIED} worlds was broken")


@pytest.mark.parametrize("field", RULES)
def test_rule_of_the_discipline_that_nobody_carries_out_is_broken(field):
    def change(setup: Any, discipline: Any) -> None:
        discipline[field] = NEW

    found = first_broken(change)
    assert DISPATCHERS[Place(found.run["broken_place"][0])].cases is cases_of(field)


def test_exhaustion_that_nobody_carries_out_is_broken():
    def change(setup: Any, discipline: Any) -> None:
        discipline["max_issues"] = 1
        discipline["on_exhaustion"] = NEW

    assert first_broken(change).run["broken_place"][0] == Place.EXHAUSTION


def test_way_to_keep_pamt_that_nobody_knows_is_broken():
    def change(setup: Any, discipline: Any) -> None:
        setup["dynamic_pamt"] = NEW

    assert first_broken(change).run["broken_place"][0] == Place.PAMT


def test_way_to_wait_that_nobody_knows_is_broken():
    def change(setup: Any, discipline: Any) -> None:
        discipline["flush"]["waiting"] = NEW
        discipline["flush"]["pages"] = 512
        discipline["flush"]["contended"] = discipline["flush"]["is_decided"] = 0

    assert first_broken(change).run["broken_place"][0] == Place.WAITING


def test_way_to_reschedule_that_nobody_knows_is_broken():
    def change(setup: Any, discipline: Any) -> None:
        setup["resched"] = NEW

    assert first_broken(change).run["broken_place"][0] == Place.RESCHED


@pytest.mark.parametrize(
    ("table", "count", "field", "place"),
    [
        ("groups", "n_groups", "program", Place.VCPU_START),
        ("tasks", "n_tasks", "kind", Place.TASK),
        ("areas", "n_areas", "initial", Place.AREA),
    ],
)
def test_setup_with_a_member_that_nobody_plays_is_broken(table, count, field, place):
    def change(setup: Any, discipline: Any) -> None:
        setup[table][field][: setup[count]] = NEW

    assert first_broken(change).run["broken_place"][0] == place
