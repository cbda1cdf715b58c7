"""The environments' arguments `module` and `kernel`."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

import tdx_env.scenarios
from tdx_env.arguments import loaded_of
from tdx_env.env import SeamcallRetryEnv
from tdx_env.info import named_metrics
from tdx_env.module.versions import MODULE_VERSIONS
from tdx_env.scenarios import load, machine_overrides
from tdx_env.state.kernels import kernel_number
from tdx_env.vector import SeamcallRetryVectorEnv

ID = "tdx_env/SeamcallRetry-v0"
CLEAN = "s22-clean/test"
NAMES = list(MODULE_VERSIONS)
SCENARIOS = Path(tdx_env.scenarios.__file__).parent


def drawn(metrics: np.ndarray) -> str:
    """Return the version that an episode has met, from the metrics at its end."""
    return NAMES[named_metrics(metrics)["module_version"]]


def played(env: gymnasium.Env, seed: int, **options: object) -> str:
    """Play an episode to its end; return the module that it has met."""
    env.reset(seed=seed, options=options)
    is_over = False
    while not is_over:
        *_, terminated, truncated, info = env.step(0)
        is_over = terminated or truncated
    return drawn(info["episode_metrics"])


def test_an_episode_meets_the_module_that_was_asked_for():
    assert played(SeamcallRetryEnv(CLEAN, module="1.5.06"), 1) == "1.5.06"


def test_an_option_of_reset_goes_before_the_argument():
    env = SeamcallRetryEnv(CLEAN, module="1.5.06")
    assert played(env, 1, **{"module.version": "2.0.18"}) == "2.0.18"
    assert played(env, 1) == "1.5.06"


def test_episodes_draw_from_a_list():
    env = SeamcallRetryEnv(CLEAN, module=["1.5.06", "1.5.34"])
    assert {played(env, seed) for seed in range(8)} == {"1.5.06", "1.5.34"}


def test_a_vector_environment_plays_what_single_ones_play():
    names = "1.5.06,1.5.28,1.5.34"
    single, vector = (
        SeamcallRetryEnv(CLEAN, module=names),
        SeamcallRetryVectorEnv(4, CLEAN, module=names),
    )
    vector.reset(seed=0)
    found = np.zeros((4, 1))
    over = np.zeros(4, np.bool_)
    while not over.all():
        *_, terminated, truncated, info = vector.step(np.zeros(4, np.int64))
        ended = (terminated | truncated) & ~over
        found = np.where(ended[:, None], info["episode_metrics"], found)
        over |= ended
    assert [drawn(row) for row in found.astype(np.int64)] == [played(single, s) for s in range(4)]


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_the_specification_with_a_machine_goes_through_json(make):
    env = make(ID, scenario=CLEAN, module=["1.5.06", "1.5.28"], kernel="6.16")
    again = make(EnvSpec.from_json(env.spec.to_json()))
    assert again.spec.kwargs["module"] == ["1.5.06", "1.5.28"]
    (setup,) = again.unwrapped._repertoire.setups
    assert setup == env.unwrapped._repertoire.setups[0]
    assert (setup["module_versions"], setup["kernel"]) == (0b110, kernel_number("6.16"))


@pytest.mark.parametrize("form", ["name", "path", "object", "table", "list"])
def test_every_form_of_a_scenario_takes_a_machine(form):
    scenario = load(CLEAN)
    forms = {
        "name": CLEAN,
        "path": SCENARIOS / "s22-clean.toml",
        "object": scenario,
        "table": scenario.model_dump(mode="json", exclude_unset=True),
        "list": [CLEAN, scenario],
    }
    for one in loaded_of(forms[form], {}, machine_overrides("2.0.18", "7.4-queue")):
        found = one.scenario
        assert (found.module.version, found.host.kernel) == (("2.0.18",), "7.4-queue")


def test_a_table_may_ask_for_what_only_the_chosen_machine_can_do():
    table = load("s25-conversion-in-place/test").model_dump(mode="json", exclude_unset=True)
    del table["host"]["kernel"]
    (found,) = loaded_of(table, {}, machine_overrides(kernel="7.4-queue"))
    assert found.scenario.host.kernel == "7.4-queue"
