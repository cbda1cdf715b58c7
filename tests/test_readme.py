"""What the README and the pages that it sends its readers to first say works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tdx_env.cli import app as env_app
from tdx_env.scenarios import overrides_from
from tdx_eval.cli import main as evaluate
from tdx_eval.commands.app import app as eval_app
from tests.called import called

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
HOW_TO = ROOT / "docs" / "howto"
TEXTS = sorted([README, ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
APPS = {"tdx-env": env_app, "tdx-eval": eval_app}
COMMANDS = re.findall(r"^ +\.venv/bin/(tdx-.*)$", README.read_text(), re.MULTILINE)
PROSE = {"simulates"}  # what follows the project's name in a sentence


def block_of(page: Path) -> str:
    """Return a page's first Python block."""
    found = re.search(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert found is not None, page
    return found[1]


@pytest.mark.slow
def test_ten_lines_run(tmp_path: Path) -> None:
    """The README's lines run as they stand, and print a return and a count."""
    file = tmp_path / "ten_lines.py"
    file.write_text(block_of(README))
    run = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=True)
    total, n_kicks = run.stdout.split()
    assert float(total) <= 0 and int(n_kicks) >= 0


@pytest.mark.slow
def test_own_policy_is_compared(tmp_path: Path) -> None:
    """The policy of a page is one that `tdx-eval compare` takes."""
    file = tmp_path / "my_policy.py"
    file.write_text(block_of(HOW_TO / "own-policy.md"))
    arguments = ["--scenarios", "s08-accept-2m/test", "--policies", "P18", "--seeds", "2"]
    way = ["--policy", f"{file}:decide", "--jobs", 1, "--out", tmp_path / "mine"]
    run = called(evaluate, "tdx-eval", "compare", *arguments, *way)
    assert run.returncode == 0, run.stderr
    assert "my_policy" in (tmp_path / "mine" / "report.html").read_text()


@pytest.mark.slow
def test_own_agent_is_compared(tmp_path: Path) -> None:
    """The lines of a page train an agent that `tdx-eval compare` takes."""
    file = tmp_path / "my_agent.py"
    file.write_text(block_of(HOW_TO / "own-agent.md"))
    subprocess.run([sys.executable, str(file)], cwd=tmp_path, check=True)
    arguments = ["--scenarios", "s08-accept-2m/test", "--policies", "P18", "--seeds", "2"]
    out = tmp_path / "out"
    way = ["--agent", out / "my-agent", "--jobs", 1, "--out", out / "my-report"]
    run = called(evaluate, "tdx-eval", "compare", *arguments, *way)
    assert run.returncode == 0, run.stderr
    assert "my-ppo" in (tmp_path / "out" / "my-report" / "report.html").read_text()


def test_costs_of_a_page_are_understood(tmp_path: Path) -> None:
    """The lines of a costs file are lines that `--costs` takes."""
    text = (HOW_TO / "measured-costs.md").read_text()
    lines = re.findall(r"^(\w+ = (?:\d|\{).*)$", text, re.MULTILINE)
    file = tmp_path / "costs.toml"
    file.write_text("\n".join(lines))
    assert set(overrides_from([], file)) == {"costs.bare", "costs.accept_2m"}


@pytest.mark.parametrize("line", COMMANDS)
def test_command_of_the_readme_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its options are read; nothing is played."""
    tool, verb, *words = shlex.split(line, comments=True)
    command = typer.main.get_command(APPS[tool])
    child = getattr(command, "commands", {})[verb]
    monkeypatch.chdir(ROOT)
    context = child.make_context(verb, words)
    assert not context.args


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_named_in_a_text_exist(path: Path) -> None:
    for tool, verb in re.findall(r"(tdx-(?:env|eval)) ([a-z]+)\b", path.read_text()):
        known = getattr(typer.main.get_command(APPS[tool]), "commands", {})
        assert verb in known or verb in PROSE, (tool, verb)
