"""The page of results: tables in Markdown."""

from collections.abc import Sequence
from typing import Any

from benchmarks.rounds import N_ROUNDS
from benchmarks.single import THEIRS

_HEAD = """# Benchmarks

Made by `make bench` on {cpu}, {n_cpus} CPUs, with Python {python}, numba {numba}, numpy {numpy},
gymnasium {gymnasium} and tdx_env {tdx_env}. Load average before the run, from other work on the
machine: {load:.1f}. Every figure is the median of {n_rounds} rounds, with the lowest and highest
behind it; what is compared was measured in turn. Actions are random, masked ones included.

A step is a decision: the simulator runs on to the next busy reply. What a step costs is therefore
mostly how many *events* lie between two busy replies, which is the scenario's doing, and differs a
hundredfold between scenarios. Steps per second mean little without the events per step beside them.
"""
_KERNEL = """
## Events

The event loop alone, one core, random policy compiled.

"""
_SINGLE = """
## One environment

`gymnasium.make`, with the wrappers that it adds. *Own* is what a step takes beside the events:
checking the action, calling the simulator, the observation, info.

"""
_VECTOR = """
## Many environments

`gymnasium.make_vec`, one step of n environments counted as n steps. *Own* is what a step of all
environments takes beside the events, none of them ending.

"""
_STARTUP = """
## Starting

"""


def _rate(value: dict[str, float]) -> str:
    """Return a median with its range."""
    return f"{value['median']:,.0f} ({value['low']:,.0f} to {value['high']:,.0f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table: the first column to the left, the others to the right."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _kernel_table(rows: list[dict[str, Any]]) -> str:
    """Return the table of events per second."""
    return _table(
        ("scenario", "events/s", "ns/event", "events/decision", "decisions/s at most"),
        [
            (
                row["case"],
                _rate(row["events_per_second"]),
                f"{row['ns_per_event']:.0f}",
                f"{row['events_per_decision']:,.0f}",
                f"{row['events_per_second']['median'] / row['events_per_decision']:,.0f}",
            )
            for row in rows
        ],
    )


def _single_table(rows: list[dict[str, Any]]) -> str:
    """Return the table of one environment's steps."""
    return _table(
        ("environment", "steps/s", "share of CartPole", "events/step", "us/step", "own us/step"),
        [
            (
                row["case"],
                _rate(row["steps_per_second"]),
                f"{row['share_of_cartpole']:.2f}",
                f"{row['events_per_step']:,.0f}" if "events_per_step" in row else "",
                f"{1e6 / row['steps_per_second']['median']:.1f}",
                f"{row['own_us_per_step']:.1f}" if "own_us_per_step" in row else "",
            )
            for row in rows
        ],
    )


def _vector_table(rows: list[dict[str, Any]]) -> str:
    """Return the table of vector environments' steps."""
    head = ("scenario", "n", "1 thread, steps/s", "2 threads, steps/s", "2 to 1 thread")
    lines = []
    for row in rows:
        rates = row["steps_per_second"]
        one, two = rates["1 thread"], rates.get("2 threads")
        lines.append(
            (
                row["case"],
                str(row["n_envs"]),
                _rate(one),
                _rate(two) if two else "",
                f"{two['median'] / one['median']:.2f}" if two else "",
                _rate(rates[THEIRS]),
                f"{(two or one)['median'] / rates[THEIRS]['median']:.3f}",
                f"{row['events_per_step']:,.0f}",
                f"{row['own_us_per_batch']:.0f}",
            )
        )
    more = ("CartPole, steps/s", "share of CartPole", "events/step", "own us/step of all")
    return _table((*head, *more), lines)


def _startup_table(found: dict[str, dict[str, float]]) -> str:
    """Return the table of start-up times."""
    lines = [
        (name, f"{one['median']:.2f} ({one['low']:.2f} to {one['high']:.2f})")
        for name, one in found.items()
    ]
    return _table(("what", "s"), lines)


def page(results: dict[str, Any]) -> str:
    """Return the whole page."""
    head = _HEAD.format(n_rounds=N_ROUNDS, **results["machine"])
    return (
        head
        + _KERNEL
        + _kernel_table(results["kernel"])
        + _SINGLE
        + _single_table(results["single"])
        + _VECTOR
        + _vector_table(results["vector"])
        + _STARTUP
        + _startup_table(results["startup"])
    )
