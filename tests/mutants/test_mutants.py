"""Every deliberate mistake of the catalogue is noticed by the suite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant

_ROOT = Path(__file__).resolve().parents[2]
_SEARCH = ["-m", "tests.mutants.search"]  # compares kernel and oracle until they differ
_ROOMS = ("module", "status", "matrix")  # checked by their tables, the rest by the oracle
_PYTEST = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
_TABLES = [*_PYTEST, *(f"tests/{room}" for room in _ROOMS)]


def mutated(mutant: Mutant, folder: Path) -> Path:
    """Copy the package and its tests to a folder, with the mistake in it."""
    for name in ("tdx_env", "agents", "tests"):
        shutil.copytree(_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_ROOT / "pyproject.toml", folder)
    file = folder / "tdx_env" / mutant.file
    text = file.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.name}: its text stands in {mutant.file} not once"
    file.write_text(text.replace(mutant.old, mutant.new))
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_text_of_a_mutant_stands_once(mutant: Mutant) -> None:
    """A mutant whose text has moved would be no mistake any more."""
    assert (_ROOT / "tdx_env" / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    """The lock tables or the comparison with the oracle fail with the mistake in place."""
    folder = mutated(mutant, tmp_path)
    environment = {
        **os.environ,
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'agents'}",
    }
    check = _TABLES if mutant.file.split("/")[0] in _ROOMS else _SEARCH
    run = subprocess.run(
        [sys.executable, "-W", "ignore", *check],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 1, (
        f"{mutant.name} survived\n{run.stdout[-2000:]}\n{run.stderr[-2000:]}"
    )
