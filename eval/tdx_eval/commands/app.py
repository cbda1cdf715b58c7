"""The command line `tdx-eval`: its commands, in the order of its help."""

import typer

from tdx_eval.commands.compare import compare
from tdx_eval.commands.costs import costs
from tdx_eval.commands.decisions import decisions
from tdx_eval.commands.flush import flush
from tdx_eval.commands.lost import lost
from tdx_eval.commands.policies import policies
from tdx_eval.commands.reality import reality

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for _command in (policies, compare, reality, costs, lost, flush):
    app.command(_command.__name__)(_command)
app.add_typer(decisions, name="decisions")
