"""Starting: the first compilation, loading compiled code, and the import alone."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rounds import N_ROUNDS, Median, median_of

_ROOT = Path(__file__).resolve().parents[1]
_FIRST_STEP = (
    "import gymnasium, tdx_env; "
    "env = gymnasium.make('tdx_env/SeamcallRetry-v0', scenario='s22-clean/test'); "
    "env.reset(seed=0); env.step(0)"
)
_BASE = "import numpy, gymnasium"


def _seconds(code: str, cache: str | None = None) -> float:
    """Return what a piece of Python takes in a process of its own [s]."""
    settings = dict(os.environ) if cache is None else {**os.environ, "TDX_ENV_CACHE_DIR": cache}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=settings, cwd=_ROOT)
    return time.perf_counter() - start


def measure() -> dict[str, dict[str, float]]:
    """Return compile and import times in seconds, in rounds of fresh processes."""
    cold, warm, base, ours = [], [], [], []
    for _ in range(N_ROUNDS):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(_seconds(_FIRST_STEP, cache))
            warm.append(_seconds(_FIRST_STEP, cache))
        base.append(_seconds(_BASE))
        ours.append(_seconds(f"{_BASE}, tdx_env"))
    extra = [one - other for one, other in zip(ours, base, strict=True)]
    found: dict[str, Median] = {
        "first step of a fresh process, nothing compiled yet": median_of(cold),
        "first step of a fresh process, compiled code in the cache": median_of(warm),
        "import numpy, gymnasium": median_of(base),
        "import tdx_env beyond these": median_of(extra),
    }
    return {name: value._asdict() for name, value in found.items()}
