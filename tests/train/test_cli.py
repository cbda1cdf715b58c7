"""Tests of ``tdx-train`` as users run it."""

import csv
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tdx_agents import load_bundle
from tdx_train.cli import app

COMMAND = [sys.executable, "-W", "error", "-c", "from tdx_train.cli import main; main()"]
TINY = """
scenarios = "s08-accept-2m"
total_steps = {total_steps}
n_envs = 32
n_steps = 16
batch_size = 256
hidden = [16]
evaluation_interval = 1_000
evaluation_episodes = 2
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A configuration of a run that nobody waits for."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY.format(total_steps=100_000_000))
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "none"], 'configuration "none" is unknown'),
        (["--config", "demo", "--set", "costs.nothing=1"], "costs.nothing"),
        (["--config", "demo", "--costs", "missing.toml"], "missing.toml: can't be read"),
    ],
)
def test_mistake_is_a_message_and_exit_code_2(tmp_path: Path, arguments: list[str], message: str):
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_existing_output_is_refused_before_anything_is_done(tmp_path: Path, tiny: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "bundle.json").write_text("kept")
    result = CliRunner().invoke(app, ["--config", str(tiny), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert (tmp_path / "out" / "bundle.json").read_text() == "kept"


@pytest.mark.slow
def test_mistakes_are_found_without_torch():
    code = (
        "import sys; from tdx_train.cli import run; from pathlib import Path\n"
        "try: run('none', Path('x'), [], None, False, {})\n"
        "except ValueError as mistake: print(mistake, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.startswith('configuration "none" is unknown')
    assert done.stdout.endswith(" False\n")


def interrupted(command: list[str]) -> tuple[int, str]:
    """Run a training until its second validation, then press Ctrl-C.

    Returns:
        Its exit code, and what it wrote after that.
    """
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # A shell in the background may have switched interrupts off for its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if " steps:" in line and " 0 steps:" not in line:
                break
        running.send_signal(signal.SIGINT)
        message = running.stderr.read()
    return running.returncode, message


@pytest.mark.slow
def test_interrupted_run_leaves_its_best_agent_and_can_be_replaced(tmp_path: Path, tiny: Path):
    out = tmp_path / "out"
    code, message = interrupted([*COMMAND, "--config", str(tiny), "--out", str(out)])
    assert code == 130
    assert "interrupted after" in message and "Traceback" not in message
    load_bundle(out)
    with (out / "progress.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) >= 2
    tiny.write_text(TINY.format(total_steps=1_000))
    again = ["--config", str(tiny), "--out", str(out), "--overwrite", "--seed", "9"]
    done = CliRunner().invoke(app, again)
    assert done.exit_code == 0, done.stderr
    assert load_bundle(out).name == "tiny"
