"""A run that was stopped goes on to what it would have come to."""

import csv
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tdx_env.errors import CheckpointError
from tdx_train.checkpoint import below, packed, under, unpacked
from tdx_train.config import ExactConfig, TrainConfig
from tdx_train.run_folder import CHECKPOINT_NAME, RunFolder
from tdx_train.trainer import train
from tdx_train.training_plan import TrainingPlan, plan_of

CONFIGS = {
    "ppo": TrainConfig(
        scenarios="s08-accept-2m,s13-balloon",
        objective="cpu",
        decisions="all",
        counts_waiting=True,
        total_steps=1_536,
        n_envs=16,
        n_steps=16,
        batch_size=128,
        hidden=(8,),
        evaluation_interval=512,
        evaluation_episodes=1,
        n_threads=1,
    ),
    "exact": TrainConfig(
        learner="exact",
        scenarios="s08-accept-2m",
        objective="cpu",
        decisions="all",
        hidden=(4,),
        evaluation_episodes=1,
        n_threads=1,
        exact=ExactConfig(rounds=3, episodes=1, decisions=4, inputs=6, fits=1, steps=20),
    ),
}


class Killed(BaseException):
    """The run is killed."""


def content_of(path: Path) -> dict[str, object]:
    """Return what a run left, but for the seconds that it took."""
    files = {one.name: one.read_bytes() for one in path.iterdir() if one.suffix != ".csv"}
    with (path / "progress.csv").open(encoding="utf-8") as file:
        rows = [{**row, "seconds": ""} for row in csv.DictReader(file)]
    return {**files, "log": rows}


def stopped(plan: TrainingPlan, path: Path, n_checkpoints: int, patch: pytest.MonkeyPatch) -> None:
    """Run until some checkpoints are written, and not a step more."""
    save, left = RunFolder.save_checkpoint, [n_checkpoints]

    def save_and_die(folder: RunFolder, content: bytes) -> None:
        save(folder, content)
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    with patch.context() as patched:
        patched.setattr(RunFolder, "save_checkpoint", save_and_die)
        with pytest.raises(Killed), RunFolder(path, overwrite=False) as folder:
            train(plan, folder, Console(quiet=True))


@pytest.mark.slow
@pytest.mark.parametrize("learner", CONFIGS)
def test_run_that_goes_on_comes_to_what_an_uninterrupted_one_does(
    learner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plan = plan_of(learner, CONFIGS[learner], {})
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    with RunFolder(whole, overwrite=False) as folder:
        train(plan, folder, Console(quiet=True))
    stopped(plan, broken, 1, monkeypatch)
    assert (broken / CHECKPOINT_NAME).exists()
    np.random.random(7)  # noqa: NPY002 (what else the process drew must not matter)
    with RunFolder(broken, overwrite=False, resume=True) as folder:
        train(plan, folder, Console(quiet=True), resume=True)
    assert content_of(broken) == content_of(whole)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of two arrays."""
    path = tmp_path / CHECKPOINT_NAME
    about = {"training scenarios": {"s1": "a", "s2": "b"}, "n": 3}
    path.write_bytes(packed(about, under("x", {"a": np.arange(3), "b": np.ones((2, 2))})))
    return path


def test_checkpoint_holds_what_was_kept(checkpoint: Path):
    about, arrays = unpacked(checkpoint, {"n": 3})
    assert about["n"] == 3
    assert below("x", arrays)["a"].tolist() == [0, 1, 2]


def test_scenario_that_changed_since_is_named(checkpoint: Path):
    wanted = {"training scenarios": {"s1": "a", "s2": "other"}}
    with pytest.raises(CheckpointError, match=r"its training scenarios changed \(s2\) since"):
        unpacked(checkpoint, wanted)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04cut off"])
def test_damaged_checkpoint_is_told(checkpoint: Path, content: bytes):
    checkpoint.write_bytes(content)
    with pytest.raises(CheckpointError, match="is no checkpoint, or damaged"):
        unpacked(checkpoint, {})


def test_checkpoint_with_a_pickle_is_refused(tmp_path: Path):
    path = tmp_path / CHECKPOINT_NAME
    np.savez(path, about=np.array([object()], object))
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        unpacked(path, {})


def test_folder_without_a_checkpoint_cannot_go_on(tmp_path: Path):
    with pytest.raises(CheckpointError, match="has no checkpoint.npz: the run is over, or"):
        RunFolder(tmp_path, overwrite=False, resume=True)
