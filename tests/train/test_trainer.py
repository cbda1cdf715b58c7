"""Tests of whole training runs, kept tiny."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from sb3_contrib import MaskablePPO

from tdx_agents import load, load_bundle
from tdx_agents.bundle import load_manifest, weights_name
from tdx_env.errors import ConfigError, OutputError
from tdx_env.host.discipline import DEFAULT
from tdx_env.spaces import observation_size
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_train.config import TrainConfig
from tdx_train.model import build_model, policy_weights
from tdx_train.run_folder import RunFolder
from tdx_train.seed_ranges import validation_seeds
from tdx_train.suite import Suite
from tdx_train.trainer import Result, train
from tdx_train.training_plan import TrainingPlan
from tdx_train.validation import mean_costs
from tdx_train.vec_env import SeamcallVecEnv


@pytest.fixture(scope="module")
def trained(
    tiny_plan: TrainingPlan, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    """The folder of a tiny training run, and what it came to."""
    path = tmp_path_factory.mktemp("run") / "agent"
    with RunFolder(path, overwrite=False) as folder:
        return path, train(tiny_plan, folder, Console(quiet=True))


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a training log."""
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_run_leaves_agent_configuration_and_log(trained: tuple[Path, Result]):
    path, result = trained
    weights = weights_name(load_manifest(path).weights_sha256)
    names = sorted(file.name for file in path.iterdir())
    assert names == ["bundle.json", "config.json", "progress.csv", weights]
    assert not result.was_interrupted
    assert result.n_steps >= 2_000


@pytest.mark.slow
def test_best_agent_costs_on_validation_what_the_log_says(
    trained: tuple[Path, Result], tiny_plan: TrainingPlan
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
def test_run_says_what_retry_alone_costs_and_how_often_the_agent_answers_otherwise(
    trained: tuple[Path, Result], tiny_plan: TrainingPlan
):
    path, result = trained
    seeds = validation_seeds(tiny_plan.config.evaluation_episodes)
    retry, reference = (
        mean_costs(tiny_plan.validation, load(spec), seeds, n_threads=1)
        for spec in (f"retry@{path}", "P18")
    )
    assert result.retry_score == pytest.approx(np.exp(np.log(retry / reference).mean()))
    rows = [row for row in rows_of(path / "progress.csv") if row["steps"] == str(result.best_steps)]
    shares = [float(rows[0][f"answers[{action.name}]"]) for action in Action]
    assert shares == pytest.approx(result.best_shares.tolist(), rel=1e-5)  # 6 digits
    assert sum(shares) == pytest.approx(1, rel=1e-5)


@pytest.mark.slow
def test_log_has_costs_and_losses(trained: tuple[Path, Result], tiny_plan: TrainingPlan):
    rows = rows_of(trained[0] / "progress.csv")
    assert [int(row["steps"]) for row in rows] == [512 * number for number in range(len(rows))]
    assert all(row["value_loss"] and row["entropy_loss"] for row in rows[1:])
    assert any(row[f"cost[{name}]"] for row in rows for name in tiny_plan.training.names)


@pytest.mark.slow
def test_configuration_beside_the_agent_says_all(
    trained: tuple[Path, Result], tiny_plan: TrainingPlan
):
    saved = json.loads((trained[0] / "config.json").read_text())
    assert TrainConfig.model_validate_json(json.dumps(saved["config"])) == tiny_plan.config
    assert saved["scenario_digests"]["train"] == tiny_plan.training.digests
    assert saved["scenario_digests"]["validation"] == tiny_plan.validation.digests
    assert {"torch", "stable-baselines3", "python"} <= saved["versions"].keys()


@pytest.mark.slow
def test_same_seed_gives_the_same_agent(
    trained: tuple[Path, Result], tiny_plan: TrainingPlan, tmp_path: Path
):
    with RunFolder(tmp_path, overwrite=False) as folder:
        train(tiny_plan, folder, Console(quiet=True))
    first, again = (
        {file.name: file.read_bytes() for file in path.iterdir() if file.suffix != ".csv"}
        for path in (trained[0], tmp_path)
    )
    assert first == again


@pytest.mark.slow
def test_network_that_is_not_finite_ends_the_run_and_the_last_good_agent_stands(
    tiny_plan: TrainingPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def diverge(model: MaskablePPO) -> None:
        with torch.no_grad():
            next(model.policy.parameters())[0] = torch.nan

    monkeypatch.setattr(MaskablePPO, "train", diverge)
    told = r"learning_rate = 0.001: .* not finite after 512 steps.*; the best agent, of step 0, is"
    with RunFolder(tmp_path, overwrite=False) as folder, pytest.raises(ConfigError, match=told):
        train(tiny_plan, folder, Console(quiet=True))
    load_bundle(tmp_path)


@pytest.mark.slow
def test_log_that_cannot_be_written_is_told(tiny_plan: TrainingPlan, tmp_path: Path):
    with RunFolder(tmp_path, overwrite=False) as folder:
        folder.log_path.symlink_to("/dev/full")
        with pytest.raises(OutputError, match="the training log can't be written: No space left"):
            train(tiny_plan, folder, Console(quiet=True))


def test_bundle_acts_like_the_learner(suite: Suite, tiny_plan: TrainingPlan, tmp_path: Path):
    model = build_model(tiny_plan.config, SeamcallVecEnv(suite, DEFAULT, 32, seed=0))
    from tdx_train.callback import manifest_of

    with RunFolder(tmp_path, overwrite=True) as folder:
        folder.save_agent(policy_weights(model), manifest_of(tiny_plan))
    policy = load_bundle(tmp_path)
    generator = np.random.default_rng(0)
    observations = generator.random((500, observation_size()), np.float32)
    masks = generator.random((500, N_ACTIONS)) < 0.5
    masks[:, 0] = True
    wanted, _ = model.predict(observations, action_masks=masks, deterministic=True)
    assert policy.act is not None
    found = policy.act(observations, np.zeros((500, 1), np.int64), masks.astype(np.int8))
    assert np.array_equal(found, wanted)


def test_untrained_policy_leans_towards_retry(suite: Suite, tiny_plan: TrainingPlan):
    model = build_model(tiny_plan.config, SeamcallVecEnv(suite, DEFAULT, 32, seed=0))
    observations = torch.rand((200, observation_size()))
    probabilities = model.policy.get_distribution(observations).distribution.probs
    assert (probabilities.argmax(axis=1) == 0).all()
    assert (probabilities > 0.1).all()
