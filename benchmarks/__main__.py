"""`python -m benchmarks [PART ...] [--quick]`: measure, write `results.json` and the page."""

import argparse
import importlib
import json
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.growth import PLOT
from benchmarks.growth import draw as draw_growth
from benchmarks.page import PARTS, page
from benchmarks.rounds import FULL, QUICK, Effort

_FOLDER = Path(__file__).resolve().parent
_RESULTS = _FOLDER / "results.json"
_DOCS = _FOLDER.parent / "docs"
_DIGITS = 8  # that the file keeps of a figure: enough for the page to stay as it is
_LIBRARIES = (
    "tdx-env", "numpy", "numba", "gymnasium", "simpy", "torch", "stable-baselines3", "sb3-contrib",
)  # fmt: skip


def _cpu() -> str:
    """Return the processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(library: str) -> str:
    """Return a library's version."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def conditions() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "cpu": _cpu(),
        "n_cpus": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "load": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        **{name: _version(name) for name in _LIBRARIES},
    }


def _measured(part: str, effort: Effort) -> dict[str, Any]:
    """Measure a part."""
    print(f"measuring {part} ...", flush=True)
    before, start = conditions(), time.perf_counter()
    found = importlib.import_module(f"benchmarks.{part}").measure(effort)
    seconds = time.perf_counter() - start
    return {"conditions": before, "n_rounds": effort.n_rounds, "took_s": seconds, "found": found}


def _rounded(value: Any) -> Any:
    """Return results with few digits of each figure."""
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _as_text(results: dict[str, Any]) -> str:
    """Return results as JSON, one part a line, so that a change is seen."""
    parts = (f"{json.dumps(name)}: {json.dumps(_rounded(of))}" for name, of in results.items())
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _write(results: dict[str, Any]) -> None:
    """Write results, page and plot; parts that were not measured stay as they were."""
    _RESULTS.write_text(_as_text(results))
    (_DOCS / "benchmarks.md").write_text(page(results))
    if "growth" in results:
        draw_growth(results["growth"]["found"], _DOCS / PLOT)


def main() -> None:
    """Measure what is asked for; write it down unless it was only to see that everything runs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="see that all runs, write nothing")
    given = parser.parse_args()
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}, known: {', '.join(PARTS)}")
    effort = QUICK if given.quick else FULL
    results: dict[str, Any] = {}
    if _RESULTS.exists() and not given.quick:
        results = json.loads(_RESULTS.read_text())
    for part in given.parts or PARTS:
        results[part] = _measured(part, effort)
        if not given.quick:
            _write(results)
    print(page(results))


if __name__ == "__main__":
    main()
