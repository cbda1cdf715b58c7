"""The command ``tdx-train``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from tdx_env import command
from tdx_env.errors import TdxEnvError
from tdx_env.state.objectives import objective_name

app = typer.Typer(pretty_exceptions_enable=False)


class Ways(NamedTuple):
    """What may happen to an earlier run in the folder.

    Attributes:
        overwrite: It may go.
        resume: It goes on.
    """

    overwrite: bool
    resume: bool


def run(  # noqa: PLR0913 (the command's options)
    config: str,
    out: Path,
    options: list[str],
    costs: Path | None,
    ways: Ways,
    changes: Mapping[str, object],
) -> int:
    """Train an agent and say how it went; return the exit code.

    Args:
        config: Name or file of the configuration.
        out: Folder for the agent.
        options: Scenario parameters to change, as KEY=VALUE.
        costs: TOML file of measured costs.
        ways: What may happen to an earlier run.
        changes: What to put in place of the configuration's fields; None: nothing.
    """
    # torch takes seconds to import: mistakes are found before.
    from tdx_env.scenarios import overrides_from
    from tdx_env.state.discipline import Action
    from tdx_train.config import load_config
    from tdx_train.run_folder import RunFolder
    from tdx_train.training_plan import plan_of
    from tdx_train.validation import REFERENCE

    console = Console(stderr=True)
    settings = load_config(config)
    given = {key: value for key, value in changes.items() if value is not None}
    settings = settings.model_copy(update=given)
    plan = plan_of(Path(config).stem, settings, overrides_from(options, costs))
    with RunFolder(out, *ways) as folder:
        with console.status("loading torch ..."):
            from tdx_train.trainer import train

        result = train(plan, folder, console, resume=ways.resume)
    done = "interrupted" if result.was_interrupted else "done"
    console.print(
        f"{done} after {result.n_steps:,} steps; best agent, of step {result.best_steps:,}, in "
        f"{out}: cost {result.best_score:.3f} of {REFERENCE}'s on the validation split; always "
        f"RETRY under its discipline {result.retry_score:.3f}; "
        f"{1 - result.best_shares[Action.RETRY]:.1%} of its answers were not RETRY",
        highlight=False,
        soft_wrap=True,
    )
    return command.INTERRUPTED if result.was_interrupted else 0


@app.command()
def tdx_train(
    config: Annotated[
        str,
        typer.Option(help="A shipped configuration (demo, full, agent-cpu ...) or a TOML file."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the agent and the log.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a scenario parameter: costs.bare=2300"),
    ] = None,
    costs: Annotated[
        Path | None, typer.Option(help="TOML file with costs measured on your machine.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier run in the folder.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with a run that was stopped or killed, to the same result."
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=(1 << 31) - 1, help="Seed of the run, in place of the configuration's."
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="What costs, in place of the configuration's: a preset, or host=1,stolen=0.5."
        ),
    ] = None,
    version: command.Version = False,
) -> None:
    """Train an agent that decides when the TDX module answers TDX_OPERAND_BUSY.

    MaskablePPO of stable-baselines3, or a network fitted to what answers cost.

    On the scenarios' train split; the best agent on the validation split is kept.
    """
    try:
        named = None if objective is None else objective_name(objective)
        changes = {"seed": seed, "objective": named}
        ways = Ways(overwrite, resume)
        code = run(config, out, options or [], costs, ways, changes)
    except TdxEnvError as error:
        typer.echo(f"tdx-train: {error}", err=True)
        raise typer.Exit(command.MISTAKE) from None
    except KeyboardInterrupt:
        typer.echo("tdx-train: interrupted before there was an agent to keep", err=True)
        raise typer.Exit(command.INTERRUPTED) from None
    raise typer.Exit(code)


def main() -> None:
    """Run the command; a mistake of the user's is one line and exit code 2."""
    command.run(app, "tdx-train")


if __name__ == "__main__":
    main()
