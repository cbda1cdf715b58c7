"""Who meets whom on the TDX module's locks: worked out from its table of calls, pair by pair.

Nothing here is played: each pair of calls is put on the lock words, and the first lock that fails
decides. The door is `conflicts` for one pair, `matrix` for all of them, `changes` for what differs
between two versions. Calls go down to
`tdx_env.module` (rows and lock functions) and `tdx_env.status` (what is returned, in words); only
commands stand on this room.
"""

from tdx_env.matrix.cells import Cell, matrix, matrix_json, matrix_text
from tdx_env.matrix.changes import Change, changed_rules, changes, changes_json, changes_text
from tdx_env.matrix.conflicts import (
    Conflict,
    conflicts,
    conflicts_in_range,
    conflicts_on_merged,
)
from tdx_env.matrix.parties import Party, Pseudo, find_party, parties, party_name

__all__ = [
    "Cell",
    "Change",
    "Conflict",
    "Party",
    "Pseudo",
    "changed_rules",
    "changes",
    "changes_json",
    "changes_text",
    "conflicts",
    "conflicts_in_range",
    "conflicts_on_merged",
    "find_party",
    "matrix",
    "matrix_json",
    "matrix_text",
    "parties",
    "party_name",
]
