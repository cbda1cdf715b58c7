"""`python -m benchmarks`: measure, write `results.json` here and `docs/benchmarks.md`."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tdx_env
from benchmarks import kernel, single, startup, vector
from benchmarks.page import page

_FOLDER = Path(__file__).resolve().parent
_RESULTS = _FOLDER / "results.json"
_PAGE = _FOLDER.parent / "docs" / "benchmarks.md"
_LIBRARIES = ("numpy", "numba", "gymnasium")


def _cpu() -> str:
    """Return the processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "cpu": _cpu(),
        "n_cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "tdx_env": tdx_env.__version__,
        **{name: version(name) for name in _LIBRARIES},
    }


def main() -> None:
    """Measure everything and write it down."""
    results: dict[str, Any] = {"machine": machine()}
    for part in (kernel, single, vector, startup):
        name = part.__name__.rpartition(".")[2]
        print(f"measuring {name} ...", flush=True)
        results[name] = part.measure()
    _RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    _PAGE.write_text(page(results))
    print(page(results))


if __name__ == "__main__":
    main()
