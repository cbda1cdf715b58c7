"""Tests of whole training runs, kept tiny."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from tdx_agents import load_bundle
from tdx_env.host.discipline import DEFAULT
from tdx_env.spaces import observation_size
from tdx_env.state.discipline import N_ACTIONS
from tdx_train.config import TrainConfig
from tdx_train.model import build_model, policy_weights
from tdx_train.plan import Plan
from tdx_train.run_folder import RunFolder
from tdx_train.seeds import validation_seeds
from tdx_train.suite import Suite
from tdx_train.trainer import Result, train
from tdx_train.validation import mean_costs
from tdx_train.vec_env import SeamcallVecEnv

FILES = ["bundle.json", "config.json", "progress.csv", "weights.safetensors"]


@pytest.fixture(scope="module")
def trained(tiny_plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The folder of a tiny training run, and what it came to."""
    path = tmp_path_factory.mktemp("run") / "agent"
    return path, train(tiny_plan, RunFolder(path, overwrite=False), Console(quiet=True))


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a training log."""
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_run_leaves_agent_configuration_and_log(trained: tuple[Path, Result]):
    path, result = trained
    assert sorted(file.name for file in path.iterdir()) == FILES
    assert not result.was_interrupted
    assert result.n_steps >= 2_000


@pytest.mark.slow
def test_best_agent_costs_on_validation_what_the_log_says(
    trained: tuple[Path, Result], tiny_plan: Plan
):
    path, result = trained
    rows = rows_of(path / "progress.csv")
    best = min((row for row in rows if row["score"]), key=lambda row: float(row["score"]))
    assert float(best["score"]) == pytest.approx(result.best_score, rel=1e-5)  # 6 digits
    assert int(best["steps"]) == result.best_steps
    names = tiny_plan.validation.names
    policy = load_bundle(path)
    seeds = validation_seeds(tiny_plan.config.evaluation_episodes)
    costs = mean_costs(tiny_plan.validation, policy, seeds, n_threads=2)
    logged = json.loads((path / "config.json").read_text())["reference_costs"]
    for name, cost in zip(names, costs, strict=True):
        assert float(best[f"ratio[{name}]"]) == pytest.approx(cost / logged[name], rel=1e-5)


@pytest.mark.slow
def test_log_has_costs_and_losses(trained: tuple[Path, Result], tiny_plan: Plan):
    rows = rows_of(trained[0] / "progress.csv")
    assert [int(row["steps"]) for row in rows] == [512 * number for number in range(len(rows))]
    assert all(row["value_loss"] and row["entropy_loss"] for row in rows[1:])
    assert any(row[f"cost[{name}]"] for row in rows for name in tiny_plan.training.names)


@pytest.mark.slow
def test_configuration_beside_the_agent_says_all(trained: tuple[Path, Result], tiny_plan: Plan):
    saved = json.loads((trained[0] / "config.json").read_text())
    assert TrainConfig.model_validate_json(json.dumps(saved["config"])) == tiny_plan.config
    assert saved["scenario_digests"]["train"] == tiny_plan.training.digests
    assert saved["scenario_digests"]["validation"] == tiny_plan.validation.digests
    assert {"torch", "stable-baselines3", "python"} <= saved["versions"].keys()


@pytest.mark.slow
def test_same_seed_gives_the_same_agent(
    trained: tuple[Path, Result], tiny_plan: Plan, tmp_path: Path
):
    train(tiny_plan, RunFolder(tmp_path / "again", overwrite=False), Console(quiet=True))
    for name in ("bundle.json", "weights.safetensors", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (trained[0] / name).read_bytes()


def test_bundle_acts_like_the_learner(suite: Suite, tiny_plan: Plan, tmp_path: Path):
    model = build_model(tiny_plan.config, SeamcallVecEnv(suite, DEFAULT, 32, seed=0))
    from tdx_train.callback import manifest_of

    RunFolder(tmp_path, overwrite=True).save_agent(policy_weights(model), manifest_of(tiny_plan))
    policy = load_bundle(tmp_path)
    generator = np.random.default_rng(0)
    observations = generator.random((500, observation_size()), np.float32)
    masks = generator.random((500, N_ACTIONS)) < 0.5
    masks[:, 0] = True
    wanted, _ = model.predict(observations, action_masks=masks, deterministic=True)
    assert policy.act is not None
    found = policy.act(observations, np.zeros((500, 1), np.int64), masks.astype(np.int8))
    assert np.array_equal(found, wanted)


def test_untrained_policy_leans_towards_retry(suite: Suite, tiny_plan: Plan):
    model = build_model(tiny_plan.config, SeamcallVecEnv(suite, DEFAULT, 32, seed=0))
    observations = torch.rand((200, observation_size()))
    probabilities = model.policy.get_distribution(observations).distribution.probs
    assert (probabilities.argmax(axis=1) == 0).all()
    assert (probabilities > 0.1).all()
