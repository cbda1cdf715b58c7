"""What is built and installed: the wheel, its version, what it needs."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy
import pytest

import tdx_env

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCES = ("tdx_env", "agents", "train", "eval", "pyproject.toml", "README.md", "LICENSE")
PACKAGES = {
    "tdx_env": (ROOT / "tdx_env", ("eval",)),  # for pictures alone
    "tdx_agents": (ROOT / "agents" / "tdx_agents", ("train", "eval")),
    "tdx_train": (ROOT / "train" / "tdx_train", ("train",)),
    "tdx_eval": (ROOT / "eval" / "tdx_eval", ("eval",)),
}
BROUGHT = {"llvmlite", "pydantic-core"}
"""Parts of numba and pydantic, in the very version that those want."""

THEIRS = ("agents.py", "train.py", "eval.py", "benchmarks.py", "tests.py")
"""Files of a user whose names are those of the project's folders."""

CHECKS = """
import sys
import gymnasium, tdx_env, tdx_agents, tdx_train, tdx_eval
for package in (tdx_env, tdx_agents, tdx_train, tdx_eval):
    assert package.__file__.startswith(sys.prefix), package.__file__
assert tdx_agents.load("P18").number == "P18"
assert tdx_agents.load("default").name == "agent-cpu"
env = gymnasium.make("tdx_env/SeamcallRetry-v0", scenario="s22-clean/test")
_, info = env.reset(seed=1)
ended = False
while not ended:
    _, _, terminated, truncated, info = env.step(0)
    ended = terminated or truncated
assert terminated
"""


def plain(requirement: str) -> str:
    """Return the name of a requirement, as it is compared."""
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def third_party(folder: Path) -> set[str]:
    """Return the top-level modules of others that a package imports, anywhere."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_import_is_declared(name: str) -> None:
    folder, extras = PACKAGES[name]
    declared = {plain(one) for one in PROJECT["dependencies"]} | BROUGHT
    declared |= {plain(one) for e in extras for one in PROJECT["optional-dependencies"][e]}
    known = packages_distributions()
    for module in third_party(folder):
        assert {plain(one) for one in known.get(module, [module])} & declared, module


def test_version_stands_in_one_place() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert "version" not in PROJECT
    assert re.fullmatch(r"\d+\.\d+\.\d+", tdx_env.__version__)
    assert f"## {tdx_env.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def copied_to(folder: Path) -> Path:
    """Copy what the wheel is built from, since a build leaves files beside its sources."""
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def pip(*arguments: str | Path) -> None:
    """Run pip without a network."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*command, *map(str, arguments)], check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it, and a user's folder beside it.

    The libraries are those of the environment that runs the tests, by a path; what is installed
    there of this project isn't seen, since it is no part of the path.
    """
    folder = tmp_path_factory.mktemp("clean")
    source = copied_to(folder / "source")
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", folder, source)
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "libraries.pth").write_text(f"{Path(numpy.__file__).parents[1]}\n")
    mine = folder / "mine"
    mine.mkdir()
    for name in THEIRS:
        (mine / name).write_text("raise SystemExit('a user's file was imported')\n")
    return folder


def run_in(clean: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the clean environment in the user's folder."""
    program, *rest = arguments
    return subprocess.run(
        [str(clean / "venv" / "bin" / program), *rest],
        cwd=clean / "mine",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_wheel_works_beside_files_of_the_user(clean: Path) -> None:
    done = run_in(clean, "python", "-c", CHECKS)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("tdx-env", "list"), "s22-clean"),
        (("tdx-env", "simulate", "s22-clean/test", "--policy", "P18"), "All work was done."),
        (("tdx-eval", "policies"), "p18-merged-6.16"),
        (("tdx-train", "--help"), "--config"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_commands_of_the_wheel_run(clean: Path, arguments: tuple[str, ...], wanted: str) -> None:
    done = run_in(clean, *arguments)
    assert done.returncode == 0, done.stderr
    assert wanted in done.stdout


@pytest.mark.slow
def test_wheel_installs_four_names_and_their_data(clean: Path) -> None:
    (site,) = (clean / "venv" / "lib").glob("python*/site-packages")
    installed = {one.name for one in site.iterdir() if one.is_dir()}
    assert {one for one in installed if not one.endswith(".dist-info")} == set(PACKAGES)
    for package, (folder, _) in PACKAGES.items():
        wanted = {one.relative_to(folder) for one in folder.rglob("*.*") if is_data(one)}
        assert all((site / package / one).is_file() for one in wanted)


def is_data(path: Path) -> bool:
    """Say whether a file of a package is no code but belongs to it."""
    return path.is_file() and path.suffix not in (".py", ".pyc")
