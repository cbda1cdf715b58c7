"""How a lock operation of the TDX module ends, and the width of its lock words."""

from enum import IntEnum

WORD_MASK = 0xFFFF  # sharex words are 16 bits wide


class LockResult(IntEnum):
    """How a lock operation ended."""

    SUCCESS = 0
    BUSY = 1
    BUSY_HOST_PRIORITY = 2  # guests only: a host call was refused before and has priority
    FATAL = 3  # the module's sanity check fails: the caller broke the lock's rules
