"""What is said when the libraries of the extra ``train`` are missing."""

import subprocess
import sys
from pathlib import Path

import pytest

LIBRARIES = ["torch", "stable_baselines3", "sb3_contrib"]


def without(library: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process in which a library can't be imported."""
    code = f"import sys\nsys.modules[{library!r}] = None\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_command_says_in_a_line_how_to_get_what_is_missing(library: str, tmp_path: Path):
    arguments = ["tdx-train", "--config", "demo", "--out", str(tmp_path / "out")]
    code = f"sys.argv = {arguments!r}\nfrom tdx_train.cli import main\nmain()"
    done = without(library, code)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"tdx-train: training needs {library}")
    assert done.stderr.endswith("which is not installed: pip install 'tdx-env[train]'\n")
    assert not (tmp_path / "out").exists()


MODULES = ("model", "callback", "trainer", "vec_env")


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_module_that_needs_what_is_missing_names_the_extra(library: str):
    code = (
        f"import importlib\nfor name in {MODULES}:\n"
        "    try: importlib.import_module(f'tdx_train.{name}')\n"
        "    except ImportError as error: print(error)"
    )
    told = without(library, code).stdout.splitlines()
    assert len(told) == len(MODULES)
    assert all("pip install 'tdx-env[train]'" in line for line in told)
