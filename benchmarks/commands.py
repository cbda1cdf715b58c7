"""Commands: how long until the first output, with nothing compiled yet and with all of it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.rounds import Effort, in_rounds
from benchmarks.tables import in_seconds, table

_ROOT = Path(__file__).resolve().parents[1]
_PATH = os.pathsep.join(str(_ROOT / part) for part in (".", "agents", "train", "eval"))
_MAIN = "import sys; from {module}.cli import main; sys.argv[0] = {tool!r}; main()"
_MODULES = {"tdx-env": "tdx_env", "tdx-eval": "tdx_eval", "tdx-train": "tdx_train"}
_LOOKING = (
    "tdx-env --version",
    "tdx-env list",
    "tdx-env show s09-accept-4k/test",
    "tdx-env decode 0x8000020000000092",
    "tdx-env conflicts PAGE.AUG PAGE.ACCEPT",
    "tdx-eval --help",
    "tdx-eval policies",
    "tdx-train --help",
)  # compile nothing
_PLAYING = (
    "tdx-env simulate s22-clean/test --policy P18",
    "tdx-eval compare --scenarios s22-clean/test --policies P18,P20 --seeds 2 --jobs 1 "
    "--backend sequential --overwrite --out {folder}/compared",
    "tdx-eval reality --row gate --draws 2",
)
_TEXT = """
## First output of each command

From the start of a fresh process to the first byte on its standard output. *Cold*: neither byte
code nor compiled code is there. *Warm*: both are. A comparison's first output is its result.

{seconds}"""


class _Timed:
    """Commands whose first output is waited for.

    Args:
        folder: Gets byte code, compiled code and results.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def _settings(self, place: str) -> dict[str, str]:
        """Return the environment of a process whose caches are in a place."""
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return kept | {
            "PYTHONPATH": _PATH,
            "PYTHONPYCACHEPREFIX": f"{self._folder}/{place}/pyc",
            "TDX_ENV_CACHE_DIR": f"{self._folder}/{place}/code",
        }

    def _seconds(self, line: str, place: str) -> float:
        """Return how long a command takes to its first output [s]."""
        tool, *words = line.format(folder=self._folder).split()
        code = _MAIN.format(module=_MODULES[tool], tool=tool)
        start = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-c", code, *words],
            cwd=_ROOT,
            env=self._settings(place),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            has_begun = process.stdout.read(1)
            taken = time.perf_counter() - start
            process.stdout.read()
        assert has_begun and process.returncode == 0, line
        return taken

    def cold(self, line: str) -> Callable[[int], float]:
        """Return what measures a command that finds nothing of an earlier one."""
        number = abs(hash(line))
        return lambda turn: self._seconds(line, f"{number}-{turn}")

    def warm(self, line: str) -> Callable[[int], float]:
        """Return what measures a command that finds all that the first round has left."""
        return lambda turn: self._seconds(line, "warm")


def measure(effort: Effort) -> dict[str, Any]:
    """Return the seconds to the first output, cold and warm, of each command."""
    lines = _LOOKING[:2] if effort.is_quick else (*_LOOKING, *_PLAYING)
    with tempfile.TemporaryDirectory() as folder:
        timed = _Timed(folder)
        ways = {f"{line} warm": timed.warm(line) for line in lines}
        ways |= {f"{line} cold": timed.cold(line) for line in lines}
        found = in_rounds(ways, effort)
    return {
        "seconds": {
            line: {way: found[f"{line} {way}"]._asdict() for way in ("cold", "warm")}
            for line in lines
        }
    }


def text(found: dict[str, Any]) -> str:
    """Return what the page says about it."""
    lines = [
        (f"`{line.partition(' --backend')[0]}`", *(in_seconds(both[way], 2) for way in both))
        for line, both in found["seconds"].items()
    ]
    return _TEXT.format(seconds=table(("command", "cold, s", "warm, s"), lines))
