"""The option that every command with `--out` has."""

from typing import Annotated

import typer

OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace what an earlier run wrote to --out")
]
