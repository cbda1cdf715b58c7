"""Who meets whom on the TDX module's locks: worked out from its table of calls, pair by pair.

Nothing here is played: each pair of calls is put on the lock words, and the first lock that fails
decides. The door is `conflicts` for one pair, `matrix` for all of them. Calls go down to
`tdx_env.module` (rows and lock functions) and `tdx_env.status` (what is returned, in words); only
commands stand on this room.
"""

from tdx_env.matrix.cells import Cell, matrix, matrix_json, matrix_text
from tdx_env.matrix.conflicts import Conflict, conflicts, conflicts_on_merged
from tdx_env.matrix.parties import PARTIES, Party, Pseudo, find_party, party_name

__all__ = [
    "PARTIES",
    "Cell",
    "Conflict",
    "Party",
    "Pseudo",
    "conflicts",
    "conflicts_on_merged",
    "find_party",
    "matrix",
    "matrix_json",
    "matrix_text",
    "party_name",
]
