"""One small comparison that several tests look at."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def tdx_eval(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "eval.cli", *arguments], capture_output=True, text=True, check=False
    )


SMALL = ("--scenarios", "s08-accept-2m/test,s22-clean/test", "--policies", "P6,P8,P20,random")


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small comparison, run in one process."""
    folder = tmp_path_factory.mktemp("compared") / "out"
    run = tdx_eval("compare", *SMALL, "--seeds", "30", "--jobs", "1", "--out", str(folder))
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="session")
def summary(compared: Path) -> dict[str, Any]:
    """Return its summary."""
    return json.loads((compared / "summary.json").read_text())  # type: ignore[no-any-return]
