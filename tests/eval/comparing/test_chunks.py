"""Chunks of an unfinished run: what is kept, what is not used, who is refused."""

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from tdx_env.errors import OutputError
from tdx_eval.comparing.chunks import ChunkStore, differences, opened
from tdx_eval.comparing.episodes import CELL, EPISODE
from tdx_eval.comparing.jobs import Chunk
from tdx_eval.comparing.output import PARTS, SUMMARY, check_folder, write_text

PLAN = {"seeds": 10, "policies": {"a": {"digest": "1"}}}
KEYS = ["k1", "k2"]


def chunk(key: str, n: int = 3) -> Chunk:
    """Return a chunk with n episodes."""
    episodes = np.zeros(n, EPISODE)
    episodes["seed"] = np.arange(n)
    return Chunk(key, episodes, np.zeros(1, CELL))


def begun(folder: Path) -> Path:
    """Leave an unfinished run with one chunk in a folder."""
    with opened(folder, PLAN, KEYS, overwrite=False) as store:
        store.add(chunk("k1"))
    return folder / PARTS


def finished(folder: Path, keys: Collection[str] = KEYS) -> set[str]:
    """Return the keys of the chunks with which the same run goes on."""
    with opened(folder, PLAN, keys, overwrite=False) as store:
        return store.finished


def test_chunk_comes_back_as_it_was(tmp_path: Path):
    begun(tmp_path)
    assert finished(tmp_path) == {"k1"}
    store = ChunkStore(tmp_path, KEYS)
    assert (store.read("k1").episodes == chunk("k1").episodes).all()
    assert (store.read("k1").cells == chunk("k1").cells).all()


def test_chunk_of_another_key_is_not_used(tmp_path: Path):
    """The key is all that a chunk depends on."""
    begun(tmp_path)
    assert finished(tmp_path, ["k2", "k3"]) == set()
    assert not list((tmp_path / PARTS).glob("*.npz"))


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive"])
def test_damaged_chunk_is_not_used(tmp_path: Path, content: bytes):
    (begun(tmp_path) / "k1.npz").write_bytes(content)
    assert finished(tmp_path) == set()


def test_chunk_that_is_cut_off_is_not_used(tmp_path: Path):
    path = begun(tmp_path) / "k1.npz"
    path.write_bytes(path.read_bytes()[:-100])
    assert finished(tmp_path) == set()


def test_chunk_under_the_name_of_another_is_not_used(tmp_path: Path):
    """A chunk says itself whose it is."""
    folder = begun(tmp_path)
    (folder / "k1.npz").rename(folder / "k2.npz")
    with opened(tmp_path, PLAN, KEYS, overwrite=False) as store:
        assert (store.finished, store.n_dropped) == (set(), 1)


def test_chunk_without_a_key_is_not_used(tmp_path: Path):
    """As an earlier version wrote them."""
    path = begun(tmp_path) / "k1.npz"
    one = chunk("k1")
    np.savez(path, episodes=one.episodes, cells=one.cells)
    assert finished(tmp_path) == set()


def test_half_written_chunk_is_removed(tmp_path: Path):
    (begun(tmp_path) / "k2.tmp").write_bytes(b"half")
    assert finished(tmp_path) == {"k1"}
    assert not (tmp_path / PARTS / "k2.tmp").exists()


def test_another_plan_is_refused_and_leaves_all_as_it_was(tmp_path: Path):
    folder = begun(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    another = opened(tmp_path, PLAN | {"seeds": 20}, ["k9"], overwrite=False)
    with pytest.raises(OutputError, match="seeds is 10 there, 20 here"), another:
        pass
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_overwriting_another_plan_keeps_what_both_have(tmp_path: Path):
    begun(tmp_path)
    with opened(tmp_path, PLAN | {"seeds": 20}, ["k1", "k9"], overwrite=True) as store:
        assert store.finished == {"k1"}
    assert json.loads((tmp_path / PARTS / "plan.json").read_text())["seeds"] == 20


def test_run_of_another_version_is_refused_with_what_to_do(tmp_path: Path):
    (begun(tmp_path) / "plan.json").write_text(json.dumps(PLAN))
    wanted = r"another version of tdx-eval \(schema 1, here 2\).*another --out, or --overwrite"
    with pytest.raises(OutputError, match=wanted):
        finished(tmp_path)


def test_run_that_finished_meanwhile_is_not_written_over(tmp_path: Path):
    """Both have checked the folder; the lock is the second one's only when the first is done."""
    check_folder(tmp_path / "out", overwrite=False)
    check_folder(tmp_path / "out", overwrite=False)
    with opened(tmp_path / "out", PLAN, KEYS, overwrite=False) as store:
        write_text(tmp_path / "out" / SUMMARY, "{}")
        store.remove()
    second = opened(tmp_path / "out", PLAN, KEYS, overwrite=False)
    with pytest.raises(OutputError, match="another run has finished there meanwhile"), second:
        pass
    assert [path.name for path in (tmp_path / "out").iterdir()] == [SUMMARY]


def test_lock_that_was_removed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who finishes removes the lock's file; who waits with that file open locks nothing."""
    opened_files = []

    def lock_late(file, operation):
        opened_files.append(file)
        if len(opened_files) == 1:
            (tmp_path / PARTS / "lock").unlink()

    monkeypatch.setattr("fcntl.lockf", lock_late)
    with opened(tmp_path, PLAN, KEYS, overwrite=False):
        assert len(opened_files) == 2
        assert (tmp_path / PARTS / "lock").exists()


def test_damaged_plan_is_refused(tmp_path: Path):
    (begun(tmp_path) / "plan.json").write_text("{")
    with pytest.raises(OutputError, match="plan.json is damaged"):
        finished(tmp_path)


def test_differences_name_place_and_values():
    ours = {"policies": {"a": {"digest": "2"}, "b": {}}, "seeds": 10}
    assert list(differences(PLAN, ours)) == [
        'policies.a.digest is "1" there, "2" here',
        "policies.b is only here",
    ]
    assert list(differences(ours, PLAN))[1] == "policies.b is only there"


def test_second_process_is_refused(tmp_path: Path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom tdx_eval.comparing.chunks import opened\n"
        f"with opened(Path({str(tmp_path)!r}), {PLAN!r}, {KEYS!r}, overwrite=True): pass"
    )
    with opened(tmp_path, PLAN, KEYS, overwrite=False):
        command = [sys.executable, "-c", code]
        other = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "another run is writing there" in other.stderr


def test_finished_run_leaves_results_and_strangers(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    with opened(tmp_path, PLAN, KEYS, overwrite=True) as store:
        store.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_run_without_a_chunk_leaves_nothing(tmp_path: Path):
    with opened(tmp_path / "out", PLAN, KEYS, overwrite=False) as store:
        store.remove()
    assert not (tmp_path / "out").exists()
