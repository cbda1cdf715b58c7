"""Trees in a socket, and played in scenarios."""

import numpy as np
import pytest

import tdx_agents
from tdx_agents.tree import Split, answers_of
from tdx_env.engine.batch import Batch
from tdx_env.engine.run import Number
from tdx_env.scenarios import load, setup_of
from tdx_env.state.discipline import Action
from tdx_eval.exporting.equality import random_states
from tdx_eval.searching.arena import DECIDED, Arena, weights_vector
from tdx_eval.searching.entrants import by_hand
from tdx_eval.searching.trial import play_contenders, standings, standings_table

SCENARIO = "s25-conversion-in-place-calm/train"


@pytest.fixture(scope="module")
def arena():
    """Return an arena of one small scenario."""
    return Arena([SCENARIO], n_seeds=2, first_seed=0, n_threads=1)


def test_tree_in_the_socket_answers_as_itself(arena):
    states = random_states(200, seed=0)
    for root in by_hand().values():
        arena._socket.put(root)
        answers = [arena._socket.decide(row) for row in states]
        assert answers == answers_of(root, states).tolist()


def test_tree_costs_what_its_policy_costs(arena):
    policy = tdx_agents.load("greedy-tree")
    batch = Batch(setup_of(load(SCENARIO)), policy.discipline.record(), 2)
    batch.reset(np.arange(2))
    batch.advance(policy.decide)
    played = arena.play(by_hand()["greedy"])
    assert policy.discipline == DECIDED
    assert played.n_decisions == batch.run["n_decisions"].sum()
    stolen = weights_vector("stolen=1")
    assert played.costs(stolen)[0] == batch.numbers[Number.STOLEN].mean()


def test_reference_costs_once_itself(arena):
    reference = arena.reference(0)
    assert arena.ratios(reference, weights_vector("cpu")).tolist() == [1.0]
    assert arena.play(Split("is_flush", 0, Action.KICK, Action.RETRY)).n_lost == 0


def test_trial_holds_all_against_the_reference_on_one_seed_each(arena):
    hand = {name: by_hand()[name] for name in ("until-waits", "greedy")}
    others = {"P20": tdx_agents.load("P20")}
    weights = weights_vector("cpu")
    played = play_contenders(arena, hand, others, range(2))
    rows = standings(arena, played, "until-waits", weights)
    assert [one.contender for one in rows] == ["until-waits", "greedy", "P20"]
    assert rows[0].against.value == 0
    costs = [one.cost_us for one in rows]
    assert rows[2].against.value == pytest.approx(costs[2] / costs[0] - 1, rel=0.05)
    table = standings_table(rows, "until-waits")
    assert table.splitlines()[0].endswith("until-waits, us | greedy | P20 |")
