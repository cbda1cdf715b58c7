"""The output folder: what is checked first, and what stays."""

from pathlib import Path

import pandas as pd
import pytest

from eval.output import PARTS, RESULTS, Parts, abandon, check, collect, prepare, write_table
from tdx_env.errors import OutputError

ROWS = pd.DataFrame({"seed": [1, 2]})


def test_existing_folder_needs_overwrite(tmp_path: Path):
    with pytest.raises(OutputError, match="--overwrite"):
        check(tmp_path, overwrite=False)
    check(tmp_path, overwrite=True)


def test_file_is_no_folder(tmp_path: Path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError):
            check(place, overwrite=True)


def test_chunks_come_back_in_the_order_of_the_jobs(tmp_path: Path):
    prepare(tmp_path)
    parts = Parts(tmp_path, "test")
    parts.add(10, ROWS + 10, pd.DataFrame())
    parts.add(2, ROWS, pd.DataFrame())
    episodes, cells, validation = collect(tmp_path)
    assert list(episodes["seed"]) == [1, 2, 11, 12]
    assert cells.empty
    assert validation.empty
    assert [path.name for path in tmp_path.iterdir()] == [RESULTS]


def test_failed_run_leaves_earlier_results_and_strangers(tmp_path: Path):
    write_table(tmp_path / RESULTS, ROWS)
    (tmp_path / "notes.txt").write_text("mine")
    prepare(tmp_path)
    Parts(tmp_path, "test").add(0, ROWS + 1, pd.DataFrame())
    abandon(tmp_path)
    assert not (tmp_path / PARTS).exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert pd.read_parquet(tmp_path / RESULTS).equals(ROWS)


def test_failed_first_run_leaves_nothing(tmp_path: Path):
    prepare(tmp_path / "out")
    abandon(tmp_path / "out")
    assert not (tmp_path / "out").exists()
