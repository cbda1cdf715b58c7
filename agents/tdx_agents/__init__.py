"""Policies: a decision rule, and the discipline that the host has round it.

`load` is the door: it takes whatever a user types (`spec` lists the forms) and returns a `Policy`
(`protocol`). Rules come from three rooms: the hand-written catalogue (`handwritten` lists the rows
of `retry`, `kick`, `fault_loop`, `merged`, `split`, `structure` and `adaptive`, each with its
source), a function in a user's file (`user_file`), and the folder of a learned agent (`bundle`,
`network`), which `save_bundle` writes. `constant` and `crossed` are for comparisons: always one
action, and the decisions of one policy under the discipline of another (``retry@P18``).

Calls go down: this package uses tdx_env's disciplines, features and compiler, and is called by
tdx_train and tdx_eval. The simulator calls a compiled rule at each decision and knows no package
that it comes from. Importing it compiles nothing and needs no torch.
"""

from tdx_agents.bundle import Manifest, Training, load_bundle, save_bundle
from tdx_agents.handwritten import catalogue, names, policies_records, policies_table
from tdx_agents.protocol import Kind, Policy
from tdx_agents.spec import load

__all__ = [
    "Kind",
    "Manifest",
    "Policy",
    "Training",
    "catalogue",
    "load",
    "load_bundle",
    "names",
    "policies_records",
    "policies_table",
    "save_bundle",
]
