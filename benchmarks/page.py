"""The page of results in Markdown."""

import importlib
from typing import Any

PARTS = ("kernel", "single", "vector", "training", "comparison", "startup", "growth")
_HEAD = """# Benchmarks

Made by `make bench`, or part by part with `python -m benchmarks PART`. Every figure is a median of
rounds in which what is compared was measured in turn, with the lowest and highest round behind it.
Actions are random, masked ones included. The figures are in `benchmarks/results.json`, too.

A step is a decision: the simulator runs on to the next busy reply. What a step costs is therefore
mostly how many *events* lie between two busy replies, which is the scenario's doing, and differs a
thousandfold between scenarios. Steps per second mean little without the events per step beside
them.

{conditions}"""
_VERSIONS = ("tdx-env", "numpy", "numba", "gymnasium", "simpy", "torch", "stable-baselines3")


def _conditions(results: dict[str, Any]) -> str:
    """Return on what the parts were measured; parts measured alike share a line."""
    lines: dict[str, list[str]] = {}
    for part, result in results.items():
        on = result["conditions"]
        versions = ", ".join(f"{name} {on[name]}" for name in _VERSIONS)
        line = (
            f"{on['cpu']}, {on['n_cpus']} CPUs, {on['memory_gb']} GB, {on['system']}, "
            f"Python {on['python']}, {versions}; {on['date']}"
        )
        lines.setdefault(line, []).append(
            f"{part} (rounds: {result['n_rounds']}, load before {on['load']:.1f})"
        )
    return "".join(f"- {', '.join(parts)}: {line}.\n" for line, parts in lines.items())


def page(results: dict[str, Any]) -> str:
    """Return the page of the parts that were measured."""
    measured = {part: results[part] for part in PARTS if part in results}
    texts = [
        importlib.import_module(f"benchmarks.{part}").text(result["found"])
        for part, result in measured.items()
    ]
    return _HEAD.format(conditions=_conditions(measured)) + "".join(texts)
