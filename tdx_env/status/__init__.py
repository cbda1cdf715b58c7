"""Completion statuses of the TDX module in words: numbers, names, log lines, polling points.

Here lives what a reader of a kernel log needs and the simulator does not. The door is `decode`,
which takes a number, a name or a log line apart; `encode` goes the other way. Calls go down to
`tdx_env.module` alone, whose table says which lock an operand id stands for; only commands and
`tdx_env.matrix` stand on this room.
"""

from tdx_env.status.codes import GpaListStatus, LinuxStatus, Status, StatusClass
from tdx_env.status.decoder import OUTCOME_STATUS, Decoded, encode, encode_outcome
from tdx_env.status.lines import Finding, decode, read_line
from tdx_env.status.polling import (
    POLLING_POINTS,
    PollingPoint,
    is_pending_for_guest,
    is_pending_for_host,
    polling_points,
)

__all__ = [
    "OUTCOME_STATUS",
    "POLLING_POINTS",
    "Decoded",
    "Finding",
    "GpaListStatus",
    "LinuxStatus",
    "PollingPoint",
    "Status",
    "StatusClass",
    "decode",
    "encode",
    "encode_outcome",
    "is_pending_for_guest",
    "is_pending_for_host",
    "polling_points",
    "read_line",
]
