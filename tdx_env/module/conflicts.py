"""Which calls get in each other's way: worked out from the table by running the lock functions.

The first party goes through its steps; wherever it stands then, the second one arrives on the locks
as they are, and its first failing lock decides. All is about one TD in legal use: two calls share
the entry's lock and the page's if they are about the same S-EPT entry, the vCPU's if they are about
the same vCPU; never a second page, a child entry or a migration stream.

SERVTD.BIND and SERVTD.RD/WR name a service TD besides the TD. Another call that meets one of them
may be about either; what comes of it only about the service TD is noted so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tdx_env.module import locks
from tdx_env.module.explanations import LOCK_NAMES
from tdx_env.module.locks import LockResult
from tdx_env.module.parties import Party, Pseudo, party_name
from tdx_env.module.seamcalls import DEFAULT_VERSION, calls, module_version
from tdx_env.module.sept import TRANSITIONS
from tdx_env.module.status import decode, encode
from tdx_env.module.status_codes import Status
from tdx_env.module.steps import Call, Step
from tdx_env.state.calls import NONE, Delay, EntryState, Leaf, Lock, Mode, Op

_SHAREX = frozenset({Lock.TREE, Lock.EPOCH, Lock.MIG})
_ENTRIES = frozenset({Lock.ENTRY, Lock.CHILDREN})
_WITHOUT_MARK = _SHAREX | {Lock.MIGSC}
_OF_ENTRY = frozenset({Lock.ENTRY, Lock.PAGE})
_NEVER_SHARED = frozenset({Lock.NEW_PAGE, Lock.CHILDREN, Lock.MIGSC})
_ENTERING = frozenset({Leaf.VP_ENTER, Pseudo.ARMED_VP_ENTER})
_BEFORE_ASSOCIATION = frozenset({Lock.TDVPR, Lock.TDR, Lock.OP_STATE})
_FREE_STATES = frozenset({EntryState.FREE, EntryState.REMOVED})
_COMMON = 2  # whose word it is, if neither the first (0) nor the second (1) party's own

# Locks that are the service TD's, in the calls that name both TDs; the others are the TD's.
_OF_SERVICE_TD: dict[Leaf, frozenset[Lock]] = {
    Leaf.SERVTD_BIND: frozenset({Lock.OTHER_TDR, Lock.OTHER_OP_STATE, Lock.RTMR}),
    Leaf.SERVTD_RD_WR: frozenset({Lock.TDVPR, Lock.TDR, Lock.RTMR}),
}
_SAME_LOCK = {Lock.OTHER_TDR: Lock.TDR, Lock.OTHER_OP_STATE: Lock.OP_STATE}

_LIST_NOTE = "the list's entry gets status 3, SEPT_ENTRY_BUSY_HOST_PRIORITY; the call goes on"
_IMPORT_NOTE = "in the in-order phase this ends the whole import"
_SERVICE_NOTE = "only about the service TD"
_VCPU_NOTE = "no lock: the vCPU is running; VCPU_ASSOCIATED if both associate it at once"

Key = tuple[int, bool, int]  # Lock, is it the service TD's, whose
Words = dict[Key, int]


@dataclass(frozen=True)
class Conflict:
    """What becomes of the second of two parties when it meets the first.

    Attributes:
        first: Who holds the lock.
        second: Who arrives.
        lock: The lock that it fails on, or None if a state decides.
        status: What it returns.
        is_momentary: The first one holds the lock for a handful of instructions only.
        leaves_mark: The second one leaves its host-priority mark on the lock.
        mark_survives: The mark is still there when the first one is through; it succeeds, unless
            it is a guest's and no entry suits both.
        note: What else there is to know.
    """

    first: Party
    second: Party
    lock: Lock | None
    status: int
    is_momentary: bool = False
    leaves_mark: bool = False
    mark_survives: bool = False
    note: str = ""

    def __str__(self) -> str:
        """Return the conflict as one sentence."""
        text = f"{party_name(self.second)} meets {party_name(self.first)}: {decode(self.status)}"
        if self.lock is not None:
            text += f", on {LOCK_NAMES[self.lock]}"
        if self.is_momentary:
            text += ", held for an instant only"
        if self.leaves_mark:
            fate = "stays" if self.mark_survives else "is erased if the first one succeeds"
            text += f"; its host-priority mark {fate}"
        return f"{text}; {self.note}" if self.note else text


@dataclass(frozen=True)
class _Side:
    """One of the two parties, which lock words are its own, and which the service TD's."""

    party: Party
    call: Call
    steps: tuple[Step, ...]
    number: int
    own: frozenset[Lock]
    of_service_td: frozenset[Lock]

    def key(self, lock: int) -> Key:
        """Return the key of the word that this party finds for a lock."""
        whose = self.number if lock in self.own else _COMMON
        return _SAME_LOCK.get(Lock(lock), lock), lock in self.of_service_td, whose


