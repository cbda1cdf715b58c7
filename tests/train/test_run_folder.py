"""Tests of the folder that a run writes to."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tdx_agents import Manifest, Training, load_bundle
from tdx_agents.network import weight_shapes
from tdx_env.errors import OutputError
from tdx_train import run_folder
from tdx_train.run_folder import RunFolder, _ctrl_c_waits


@pytest.fixture(scope="module")
def agent() -> tuple[dict[str, np.ndarray], Manifest]:
    """An agent: weights of zeros, and what describes them."""
    training = Training(config_digest="", seeds=(1,), scenario_digests={})
    manifest = Manifest(name="new", hidden=(), activation="relu", training=training)
    shapes = weight_shapes(manifest.layers)
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, manifest


@pytest.fixture
def earlier(tmp_path: Path, agent) -> dict[str, bytes]:
    """What lies in tmp_path: an earlier run, and a file of somebody else."""
    weights, manifest = agent
    with RunFolder(tmp_path, overwrite=False) as folder:
        folder.save_config({"run": "earlier"})
        folder.log_path.write_text("earlier")
        folder.save_agent(weights, manifest.model_copy(update={"name": "earlier"}))
    (tmp_path / "notes.txt").touch()
    return content_of(tmp_path)


def content_of(path: Path) -> dict[str, bytes]:
    """Return what lies in a folder."""
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_new_folder_is_made_with_its_parents_and_goes_if_nothing_comes_of_it(tmp_path: Path):
    with RunFolder(tmp_path / "a" / "b", overwrite=False) as folder:
        folder.save_config({})
        assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a" / "b").exists()


def test_folder_with_files_is_refused(tmp_path: Path):
    (tmp_path / "progress.csv").touch()
    with pytest.raises(OutputError, match="isn't empty, must be a new folder .*--overwrite"):
        RunFolder(tmp_path, overwrite=False)
    assert (tmp_path / "progress.csv").exists()


def test_run_without_an_agent_leaves_the_earlier_run_whole(tmp_path: Path, earlier):
    with pytest.raises(RuntimeError), RunFolder(tmp_path, overwrite=True) as folder:
        folder.save_config({"run": "new"})
        folder.log_path.write_text("new")
        raise RuntimeError
    assert content_of(tmp_path) == earlier


def test_agent_that_cannot_be_saved_leaves_the_earlier_run_whole(
    tmp_path: Path, earlier, agent, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with RunFolder(tmp_path, overwrite=True) as folder:
        folder.save_config({"run": "new"})
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(OutputError, match="No space left on device"):
            folder.save_agent(*agent)
    assert content_of(tmp_path) == earlier


def test_first_agent_replaces_the_earlier_run_and_nothing_else(tmp_path: Path, earlier, agent):
    with RunFolder(tmp_path, overwrite=True) as folder, folder.log_path.open("w") as log:
        folder.save_config({"run": "new"})
        assert content_of(tmp_path).items() >= earlier.items()
        folder.save_agent(*agent)
        log.write("new")
    assert load_bundle(tmp_path).name == "new"
    assert (tmp_path / "progress.csv").read_text() == "new"
    assert json.loads((tmp_path / "config.json").read_text()) == {"run": "new"}
    assert content_of(tmp_path).keys() == earlier.keys()


def test_two_runs_in_one_folder_are_refused(tmp_path: Path):
    with RunFolder(tmp_path, overwrite=False):
        for overwrite in (False, True):
            with pytest.raises(OutputError, match="another run is writing there"):
                RunFolder(tmp_path, overwrite)
    RunFolder(tmp_path, overwrite=False).close()


def test_run_that_ended_just_before_the_lock_was_taken_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def locked_late(folder: Path) -> int:
        (folder / "bundle.json").write_text("of another run")
        return take_lock(folder)

    take_lock = run_folder._locked
    monkeypatch.setattr(run_folder, "_locked", locked_late)
    with pytest.raises(OutputError, match="isn't empty"):
        RunFolder(tmp_path, overwrite=False)
    assert content_of(tmp_path) == {"bundle.json": b"of another run"}


def test_killed_run_lets_the_next_one_in_and_its_leftovers_go(tmp_path: Path, agent):
    code = (
        "import os; from pathlib import Path; from tdx_train.run_folder import RunFolder\n"
        f"folder = RunFolder(Path({str(tmp_path)!r}), overwrite=False)\n"
        "folder.save_config({}); folder.log_path.write_text('half')\n"
        "(folder.path / '.bundle.json.77').write_text('half')\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert content_of(tmp_path)
    with RunFolder(tmp_path, overwrite=False):
        assert list(content_of(tmp_path)) == [".lock"]


def test_folder_that_was_removed_meanwhile_is_no_mistake_of_the_run(tmp_path: Path):
    with RunFolder(tmp_path / "out", overwrite=False):
        shutil.rmtree(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + "/out"])
def test_name_that_is_too_long_is_told(tmp_path: Path, name: str):
    with pytest.raises(OutputError, match="can't be written: File name too long"):
        RunFolder(tmp_path / name, overwrite=True)


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="is a file, must be a folder"):
        RunFolder(tmp_path / "out", overwrite=True)


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can't be written"):
        RunFolder(tmp_path / "file" / "out", overwrite=False)


def test_interrupt_waits_until_the_agent_is_saved():
    is_over = False
    with pytest.raises(KeyboardInterrupt), _ctrl_c_waits():
        os.kill(os.getpid(), signal.SIGINT)
        is_over = True
    assert is_over
