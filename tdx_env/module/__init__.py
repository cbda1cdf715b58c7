"""The TDX module: lock words, S-EPT states, the table of calls by version, TLB tracking, zero-step.

The rules that the simulator plays. The doors are `locks` (words, and `locks.regime` for those of a
version) and `seamcalls` (`calls`, `program`). Calls go down to `tdx_env.state` alone; host, guest
and engine stand on this room, and so do `tdx_env.status` and `tdx_env.matrix`, which explain it.

Importing it compiles nothing.
"""

from tdx_env.module import host_priority, locks, sept, tlb, zero_step
from tdx_env.module.locks import LockResult
from tdx_env.module.names import find_leaf, short_name
from tdx_env.module.operands import Operand
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
from tdx_env.module.steps import Call, Step

__all__ = [
    "DEFAULT_VERSION",
    "IS_GUEST",
    "MODULE_VERSIONS",
    "STORES_ENTRY",
    "Call",
    "LockResult",
    "ModuleVersion",
    "Operand",
    "Step",
    "calls",
    "find_leaf",
    "host_priority",
    "locks",
    "module_version",
    "program",
    "sept",
    "short_name",
    "tlb",
    "zero_step",
]
