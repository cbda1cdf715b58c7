"""The options that choose a machine, alike for all commands that have them."""

from typing import Annotated

import typer

ModuleOption = Annotated[
    str | None,
    typer.Option(
        "--module",
        help="Version of the TDX module for all scenarios, or several with commas between: "
        "module.version",
    ),
]
KernelOption = Annotated[
    str | None, typer.Option("--kernel", help="Version of KVM for all scenarios: host.kernel")
]
