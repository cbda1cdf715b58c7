"""The command `tdx-env`: scenarios, single episodes, status codes, conflicts."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tdx_env import command

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

_MAX_SEED = (1 << 63) - 1

ScenarioName = Annotated[str, typer.Argument(help="A name of `list`, or a TOML file")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override: costs.bare=2300, host.n_vcpus=4..8")
]
CostsFile = Annotated[
    Path | None, typer.Option("--costs", help="TOML file of measured costs: bare = 2300")
]


@app.callback()
def about(version: command.Version = False) -> None:
    """What KVM should do when the TDX module answers TDX_OPERAND_BUSY.

    A simulator of the module's locks and of KVM's calls.

    List and show scenarios, play one episode with a policy.

    Read a log, look up which calls get in each other's way.
    """


@app.command("list")
def list_scenarios(
    split: Annotated[str | None, typer.Argument(help="train, validation or test")] = None,
    as_json: command.AsJson = False,
) -> None:
    """List the scenarios."""
    from tdx_env.cli_scenarios import list_command

    list_command(split, as_json)


@app.command("show")
def show(
    name: ScenarioName,
    set_: Overrides = None,
    costs: CostsFile = None,
    as_json: command.AsJson = False,
) -> None:
    """Show every parameter of a scenario, with unit, range and source."""
    from tdx_env.cli_scenarios import show_command
    from tdx_env.scenarios import overrides_from

    show_command(name, overrides_from(set_ or [], costs), as_json)


@app.command("simulate")
def simulate(
    name: ScenarioName,
    policy: Annotated[str, typer.Option(help="Name, FILE.py:FUNCTION or folder")] = "P18",
    seed: Annotated[int, typer.Option(min=0, max=_MAX_SEED, help="Seed of the episode")] = 0,
    conflicts: Annotated[int, typer.Option(min=0, help="Conflicts to show")] = 20,
    as_json: command.AsJson = False,
    module: Annotated[
        str | None, typer.Option(help="Version of the TDX module, or several: module.version")
    ] = None,
    kernel: Annotated[str | None, typer.Option(help="Version of KVM: host.kernel")] = None,
    set_: Overrides = None,
    costs: CostsFile = None,
) -> None:
    """Run one episode and give a readable account of it."""
    from tdx_env.engine.warm import warm_up
    from tdx_env.scenarios import load, machine_overrides, overrides_from
    from tdx_env.simulate import account_text, load_policy
    from tdx_env.simulate import simulate as run_episode
    from tdx_env.table import folded

    given = machine_overrides(module, kernel)
    scenario = load(name, overrides_from(set_ or [], costs) | given)
    player = load_policy(policy)
    warm_up()
    account = run_episode(scenario, player, seed, conflicts)
    text = json.dumps(asdict(account), indent=2) if as_json else folded(account_text(account))
    print(text)


@app.command("decode", context_settings={"ignore_unknown_options": True})
def decode(
    status: Annotated[
        list[str] | None,
        typer.Argument(help="A status, a log line, or a file; none or -: standard input"),
    ] = None,
    as_json: command.AsJson = False,
) -> None:
    """Say what a TDX status, a log line or a whole log means, and the likely story.

    Numbers may be hex, decimal or signed; names as TDX_OPERAND_BUSY|SEPT_TREE work as well.
    Whole logs: dmesg | tdx-env decode.
    """
    from tdx_env.cli_decode import decode_command

    decode_command(status or [], as_json)


@app.command("conflicts")
def conflicts(
    a: Annotated[str | None, typer.Argument(help="The call that holds, e.g. PAGE.AUG")] = None,
    b: Annotated[str | None, typer.Argument(help="The call that comes")] = None,
    as_json: command.AsJson = False,
    module: Annotated[str, typer.Option(help="Version of the TDX module")] = "1.5.34",
    changes: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Two versions: show what the second does otherwise", metavar="FROM TO"),
    ] = None,
) -> None:
    """Show who gets which status when one call holds and another comes; all pairs without names."""
    from tdx_env.cli_module import changes_command, conflicts_command

    if changes is not None:
        changes_command(changes, a, b, as_json)
        return
    conflicts_command(a, b, as_json, module)


def main() -> None:
    """Run the command; a mistake of the user's is one line and exit code 2."""
    command.run(app, "tdx-env")


if __name__ == "__main__":
    main()
