"""Backends: all give the same results, and what is missing is named."""

import importlib.util
import sys
from pathlib import Path

import pytest

from tdx_env.errors import BackendError
from tdx_eval.comparing import backends

CLUSTERS = {"dask": "distributed", "ray": "ray"}
FAKE_RAY = """
from types import SimpleNamespace

exceptions = SimpleNamespace(RayError=OSError, RayTaskError=OSError)

def is_initialized():
    return True
"""
FAKE = """
from joblib import register_parallel_backend
from joblib._parallel_backends import ThreadingBackend

class Lists(ThreadingBackend):
    supports_return_generator = False

def register_ray():
    register_parallel_backend("ray", Lists)
"""


def squared(number: int, n_workers: int) -> tuple[int, int]:
    """Return a number's square, and how many worked."""
    return number**2, n_workers


@pytest.mark.parametrize(
    ("name", "n_workers"),
    [("sequential", 1), ("threading", 2), ("loky", 2), ("multiprocessing", 2)],
)
def test_every_item_is_worked_on_once(name: str, n_workers: int):
    found = list(backends.run_unordered(squared, range(40), name, 2))
    assert sorted(found) == [(number**2, n_workers) for number in range(40)]


def test_no_work_is_done_at_once():
    assert list(backends.run_unordered(squared, [], "threading", 2)) == []


def fail(number: int, n_workers: int) -> int:
    """Raise what a user's mistake raises."""
    raise BackendError(f"not {number}")


@pytest.mark.parametrize("name", ["sequential", "threading", "loky", "multiprocessing"])
def test_mistake_in_a_worker_is_raised_here(name: str):
    with pytest.raises(BackendError, match="not 1"):
        list(backends.run_unordered(fail, [1], name, 2))


def test_unknown_backend_is_told_the_known_ones():
    with pytest.raises(BackendError, match="--backend lokey: is unknown, must be one of: loky, "):
        backends.check_backend("lokey")


@pytest.mark.parametrize("name", CLUSTERS)
def test_missing_package_is_named(name: str):
    if importlib.util.find_spec(CLUSTERS[name]) is not None:
        pytest.skip("is installed")
    with pytest.raises(BackendError, match=rf"pip install '{name}.*give one of: loky.*threading"):
        backends.check_backend(name)


def test_backend_that_registers_itself_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A stand-in for ray, which returns all results of a call at once."""
    (tmp_path / "ray" / "util").mkdir(parents=True)
    (tmp_path / "ray" / "__init__.py").write_text(FAKE_RAY)
    (tmp_path / "ray" / "util" / "__init__.py").touch()
    (tmp_path / "ray" / "util" / "joblib.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("joblib.parallel.BACKENDS", dict(_backends()))
    monkeypatch.setattr(backends, "_SETTINGS", {})
    backends.check_backend("ray")
    found = list(backends.run_unordered(squared, range(40), "ray", 2))
    assert found == [(number**2, 2) for number in range(40)]
    for name in ("ray", "ray.util", "ray.util.joblib"):
        sys.modules.pop(name)


def _backends() -> dict[str, type]:
    """Return joblib's table of backends."""
    from joblib.parallel import BACKENDS

    found: dict[str, type] = BACKENDS
    return found
