"""Which calls get in each other's way: worked out from the table by running the lock functions.

The first party goes through its steps; wherever it stands then, the second one arrives on the locks
as they are, and its first failing lock decides. All is about one TD in legal use: two calls share
the entry's lock and the page's if they are about the same S-EPT entry, the vCPU's if they are about
the same vCPU; never a second page or a migration stream. The lock of a child entry is shared only
if one call is about an entry that PROMOTE merges, the PAMT entry of a 2M range only if both are
about 4K pages in it or about the range itself.

SERVTD.BIND and SERVTD.RD/WR name a service TD besides the TD. Another call that meets one of them
may be about either; what comes of it only about the service TD is noted so.
"""

from dataclasses import dataclass, replace

from tdx_env.matrix.encounter import Key, Side, Words, acquire, arrive, do_step, has_mark, phases
from tdx_env.matrix.parties import LEAF_OF, Party, Pseudo, party_name
from tdx_env.module.locks import LockResult, regime
from tdx_env.module.operands import Operand
from tdx_env.module.seamcalls import DEFAULT_VERSION, calls, module_version
from tdx_env.module.sept import TRANSITIONS
from tdx_env.module.steps import NEXT, Call, Step, take
from tdx_env.state.calls import Delay, EntryState, Leaf, Lock, Mode, Op
from tdx_env.status.codes import Status
from tdx_env.status.decoder import decode_value, encode
from tdx_env.status.explanations import LOCK_NAMES

_OF_ENTRY = frozenset({Lock.ENTRY, Lock.PAGE})
_NEVER_SHARED = frozenset(
    {Lock.NEW_PAGE, Lock.MIGSC, Lock.PAMT_PAGE_0, Lock.PAMT_PAGE_1, Lock.SCAN_CONTEXT}
)
_ENTERING = frozenset({Leaf.VP_ENTER, Pseudo.ARMED_VP_ENTER})
_BEFORE_ASSOCIATION = frozenset({Lock.TDVPR, Lock.TDR, Lock.OP_STATE})
_FREE_STATES = frozenset({EntryState.FREE, EntryState.REMOVED})

# Locks that are the service TD's, in the calls that name both TDs; the others are the TD's.
_OF_SERVICE_TD: dict[Leaf, frozenset[Lock]] = {
    Leaf.SERVTD_BIND: frozenset({Lock.OTHER_TDR, Lock.OTHER_OP_STATE, Lock.RTMR}),
    Leaf.SERVTD_RD_WR: frozenset({Lock.TDVPR, Lock.TDR, Lock.RTMR}),
}

_LIST_NOTE = "the list's entry gets status 3, SEPT_ENTRY_BUSY_HOST_PRIORITY; the call goes on"
_LIST_WALK_NOTE = "the list's entry gets status 2, SEPT_WALK_FAILED; the call goes on"
_IMPORT_NOTE = "in the in-order phase this ends the whole import"
_SERVICE_NOTE = "only about the service TD"
_VCPU_NOTE = "no lock: the vCPU is running; VCPU_ASSOCIATED if both associate it at once"
_WALK_NOTE = "no lock: where tracking is required the table is blocked, and walks end above it"
_MERGED_NOTE = "only where tracking is not required"
_CHILD_NOTE = "child 0's mark passes on to the large page's entry"
_TREE_NOTE = "the mark refuses nobody, and the next to take the tree wipes it"
_LIST_YIELD_NOTE = (
    "the list call ends after its current entry (INTERRUPTED_RESUMABLE) if it still finds the mark"
)
_SCAN_YIELD_NOTE = (
    "the scan ends 20 µs after its last check at the latest (INTERRUPTED_BUSY|SEPT_ENTRY) if it "
    "still finds the mark"
)


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
        text = (
            f"{party_name(self.second)} meets {party_name(self.first)}: {decode_value(self.status)}"
        )
        if self.lock is not None:
            text += f", on {LOCK_NAMES[self.lock]}"
        if self.is_momentary:
            text += ", held for an instant only"
        if self.leaves_mark:
            fate = "stays" if self.mark_survives else "is erased if the first one succeeds"
            text += f"; its host-priority mark {fate}"
        return f"{text}; {self.note}" if self.note else text


def _call(party: Party, version: str) -> Call:
    """Return the row of a party."""
    return calls(version)[LEAF_OF[party] if isinstance(party, Pseudo) else party]


def _side(party: Party, number: int, version: str, own: frozenset[Lock]) -> Side:
    """Return one side of an encounter, about the TD."""
    call = _call(party, version)
    of_service_td = _OF_SERVICE_TD.get(call.leaf, frozenset())
    return Side(party, call, number, own, of_service_td, regime(version))


def _about_service_td(side: Side) -> Side:
    """Return a side about the service TD, if it doesn't name both TDs anyway."""
    if side.call.leaf in _OF_SERVICE_TD:
        return side
    return replace(side, of_service_td=frozenset(Lock))


def _can_succeed(guest: Call, host: Call) -> bool:
    """Say whether a guest's call accepts any entry that a host call is legally made for."""
    accepted = TRANSITIONS.get(guest.leaf, {})
    return not accepted.keys().isdisjoint(TRANSITIONS.get(host.leaf, {}))


