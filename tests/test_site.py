"""The pages of docs/: made pages are current, every page is in the site, its code works."""

import importlib.util
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from tdx_env.state.calls import Leaf, Lock

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
CHEAP = {"list", "show", "decode", "conflicts", "policies"}  # commands that play nothing
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield page and text of each block of code in a language."""
    for path in PAGES:
        for found, text in BLOCK.findall(path.read_text()):
            if found == language:
                yield path.relative_to(DOCS).as_posix(), text


ANSWERS = sorted((DOCS / "answers").glob("*.md"))
PYTHON = list(blocks("python"))
COMMANDS = [line for _, text in blocks("sh") for line in text.splitlines()]


def script(name: str) -> ModuleType:
    """Return a script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """Return the script that makes pages."""
    return script("generate")


@pytest.fixture(scope="module")
def answers() -> ModuleType:
    """Return the script that fills in the tables of answers."""
    return script("answers")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return a folder with the files that the pages speak of; it is the current one."""
    policy = next(text for page, text in PYTHON if page == "howto/own-policy.md")
    costs = re.search(r"```toml\n(.*?)```", (DOCS / "howto/measured-costs.md").read_text(), re.S)
    scenario = (ROOT / "tdx_env/scenarios/s09-accept-4k.toml").read_text()
    assert costs is not None
    (tmp_path / "my_policy.py").write_text(policy)
    (tmp_path / "my-costs.toml").write_text(costs[1])
    own = scenario.replace('"s09-accept-4k"', '"my-scenario"').replace('"S9"', '"own"')
    (tmp_path / "my-scenario.toml").write_text(own.replace("is_core = true\n", ""))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", sorted(path.name for path in (DOCS / "reference").iterdir()))
def test_made_page_is_current(name: str, generate: ModuleType) -> None:
    made = generate.PAGES[name]()
    assert (DOCS / "reference" / name).read_text() == made, "run: python docs/generate.py"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_every_page_is_in_the_site(path: Path) -> None:
    assert f": {path.relative_to(DOCS).as_posix()}\n" in (ROOT / "mkdocs.yml").read_text()


def test_glossary_has_25_terms_in_order() -> None:
    rows = re.findall(r"^\| (.+?) \|", (DOCS / "glossary.md").read_text(), re.MULTILINE)[1:]
    assert len(rows) == 25
    assert rows == sorted(rows, key=lambda term: term.replace("-", "").casefold())


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("tdx-")])
def test_command_of_a_page_is_understood(line, folder, capsys, generate) -> None:
    """Those that play nothing are run, of the others the options are read."""
    tool, *words = shlex.split(line)
    command = typer.main.get_command(generate.APPS[tool])
    child = getattr(command, "commands", {}).get(words[0])
    if child is None:
        command.make_context(tool, words)
    elif words[0] in CHEAP:
        command.main(words, standalone_mode=False)
        assert capsys.readouterr().out
    else:
        child.make_context(words[0], words[1:])


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_answer_has_tables_of_its_runs_and_says_what_an_answer_says(path, answers) -> None:
    text = path.read_text()
    places = answers.PLACE.findall(text)
    assert places
    for run, shown, table in places:
        slugs = {one.partition("/")[0] for one in answers.RUNS[run]["scenarios"]}
        assert set(shown.split(",")) <= slugs
        assert all(f"**{slug}**" in table for slug in shown.split(","))
        assert answers.command(answers.RUNS[run]) in table
        assert "Played on module" in table
    for part in ["When it turns", "How sure", "See it"]:
        assert f"**{part}" in text


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_answer_has_a_picture_of_its_own_figures(path: Path) -> None:
    pictures = script("answer_pictures")
    text = path.read_text()
    assert f"]({path.stem}.svg)" in text and path.with_suffix(".svg").exists()
    shown = pictures.panels(text, pictures.PICTURES[path.stem])
    assert shown and all(len(panel.rows) == len(shown[0].rows) > 1 for panel in shown)


def test_picture_of_the_locks_has_what_the_module_takes() -> None:
    modes = script("locks_picture").modes
    assert modes(Leaf.MEM_TRACK)[Lock.EPOCH] == "alone"
    assert modes(Leaf.VP_ENTER)[Lock.TREE] == "with others, if armed"
    assert modes(Leaf.ACCEPT) == {Lock.ENTRY: "alone"}


@pytest.mark.parametrize(
    ("cell", "value"),
    [("4,012", 4012), ("× 0.12 (0.1 to 0.2)", 0.12), ("-25.0% (-26% to -24%)", 0.75)],
)
def test_picture_reads_a_cell(cell: str, value: float) -> None:
    assert script("answer_pictures").value_of(cell) == value


def result(relative: float) -> dict[str, Any]:
    """Return a policy's result in a scenario, as a comparison writes it."""
    ends = {"value": relative, "low": relative - 0.01, "high": relative + 0.01}
    return {
        "cost": {"value": 25_000.0, "low": 1.0, "high": 2.0},
        "to_reference": {"relative": ends, "with_track": ends},
        "means": {"n_kicks": 3.0},
        "worst": {"longest_nonpreemptible_cycles": 2_500},
        "killed": 1, "hung": 1, "capped": 0, "n_episodes": 8,
    }  # fmt: skip


def test_table_of_an_answer_has_percents_factors_and_lost_tds(answers) -> None:
    results = {"p20-merged-6.19": result(-0.25), "p27-retry-once": result(-0.95)}
    name = "s06-conversion-calm/test"
    scenario = {"name": name, "title": "calm", "clock_khz": 2_500_000, "results": results}
    policies = {"p20-merged-6.19": {"number": "P20"}, "p27-retry-once": {"number": "P27"}}
    machines = {"module 1.5.34, KVM 6.19": 1}
    summary = {"scenarios": [scenario], "policies": policies, "footing": {"machines": machines}}
    text = answers.table("tries", ["s06-conversion-calm"], summary)
    percents = "-25.0% (-26.0% to -24.0%)"
    assert f"| P20 `p20-merged-6.19` | 10 | {percents} | {percents} | 1 | 3 | 2 of 8 |" in text
    assert "| × 0.05 (0.04 to 0.06) |" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "text"), PYTHON, ids=[f"{i} {p}" for i, (p, _) in enumerate(PYTHON)]
)
def test_python_of_a_page_runs(page: str, text: str, folder: Path) -> None:
    file = folder / f"{Path(page).stem}.py"  # compiled functions are kept beside their file
    file.write_text(text)
    runpy.run_path(str(file), run_name="page")
    assert ("save_bundle" in text) == (folder / "out").is_dir()


@pytest.mark.slow
def test_notebook_runs_and_its_page_is_current() -> None:
    """What it prints and what stands in it are the page's; pictures are the machine's own."""
    notebook = script("notebook")
    found = notebook.page(notebook.executed(notebook.NOTEBOOK), {})
    assert notebook.NOTEBOOK.with_suffix(".md").read_text() == found, "run: python docs/notebook.py"


def test_matrix_of_lost_tds_is_that_of_the_chains() -> None:
    matrix = script("lost_matrix")
    assert matrix.PAGE.read_text() == matrix.page((DOCS / "lost.md").read_text())


@pytest.mark.parametrize(
    ("counts", "mark"),
    [
        ("40 killed", "**k**"),
        ("40 hung", "**h**"),
        ("30 killed and 10 hung", "**x**"),
        ("1 killed", "2"),
    ],
)
def test_cell_of_the_matrix(counts: str, mark: str) -> None:
    assert script("lost_matrix").cell_of(counts, 40, "1, 5") == (mark, frozenset({1, 5}))
