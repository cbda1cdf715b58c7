"""Single claims of the discussion, put to the simulator.

`python -m eval.claims gate`: does the second try after a kick always succeed, with and without a
gate?
`python -m eval.claims stop`: what does one stop of all vCPUs of a 248-vCPU TD cost?
"""

import json
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch
from tdx_env.engine.render import microseconds
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.jit import decision
from tdx_env.scenarios import Scenario, load, setup_of
from tdx_env.state.accounting import Category
from tdx_env.state.actors import State
from tdx_env.state.calls import EntryState, Leaf
from tdx_env.state.discipline import ASK, Action
from tdx_env.state.features import Feature
from tdx_env.state.setup import N_BANDS

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_AT_A_TIME = 500  # worlds
_MEASURED_US = 236  # dstack, kernel patches 0009 and 0010, September 2026: 259 - 23 us a page
_NEAR = 0.25


def kick_once(features: NDArray[np.int64]) -> int:
    """Kick at the first busy reply of a call; leave the second to whoever asks."""
    if features[Feature.KICKS] > 0:
        return ASK
    return Action.KICK


def second_busies(scenario: Scenario, discipline: Discipline, seeds: range) -> dict[int, int]:
    """Return, for each seed where a call was busy again after its kick, the cycles between.

    The decision function kicks at the first busy reply; a world stops at the first second one.
    """
    policy = decision(kick_once)
    found = {}
    for first in range(seeds.start, seeds.stop, _AT_A_TIME):
        some = np.arange(first, min(first + _AT_A_TIME, seeds.stop))
        batch = Batch(setup_of(scenario), discipline.record(), len(some))
        batch.reset(some)
        batch.advance(policy)
        for index in np.flatnonzero(batch.waiting):
            run = batch.run[index]
            me = batch.world(int(index)).actors["row"][run["decision_actor"]]
            found[int(some[index])] = int(run["now"] - me["call_started"])
    return found


def race_trace(scenario: Scenario, discipline: Discipline, seed: int) -> list[str]:
    """Return the events between a busy reply and the second one after the kick, one a line."""
    batch = Batch(setup_of(scenario), discipline.record(), 1, n_events_traced=1 << 20)
    batch.reset([seed])
    batch.advance(decision(kick_once))
    world = batch.world(0)
    me = world.actors["row"][world.run["decision_actor"]]
    events = world.trace["event"][: world.run["n_traced"]]
    row = world.entries["row"][int(me["entry"])]
    shown = (int(world.run["decision_actor"]), int(row["holder"]))
    khz = int(world.setup["clock_khz"])
    started = int(me["call_started"])
    lines = []
    for time, actor, state, _ in events[events["time"] >= started]:
        if actor not in shown:
            continue
        name = "vCPU" if actor < world.run["n_vcpus"] else "host"
        us = microseconds(int(time) - started, khz)
        lines.append(f"{us:9.2f} us  {name} {actor:2}: end of {State(state).name}")
    lines.append(
        f"then {Leaf(int(me['leaf'])).name} is busy again: held by actor {row['holder']} in "
        f"{Leaf(int(row['holder_leaf'])).name}, entry {EntryState(int(row['state'])).name}"
    )
    return lines


@app.command()
def gate(
    worlds: Annotated[int, typer.Option(help="Random S8 worlds")] = 100_000,
    scenario: str = "s08-accept-2m/test",
) -> None:
    """Count second busy replies after a kick, without a gate and with one."""
    resolved = load(scenario)
    for name, scope in (("no gate", "nothing"), ("gate for the call", "call")):
        discipline = DEFAULT.with_(gate_scope=scope)
        found = second_busies(resolved, discipline, range(worlds))
        print(f"{name}: {len(found)} of {worlds} worlds have a second busy after the kick")
        if found:
            seed = min(found, key=lambda one: (found[one], one))
            print(f"shortest: seed {seed}")
            print("\n".join(race_trace(resolved, discipline, seed)))


def stop_costs(scenario: Scenario, seeds: range) -> NDArray[np.float64]:
    """Return the sender's time for one of TRACK's kicks, in each episode [us]."""
    costs = []
    for first in range(seeds.start, seeds.stop, _AT_A_TIME):
        some = np.arange(first, min(first + _AT_A_TIME, seeds.stop))
        batch = Batch(setup_of(scenario), DEFAULT.record(), len(some))
        batch.reset(some)
        batch.advance(decision(retry_always))
        khz = scenario.clock_khz
        for index in range(len(some)):
            world = batch.world(index)
            sender = world.actors["row"][0]
            cycles = int(sender["booked"][Category.TRACK_KICK])
            costs.append(microseconds(cycles, khz) / int(world.run["n_operations"][1]))
    return np.array(costs)


def retry_always(features: NDArray[np.int64]) -> int:
    """Issue the same SEAMCALL again."""
    return Action.RETRY


@app.command()
def stop(
    seeds: Annotated[int, typer.Option(help="Episodes, costs drawn anew in each")] = 200,
    scenario: str = "s06-conversion-248/test",
) -> None:
    """Compare the cost of one stop of all vCPUs with the measured one."""
    resolved = load(scenario, {"cost_bands": list(range(N_BANDS))})
    costs = stop_costs(resolved, range(seeds))
    near = np.abs(costs - _MEASURED_US) <= _NEAR * _MEASURED_US
    result: dict[str, Any] = {
        "measured_us": _MEASURED_US,
        "median_us": float(np.median(costs)),
        "low_us": float(costs.min()),
        "high_us": float(costs.max()),
        "p05_us": float(np.percentile(costs, 5)),
        "p95_us": float(np.percentile(costs, 95)),
        "share_within_25_percent": float(near.mean()),
        "n": len(costs),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    app()
