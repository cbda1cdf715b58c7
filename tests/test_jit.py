"""The compile cache can't go stale, and a machine without one still works."""

import gc
import importlib
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numba
import pytest

from tdx_env import jit

ROOT = Path(__file__).resolve().parents[1]
needs_compiler = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Two folders of sources in place of the project's."""
    for name in ("simulator", "policies"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.py").write_text("A = 1\n")
    folders = [tmp_path / "simulator", tmp_path / "policies"]
    monkeypatch.setattr(jit, "_sources", lambda: folders)
    return tmp_path


def test_digest_of_the_same_sources_is_the_same(sources):
    assert jit._digest() == jit._digest()


@pytest.mark.parametrize("folder", ["simulator", "policies"])
def test_digest_changes_with_a_source(folder, sources):
    before = jit._digest()
    (sources / folder / "one.py").write_text("A = 2\n")
    assert jit._digest() != before


def test_digest_changes_with_a_new_source_in_a_folder_below(sources):
    before = jit._digest()
    (sources / "simulator" / "below").mkdir()
    (sources / "simulator" / "below" / "__init__.py").write_text("")
    assert jit._digest() != before


def test_digest_changes_with_a_name(sources):
    before = jit._digest()
    (sources / "policies" / "one.py").rename(sources / "policies" / "two.py")
    assert jit._digest() != before


def test_digest_leaves_other_files_out(sources):
    """A scenario is no code: editing one compiles nothing anew."""
    before = jit._digest()
    (sources / "simulator" / "s99.toml").write_text("a = 1\n")
    assert jit._digest() == before


def test_digest_changes_with_the_compilers_version(sources, monkeypatch):
    before = jit._digest()
    monkeypatch.setattr(numba, "__version__", "0.0.0")
    assert jit._digest() != before


def test_digest_changes_with_bounds_checks(sources, monkeypatch):
    """Code from the cache ignores NUMBA_BOUNDSCHECK, so it has a folder of its own."""
    before = jit._digest()
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1 - (numba.config.BOUNDSCHECK or 0))
    assert jit._digest() != before


def test_project_sources_are_those_with_kernels_and_policies():
    folders = [folder.relative_to(ROOT).as_posix() for folder in jit._sources()]
    assert folders == ["tdx_env", "agents/tdx_agents"]


def test_compiling_leaves_numbas_own_setting_alone():
    before = numba.config.CACHE_DIR
    jit.kernel(lambda: 0)
    assert before == numba.config.CACHE_DIR


@pytest.fixture
def package(tmp_path):
    """A package of its own with a kernel whose constant stands in another file."""
    folder = tmp_path / "simulator"
    folder.mkdir()
    shutil.copy(ROOT / "tdx_env" / "jit.py", folder)
    (folder / "__init__.py").write_text("")
    (folder / "costs.py").write_text("COST = 1\n")
    (folder / "rules.py").write_text(
        "from simulator.costs import COST\n"
        "from simulator.jit import kernel\n\n\n"
        "@kernel\n"
        "def cost_of(n):\n"
        "    return n * COST\n"
    )
    return folder


