"""Decisions and what each answer cost afterwards."""

import numpy as np
import pytest

import tdx_agents
from tdx_agents.protocol import Kind, Policy
from tdx_env.engine.run import Number
from tdx_env.errors import PolicyError, ResultError
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import load
from tdx_env.spaces import observation_size, observe
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.objectives import N_WEIGHED, weights_of
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.room.advantage_table import AdvantageTable
from tdx_eval.room.advantages import advantages, chosen, weighed
from tdx_eval.room.lookahead import Lookahead
from tdx_eval.room.stepping import batch_of, steps

BUSY = "s08-accept-2m/train"
SMALL = {
    "host.n_vcpus": 6,
    "tasks.balloon.items": 1,
    "tasks.balloon.chunk": 24,
    "groups.acceptors.items": 8,
    "groups.acceptors.think_cycles": 20_000,
}
WEIGHTS = weights_of("cpu")


def at_first_decision(scenario, base, number=0):
    """Return worlds that wait for a decision, and who waits."""
    batch = batch_of(scenario, base.discipline, 2)
    for asked in steps(batch, base, range(1, 3)):
        if asked.numbers[0] == number:
            return batch, asked
    raise AssertionError("too few decisions")


@pytest.fixture(scope="module")
def prompt() -> Policy:
    """Until somebody waits, as decisions, and RETRY at busy replies."""
    return tdx_agents.load("decided-until-waits")


@pytest.fixture(scope="module")
def balloon():
    """A small balloon: nearly all decisions are flush points."""
    return load("s13-balloon/train", SMALL)


@pytest.fixture(scope="module")
def table() -> AdvantageTable:
    """Decisions at busy replies."""
    policy = load_policy("always-retry")
    return advantages([BUSY], policy, seeds=range(1, 3), n_futures=2, max_decisions=2)


def test_true_future_under_the_bases_answer_is_what_the_episode_costs(balloon, prompt):
    """With the true key the copy is the episode itself."""
    batch, asked = at_first_decision(balloon, prompt, 5)
    so_far = batch.numbers[Number.WASTE : Number.WASTE + N_WEIGHED].T.copy()
    look = Lookahead(batch_of(balloon, prompt.discipline, 8), prompt, 1, is_clairvoyant=True)
    costs = look.costs(batch, asked)[np.arange(2), asked.answers, 0]
    whole = batch_of(balloon, prompt.discipline, 2)
    whole.reset([1, 2])
    whole.advance(prompt.decide)
    parts = whole.numbers[Number.WASTE : Number.WASTE + N_WEIGHED].T
    assert np.array_equal(so_far + costs, parts)


def test_looking_ahead_changes_nothing(balloon, prompt):
    costs = []
    for is_looked_at in (True, False):
        batch = batch_of(balloon, prompt.discipline, 2)
        look = Lookahead(batch_of(balloon, prompt.discipline, 16), prompt, 2)
        for asked in steps(batch, prompt, range(1, 3)):
            if is_looked_at and asked.numbers[0] < 2:
                look.costs(batch, asked)
        costs.append(batch.costs.tolist())
    assert costs[0] == costs[1]


def test_an_answer_compared_with_itself_costs_the_same(balloon, prompt):
    """Common random numbers: future k is the same, whenever and for whatever it is played."""
    batch, asked = at_first_decision(balloon, prompt)
    look = Lookahead(batch_of(balloon, prompt.discipline, 8), prompt, 3)
    once, again = look.costs(batch, asked), look.costs(batch, asked)
    assert np.array_equal(once, again)
    assert once.shape == (2, N_ACTIONS, 3, N_WEIGHED)
    assert (once[:, Action.RETRY, 0] != once[:, Action.RETRY, 1]).any()  # futures differ


def test_error_is_of_paired_differences_and_the_bases_own_is_zero():
    parts = np.zeros((1, N_ACTIONS, 2, N_WEIGHED))
    parts[0, Action.RETRY, :, 3] = [100, 300]
    parts[0, Action.KICK, :, 3] = [90, 290]  # always 10 better: no error
    parts[0, Action.YIELD, :, 3] = [100, 320]  # 0 and 20 worse
    cost, error = weighed(parts, np.array([Action.RETRY]), WEIGHTS[None])
    assert cost[0, :, 0].tolist() == [200, 190, 210]
    assert error[0, :, 0] == pytest.approx([0, 0, 10])


def test_better_answer_of_a_known_world_is_found(prompt):
    """Where nobody ever waits, a kick more costs what it costs, whoever is asked."""
    quiet = load("s13-balloon/train", SMALL | {"groups.acceptors.items": 1})
    batch, asked = at_first_decision(quiet, prompt, 8)
    look = Lookahead(batch_of(quiet, prompt.discipline, 16), prompt, 4)
    cost, error = weighed(look.costs(batch, asked), asked.answers, WEIGHTS[None])
    loss = cost[:, Action.KICK, 0] - cost[:, Action.RETRY, 0]
    assert (loss > 2 * error[:, Action.KICK, 0]).all()
    assert (loss > 0).all()


def test_columns_are_what_policies_see(table):
    n = len(table.path)
    assert n == 4
    observations = np.empty((n, observation_size("all")), np.float32)
    observe(table.features, observations)
    assert np.array_equal(table.observations, observations)
    assert np.array_equal(np.isnan(table.cost[:, :, 0]), ~table.mask)
    assert (table.error[np.arange(n), table.base_action] == 0).all()
    assert (table.path != CallPath.FLUSH).all()
    assert set(table.split.tolist()) == {"train"}
    assert sorted(set(table.seed.tolist())) == [1, 2]


def test_saved_table_is_read_back(table, tmp_path):
    table.save(tmp_path / "table.npz")
    again = AdvantageTable.load(tmp_path / "table.npz")
    for name, value in vars(table).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_file_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, costs=np.zeros(3))
    with pytest.raises(ResultError, match=r"other\.npz: is no table of advantages"):
        AdvantageTable.load(path)


def test_half_of_what_is_looked_at_is_flush_points_if_there_are_so_many():
    paths = [CallPath.FLUSH] * 50 + [CallPath.ZAP] * 3
    some = chosen(paths, seed=1, most=8)
    assert some == sorted(set(some))
    assert len(some) == 8
    assert sum(paths[one] == CallPath.ZAP for one in some) == 3
    assert chosen([CallPath.ZAP] * 2, seed=1, most=8) == [0, 1]


def test_one_future_has_no_error_and_is_refused():
    with pytest.raises(ValueError, match="n_futures = 1, must be 2 or more"):
        advantages([BUSY], load_policy("always-retry"), seeds=range(1), n_futures=1)


def test_policy_of_plain_python_is_no_base():
    act = lambda observations, features, masks: features[:, 0]  # noqa: E731
    plain = Policy("mine", "", "", "mine.py", Kind.PYTHON, DEFAULT, act=act)
    with pytest.raises(PolicyError, match="mine: is a python policy, a base must be a compiled"):
        advantages([BUSY], plain, seeds=range(1))
