"""The output folder: what is checked first, and what stays."""

from pathlib import Path

import pandas as pd
import pytest

from tdx_env.errors import OutputError
from tdx_eval.comparing.output import (
    PARTS,
    RESULTS,
    check_file,
    check_folder,
    check_new_file,
    remove_results,
    write_table,
    write_text,
)

ROWS = pd.DataFrame({"seed": [1, 2]})


def test_existing_folder_needs_overwrite(tmp_path: Path):
    with pytest.raises(OutputError, match="--overwrite"):
        check_folder(tmp_path, overwrite=False)
    check_folder(tmp_path, overwrite=True)


def test_unfinished_run_needs_no_overwrite(tmp_path: Path):
    (tmp_path / PARTS).mkdir()
    check_folder(tmp_path, overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == [PARTS]


def test_file_is_no_folder(tmp_path: Path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError):
            check_folder(place, overwrite=True)


def test_file_of_results_is_checked_before_any_work(tmp_path: Path):
    check_file(tmp_path / "new.json")
    for place in (tmp_path, tmp_path / ("x" * 300), tmp_path / "file" / "below"):
        (tmp_path / "file").touch()
        with pytest.raises(OutputError):
            check_file(place)


def test_file_that_is_there_is_replaced_only_if_asked(tmp_path: Path):
    file = tmp_path / "map.html"
    check_new_file(file, overwrite=False)
    file.touch()
    check_new_file(file, overwrite=True)
    with pytest.raises(OutputError, match="exists already, give another --out, or --overwrite"):
        check_new_file(file, overwrite=False)


def test_longest_name_can_be_written(tmp_path: Path):
    """What is written under another name first needs no longer one."""
    write_text(tmp_path / ("x" * 255), "whole")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def test_only_our_own_results_are_removed(tmp_path: Path):
    write_table(tmp_path / RESULTS, ROWS)
    (tmp_path / "notes.txt").write_text("mine")
    remove_results(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_table_comes_back_as_it_was(tmp_path: Path):
    write_table(tmp_path / RESULTS, ROWS)
    assert pd.read_parquet(tmp_path / RESULTS).equals(ROWS)
    assert [path.name for path in tmp_path.iterdir()] == [RESULTS]