def result_in_a_process(package: Path, **settings: str) -> tuple[int, int]:
    """Return the kernel's result, and how often the cache had it."""
    code = (
        "from simulator.rules import cost_of\n"
        "result = cost_of(1)\n"
        "hits = sum(cost_of.stats.cache_hits.values()) if hasattr(cost_of, 'stats') else -1\n"
        "print(result, hits)\n"
    )
    cache = {"TDX_ENV_CACHE_DIR": str(package.parent / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=package.parent,
        env={**os.environ, "NUMBA_DISABLE_JIT": "0", **cache, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    result, hits = done.stdout.split()
    return int(result), int(hits)


def result_of(package: Path, cache: Path | None = None) -> tuple[int, int, list[str]]:
    """Return the kernel's result, how often the cache had it, and what was warned of.

    The package is imported as if it never was.
    """
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        patch.setenv("TDX_ENV_CACHE_DIR", str(cache or package.parent / "cache"))
        patch.setattr(sys, "dont_write_bytecode", True)  # a file changed within a second is new
        patch.setattr(sys, "path", [str(package.parent), *sys.path])
        importlib.invalidate_caches()
        for name in [name for name in sys.modules if name.split(".")[0] == "simulator"]:
            patch.delitem(sys.modules, name)
        cost_of = importlib.import_module("simulator.rules").cost_of
        result, hits = cost_of(1), sum(cost_of.stats.cache_hits.values())
        for name in [name for name in sys.modules if name.split(".")[0] == "simulator"]:
            del sys.modules[name]
    return result, hits, [f"{one.category.__name__}: {one.message}" for one in told]


@pytest.mark.slow
def test_second_process_finds_the_code_in_the_cache(package):
    assert result_in_a_process(package) == (1, 0)
    assert result_in_a_process(package) == (1, 1)


@needs_compiler
def test_constant_changed_in_another_file_is_no_stale_code(package):
    """What numba's own cache gets wrong: it looks at the kernel's file alone."""
    assert result_of(package)[0] == 1
    (package / "costs.py").write_text("COST = 5\n")
    assert result_of(package)[:2] == (5, 0)


@needs_compiler
def test_function_that_only_kernels_call_is_cached_within_them(package):
    (package / "costs.py").write_text(
        "from simulator.jit import inner\n\n\n@inner\ndef cost():\n    return 3\n"
    )
    rules = (package / "rules.py").read_text().replace("import COST", "import cost")
    (package / "rules.py").write_text(rules.replace("n * COST", "n * cost()"))
    assert result_of(package)[:2] == (3, 0)
    assert result_of(package)[:2] == (3, 1)
    names = [path.name for path in (package.parent / "cache").rglob("*.nbc")]
    assert len(names) == 1 and names[0].startswith("rules.cost_of")


DAMAGES = {"empty": lambda data: b"", "cut": lambda data: data[: len(data) // 2]}
DAMAGES |= {"a byte short": lambda data: data[:-1], "zeros": lambda data: bytes(len(data))}


@needs_compiler
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_file_of_the_cache_is_dropped_with_a_warning(suffix, damage, package):
    """As a full disk or a crash leaves it; whoever comes after that one finds sound code."""
    assert result_of(package)[:2] == (1, 0)
    (file,) = (package.parent / "cache").rglob(f"*.{suffix}")
    file.write_bytes(damage(file.read_bytes()))
    result, hits, told = result_of(package)
    assert (result, hits) == (1, 0)
    (warning,) = told
    assert warning.startswith("RuntimeWarning") and "damaged" in warning
    assert result_of(package) == (1, 1, [])


@needs_compiler
def test_machine_without_a_cache_is_warned_once_and_works(package):
    file = package.parent / "file"
    file.write_text("")
    result, hits, told = result_of(package, cache=file / "below")
    assert (result, hits) == (1, 0)
    (warning,) = told
    assert warning.startswith("RuntimeWarning") and "TDX_ENV_CACHE_DIR" in warning


@pytest.mark.slow
def test_simulator_without_a_cache_is_warned_once_and_works(tmp_path):
    """Two kernels of the real package, of different files."""
    file = tmp_path / "file"
    file.write_text("")
    code = (
        "from tdx_env.module.locks import sharex_acquire_shared\n"
        "from tdx_env.module.operand_classes import operand_class\n"
        "print(operand_class(0, 0), sharex_acquire_shared(0)[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "0", "TDX_ENV_CACHE_DIR": str(file / "below")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[1].endswith("0")
    assert done.stderr.count("RuntimeWarning") == 1


@pytest.mark.slow
def test_nothing_is_compiled_if_the_compiler_is_off(package):
    assert result_in_a_process(package, NUMBA_DISABLE_JIT="1") == (1, -1)
    assert not list((package.parent / "cache").rglob("*.nbc"))


@needs_compiler
def test_decision_functions_have_one_signature():
    def first(features):
        return 0

    def second(features):
        return features[0] + 1

    compiled = [jit.decision(function) for function in (first, second)]
    assert compiled[0].nopython_signatures == compiled[1].nopython_signatures
    assert len(compiled[0].nopython_signatures) == 1


@needs_compiler
def test_functions_are_counted_once_each_while_they_are_compiled():
    """Whoever waits for the simulator sees a number that grows to that of its functions."""
    third = jit.inner(lambda number: number // 3)
    outer = jit.kernel(lambda number: third(number) + third(number > 1))
    told: list[int] = []
    n_before = jit.n_marked()
    with jit.count_compiled(told.append):
        outer(9)
    assert told == [1, 2, 2]
    jit.inner(lambda number: number)
    assert jit.n_marked() == n_before + 1


@needs_compiler
def test_compiling_leaves_numba_and_the_collector_as_they_were():
    event: Any = numba.core.event
    before = (event.install_timer, gc.isenabled())
    jit.kernel(lambda number: number + 1)(1)
    assert (event.install_timer, gc.isenabled()) == before
