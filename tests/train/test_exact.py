"""The learner on exact advantages: what is gathered, what it counts for, what is fitted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tdx_agents import load, load_bundle
from tdx_env.errors import ConfigError
from tdx_env.host.discipline import DEFAULT
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.features import N_FEATURES, Feature
from tdx_env.state.objectives import N_WEIGHED, weights_of
from tdx_train.config import ExactConfig, TrainConfig
from tdx_train.exact.fitting import Fit, fitted
from tdx_train.exact.gathering import Decided, Walk, gather
from tdx_train.exact.stakes import Stakes, stakes_of
from tdx_train.run_folder import RunFolder
from tdx_train.suite import load_all, suite_of
from tdx_train.trainer import train
from tdx_train.training_plan import plan_of

NAMES = ("s08-accept-2m/train", "s27-balloon-faults/train")
DISCIPLINE = DEFAULT.with_(flush="decided", asks="all")


@pytest.fixture(scope="module")
def decided() -> Decided:
    """A few decisions of two scenarios, played on behind the greedy rule."""
    rules = [load(name).decide for name in ("decided-greedy", "decided-retry-batch-64")]
    walk = Walk(rules[0], rules, DISCIPLINE, seed=1, n_episodes=2, n_decisions=3, n_futures=2)
    return gather(suite_of(load_all(NAMES, {})), walk, n_threads=1)


@pytest.mark.slow
def test_each_scenario_is_looked_at_where_it_asks(decided: Decided):
    assert set(decided.scenario[decided.kind == 0]) >= {0}
    assert set(decided.scenario[decided.kind == 1]) == {1}
    assert (decided.masks.sum(axis=1) > 1).all()


@pytest.mark.slow
def test_every_allowed_answer_costs_and_no_other_does(decided: Decided):
    is_told = np.isfinite(decided.parts).all(axis=(2, 3))
    assert (is_told == (decided.masks != 0)).all()
    assert (decided.parts[is_told] >= 0).all()


@pytest.mark.slow
def test_gathering_again_gives_the_same(decided: Decided):
    rules = [load(name).decide for name in ("decided-greedy", "decided-retry-batch-64")]
    walk = Walk(rules[0], rules, DISCIPLINE, seed=1, n_episodes=2, n_decisions=3, n_futures=2)
    again = gather(suite_of(load_all(NAMES, {})), walk, n_threads=2)
    np.testing.assert_array_equal(again.parts, decided.parts)


def made(gains: np.ndarray) -> Decided:
    """Return decisions at busy replies whose KICK saves what is given, in each future, of host."""
    n, n_futures = gains.shape
    parts = np.zeros((n, N_ACTIONS, n_futures, N_WEIGHED), np.float32)
    parts[:, :, :, 3] = 100.0
    parts[:, Action.KICK, :, 3] -= gains
    parts[:, Action.YIELD] = np.nan
    masks = np.tile(np.array([1, 1, 0], np.int8), (n, 1))
    zeros = np.zeros(n, np.int64)
    features = np.zeros((n, N_FEATURES), np.int64)
    return Decided(features, masks, parts, zeros, zeros, np.ones(n))


def stakes(decided: Decided, caution: float = 0.0) -> Stakes:
    """Return what is at stake under `cpu` in a scenario that costs 100 cycles."""
    return stakes_of(decided, weights_of("cpu")[None], np.array([100.0]), caution)


def test_cost_of_an_answer_is_a_share_of_an_episode_s():
    found = stakes(made(np.full((4, 2), 25.0)))
    assert found.costs.tolist() == [[0, -0.25, 0]] * 4
    assert found.weights.sum() > 0


def test_luck_has_little_weight():
    drawn = np.random.default_rng(0).normal(0, 25, (200, 2))
    lucky, sure = (stakes(made(one)) for one in (drawn, np.full((200, 2), 25.0)))
    assert lucky.weights.mean() * np.abs(lucky.costs).mean() < 0.5 * (
        sure.weights.mean() * np.abs(sure.costs).mean()
    )


def test_caution_is_taken_off_what_another_answer_gains():
    drawn = np.random.default_rng(0).normal(25, 10, (50, 2))
    bold, careful = (stakes(made(drawn), caution) for caution in (0.0, 1.0))
    assert (careful.costs[:, Action.KICK] > bold.costs[:, Action.KICK]).all()
    assert (careful.costs[:, Action.RETRY] == bold.costs[:, Action.RETRY]).all()


def problem(n: int = 400) -> tuple[np.ndarray, np.ndarray, Stakes]:
    """Return observations of 8 columns, of which the third says whether to kick."""
    seen = np.random.default_rng(0).random((n, 8), np.float32)
    costs = np.zeros((n, N_ACTIONS))
    costs[:, Action.KICK] = np.where(seen[:, 2] > 0.5, -1.0, 1.0)
    costs[:, Action.YIELD] = 0.5
    return seen, np.ones((n, N_ACTIONS), np.int8), Stakes(costs, np.full(n, 1 / n))


def test_network_reads_the_column_that_tells_and_answers_by_it():
    seen, masks, wanted = problem()
    weights, columns = fitted(seen, masks, wanted, Fit((8,), 2, 300, 0.02), seed=0)
    assert len(columns) == 2 and 2 in columns
    hidden = np.maximum(
        seen[:, columns] @ weights["layers.0.weight"].T + weights["layers.0.bias"], 0
    )
    answers = (hidden @ weights["layers.1.weight"].T + weights["layers.1.bias"]).argmax(axis=1)
    assert (answers == wanted.costs.argmin(axis=1)).mean() > 0.95


def test_columns_that_are_kept_are_not_thinned_out():
    seen, masks, wanted = problem()
    _, columns = fitted(seen, masks, wanted, Fit((4,), 1, 60, 0.02, kept=(7,)), seed=0)
    assert 7 in columns and len(columns) == 2


def test_loss_that_is_no_number_is_told():
    seen, masks, wanted = problem(20)
    broken = replace_costs(wanted)
    with pytest.raises(ConfigError, match="learning_rate = 0.02: the loss is nan, must be smaller"):
        fitted(seen, masks, broken, Fit((4,), 8, 5, 0.02), seed=0)


def replace_costs(wanted: Stakes) -> Stakes:
    """Return the same with a cost that is no number."""
    costs = wanted.costs.copy()
    costs[:, Action.KICK] = np.nan
    return Stakes(costs, wanted.weights)


@pytest.mark.slow
@pytest.mark.parametrize("observe_objective", [False, True])
def test_run_leaves_an_agent_that_loads(tmp_path: Path, observe_objective: bool):
    config = TrainConfig(
        learner="exact",
        scenarios="s27-balloon-faults",
        objective=None if observe_objective else "guest",
        observe_objective=observe_objective,
        decisions="all",
        hidden=(4,),
        evaluation_episodes=1,
        n_threads=1,
        exact=ExactConfig(rounds=2, episodes=1, decisions=2, inputs=6, fits=1, steps=20),
    )
    with RunFolder(tmp_path, overwrite=False) as folder:
        result = train(plan_of("tiny", config, {}), folder, Console(quiet=True))
    policy = load_bundle(tmp_path, "guest")
    assert policy.discipline.asks == "all"
    assert result.best_steps > 0
    assert (tmp_path / "progress.csv").read_text().count("\n") == 3


def test_start_features_are_no_flush_point():
    """The path of a start is no path of the simulator's."""
    decided = made(np.ones((2, 2)))
    features = decided.features.copy()
    features[:, Feature.PATH] = -1
    assert replace(decided, features=features).kind.tolist() == [0, 0]
