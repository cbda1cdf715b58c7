"""Imports point one way, and importing is cheap."""

import ast
import subprocess
import sys
from collections.abc import Iterator
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
STATUS = MODULE | {"tdx_env.status"}
MATRIX = STATUS | {"tdx_env.matrix"}
GUEST = MODULE | {"tdx_env.guest"}
HOST = GUEST | {"tdx_env.host"}
SEEN = HOST | {"tdx_env.spaces"}
ENGINE = SEEN | {"tdx_env.engine"}
ENV = ENGINE | {"tdx_env.scenarios"}
CLIENT = {f"tdx_env.{name}" for name in ("info", "env_snapshot", "arguments", "repertoire")}
BELOW_EVAL = {"tdx_env", "tdx_agents"}
STUDIED = BELOW_EVAL | {"tdx_eval.comparing", "tdx_eval.reporting"}
ALLOWED = {
    "tdx_env": set(),
    "tdx_env.jit": {"tdx_env.frontend", "tdx_env.linking"},
    "tdx_env.linking": {"tdx_env.frontend"},
    "tdx_env.frontend": set(),
    "tdx_env.errors": set(),
    "tdx_env.toml_file": {"tdx_env.errors"},
    "tdx_env.state": BASE,
    "tdx_env.module": STATE,
    "tdx_env.status": MODULE,
    "tdx_env.matrix": STATUS,
    "tdx_env.guest": MODULE,
    "tdx_env.host": GUEST,
    "tdx_env.engine": SEEN | {"tdx_env.linking"},
    "tdx_env.feature_rows": MODULE,
    "tdx_env.spaces": MODULE | {"tdx_env.feature_rows"},
    "tdx_env.scenarios": MODULE | {"tdx_env.toml_file"},
    "tdx_env.info": ENGINE,
    "tdx_env.env_snapshot": ENGINE,
    "tdx_env.arguments": ENV,
    "tdx_env.repertoire": ENV | {"tdx_env.arguments"},
    "tdx_env.episode": ENGINE,
    "tdx_env.discounting": {"tdx_env.errors"},
    "tdx_env.timeline": ENGINE,
    "tdx_env.series": ENV | {"tdx_env.arguments"},
    "tdx_env.env": ENV | CLIENT | {"tdx_env.episode", "tdx_env.timeline"},
    "tdx_env.vector_info": ENV | {"tdx_env.info", "tdx_env.series"},
    "tdx_env.vector": ENV | CLIENT | {"tdx_env.series", "tdx_env.vector_info"},
    "tdx_env.multi_objective": ENV | {"tdx_env.env", "tdx_env.vector"},
    "tdx_env.simulate": ENV | {"tdx_env.status"},
    "tdx_env.cli": {
        f"tdx_env.{name}" for name in ("cli_decode", "cli_module", "cli_scenarios", "simulate")
    }
    | {"tdx_env.engine", "tdx_env.scenarios", "tdx_env.command", "tdx_env.table"},
    "tdx_env.command": {"tdx_env.errors"},
    "tdx_env.table": set(),
    "tdx_env.cli_decode": STATUS,
    "tdx_env.cli_module": MATRIX | {"tdx_env.table"},
    "tdx_env.cli_scenarios": MODULE | {"tdx_env.scenarios", "tdx_env.table"},
    "tdx_agents": {"tdx_env"},
    "tdx_train": {"tdx_env", "tdx_agents"},
    "tdx_eval": set(),
    "tdx_eval.cli": {"tdx_env.command", "tdx_eval.commands"},
    "tdx_eval.commands": STUDIED
    | {f"tdx_eval.{study}" for study in ("reality", "costs", "lost", "ranks", "reward_scales")}
    | {f"tdx_eval.{study}" for study in ("tracing", "forking", "mapping", "auditing", "flushing")}
    | {f"tdx_eval.{study}" for study in ("room", "regret", "worst", "exporting", "sweeping")}
    | {f"tdx_eval.{study}" for study in ("searching", "distilling")},
    "tdx_eval.reality": STUDIED,
    "tdx_eval.costs": STUDIED,
    "tdx_eval.lost": STUDIED,
    "tdx_eval.ranks": STUDIED,
    "tdx_eval.flushing": BELOW_EVAL,
    "tdx_eval.sweeping": STUDIED,
    "tdx_eval.regret": STUDIED,
    "tdx_eval.worst": BELOW_EVAL,
    "tdx_eval.exporting": BELOW_EVAL | {"tdx_eval.worst"},
    "tdx_eval.searching": BELOW_EVAL | {"tdx_eval.comparing"},
    "tdx_eval.distilling": BELOW_EVAL | {"tdx_eval.searching", "tdx_eval.room"},
    "tdx_eval.room": STUDIED | {"tdx_eval.flushing"},
    "tdx_eval.tracing": STUDIED,
    "tdx_eval.forking": STUDIED | {"tdx_eval.tracing"},
    "tdx_eval.mapping": STUDIED,
    "tdx_eval.auditing": STUDIED,
    "tdx_eval.abandoned": STUDIED | {"tdx_eval.lost"},
    "tdx_eval.coverage": {"tdx_eval.comparing"},
    "tdx_eval.waiting_rate": BELOW_EVAL,
    "tdx_eval.track_busy": STUDIED | {"tdx_eval.reality"},
    "tdx_eval.reward_scales": STUDIED,
    "tdx_eval.reporting": {"tdx_eval.comparing"},
    "tdx_eval.comparing": BELOW_EVAL,
}
DIVIDED = {"tdx_env", "tdx_eval"}  # packages whose parts have rows of their own
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


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_hidden_by_a_name_of_its_package(package):
    """Else `import tdx_agents.load` would give the function of that name."""
    tree = ast.parse((PACKAGES[package] / "__init__.py").read_text())
    names = {alias.asname or alias.name for alias in imports_of(tree)}
    assert not names & {path.stem for path in PACKAGES[package].glob("*.py")}


