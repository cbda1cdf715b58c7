"""The command `tdx-eval trace`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tdx_eval.commands.overwriting import OverwriteOption
from tdx_eval.comparing.seeds import FIRST_SEED

if TYPE_CHECKING:
    from tdx_agents.protocol import Policy
    from tdx_env.scenarios import Scenario
    from tdx_eval.tracing.record import Record

_TRACE = Path("trace.json")
_LAST_SEED = (1 << 63) - 1


def _about(scenario: "Scenario", policy: "Policy", seed: int) -> dict[str, Any]:
    """Return what was played, for the reader of the file."""
    from tdx_env.scenarios import digest
    from tdx_env.scenarios.machine import machine_of
    from tdx_eval.comparing.versions import versions

    return {
        "scenario": scenario.name,
        "digest": digest(scenario),
        "policy": policy.name,
        "seed": seed,
        "machine": str(machine_of(scenario, policy.discipline.kernel)),
        "versions": versions(),
    }


def _shown(record: "Record") -> list[str]:
    """Return what the trace holds, and where the time went."""
    from tdx_env.engine.render import microseconds

    cycles = sorted(record.cycles_by_category().items(), key=lambda it: -it[1])
    us = [(name, microseconds(some, record.clock_khz)) for name, some in cycles if some]
    return [
        f"{len(record.slices):,} slices, {len(record.holds):,} lock holds, "
        f"{len(record.ipis):,} IPIs, {len(record.decisions):,} decisions in "
        f"{microseconds(record.end, record.clock_khz):,.1f} us",
        "CPU time by category (the sums of the slices are the simulator's books):",
        *(f"  {name:22} {some:14,.1f} us" for name, some in us),
    ]


def trace(
    name: Annotated[str, typer.Argument(help="Scenario: a name or a file")],
    policy: Annotated[
        str, typer.Option(help="Name, number, FILE.py:FUNCTION or an agent's folder")
    ] = "P18",
    seed: Annotated[
        int, typer.Option(min=0, max=_LAST_SEED, help="The episode's seed")
    ] = FIRST_SEED["test"],
    out: Annotated[Path, typer.Option(help="File for the trace")] = _TRACE,
    overwrite: OverwriteOption = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override: costs.bare=2300; repeatable")
    ] = None,
) -> None:
    """Write one episode as Chrome trace events, for Perfetto (ui.perfetto.dev).

    One track for each CPU; lock holds are slices, IPIs flows, decisions instants with features.
    """
    import json

    from tdx_env.scenarios import load, overrides_from
    from tdx_eval.comparing.output import check_new_file, write_text
    from tdx_eval.comparing.yardsticks import load_policy
    from tdx_eval.tracing.chrome import trace_json
    from tdx_eval.tracing.record import record_episode

    check_new_file(out, overwrite)
    scenario = load(name, dict(overrides_from(set_ or [], None)))
    chosen = load_policy(policy)
    record, _ = record_episode(scenario, chosen, seed)
    content = trace_json(record, _about(scenario, chosen, seed))
    write_text(out, json.dumps(content, separators=(",", ":")) + "\n")
    print("\n".join(_shown(record)))
    print(f"trace: {out}")
