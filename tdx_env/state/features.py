"""What a decision function is given: a vector of integers, one place for each feature."""

from enum import IntEnum


class Feature(IntEnum):
    """Place of a feature; `tdx_env.spaces` has meaning, unit, range and where KVM reads it."""

    PATH = 0
    LEAF = 1
    OPERAND = 2
    LEVEL = 3
    ENTRY_STATE = 4
    ISSUES = 5
    KICKS = 6
    TRY_CYCLES = 7
    BUSY_CYCLES = 8
    CALL_CYCLES = 9
    OPERATION_CYCLES = 10
    OPERATION_BUSIES = 11
    N_VCPUS = 12
    N_IN_GUEST = 13
    GATES = 14
    MMU_CONTENDED = 15
    HAS_EVENTS = 16
    ACCEPT_FAULT = 17
    REPEATS = 18
    PAGES_LEFT = 19
    TRY_TREE = 20
    TRY_ENTRY = 21
    TRY_EPOCH = 22
    TRIES_TREE = 23
    TRIES_ENTRY = 24
    TRIES_EPOCH = 25
    KICK_SEND_TARGET = 26
    KICK_WAIT = 27
    KICK_TARGET = 28
    MASK = 29
    LOTTERY = 30
    BLOCKED = 31
    BATCH_CYCLES = 32
    HELD_CYCLES = 33
    CONTENDED_CYCLES = 34
    NEED_RESCHED = 35
    FROZEN_FAULTS = 36
    FLUSH_SEND = 37
    FLUSH_TARGET = 38
    WAIT_GAP = 39
    MMU_WAITERS = 40
    MMU_WAITED = 41
    BATCH_LOTTERY = 42


N_FEATURES = len(Feature)
N_AVERAGES = Feature.TRIES_TREE - Feature.TRY_TREE  # locks whose tries are averaged
TRIES_UNIT = 16  # averages of tries are in sixteenths
HITS_UNIT = 1024  # the share of batches that somebody waited for is in 1/1024
EWMA_SHIFT = 3  # average += (value - average) >> shift