def _survives(words: Words, first: Side, second: Side, number: int, key: Key) -> bool:
    """Say whether a mark outlives the steps that the first party still has to do."""
    fails = first.call.is_guest and not _can_succeed(first.call, second.call)
    for step in first.steps[number:]:
        if fails and step.op == Op.COMMIT:
            continue
        if do_step(words, first, step) != LockResult.SUCCESS:
            break
    return has_mark(words, key, first.regime)


def _busy(first: Side, second: Side, step: Step, words: Words, number: int) -> Conflict:
    """Return the conflict that a failed step of the second party makes."""
    lock = Lock(step.lock)
    key = second.key(lock)
    status = encode(Status.OPERAND_BUSY, step.operand)
    if second.call.is_list and lock == Lock.ENTRY:
        status = encode(Status.SUCCESS)
    leaves_mark = has_mark(words, key, second.regime)
    return Conflict(
        first=first.party,
        second=second.party,
        lock=lock,
        status=status,
        is_momentary=lock in first.call.momentary,
        leaves_mark=leaves_mark,
        mark_survives=leaves_mark and _survives(words, first, second, number, key),
        note=_note(first, second, lock, leaves_mark),
    )


def _note(first: Side, second: Side, lock: Lock, leaves_mark: bool) -> str:
    """Return what else there is to know about a busy lock."""
    notes = [side.call.remark for side in (first, second) if side.call.remark]
    if second.call.is_list and lock == Lock.ENTRY:
        notes.append(_LIST_NOTE)
    elif second.party == Leaf.IMPORT_MEM and lock in _OF_ENTRY:
        notes.append(_IMPORT_NOTE)
    if lock == Lock.TREE and leaves_mark:
        notes += [_TREE_NOTE, *_yield_notes(first.call)]
    return "; ".join(dict.fromkeys(notes))


def _yield_notes(holder: Call) -> list[str]:
    """Return how the tree's holder gives way to the mark, if it does."""
    if NEXT._replace(lock=Lock.TREE) not in holder.steps:
        return []
    return [_SCAN_YIELD_NOTE if holder.leaf == Leaf.MEM_SCAN_RANGE else _LIST_YIELD_NOTE]


def _locks_no_free_entry(guest: Side, host: Side, version: str) -> bool:
    """Say whether a guest passes by the entry that a host call works on, for it is FREE."""
    if module_version(version).guests_lock_free_entries or not guest.call.is_guest:
        return False
    states = TRANSITIONS.get(host.call.leaf, {})
    return bool(states) and _FREE_STATES.issuperset(states)


def _own_locks(same_entry: bool, same_vcpu: bool) -> frozenset[Lock]:
    """Return the locks of which each party has its own."""
    own = _NEVER_SHARED | {Lock.CHILDREN, Lock.PAMT_2M}
    if not same_entry:
        own |= _OF_ENTRY
    if not same_vcpu:
        own |= {Lock.TDVPR}
    return own


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
    first, second = _side(a, 0, version, own), _side(b, 1, version, own)
    if _locks_no_free_entry(first, second, version) or _locks_no_free_entry(second, first, version):
        own |= {Lock.ENTRY}
        first, second = replace(first, own=own), replace(second, own=own)
    found = _meet(first, second, version)
    if (first.call.leaf in _OF_SERVICE_TD) != (second.call.leaf in _OF_SERVICE_TD):
        others = _meet(_about_service_td(first), _about_service_td(second), version)
        known = {conflict.lock for conflict in found}
        found += [replace(one, note=_SERVICE_NOTE) for one in others if one.lock not in known]
    return _with_vcpu_state(first, second, found, same_vcpu)


def conflicts_on_merged(a: Party, b: Party, version: str = DEFAULT_VERSION) -> list[Conflict]:
    """Return how ``b`` fails where one is PROMOTE and the other is about an entry that it merges.

    Args:
        a: Who came first.
        b: Who arrives.
        version: A version of the module.

    Returns:
        One conflict for each lock and, after PROMOTE, the walk that fails where tracking is
        required. None if neither is PROMOTE or the other one takes no entry's lock for the host:
        no guest can run, or walk there, meanwhile.

    Raises:
        ScenarioError: There is no such version.

    Source:
        TDX module 1.5, tdh_mem_page_promote.c; sept_manager.c, secure_ept_walk.
    """
    own = _NEVER_SHARED | {Lock.PAGE, Lock.PAMT_2M, Lock.TDVPR}
    first, second = _side(a, 0, version, own), _side(b, 1, version, own)
    if a == Leaf.MEM_PAGE_PROMOTE and _operand_of_entry(second) is not None:
        found = [_on_child(one) for one in _meet(first, _merged(second), version)]
        reaches_walk = all(one.lock != Lock.TREE for one in found)
        return [*found, _failing_walk(first, second)] if reaches_walk else found
    if b == Leaf.MEM_PAGE_PROMOTE and _operand_of_entry(first) is not None:
        return [_on_child(one) for one in _meet(_merged(first), second, version)]
    return []