def _acquire(words: Words, side: _Side, step: Step, is_guest: bool) -> LockResult:
    """Try a step's lock, with the lock function of its kind."""
    key = side.key(step.lock)
    word = words.get(key, 0)
    if step.lock in _ENTRIES:
        acquire = locks.sept_acquire_guest if is_guest else locks.sept_acquire_host
        words[key], result = acquire(word)
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


def _release(words: Words, side: _Side, step: Step) -> None:
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


def _do(words: Words, side: _Side, step: Step) -> LockResult:
    """Do one step of a party as far as it touches lock words."""
    if step.op in (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED):
        return _acquire(words, side, step, side.call.is_guest)
    if step.op == Op.RELEASE:
        _release(words, side, step)
    if step.op == Op.COMMIT and side.call.stores_entry:
        key = side.key(Lock.ENTRY)
        words[key] = locks.entry_store(words.get(key, 0))
    return LockResult.SUCCESS


def _steps(party: Party, call: Call) -> tuple[Step, ...]:
    """Return what a party does; the armed tree lock only if it is armed."""
    if party == Pseudo.VCPU_IN_GUEST:
        return ()
    if party == Pseudo.ARMED_VP_ENTER:
        return call.steps
    armed = {step.lock for step in call.steps if step.op == Op.ACQUIRE_IF_ARMED}
    return tuple(step for step in call.steps if step.lock not in armed)


def _sides(
    a: Party, b: Party, version: str, own: frozenset[Lock], is_service_td: bool
) -> tuple[_Side, _Side]:
    """Return both sides of an encounter; other calls than SERVTD.* are about the TD or about the
    service TD.
    """
    about = frozenset(Lock) if is_service_td else frozenset()
    first, second = (
        _Side(party, call, _steps(party, call), number, own, _OF_SERVICE_TD.get(call.leaf, about))
        for number, party, call in ((0, a, _call(a, version)), (1, b, _call(b, version)))
    )
    if _locks_no_free_entry(first, second, version) or _locks_no_free_entry(second, first, version):
        own |= {Lock.ENTRY}
    return replace(first, own=own), replace(second, own=own)


def _call(party: Party, version: str) -> Call:
    """Return the row of a party."""
    return calls(version)[Leaf.VP_ENTER if isinstance(party, Pseudo) else party]


def _enter_guest(words: Words, side: _Side, version: str) -> None:
    """Take what a vCPU holds while it is in the guest, if the party runs there."""
    if side.party != Pseudo.VCPU_IN_GUEST and not side.call.is_guest:
        return
    enter = calls(version)[Leaf.VP_ENTER]
    for step in enter.steps:
        if step.op == Op.ACQUIRE and step.lock in enter.holds_after_return:
            _acquire(words, side, step, is_guest=False)


def _phases(words: Words, side: _Side) -> Iterator[tuple[Words, int]]:
    """Yield the lock words where a party spends time, with the number of its next step.

    That is before each step with a delay, under a momentary lock, and after the last step. Ends
    early where the other party already holds what this one needs.
    """
    for number, step in enumerate(side.steps):
        held = side.steps[number - 1].lock if number else NONE
        if step.delay != Delay.NONE or held in side.call.momentary:
            yield dict(words), number
        if _do(words, side, step) != LockResult.SUCCESS:
            return
    yield dict(words), len(side.steps)


def _arrive(words: Words, side: _Side) -> Step | None:
    """Let a party try its locks in order; return the step that fails, or None."""
    taken: list[Step] = []
    for step in side.steps:
        if step.op not in (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED):
            continue
        if _acquire(words, side, step, side.call.is_guest) != LockResult.SUCCESS:
            for held in reversed(taken):
                _release(words, side, held)
            return step
        taken.append(step)
    return None


def _has_mark(words: Words, key: Key) -> bool:
    """Say whether a lock word has its host-priority bit set."""
    if key[0] in _WITHOUT_MARK:
        return False
    mark = locks.ENTRY_HOST_PRIORITY if key[0] in _ENTRIES else locks.HP_HOST_PRIORITY
    return bool(words.get(key, 0) & mark)


def _can_succeed(guest: Call, host: Call) -> bool:
    """Say whether a guest's call accepts any entry that a host call is legally made for."""
    accepted = TRANSITIONS.get(guest.leaf, {})
    return not accepted.keys().isdisjoint(TRANSITIONS.get(host.leaf, {}))