def imports_of(tree: ast.Module) -> Iterator[ast.alias]:
    """Yield what a module imports by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from node.names


def test_no_two_modules_of_policies_and_training_have_one_name():
    stems = [{p.stem for p in PACKAGES[name].glob("*.py")} for name in ("tdx_agents", "tdx_train")]
    assert stems[0] & stems[1] == {"__init__"}


def circle_of(arrows: dict[str, set[str]]) -> list[str]:
    """Return modules that import each other in a circle, if there are such."""
    left = dict(arrows)
    while True:
        last = [name for name, wanted in left.items() if not wanted & left.keys()]
        if not last:
            return list(left)
        for name in last:
            del left[name]


# Folders whose modules import each other: there too, every arrow points down.
FOLDERS = [
    f"tdx_env.{name}" for name in ("state", "module", "guest", "host", "engine", "scenarios")
]
FOLDERS += ["tdx_agents", "tdx_train", "tdx_eval"]


def modules_in(folder: str) -> dict[str, ast.Module]:
    """Return the modules of a folder, without the folder's own `__init__`."""
    return {name: tree for name, tree in MODULES if name.startswith(f"{folder}.")}


def is_in(name: str, module: str) -> bool:
    """Say whether a name is that of a module or of something in it."""
    return f"{name}.".startswith(f"{module}.")


@pytest.mark.parametrize("folder", FOLDERS)
def test_modules_of_a_folder_do_not_import_in_a_circle(folder):
    """Imports for the type checker count as well."""
    inside = modules_in(folder)
    arrows: dict[str, set[str]] = {}
    for name, tree in inside.items():
        wanted = set(imported(tree))
        arrows[name] = {other for other in inside if any(is_in(one, other) for one in wanted)}
    assert not circle_of(arrows)


@pytest.mark.parametrize("folder", FOLDERS)
def test_modules_of_a_folder_do_not_import_its_door(folder):
    """The folder's `__init__` imports its modules: from inside that would be a circle."""
    inside = modules_in(folder)
    for tree in inside.values():
        wanted = [one for one in imported(tree) if is_in(one, folder)]
        assert all(any(is_in(one, name) for name in inside) for one in wanted)


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