def conflicts_in_range(a: Party, b: Party, version: str = DEFAULT_VERSION) -> list[Conflict]:
    """Return how ``b`` fails where both are about one 2M range of physical memory, of any TD.

    A walk to a 4K page shares the PAMT entry of its 2M range, which PHYMEM.PAMT.ADD and REMOVE take
    alone; so this happens to a walk that didn't wait for them.

    Args:
        a: Who came first.
        b: Who arrives.
        version: A version of the module.

    Raises:
        ScenarioError: There is no such version.

    Source:
        TDX module 2.0.12, pamt_manager.c, pamt_walk (1.5.34 and 2.0.18 are taken to be alike).
    """
    own = frozenset(Lock) - {Lock.PAMT_2M}
    sides = [_side(party, number, version, own) for number, party in enumerate((a, b))]
    first, second = (replace(side, call=_with_walks(side.call)) for side in sides)
    return [one for one in _meet(first, second, version) if one.lock == Lock.PAMT_2M]


def _with_walks(call: Call) -> Call:
    """Return a call with the PAMT entry of the 2M range as a lock of its own before its page."""
    places = [n for n, step in enumerate(call.steps) if step.lock in call.walked]
    if not places:
        return call
    page = call.steps[places[0]]
    walk = take(Lock.PAMT_2M, Mode.SHARED, Operand(page.operand), Delay(page.delay))
    release = Step(Op.RELEASE, Lock.PAMT_2M)
    first, last = places[0], places[-1] + 1
    between = (page._replace(delay=Delay.NONE), *call.steps[first + 1 : last])
    steps = (*call.steps[:first], walk, *between, release, *call.steps[last:])
    return replace(call, steps=steps)


def _merged(side: Side) -> Side:
    """Return a side whose S-EPT entry is one of those that the other party merges."""
    return replace(side, own=side.own | {Lock.CHILDREN}, is_merged=True)


def _operand_of_entry(side: Side) -> int | None:
    """Return the operand id of the entry that a host call locks, or None if it locks none."""
    if side.call.is_guest:
        return None
    operands = [step.operand for step in side.steps if step.lock == Lock.ENTRY]
    return operands[0] if operands else None


def _on_child(conflict: Conflict) -> Conflict:
    """Return a conflict with PROMOTE, with what is special about one on a child entry."""
    if conflict.lock == Lock.CHILDREN:
        return replace(conflict, note=_MERGED_NOTE)
    if conflict.lock == Lock.ENTRY:
        note = f"{conflict.note}; {_MERGED_NOTE}" if conflict.note else _MERGED_NOTE
        return replace(conflict, mark_survives=False, note=f"{note}; {_CHILD_NOTE}")
    return conflict


def _failing_walk(first: Side, second: Side) -> Conflict:
    """Return what a host call about an entry below a blocked table comes to."""
    status = Status.EPT_WALK_FAILED
    if second.party == Leaf.MEM_RD_WR:
        status = Status.EPT_ENTRY_NOT_PRESENT
    value, note = encode(status, _operand_of_entry(second) or 0), _WALK_NOTE
    if second.call.is_list:
        value, note = encode(Status.SUCCESS), f"{_WALK_NOTE}; {_LIST_WALK_NOTE}"
    return Conflict(first.party, second.party, None, value, note=note)


def _enter_guest(words: Words, side: Side, version: str) -> None:
    """Take what a vCPU holds while it is in the guest, if the party runs there."""
    if side.party != Pseudo.VCPU_IN_GUEST and not side.call.is_guest:
        return
    enter = calls(version)[Leaf.VP_ENTER]
    for step in enter.steps:
        if step.op == Op.ACQUIRE and step.lock in enter.holds_after_return:
            acquire(words, side, step, is_guest=False)


def _meet(first: Side, second: Side, version: str) -> list[Conflict]:
    """Let the second party arrive in every phase of the first; return a conflict for each lock."""
    words: Words = {}
    _enter_guest(words, second, version)
    _enter_guest(words, first, version)
    found: dict[Lock, Conflict] = {}
    for now, number in phases(words, first):
        failure = arrive(now, second)
        if failure is not None and failure.lock not in found:
            found[Lock(failure.lock)] = _busy(first, second, failure, now, number)
    return list(found.values())


def _with_vcpu_state(
    first: Side, second: Side, found: list[Conflict], same_vcpu: bool
) -> list[Conflict]:
    """Add the conflict on one vCPU's state, which VP.ENTER and VP.RD/WR check after OP_STATE."""
    runs = first.party in _ENTERING or first.party == Pseudo.VCPU_IN_GUEST or first.call.is_guest
    needs = second.party in _ENTERING or second.party == Leaf.VP_RD_WR
    if not (same_vcpu and runs and needs):
        return found
    earlier = [conflict for conflict in found if conflict.lock in _BEFORE_ASSOCIATION]
    status = encode(Status.VCPU_STATE_INCORRECT)
    return [*earlier, Conflict(first.party, second.party, None, status, note=_VCPU_NOTE)]
