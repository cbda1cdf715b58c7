"""Inner functions are compiled into those that call them, and nowhere else."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numba
import pytest

from tdx_env import linking
from tdx_env.jit import inner

ROOT = Path(__file__).resolve().parents[1]
needs_compiler = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
PRIVATE = ("numba.core", "numba.np", "llvmlite")


@inner
def _half(number: int) -> int:
    return number // 2


@inner
def _half_and_one(number: int) -> int:
    return _half(number) + 1


@pytest.fixture(scope="module")
def outer() -> Any:
    """A compiled function that calls an inner one, which calls another."""

    @numba.njit
    def twice(number: int) -> int:
        return 2 * _half_and_one(number)

    assert twice(7) == 8
    return twice


@needs_compiler
def test_callers_have_the_code_of_inner_functions(outer):
    assert outer(20) == 22


@needs_compiler
@pytest.mark.parametrize("function", [_half, _half_and_one])
def test_inner_functions_have_no_machine_code_of_their_own(outer, function):
    (compiled,) = function.overloads.values()
    engine = numba.core.registry.cpu_target.target_context.codegen()._engine
    assert not engine.is_symbol_defined(compiled.fndesc.llvm_func_name)


# --- what is private to numba


def _imported(path: Path) -> set[str]:
    """Return the modules that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_private_parts_of_numba_are_in_two_modules():
    users = {
        path.relative_to(ROOT).as_posix()
        for folder in ("tdx_env", "agents", "train", "eval")
        for path in (ROOT / folder).rglob("*.py")
        if any(name.startswith(PRIVATE) for name in _imported(path))
    }
    assert users == {"tdx_env/frontend.py", "tdx_env/linking.py"}


def test_numba_is_pinned_to_what_was_tried():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pin,) = (name for name in project["dependencies"] if name.startswith("numba"))
    major, minor = linking.TRIED.split(".")
    assert pin == f"numba>={linking.TRIED},<{major}.{int(minor) + 1}"
    assert linking.IS_TRIED


@pytest.mark.slow
def test_untried_numba_is_warned_of_and_works(tmp_path):
    file = tmp_path / "untried.py"
    file.write_text(
        "import numba\n"
        "numba.__version__ = '0.99.0'\n"
        "from tdx_env.jit import inner, kernel\n"
        "half = inner(lambda n: n // 2)\n"
        "print(kernel(lambda n: half(n) + 1)(8))\n"
    )
    done = subprocess.run(
        [sys.executable, str(file)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TDX_ENV_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "5"
    assert done.stderr.count("RuntimeWarning: numba 0.99.0 was not tried, only 0.68") == 1
