"""Two parties on the same lock words: what each finds for a lock, and how far it gets.

`phases` gives the words wherever the first party spends time; `arrive` lets the second one try its
locks on them. Nothing here knows what a lock is for.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from tdx_env.matrix.parties import Party, Pseudo
from tdx_env.module import locks
from tdx_env.module.locks import LockResult, Regime
from tdx_env.module.regimes import Operation
from tdx_env.module.steps import Call, Step
from tdx_env.state.calls import NONE, Delay, Lock, Mode, Op

_SHAREX = frozenset({Lock.EPOCH, Lock.MIG})
_ENTRIES = frozenset({Lock.ENTRY, Lock.CHILDREN})
_BITS = frozenset({Lock.MIGSC, Lock.SCAN_CONTEXT})
_WITHOUT_MARK = _SHAREX | _BITS
_COMMON = 2  # whose word it is, if neither the first (0) nor the second (1) party's own

# A lock of the second TD is the lock of that name in the second TD.
_SAME_LOCK = {Lock.OTHER_TDR: Lock.TDR, Lock.OTHER_OP_STATE: Lock.OP_STATE}

Key = tuple[int, bool, int]  # Lock, is it the service TD's, whose
Words = dict[Key, int]


@dataclass(frozen=True)
class Side:
    """One of two parties.

    Attributes:
        party: Who it is.
        call: Its row of the table.
        number: 0 for the first party, 1 for the second.
        own: Locks of which it finds a word of its own.
        of_service_td: Locks of which it finds the service TD's word, not the TD's.
        regime: The lock functions of the module's version.
        is_merged: Its S-EPT entry is one of those that the other party, PROMOTE, merges.
    """

    party: Party
    call: Call
    number: int
    own: frozenset[Lock]
    of_service_td: frozenset[Lock]
    regime: Regime
    is_merged: bool = False

    @functools.cached_property
    def steps(self) -> tuple[Step, ...]:
        """Return what the party does; the armed tree lock only if it is armed."""
        if self.party == Pseudo.VCPU_IN_GUEST:
            return ()
        if self.party == Pseudo.ARMED_VP_ENTER:
            return self.call.steps
        if self.party == Pseudo.VP_INIT_VERSION_0:
            return tuple(_shared_tdr(step) for step in self.call.steps)
        armed = {step.lock for step in self.call.steps if step.op == Op.ACQUIRE_IF_ARMED}
        return tuple(step for step in self.call.steps if step.lock not in armed)

    def key(self, lock: int) -> Key:
        """Return the key of the word that the party finds for a lock."""
        whose = self.number if lock in self.own else _COMMON
        if self.is_merged and lock == Lock.ENTRY:
            return Lock.CHILDREN, False, whose
        return _SAME_LOCK.get(Lock(lock), lock), lock in self.of_service_td, whose


def _shared_tdr(step: Step) -> Step:
    """Return a step of VP.INIT as version 0 of the call has it."""
    return step._replace(mode=Mode.SHARED) if step.lock == Lock.TDR else step


def _try_of(regime: Regime, step: Step, is_guest: bool) -> Operation:
    """Return the function that tries a step's lock: that of its kind, in the step's mode."""
    shared = step.mode == Mode.SHARED
    if step.lock in _ENTRIES:
        return regime.sept_acquire_guest if is_guest else regime.sept_acquire_host
    if step.lock in _BITS:
        return regime.mutex_acquire
    if step.lock == Lock.TREE:
        return regime.tree_acquire_shared if shared else regime.tree_acquire_exclusive
    if step.lock in _SHAREX:
        return regime.sharex_acquire_shared if shared else regime.sharex_acquire_exclusive
    take = regime.hp_acquire_shared if shared else regime.hp_acquire_exclusive
    return lambda word: take(word, is_guest)


def _release_of(regime: Regime, step: Step) -> Operation:
    """Return the function that lets go of a step's lock."""
    shared = step.mode == Mode.SHARED
    if step.lock in _ENTRIES:
        return regime.sept_release
    if step.lock in _BITS:
        return regime.mutex_release
    if step.lock == Lock.TREE:
        return regime.tree_release_shared if shared else regime.tree_release_exclusive
    if step.lock in _SHAREX:
        return regime.sharex_release_shared if shared else regime.sharex_release_exclusive
    return regime.hp_release_shared if shared else regime.hp_release_exclusive


def acquire(words: Words, side: Side, step: Step, is_guest: bool) -> LockResult:
    """Try a step's lock, with the lock function of its kind."""
    key = side.key(step.lock)
    words[key], result = _try_of(side.regime, step, is_guest)(words.get(key, 0))
    return result


def _release(words: Words, side: Side, step: Step) -> None:
    """Let go of a step's lock, with the lock function of its kind."""
    key = side.key(step.lock)
    words[key], result = _release_of(side.regime, step)(words[key])
    assert result == LockResult.SUCCESS


def do_step(words: Words, side: Side, step: Step) -> LockResult:
    """Do one step of a party as far as it touches lock words; POLL, NEXT and CHECK don't."""
    if step.op in (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED):
        return acquire(words, side, step, side.call.is_guest)
    if step.op == Op.RELEASE:
        _release(words, side, step)
    if step.op == Op.COMMIT and side.call.erases_mark:
        key = side.key(Lock.ENTRY)
        words[key] = locks.entry_store(words.get(key, 0))
    return LockResult.SUCCESS


def phases(words: Words, side: Side) -> Iterator[tuple[Words, int]]:
    """Yield the lock words where a party spends time, with the number of its next step.

    That is before each step with a delay, under a momentary lock, and after the last step. Ends
    early where the other party already holds what this one needs.
    """
    for number, step in enumerate(side.steps):
        held = side.steps[number - 1].lock if number else NONE
        if step.delay != Delay.NONE or held in side.call.momentary:
            yield dict(words), number
        if do_step(words, side, step) != LockResult.SUCCESS:
            return
    yield dict(words), len(side.steps)


def arrive(words: Words, side: Side) -> Step | None:
    """Let a party try its locks in order; return the step that fails, or None."""
    taken: list[Step] = []
    for step in side.steps:
        if step.op not in (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED):
            continue
        if acquire(words, side, step, side.call.is_guest) != LockResult.SUCCESS:
            for held in reversed(taken):
                _release(words, side, held)
            return step
        taken.append(step)
    return None


def has_mark(words: Words, key: Key, regime: Regime) -> bool:
    """Say whether a lock word has its host-priority bit set."""
    if key[0] in _WITHOUT_MARK:
        return False
    if key[0] == Lock.TREE and not regime.version.tree_has_priority:
        return False
    mark = locks.ENTRY_HOST_PRIORITY if key[0] in _ENTRIES else locks.HP_HOST_PRIORITY
    return bool(words.get(key, 0) & mark)
