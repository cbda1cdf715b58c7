"""The command `tdx-eval scale`."""

from typing import Annotated

import typer

from tdx_eval.comparing.seeds import MAX_SEEDS

_SEEDS = 32


def scale(
    scenarios: Annotated[
        str, typer.Argument(help="Names, files, or a list as train, with commas between")
    ] = "train",
    seeds: Annotated[int, typer.Option(min=1, max=MAX_SEEDS, help="Episodes of each")] = _SEEDS,
    write: Annotated[
        bool, typer.Option("--write", help="Write it into the scenario's file")
    ] = False,
) -> None:
    """Measure limits.reward_scale_v1, by which version 1 of the environment divides rewards."""
    from tdx_env.scenarios import expand, file_of, load
    from tdx_eval.reward_scales import measured_scale, write_scale, yardstick

    rule = yardstick()
    for name in expand(scenarios):
        scenario = load(name)
        found = measured_scale(scenario, rule, seeds)
        print(f"{name}: {found:_} (was {scenario.limits.reward_scale_v1 or 0:_})", flush=True)
        if write:
            write_scale(file_of(name), found)
