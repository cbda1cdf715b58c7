"""Starting: the first compilation, loading compiled code, imports; and the memory it all takes."""

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
_FIRST_STEP = (
    "import gymnasium, tdx_env; "
    "env = gymnasium.make('tdx_env/SeamcallRetry-v0', scenario='s22-clean/test'); "
    "env.reset(seed=0); env.step(0)"
)
_BASE = "import numpy, gymnasium"
_IMPORTS = ("tdx_env", "tdx_env.env", "tdx_agents", "tdx_train.vec_env", "tdx_eval.cli")
_MEMORY = """
import os, sys
import numpy as np
from tdx_env.vector import SeamcallRetryVectorEnv
sizes = []
for n_envs in (1, int(sys.argv[2])):
    env = SeamcallRetryVectorEnv(n_envs, sys.argv[1], n_threads=1)
    env.reset(seed=0)
    for _ in range(20):
        env.step(np.zeros(n_envs, np.int64))
    n_pages = int(open("/proc/self/statm").read().split()[1])
    sizes.append(n_pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
print(sizes[0], (sizes[1] - sizes[0]) / n_envs * 1000)
"""
_MEMORY_SCENARIOS = ("s14-split-storm/test", "s03-zero-step/test", "s06-conversion-248/test")
_N_ENVS = 1000
_TEXT = """
## Starting

Fresh processes. What is compiled first comes from the cache afterwards; modules have their byte
code. Imports are what they take beyond numpy and gymnasium.

{startup}
Resident memory after some steps: of a process with one environment, and what 1,000 more take.

{memory}"""


class _Fresh:
    """Processes that find byte code.

    Args:
        folder: Gets the byte code, and a cache of compiled code for each round.
        has_own_caches: Otherwise the user's cache of compiled code is used.
    """

    def __init__(self, folder: str, has_own_caches: bool) -> None:
        dropped = ("PYTHONDONTWRITEBYTECODE",)
        self._settings = {k: v for k, v in os.environ.items() if k not in dropped}
        self._settings |= {"PYTHONPYCACHEPREFIX": f"{folder}/pyc", "PYTHONPATH": _PATH}
        self._folder = folder
        self._has_own_caches = has_own_caches
        self._base = 0.0

    def _run(self, code: str, number: int, *arguments: str) -> str:
        """Run a piece of Python with the cache of a round; return what it printed."""
        settings = dict(self._settings)
        if self._has_own_caches:
            settings["TDX_ENV_CACHE_DIR"] = f"{self._folder}/{number}"
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(
            command, check=True, env=settings, cwd=_ROOT, capture_output=True, text=True
        )
        return done.stdout

    def _seconds(self, code: str, number: int) -> float:
        """Return what a piece of Python takes, the process included [s]."""
        start = time.perf_counter()
        self._run(code, number)
        return time.perf_counter() - start

    def cold(self, number: int) -> float:
        """Compile everything."""
        return self._seconds(_FIRST_STEP, number)

    def warm(self, number: int) -> float:
        """Load what `cold` has compiled."""
        return self._seconds(_FIRST_STEP, number)

    def base(self, number: int) -> float:
        """Import what we need in any case."""
        self._base = self._seconds(_BASE, number)
        return self._base

    def imported(self, name: str) -> Callable[[int], float]:
        """Return what measures the import of a module beyond what `base` imports."""
        code = f"{_BASE}, {name}"
        return lambda number: self._seconds(code, number) - self._base

    def memory(self, scenario: str, n_envs: int) -> tuple[float, float]:
        """Return the memory of a process with one environment, and of 1,000 more [MB]."""
        printed = self._run(_MEMORY, 0, scenario, str(n_envs))
        first, more = printed.split()
        return float(first), float(more)


def measure(effort: Effort) -> dict[str, Any]:
    """Return compile and import times in seconds, and memory, in rounds of fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = _Fresh(folder, has_own_caches=not effort.is_quick)
        ways: dict[str, Callable[[int], float]] = {
            "first step, nothing compiled yet": fresh.cold,
            "first step, compiled code in the cache": fresh.warm,
            _BASE: fresh.base,
        }
        ways |= {f"import {name}": fresh.imported(name) for name in _IMPORTS}
        if effort.is_quick:
            del ways["first step, nothing compiled yet"]  # takes a minute
        times = in_rounds(ways, effort)
        n_envs = 50 if effort.is_quick else _N_ENVS
        memory = {name: fresh.memory(name, n_envs) for name in _MEMORY_SCENARIOS}
    return {
        "seconds": {name: value._asdict() for name, value in times.items()},
        "megabytes": {name: list(sizes) for name, sizes in memory.items()},
    }


def text(found: dict[str, Any]) -> str:
    """Return what the page says about it."""
    startup = table(
        ("what", "s"), [(name, in_seconds(one, 2)) for name, one in found["seconds"].items()]
    )
    memory = table(
        ("scenario", "one environment, MB", "1,000 more, MB"),
        [
            (name, f"{first:,.0f}", f"{more:,.0f}")
            for name, (first, more) in found["megabytes"].items()
        ],
    )
    return _TEXT.format(startup=startup, memory=memory)
