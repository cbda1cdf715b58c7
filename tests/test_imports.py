"""Imports point one way, and importing is cheap."""

import ast
import subprocess
import sys
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "tdx_env": ROOT / "tdx_env",
    "tdx_agents": ROOT / "agents" / "tdx_agents",
    "tdx_train": ROOT / "train" / "tdx_train",
    "tdx_eval": ROOT / "eval" / "tdx_eval",
}

# A part may import itself and what stands in its row.
BASE = {"tdx_env.jit", "tdx_env.errors"}
STATE = BASE | {"tdx_env.state"}
MODULE = STATE | {"tdx_env.module"}
GUEST = MODULE | {"tdx_env.guest"}
HOST = GUEST | {"tdx_env.host"}
SEEN = HOST | {"tdx_env.spaces"}
ENGINE = SEEN | {"tdx_env.engine"}
ENV = ENGINE | {"tdx_env.scenarios"}
BELOW_EVAL = {"tdx_env", "tdx_agents"}
STUDIED = BELOW_EVAL | {"tdx_eval.comparing", "tdx_eval.reporting"}
ALLOWED = {
    "tdx_env": set(),
    "tdx_env.jit": {"tdx_env.linking"},
    "tdx_env.linking": set(),
    "tdx_env.errors": set(),
    "tdx_env.state": BASE,
    "tdx_env.module": STATE,
    "tdx_env.guest": MODULE,
    "tdx_env.host": GUEST,
    "tdx_env.engine": SEEN,
    "tdx_env.spaces": MODULE,
    "tdx_env.scenarios": MODULE,
    "tdx_env.env": ENV,
    "tdx_env.vector": ENV | {"tdx_env.env"},
    "tdx_env.simulate": ENV,
    "tdx_env.cli": {f"tdx_env.{name}" for name in ("cli_module", "cli_scenarios", "simulate")}
    | {"tdx_env.engine", "tdx_env.scenarios", "tdx_env.command"},
    "tdx_env.command": {"tdx_env.errors"},
    "tdx_env.cli_module": MODULE,
    "tdx_env.cli_scenarios": MODULE | {"tdx_env.scenarios"},
    "tdx_agents": {"tdx_env"},
    "tdx_train": {"tdx_env", "tdx_agents"},
    "tdx_eval": set(),
    "tdx_eval.cli": {"tdx_env.command", "tdx_eval.commands"},
    "tdx_eval.commands": STUDIED | {"tdx_eval.reality", "tdx_eval.costs", "tdx_eval.lost"},
    "tdx_eval.reality": STUDIED,
    "tdx_eval.costs": STUDIED,
    "tdx_eval.lost": STUDIED,
    "tdx_eval.reporting": {"tdx_eval.comparing"},
    "tdx_eval.comparing": BELOW_EVAL,
}
DIVIDED = {"tdx_env", "tdx_eval"}  # packages whose parts have rows of their own
# Parts whose modules import each other in a circle: to be mended, and then removed from here.
KNOWN_CIRCLES = {"tdx_env.scenarios"}
LEARNING = {"torch", "stable_baselines3", "sb3_contrib"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield name and syntax tree of every module of the project."""
    for folder in PACKAGES.values():
        for path in sorted(folder.rglob("*.py")):
            name = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
            yield name.removesuffix(".__init__"), ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports, at its top or inside a function, as full names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they point"
            package, *inner = node.module.split(".")
            if package in PACKAGES and PACKAGES[package].joinpath(*inner).is_dir():
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def part_of(name: str) -> str:
    """Return the part of the project that a module or a name in it belongs to."""
    first, *rest = name.split(".")
    return f"{first}.{rest[0]}" if first in DIVIDED and rest else first


MODULES = list(modules())


@pytest.mark.parametrize(("name", "tree"), MODULES, ids=[name for name, _ in MODULES])
def test_module_imports_only_what_stands_below_it(name, tree):
    part = part_of(name)
    wanted = {other for other in imported(tree) if other.split(".")[0] in PACKAGES}
    allowed = ALLOWED[part] | {part}
    wrong = {w for w in wanted if part_of(w) not in allowed and w.split(".")[0] not in allowed}
    assert not wrong


def module_of(name: str, known: Container[str]) -> str | None:
    """Return the module that an imported name is, or is in; None if it is none of ours."""
    while name not in known:
        name, dot, _ = name.rpartition(".")
        if not dot:
            return None
    return name


def reached_from(name: str, arrows: Mapping[str, set[str]]) -> set[str]:
    """Return the modules that a module imports, at once or by way of others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        fresh = arrows[waiting.pop()] - found
        found |= fresh
        waiting += fresh
    return found


def circles(arrows: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Return the groups of modules each of which reaches all others of the group, and itself."""
    reached = {name: reached_from(name, arrows) for name in arrows}
    return {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in arrows
        if name in reached[name]
    }


def test_circle_is_found():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert circles(arrows) == {frozenset({"b", "c"})}


def test_no_modules_import_each_other_in_a_circle():
    """Imports inside functions and for type checking count too: they hide a circle."""
    known = {name for name, _ in MODULES}
    arrows = {
        name: {m for w in imported(tree) if (m := module_of(w, known)) is not None} - {name}
        for name, tree in MODULES
    }
    found = circles(arrows)
    assert {part_of(name) for circle in found for name in circle} == KNOWN_CIRCLES, found


def at_import(tree: ast.Module) -> ast.Module:
    """Return the part of a module that runs when it is imported, functions and classes aside."""
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return ast.Module(top, [])


@pytest.mark.parametrize(("name", "tree"), MODULES, ids=[name for name, _ in MODULES])
def test_simulator_and_policies_name_no_learning_library(name, tree):
    """The simulator never does; policies may load a network when they are asked to."""
    package = name.split(".")[0]
    if package == "tdx_agents":
        tree = at_import(tree)
    if package in ("tdx_env", "tdx_agents"):
        assert not {one.split(".")[0] for one in imported(tree)} & LEARNING


def loaded_after(code: str) -> set[str]:
    """Return the modules that a fresh process has loaded after some code."""
    code += "\nimport sys\nprint(*sys.modules)"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.slow
def test_import_of_the_package_needs_no_compiler():
    loaded = loaded_after("import tdx_env")
    assert "gymnasium" in loaded
    assert not loaded & ({"numba", "pydantic", "typer", "rich"} | LEARNING)


@pytest.mark.slow
def test_environment_needs_no_learning_library():
    loaded = loaded_after("import tdx_env.env, tdx_env.vector, tdx_env.simulate, tdx_agents")
    assert "numba" in loaded
    assert not loaded & (LEARNING | {"pandas", "matplotlib", "sklearn"})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tdx_env.cli", "tdx_train.cli", "tdx_eval.cli"])
def test_command_lines_import_late(name):
    """Help and mistakes come at once: what is slow to import waits until it is needed."""
    loaded = loaded_after(f"import {name}")
    assert not loaded & (LEARNING | {"numba", "pandas", "matplotlib"})


@pytest.mark.slow
def test_importing_everything_compiles_nothing(tmp_path):
    """Every module but the command lines of other packages, and the catalogue of policies."""
    names = [name for name, _ in MODULES if name.split(".")[0] in ("tdx_env", "tdx_agents")]
    code = (
        "import importlib, os\n"
        f"os.environ['TDX_ENV_CACHE_DIR'] = {str(tmp_path)!r}\n"
        "from numba.core.event import install_recorder\n"
        "with install_recorder('numba:compile') as recorder:\n"
        f"    for name in {names!r}:\n"
        "        importlib.import_module(name)\n"
        "assert not recorder.buffer, recorder.buffer\n"
    )
    loaded_after(code)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
