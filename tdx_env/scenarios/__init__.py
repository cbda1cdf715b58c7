"""Scenarios: what an episode consists of, as TOML files and frozen models.

`load` is the door: a name or file, and what a user changes about it (`overrides_from` reads that
from a command line), become a checked `Scenario`; `setup_of` makes of it the record of integers
that the simulator reads; `digest` names its content; `names` and `expand` list what there is.

Calls go one way. `values` holds the kinds of values, `wording` how messages write them; `tables`,
`groups`, `tasks` hold a model for each table of a file, and `schema` the whole. On these rest
`sizes` and `lengths` (what a scenario needs at its largest draw), on them `checks` and
`area_checks` (what must fit together across tables). The `loader` reads a file, sets dotted `keys`,
has the models and the checks look at it, and says in `complaints` what they found. `record` turns a
`Scenario` into integers.
"""

from tdx_env.scenarios.loader import expand, file_of, load, names
from tdx_env.scenarios.machine import Machine, machine_of, machine_overrides
from tdx_env.scenarios.overrides import overrides_from
from tdx_env.scenarios.record import setup_of
from tdx_env.scenarios.schema import SPLITS, Scenario, digest
from tdx_env.scenarios.values import Range

__all__ = [
    "SPLITS",
    "Machine",
    "Range",
    "Scenario",
    "digest",
    "expand",
    "file_of",
    "load",
    "machine_of",
    "machine_overrides",
    "names",
    "overrides_from",
    "setup_of",
]