def _survives(words: Words, first: _Side, second: _Side, number: int, key: Key) -> bool:
    """Say whether a mark outlives the steps that the first party still has to do."""
    fails = first.call.is_guest and not _can_succeed(first.call, second.call)
    for step in first.steps[number:]:
        if fails and step.op == Op.COMMIT:
            continue
        if _do(words, first, step) != LockResult.SUCCESS:
            break
    return _has_mark(words, key)


def _busy(first: _Side, second: _Side, step: Step, words: Words, number: int) -> Conflict:
    """Return the conflict that a failed step of the second party makes."""
    lock = Lock(step.lock)
    key = second.key(lock)
    status, note = encode(Status.OPERAND_BUSY, step.operand), ""
    if second.call.is_list and lock == Lock.ENTRY:
        status, note = encode(Status.SUCCESS), _LIST_NOTE
    elif second.party == Leaf.IMPORT_MEM and lock in _OF_ENTRY:
        note = _IMPORT_NOTE
    leaves_mark = _has_mark(words, key)
    return Conflict(
        first=first.party,
        second=second.party,
        lock=lock,
        status=status,
        is_momentary=lock in first.call.momentary,
        leaves_mark=leaves_mark,
        mark_survives=leaves_mark and _survives(words, first, second, number, key),
        note=note,
    )


def _locks_no_free_entry(guest: _Side, host: _Side, version: str) -> bool:
    """Say whether a guest passes by the entry that a host call works on, for it is FREE."""
    if module_version(version).guests_lock_free_entries or not guest.call.is_guest:
        return False
    states = TRANSITIONS.get(host.call.leaf, {})
    return bool(states) and _FREE_STATES.issuperset(states)


def _own_locks(same_entry: bool, same_vcpu: bool) -> frozenset[Lock]:
    """Return the locks of which each party has its own."""
    own = set(_NEVER_SHARED)
    if not same_entry:
        own |= _OF_ENTRY
    if not same_vcpu:
        own.add(Lock.TDVPR)
    return frozenset(own)


def conflicts(
    a: Party,
    b: Party,
    same_entry: bool,
    version: str = DEFAULT_VERSION,
    *,
    same_vcpu: bool = False,
) -> list[Conflict]:
    """Return how ``b`` fails when it arrives while ``a`` is under way, one for each lock.

    Args:
        a: Who came first.
        b: Who arrives.
        same_entry: Both are about the same S-EPT entry and page.
        version: A version of the module.
        same_vcpu: Both are about the same vCPU.

    Raises:
        ScenarioError: There is no such version.

    Source:
        TDX module 1.5; semantics of the locks as in `locks`, order as in `seamcalls`.
    """
    own = _own_locks(same_entry, same_vcpu)
    names_service_td = [_call(party, version).leaf in _OF_SERVICE_TD for party in (a, b)]
    found: dict[Lock, Conflict] = {}
    first, second = _sides(a, b, version, own, is_service_td=False)
    _meet(first, second, version, found)
    if any(names_service_td) and not all(names_service_td):
        _meet(*_sides(a, b, version, own, is_service_td=True), version, found, _SERVICE_NOTE)
    return _with_vcpu_state(first, second, list(found.values()), same_vcpu)


def _meet(
    first: _Side, second: _Side, version: str, found: dict[Lock, Conflict], note: str = ""
) -> None:
    """Let the second party arrive in every phase of the first; add what is new to ``found``."""
    words: Words = {}
    _enter_guest(words, second, version)
    _enter_guest(words, first, version)
    for now, number in _phases(words, first):
        failure = _arrive(now, second)
        if failure is not None and failure.lock not in found:
            conflict = _busy(first, second, failure, now, number)
            found[Lock(failure.lock)] = replace(conflict, note=conflict.note or note)


def _with_vcpu_state(
    first: _Side, second: _Side, found: list[Conflict], same_vcpu: bool
) -> list[Conflict]:
    """Add the conflict on one vCPU's state, which VP.ENTER and VP.RD/WR check after OP_STATE."""
    runs = first.party in _ENTERING or first.party == Pseudo.VCPU_IN_GUEST or first.call.is_guest
    needs = second.party in _ENTERING or second.party == Leaf.VP_RD_WR
    if not (same_vcpu and runs and needs):
        return found
    earlier = [conflict for conflict in found if conflict.lock in _BEFORE_ASSOCIATION]
    status = encode(Status.VCPU_STATE_INCORRECT)
    return [*earlier, Conflict(first.party, second.party, None, status, note=_VCPU_NOTE)]
