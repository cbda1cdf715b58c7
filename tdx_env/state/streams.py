"""What random draws are for; the purpose is part of a draw's key."""

from enum import IntEnum


class Draw(IntEnum):
    """Purpose of a draw."""

    COST = 1
    SIZE = 2
    THINK = 3
    TICK = 4
    DEVICE = 5
    JITTER = 6
    GATE = 7
    TRIGGER = 8
    LOTTERY = 9
    GUEST_RETRY = 10
    PHASE = 11
    HOLD = 12
    SCENARIO = 13
    SEED = 14
    IRQ_OFF = 15
    MODULE = 16
    BATCH = 17
    FUTURE = 18
