"""The command line `tdx-eval`: its commands, in the order of its help."""

import typer

from tdx_env.command import Version
from tdx_eval.commands.audit import diff, gate, replay_results
from tdx_eval.commands.compare import compare
from tdx_eval.commands.costs import costs
from tdx_eval.commands.decisions import decisions
from tdx_eval.commands.distil import distil
from tdx_eval.commands.export import export
from tdx_eval.commands.flush import flush
from tdx_eval.commands.lost import lost
from tdx_eval.commands.map import map_policies
from tdx_eval.commands.policies import policies
from tdx_eval.commands.ranks import ranks
from tdx_eval.commands.reality import reality
from tdx_eval.commands.regret import regret
from tdx_eval.commands.report import report
from tdx_eval.commands.room import room
from tdx_eval.commands.scale import scale
from tdx_eval.commands.search import search
from tdx_eval.commands.trace import trace
from tdx_eval.commands.trial import trial
from tdx_eval.commands.worst import worst

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def about(version: Version = False) -> None:
    """Which policy costs least when the TDX module answers TDX_OPERAND_BUSY, and how sure that is.

    List the policies, compare them on the scenarios, show who wins by how much.

    Hold the simulator against what was measured; see how the answer hangs on costs.
    """


for _command in (
    policies,
    compare,
    report,
    gate,
    diff,
    reality,
    costs,
    lost,
    ranks,
    scale,
    trace,
    flush,
    export,
    search,
    distil,
    worst,
    trial,
    room,
    regret,
):
    app.command(_command.__name__)(_command)
app.command("map")(map_policies)
app.command("replay")(replay_results)
app.add_typer(decisions, name="decisions")
