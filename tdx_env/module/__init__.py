"""The TDX module: lock words, S-EPT states, the table of calls, TLB tracking, statuses.

Importing it compiles nothing.
"""

from tdx_env.module import host_priority, locks, sept, tlb, zero_step
from tdx_env.module.conflicts import Conflict, conflicts, conflicts_on_merged
from tdx_env.module.locks import LockResult
from tdx_env.module.matrix import Cell, matrix, matrix_json, matrix_text
from tdx_env.module.names import find_leaf, short_name
from tdx_env.module.operands import Operand
from tdx_env.module.parties import PARTIES, Party, Pseudo, find_party, party_name
from tdx_env.module.polling import (
    POLLING_POINTS,
    PollingPoint,
    is_pending_for_guest,
    is_pending_for_host,
    polling_points,
)
from tdx_env.module.seamcalls import (
    DEFAULT_VERSION,
    IS_GUEST,
    MODULE_VERSIONS,
    STORES_ENTRY,
    ModuleVersion,
    calls,
    module_version,
    program,
)
from tdx_env.module.status import OUTCOME_STATUS, Decoded, decode, encode, encode_outcome
from tdx_env.module.status_codes import GpaListStatus, LinuxStatus, Status, StatusClass
from tdx_env.module.steps import Call, Step

__all__ = [
    "DEFAULT_VERSION",
    "IS_GUEST",
    "MODULE_VERSIONS",
    "OUTCOME_STATUS",
    "PARTIES",
    "POLLING_POINTS",
    "STORES_ENTRY",
    "Call",
    "Cell",
    "Conflict",
    "Decoded",
    "GpaListStatus",
    "LinuxStatus",
    "LockResult",
    "ModuleVersion",
    "Operand",
    "Party",
    "PollingPoint",
    "Pseudo",
    "Status",
    "StatusClass",
    "Step",
    "calls",
    "conflicts",
    "conflicts_on_merged",
    "decode",
    "encode",
    "encode_outcome",
    "find_leaf",
    "find_party",
    "host_priority",
    "is_pending_for_guest",
    "is_pending_for_host",
    "locks",
    "matrix",
    "matrix_json",
    "matrix_text",
    "module_version",
    "party_name",
    "polling_points",
    "program",
    "sept",
    "short_name",
    "tlb",
    "zero_step",
]
