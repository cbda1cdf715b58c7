"""Objectives of environments: which cost is paid, who may say so, versions 0 and 1."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tdx_env.env import SeamcallRetryEnv
from tdx_env.errors import ObjectiveError, ScenarioError
from tdx_env.host.discipline import BOUNDED, DEFAULT
from tdx_env.info import COST_NAMES
from tdx_env.repertoire import EDITIONS
from tdx_env.scenarios import expand, load
from tdx_env.spaces import observation_size
from tdx_env.state.objectives import N_WEIGHED, PRESETS, WEIGHED, cost_of, weights_of
from tdx_env.vector import SeamcallRetryVectorEnv

NAME = "s08-accept-2m/train"
QUIET = "s22-clean/test"
SEED = 7
MIXED = {"host": 0.5, "stolen": 2, "preempt_50us": 10}


def played(env: gymnasium.Env, seed: int = SEED) -> tuple[float, np.ndarray, np.ndarray]:
    """Return an episode's return, the parts of its cost and the last observation; always RETRY."""
    env.reset(seed=seed)
    total = 0.0
    while True:
        observation, reward, terminated, truncated, info = env.step(0)
        total += float(reward)
        if terminated or truncated:
            return total, info["cost"], observation


@pytest.mark.parametrize("objective", [*PRESETS, MIXED])
def test_return_is_minus_the_weighted_parts_of_the_cost(objective):
    """Which are the same whatever the objective: one play serves them all."""
    env = SeamcallRetryEnv(NAME, objective=objective)
    total, parts, _ = played(env)
    _, others, _ = played(SeamcallRetryEnv(NAME))
    assert parts.tolist() == others.tolist()
    cost = int(cost_of(parts[:N_WEIGHED, None], weights_of(objective))[0])
    assert total * load(NAME).limits.reward_scale == pytest.approx(-cost, rel=1e-9)


def test_version_0_pays_as_thread_does():
    plain, named = SeamcallRetryEnv(NAME), SeamcallRetryEnv(NAME, objective="thread")
    for env in (plain, named):
        env.reset(seed=SEED)
    is_over = False
    while not is_over:
        one, other = plain.step(0), named.step(0)
        assert one[1] == other[1]
        is_over = one[2] or one[3]


def test_scenario_may_say_what_it_costs_and_an_argument_has_the_last_word():
    table = load(NAME, {"objective": "guest"}).model_dump(mode="json", exclude_unset=True)
    paid = {
        name: played(SeamcallRetryEnv(table, objective=name))[0] for name in (None, "guest", "cpu")
    }
    assert paid[None] == paid["guest"] != paid["cpu"]


def test_objective_of_a_reset_holds_for_its_episode():
    env = SeamcallRetryEnv(NAME)
    env.reset(seed=SEED, options={"objective": "realtime"})
    changed = env.step(0)[1]
    env.reset(seed=SEED)
    assert changed != env.step(0)[1]


@pytest.mark.parametrize("objective", ["cpuu", {"host": -1}, {"stolen": float("nan")}])
@pytest.mark.parametrize("make", [SeamcallRetryEnv, SeamcallRetryVectorEnv])
def test_objective_that_is_none_is_refused(make, objective):
    with pytest.raises(ObjectiveError, match="must be cpu, guest"):
        make(scenario=QUIET, objective=objective)


def test_objective_of_a_scenario_that_is_none_is_refused():
    with pytest.raises(ScenarioError, match=r'objective = "cpuu", must be cpu, guest'):
        load(QUIET, {"objective": "cpuu"})


def test_objective_can_be_observed():
    env = SeamcallRetryEnv(QUIET, objective=MIXED, observe_objective=True)
    size = observation_size()
    assert env.observation_space.shape == (size + len(WEIGHED),)
    first, _ = env.reset(seed=SEED)
    _, _, last = played(env)
    plain, _ = SeamcallRetryEnv(QUIET).reset(seed=SEED)
    for observation in (first, last):
        assert observation in env.observation_space
        assert observation[size:].tolist() == weights_of(MIXED).tolist()
    assert (first[:size] == plain).all()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_vector_shows_each_scenarios_objective(mode):
    tables = [
        load(QUIET, {"objective": name}).model_dump(mode="json", exclude_unset=True)
        for name in ("cpu", "latency")
    ]
    env = SeamcallRetryVectorEnv(6, tables, autoreset_mode=mode, observe_objective=True)
    observations, info = env.reset(seed=SEED)
    weights = np.array([weights_of("cpu"), weights_of("latency")], np.float32)
    for _ in range(5):
        shown = observations[:, observation_size() :]
        assert (shown == weights[info["scenario"]]).all()
        observations, _, _, _, info = env.step(np.zeros(6, np.int64))


def test_vector_pays_as_the_single_environment_does():
    env = SeamcallRetryVectorEnv(2, NAME, objective=MIXED)
    single = SeamcallRetryEnv(NAME, objective=MIXED)
    env.reset(seed=SEED)
    single.reset(seed=SEED)
    for _ in range(20):
        assert env.step(np.zeros(2, np.int64))[1][0] == single.step(0)[1]


# --- versions


def test_version_1_counts_cpu_on_the_core_list():
    env = gymnasium.make("tdx_env/SeamcallRetry-v1")
    assert env.unwrapped.scenario_names == tuple(expand("core"))
    plain = SeamcallRetryEnv(NAME, objective="cpu")
    scale = load(NAME).limits.reward_scale_v1
    total, parts, _ = played(gymnasium.make("tdx_env/SeamcallRetry-v1", scenario=NAME))
    assert parts.tolist() == played(plain)[1].tolist()
    cost = dict(zip(COST_NAMES, parts.tolist(), strict=False))
    wanted = cost["host"] + cost["stolen"] + cost["preempt_1ms"] + cost["lost"]
    assert total * scale == pytest.approx(-wanted, rel=1e-9)


@pytest.mark.parametrize(("edition", "usual"), [("v0", DEFAULT), ("v1", BOUNDED)])
def test_discipline_of_a_version_is_its_own_unless_one_is_given(edition, usual):
    """A call of version 1 is given up in the end; version 0 kicks for ever."""
    found = SeamcallRetryEnv(NAME, edition=edition, decisions="busy")
    given = SeamcallRetryEnv(NAME, usual, edition="v0")
    several = SeamcallRetryVectorEnv(1, NAME, edition=edition, decisions="busy")
    origins = [env.snapshot().origin["discipline"] for env in (found, given, several)]
    assert len(set(origins)) == 1


def test_scenario_without_the_scale_of_version_1_warns_and_takes_the_other():
    table = load(QUIET).model_dump(mode="json", exclude_unset=True)
    table["limits"].pop("reward_scale_v1", None)
    with pytest.warns(UserWarning, match=r"limits.reward_scale_v1 is missing"):
        env = SeamcallRetryEnv(table, edition="v1")
    with_scale = table | {"limits": table["limits"] | {"reward_scale_v1": 1}}
    ratio = played(SeamcallRetryEnv(with_scale, edition="v1"))[0] / played(env)[0]
    assert ratio == pytest.approx(table["limits"]["reward_scale"])


def test_version_that_is_none_is_refused():
    with pytest.raises(ScenarioError, match=f"must be {' or '.join(EDITIONS)}"):
        SeamcallRetryEnv(QUIET, edition="v7")


@pytest.mark.parametrize("arguments", [{}, {"observe_objective": True}])
def test_version_1_passes_gymnasiums_checker(arguments):
    check_env(gymnasium.make("tdx_env/SeamcallRetry-v1", scenario=QUIET, **arguments).unwrapped)
