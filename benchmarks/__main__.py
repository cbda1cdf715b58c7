"""`python -m benchmarks`: the table of docs/benchmarks.md, and the same as JSON.

Every figure is the median of REPEATS runs; figures that are compared are measured in turn.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import agents
import tdx_env
from tdx_env.engine.batch import Batch
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import load

REPEATS = 5
_SECONDS = 1.0
_ROOT = Path(__file__).resolve().parents[1]
_EVENTS = (
    ("S6, 8 vCPUs", "s06-conversion/validation", {"host.n_vcpus": 8}),
    ("S6, 64 vCPUs", "s06-conversion/test", {"host.n_vcpus": 64}),
    ("S6, 248 vCPUs", "s06-conversion-248/test", {}),
)
_DECISIONS = ("s10-hostile/test", "s08-accept-2m/test")


def events_per_second(scenario: str, overrides: dict[str, object]) -> Callable[[int], float]:
    """Return a measurement of the event loop alone, random policy, one core."""
    policy = agents.load("random")
    setup = load(scenario, overrides).setup()
    batch = Batch(setup, DEFAULT.record(), 4)

    def measure(repeat: int) -> float:
        batch.reset(np.arange(4) + 4 * repeat)
        start = time.perf_counter()
        batch.advance(policy.decide)
        return float(batch.run["n_events"].sum() / (time.perf_counter() - start))

    return measure


def steps_per_second(name: str, **arguments: Any) -> Callable[[int], float]:
    """Return a measurement of one environment's steps, random actions, default wrappers."""
    env = gymnasium.make(name, **arguments)
    env.reset(seed=0)
    env.action_space.seed(0)

    def measure(repeat: int) -> float:
        steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < _SECONDS:
            *_, terminated, truncated, _ = env.step(env.action_space.sample())
            steps += 1
            if terminated or truncated:
                env.reset()
        return steps / (time.perf_counter() - start)

    return measure


def batch_steps_per_second(name: str, n_envs: int, **arguments: Any) -> Callable[[int], float]:
    """Return a measurement of a vector environment's steps, random actions."""
    mode = gymnasium.VectorizeMode.VECTOR_ENTRY_POINT
    env = gymnasium.make_vec(name, num_envs=n_envs, vectorization_mode=mode, **arguments)
    env.reset(seed=0)
    actions = [env.action_space.sample() for _ in range(64)]

    def measure(repeat: int) -> float:
        steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < _SECONDS:
            env.step(actions[steps % len(actions)])
            steps += 1
        return steps * n_envs / (time.perf_counter() - start)

    return measure


def events_per_decision(scenario: str) -> float:
    """Return the events of a decision under the random policy."""
    batch = Batch(load(scenario).setup(), DEFAULT.record(), 16)
    batch.reset(np.arange(16))
    batch.advance(agents.load("random").decide)
    return float(batch.run["n_events"].sum() / batch.run["n_decisions"].sum())


def in_new_process(code: str, cache: str | None = None) -> float:
    """Return the seconds that a piece of Python takes in a process of its own."""
    environment = dict(os.environ)
    if cache is not None:
        environment["TDX_ENV_CACHE_DIR"] = cache
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=_ROOT)
    return time.perf_counter() - start


def medians(measurements: dict[str, Callable[[int], float]]) -> dict[str, dict[str, float]]:
    """Measure all in turn, REPEATS times, and return median, lowest and highest of each."""
    values: dict[str, list[float]] = {name: [] for name in measurements}
    for measure in measurements.values():
        measure(0)  # warm-up
    for repeat in range(1, REPEATS + 1):
        for name, measure in measurements.items():
            values[name].append(measure(repeat))
    return {
        name: {"median": statistics.median(some), "low": min(some), "high": max(some)}
        for name, some in values.items()
    }


def measurements() -> dict[str, Callable[[int], float]]:
    """Return everything that is measured several times."""
    found: dict[str, Callable[[int], float]] = {}
    for name, scenario, overrides in _EVENTS:
        found[f"events/s, one core, {name}"] = events_per_second(scenario, overrides)
    found["steps/s, make, CartPole-v1"] = steps_per_second("CartPole-v1")
    ours = "tdx_env/SeamcallRetry-v0"
    for scenario in _DECISIONS:
        found[f"steps/s, make, {scenario}"] = steps_per_second(ours, scenario=scenario)
    found["steps/s, make_vec 256, CartPole-v1"] = batch_steps_per_second("CartPole-v1", 256)
    for scenario in _DECISIONS:
        for threads in (1, 2):
            found[f"steps/s, make_vec 256, {threads} thread(s), {scenario}"] = (
                batch_steps_per_second(ours, 256, scenario=scenario, n_threads=threads)
            )
    return found


def start_up() -> dict[str, float]:
    """Return compile and import times in seconds."""
    warm = "from tdx_env.engine.batch import compile_loop; compile_loop()"
    others = "import numpy, gymnasium"
    with tempfile.TemporaryDirectory() as cache:
        cold = in_new_process(warm, cache)
        hot = [in_new_process(warm, cache) for _ in range(REPEATS)]
    base = [in_new_process(others) for _ in range(REPEATS)]
    ours = [in_new_process(others + ", tdx_env") for _ in range(REPEATS)]
    return {
        "cold compile of the event loop [s]": cold,
        "loading it from the cache [s]": statistics.median(hot),
        "import tdx_env beyond numpy and gymnasium [s]": statistics.median(ours)
        - statistics.median(base),
    }


def table(result: dict[str, Any]) -> str:
    """Return the result as a Markdown page."""
    lines = [
        "# Benchmarks",
        "",
        f"Made by `make bench` with {result['machine']}. Medians of {REPEATS} runs in turn; the "
        "machine may have been shared. Steps are decisions; actions are random.",
        "",
        "| what | median | lowest | highest |",
        "|---|---|---|---|",
    ]
    for name, one in result["rates"].items():
        lines.append(f"| {name} | {one['median']:,.0f} | {one['low']:,.0f} | {one['high']:,.0f} |")
    lines += ["", "| what | value |", "|---|---|"]
    lines += [f"| {name} | {value:,.2f} |" for name, value in result["others"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write docs/benchmarks.md and docs/benchmarks.json."""
    rates = medians(measurements())
    cartpole = rates["steps/s, make, CartPole-v1"]["median"]
    others = {
        f"events per decision, random policy, {name}": events_per_decision(name)
        for name in _DECISIONS
    }
    for scenario in _DECISIONS:
        ratio = rates[f"steps/s, make, {scenario}"]["median"] / cartpole
        others[f"make, {scenario}, as a share of CartPole-v1"] = ratio
    others |= start_up()
    versions = " ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "gymnasium"))
    machine = f"Python {platform.python_version()}, {versions}, {os.cpu_count()} CPUs"
    result = {"machine": machine, "tdx_env": tdx_env.__version__, "rates": rates, "others": others}
    (_ROOT / "docs" / "benchmarks.json").write_text(json.dumps(result, indent=1) + "\n")
    (_ROOT / "docs" / "benchmarks.md").write_text(table(result))
    print(table(result))


if __name__ == "__main__":
    main()
