"""The page of results in Markdown."""

import importlib
from typing import Any

PARTS = (
    "kernel", "single", "vector", "training", "comparison", "startup", "commands", "making",
    "growth",
)  # fmt: skip
_HEAD = """# Benchmarks

Made by `make bench`, or part by part with `python -m benchmarks PART`. Every figure is a median of
rounds in which what is compared was measured in turn, with the lowest and highest round behind it.
Actions are random, masked ones included. `benchmarks/results.json` keeps the parts that are not
measured anew.

A step is a decision: the simulator runs on to the next busy reply. What a step costs is therefore
mostly how many *events* lie between two busy replies, which is the scenario's doing, and differs a
thousandfold between scenarios. Steps per second mean little without the events per step beside
them.

{conditions}"""
_TAIL = """
## What would be next

- *Steps of S10, S3.* Between two busy replies lie hundreds to thousands of events, at 30 to 40 ns
  each; a step's own share is under a tenth of a microsecond for each environment. Two million
  decisions of S10 a second would be 2.6 billion events a second, so they can't come from faster
  events. What nobody looks at is not played one by one any more (`docs/model.md`, section 1); what
  is left are hammers while the host works on an entry, faults, and the host's own SEAMCALLs.
- *Events.* With 8 vCPUs about a fifth of an event is the scan of due times, the hottest single
  place the table of the SEAMCALL's steps (six in ten events are steps of VP.ENTER); the rest is
  spread thin. Next: rows of the table found by a pointer instead of by leaf and step.
- *Training.* With 64 environments of nine events a step, the events are half of what is missing to
  the learner that has nothing to wait for; with all training scenarios they are nearly everything.
- *Comparing.* By a profile with a tenth of the seeds, 19 twentieths of what the processes do is the
  event loop; statistics and the picture are some twenty seconds of one core at the end. Rows that
  are one to the simulator (P20, P21 and P28-1; P1 and P23) are played once. Next: a picture that is
  laid out once.
- *Compiling.* LLVM takes less than half of a cold compile; the rest is numba's own passes, spread
  over its type inference and lowering of 500 functions. Next: fewer and larger functions where the
  code reads as well, and machine code that comes with the package.
- *Many environments.* A world takes 160 to 300 kB: beyond a few of them each event finds its actors
  outside the processor's near caches, so that 9 events a step cost five times what they do alone.
"""
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
    return _HEAD.format(conditions=_conditions(measured)) + "".join(texts) + _TAIL
