"""Tests of the folder that a run writes to."""

import os
import signal
from pathlib import Path

import pytest

from tdx_env.errors import OutputError
from tdx_train.run_folder import RunFolder, _ctrl_c_waits


def test_new_folder_is_made_with_its_parents(tmp_path: Path):
    RunFolder(tmp_path / "a" / "b", overwrite=False)
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_folder_with_files_is_refused(tmp_path: Path):
    (tmp_path / "progress.csv").touch()
    with pytest.raises(OutputError, match="isn't empty, must be a new folder .*--overwrite"):
        RunFolder(tmp_path, overwrite=False)
    assert (tmp_path / "progress.csv").exists()


def test_overwriting_removes_an_earlier_run_and_nothing_else(tmp_path: Path):
    for name in ("progress.csv", "bundle.json", "notes.txt"):
        (tmp_path / name).touch()
    RunFolder(tmp_path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


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
