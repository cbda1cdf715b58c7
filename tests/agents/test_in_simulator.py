"""The catalogue runs in the simulator, and nobody takes a masked action."""

import numba
import numpy as np
import pytest

from tdx_agents import catalogue, names
from tdx_agents import load as load_policy
from tdx_env.engine.batch import Batch
from tdx_env.errors import PolicyError
from tdx_env.scenarios import load, setup_of
from tdx_env.state.world import End

N_WORLDS = 3
USER_FILE = """
import numba

from tdx_env.jit import decision
from tdx_env.state.features import Feature

@numba.njit
def at_second(issues):
    if issues == 2:
        raise ValueError("second")
    return 0

@decision
def decide(features):
    return {answer}
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes; the rules are tested plain")
@pytest.mark.parametrize("policy", catalogue(), ids=names())
@pytest.mark.parametrize("scenario", ["s03-zero-step/train", "s08-accept-2m/train"])
def test_policy_runs_to_an_end_without_a_masked_action(policy, scenario):
    batch = Batch(setup_of(load(scenario)), policy.discipline.record(), n_worlds=N_WORLDS)
    batch.reset(range(N_WORLDS))
    batch.advance(policy.decide, np.zeros(N_WORLDS, np.int64))
    batch.advance(policy.decide)
    assert np.isin(batch.run["end"], [End.FINISHED, End.KILLED]).all()
    assert not batch.run["n_masked"].any()


@pytest.mark.slow
def test_batched_decisions_are_those_made_inside_the_simulator():
    policy = catalogue()[names().index("operand")]
    costs = []
    for is_inside in (True, False):
        batch = Batch(setup_of(load("s08-accept-2m/train")), policy.discipline.record())
        batch.reset([5])
        batch.advance(policy.decide if is_inside else None)
        while not batch.ended.all():
            actions = [0]
            if batch.waiting.all():
                nothing = np.empty((1, 0), np.float32)
                actions = policy.actions(nothing, batch.features, batch.masks)
            batch.advance(policy.decide if is_inside else None, actions)
        costs.append(batch.costs.tolist())
    assert costs[0] == costs[1]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("1 // features[Feature.KICKS] * 0", "Division|Warning"),
        ("1 % (2 - features[Feature.ISSUES]) * 0", "Division|Warning"),
        ("at_second(features[Feature.ISSUES])", "Value"),
        ("features[features[5] // 2 % 50 * 500] * 0", "Index"),
    ],
)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_compiled_function_that_raises_in_the_simulator_is_named(tmp_path, answer, told, n_threads):
    """At loading it is asked about a kick before, and the first and the hundredth issue only."""
    path = tmp_path / "mine.py"
    path.write_text(USER_FILE.format(answer=answer))
    policy = load_policy(f"{path}:decide")
    setup = setup_of(load("s08-accept-2m/train"))
    batch = Batch(setup, policy.discipline.record(), N_WORLDS, n_threads=n_threads)
    batch.reset(range(N_WORLDS))
    message = rf"mine\.py:decide\): raised \w*({told})"
    with pytest.raises(PolicyError, match=message), policy.blamed():
        batch.advance(policy.decide)
