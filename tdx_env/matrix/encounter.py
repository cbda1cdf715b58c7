"""Two parties on the same lock words: what each finds for a lock, and how far it gets.

`phases` gives the words wherever the first party spends time; `arrive` lets the second one try its
locks on them. Nothing here knows what a lock is for.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from tdx_env.matrix.parties import Party, Pseudo
from tdx_env.module import locks
from tdx_env.module.locks import LockResult
from tdx_env.module.steps import Call, Step
from tdx_env.state.calls import NONE, Delay, Lock, Mode, Op

_SHAREX = frozenset({Lock.TREE, Lock.EPOCH, Lock.MIG})
_ENTRIES = frozenset({Lock.ENTRY, Lock.CHILDREN})
_WITHOUT_MARK = _SHAREX | {Lock.MIGSC}
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
        is_merged: Its S-EPT entry is one of those that the other party, PROMOTE, merges.
    """

    party: Party
    call: Call
    number: int
    own: frozenset[Lock]
    of_service_td: frozenset[Lock]
    is_merged: bool = False

    @functools.cached_property
    def steps(self) -> tuple[Step, ...]:
        """Return what the party does; the armed tree lock only if it is armed."""
        if self.party == Pseudo.VCPU_IN_GUEST:
            return ()
        if self.party == Pseudo.ARMED_VP_ENTER:
            return self.call.steps
        armed = {step.lock for step in self.call.steps if step.op == Op.ACQUIRE_IF_ARMED}
        return tuple(step for step in self.call.steps if step.lock not in armed)

    def key(self, lock: int) -> Key:
        """Return the key of the word that the party finds for a lock."""
        whose = self.number if lock in self.own else _COMMON
        if self.is_merged and lock == Lock.ENTRY:
            return Lock.CHILDREN, False, whose
        return _SAME_LOCK.get(Lock(lock), lock), lock in self.of_service_td, whose


def acquire(words: Words, side: Side, step: Step, is_guest: bool) -> LockResult:
    """Try a step's lock, with the lock function of its kind."""
    key = side.key(step.lock)
    word = words.get(key, 0)
    if step.lock in _ENTRIES:
        take = locks.sept_acquire_guest if is_guest else locks.sept_acquire_host
        words[key], result = take(word)
    elif step.lock == Lock.MIGSC:
        words[key], result = locks.mutex_acquire(word)
    elif step.lock in _SHAREX and step.mode == Mode.SHARED:
        words[key], result = locks.sharex_acquire_shared(word)
    elif step.lock in _SHAREX:
        words[key], result = locks.sharex_acquire_exclusive(word)
    elif step.mode == Mode.SHARED:
        words[key], result = locks.hp_acquire_shared(word, is_guest)
    else:
        words[key], result = locks.hp_acquire_exclusive(word, is_guest)
    return result


def _release(words: Words, side: Side, step: Step) -> None:
    """Let go of a step's lock, with the lock function of its kind."""
    key = side.key(step.lock)
    if step.lock in _ENTRIES:
        words[key], result = locks.sept_release(words[key])
    elif step.lock == Lock.MIGSC:
        words[key], result = locks.mutex_release(words[key])
    elif step.lock in _SHAREX and step.mode == Mode.SHARED:
        words[key], result = locks.sharex_release_shared(words[key])
    elif step.lock in _SHAREX:
        words[key], result = locks.sharex_release_exclusive(words[key])
    elif step.mode == Mode.SHARED:
        words[key], result = locks.hp_release_shared(words[key])
    else:
        words[key], result = locks.hp_release_exclusive(words[key])
    assert result == LockResult.SUCCESS


def do_step(words: Words, side: Side, step: Step) -> LockResult:
    """Do one step of a party as far as it touches lock words; POLL, NEXT and CHECK don't."""
    if step.op in (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED):
        return acquire(words, side, step, side.call.is_guest)
    if step.op == Op.RELEASE:
        _release(words, side, step)
    if step.op == Op.COMMIT and side.call.stores_entry:
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


def has_mark(words: Words, key: Key) -> bool:
    """Say whether a lock word has its host-priority bit set."""
    if key[0] in _WITHOUT_MARK:
        return False
    mark = locks.ENTRY_HOST_PRIORITY if key[0] in _ENTRIES else locks.HP_HOST_PRIORITY
    return bool(words.get(key, 0) & mark)
