"""Tests of training configurations: what is shipped, and what errors say."""

import os
from pathlib import Path

import pytest

from tdx_agents.network import network_cycles
from tdx_env.errors import ConfigError
from tdx_env.spaces import observation_size
from tdx_env.state.objectives import weights_of
from tdx_train.config import OBJECTIVES, TrainConfig, config_names, load_config
from tdx_train.training_plan import plan_of

MISTAKES = [
    ("n_env = 4", "n_env: unknown key, must be one of: n_envs, n_steps"),
    ("n_envs = 0", "n_envs = 0, must be greater than or equal to 1"),
    ('n_envs = "many"', "n_envs = 'many', must be a valid integer"),
    ("n_envs = true", "n_envs = True, must be a valid integer"),
    ("learning_rate = -1.0", "learning_rate = -1.0, must be greater than 0"),
    ('activation = "gelu"', "activation = 'gelu', must be 'relu' or 'tanh'"),
    ("hidden = [64, 0]", "must be a list of widths from 1 to 1024"),
    ("n_envs = 2\nn_steps = 4", "batch_size = 2048, must be at most n_envs * n_steps, 8"),
    ("[discipline]\nzap = true", "discipline.zap: unknown key, must be one of: zap_yield, "),
    ('[discipline]\ngate_scope = "all"', "discipline.gate_scope = 'all', must be 'nothing',"),
    ("[discipline]\ndecision_cycles = 1", "must be given as decision_cycles, outside the table"),
    ('[discipline]\nasks = "all"', "must be given as decisions, outside the table"),
    (
        'observe_objective = true\nobjective = "cpu"',
        "objective = cpu, must be left out with observe_objective",
    ),
    ("[exact]\nround = 1", "exact.round: unknown key, must be one of: rounds"),
    ("[exact]\nfutures = 1", "exact.futures = 1, must be greater than or equal to 2"),
    ('[exact]\nbase = "nobody"', "base: the decisions of 'nobody' are unknown"),
    ('columns = ["levels"]', "columns: levels is none, must be one of: level"),
    ('objective = "cpuu"', "objective = 'cpuu', must be cpu, guest, latency, realtime, thread, or"),
    ('objective = "host=-1"', "objective = 'host=-1', must be cpu, guest"),
    ("n_envs = = 1", "is no TOML file"),
    (f"n_envs = {'9' * 5_000}", "holds a whole number of more than 64 bits"),
    (f"hidden = {'[' * 9_999}{']' * 9_999}", "is nested too deeply"),
]


@pytest.mark.parametrize("name", config_names())
def test_shipped_configuration_resolves(name: str):
    plan = plan_of(name, load_config(name), {})
    assert all(scenario.name.endswith("/train") for scenario in plan.training.scenarios)
    assert not any(scenario.is_control for scenario in plan.training.scenarios)
    assert len(plan.validation.scenarios) == len(plan.training.scenarios)


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_error_names_file_key_value_and_what_is_allowed(tmp_path: Path, text: str, message: str):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match='"fast" is unknown, must be .* one of: agent-'):
        load_config("fast")


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="none.toml: can't be read"):
        load_config(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("x" * 300 + ".toml", "can't be read: File name too long"),
        ("\udcff.toml", "must be a name that can be printed"),
        ("a\nb.toml", "must be a name that can be printed"),
    ],
)
def test_name_that_no_file_or_report_can_have_is_refused(name: str, told: str):
    with pytest.raises(ConfigError, match=told):
        load_config(name)


def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(ConfigError, match=r"pipe.toml: can't be read: must be a file, is a pipe"):
        load_config(str(tmp_path / "pipe.toml"))


@pytest.mark.parametrize("spec", ["test", "validation", "s03-zero-step/test"])
def test_other_splits_than_train_are_refused(spec: str):
    with pytest.raises(ConfigError, match="must be train splits"):
        plan_of("mine", TrainConfig(scenarios=spec), {})


def test_only_controls_are_refused():
    with pytest.raises(ConfigError, match="with_controls = true"):
        plan_of("mine", TrainConfig(scenarios="s22-clean"), {})


def test_controls_are_trained_on_when_asked_for():
    plan = plan_of("mine", TrainConfig(scenarios="s22-clean", with_controls=True), {})
    assert plan.training.names == ["s22-clean/train"]


def test_decisions_of_the_network_are_charged():
    config = TrainConfig(discipline={"gate_scope": "page"}, decision_cycles=1234)
    discipline = config.host_discipline()
    assert (discipline.decision_cycles, discipline.gate_scope) == (1234, "page")


@pytest.mark.parametrize("name", config_names())
@pytest.mark.parametrize("hidden", [(16,), (64, 64)])
def test_charge_of_a_decision_follows_the_network_s_shape(name: str, hidden: tuple[int, ...]):
    config = load_config(name).model_copy(update={"hidden": hidden})
    charged = config.host_discipline().decision_cycles
    n_inputs = len(config.columns) or observation_size(config.decisions)
    if config.learner == "exact":
        n_inputs = config.exact.inputs
    assert charged == network_cycles(n_inputs, hidden)


def test_overrides_reach_both_splits():
    plan = plan_of("mine", TrainConfig(), {"clock_khz": 3_000_000})
    for scenario in (*plan.training.scenarios, *plan.validation.scenarios):
        assert scenario.clock_khz == 3_000_000


def test_objective_is_what_both_splits_cost():
    config = TrainConfig(
        scenarios="s08-accept-2m", objective="host=1,stolen=1,lost=1,preempt_1ms=1"
    )
    assert config.objective == "cpu"
    plan = plan_of("mine", config, {})
    for suite in (plan.training, plan.validation):
        assert (suite.setups()["weights"] == weights_of("cpu")).all()


def test_agent_that_is_asked_at_flush_points_decides_them():
    discipline = TrainConfig(decisions="all").host_discipline()
    assert (discipline.asks, discipline.flush) == ("all", "decided")
    assert TrainConfig().host_discipline().asks == "busy"


def test_agent_for_all_is_trained_for_each_objective():
    plan = plan_of("mine", TrainConfig(scenarios="s08-accept-2m", observe_objective=True), {})
    weights = plan.training.setups()["weights"]
    assert (weights == [weights_of(name) for name in OBJECTIVES]).all()
    assert plan.training.names[1] == "s08-accept-2m/train (guest)"
