"""Guest TDCALLs that lock an S-EPT entry: ACCEPT and ATTR.RD/WR."""

import numpy as np

from tdx_env.guest.exits import begin_exit, begin_interrupt_exit, vm_exit_filter
from tdx_env.guest.interrupts import next_event
from tdx_env.guest.walk import level_of, walk_end
from tdx_env.jit import inner
from tdx_env.module.entry_lock import ENTRY_LOCKED
from tdx_env.module.host_priority import after_tdcall
from tdx_env.module.locks import (
    LockResult,
    entry_acquire_guest,
    entry_acquire_guest_mark_first,
    entry_commit,
    entry_release,
)
from tdx_env.module.sept import is_acceptable, is_guest_accessible, next_state
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Exit, Spte, State
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import EntryState, Leaf, Outcome
from tdx_env.state.costs import Cost
from tdx_env.state.draws import jitter, own
from tdx_env.state.setup import PAGES_PER_2M
from tdx_env.state.streams import Draw
from tdx_env.state.world import World

_PAGES_SHIFT = PAGES_PER_2M.bit_length() - 1


@inner
def start_tdcall(world: World, actor: int, leaf: int, entry: int) -> None:
    """Start a TDCALL on the entry that the guest asks for."""
    run = world.run
    me = world.actors["row"][actor]
    if leaf != Leaf.ACCEPT and leaf != Leaf.ATTR_RD and leaf != Leaf.ATTR_WR:
        break_off(world, actor, Place.TDCALL, leaf)
        return
    vm_exit_filter(world, actor)
    me["leaf"] = leaf
    me["entry"] = entry
    me["asked"] = entry
    me["category"] = Category.GUEST_ACCEPT
    me["state"] = State.TDCALL
    me["issued"] = run["now"]
    bits = own(world, actor, Draw.JITTER)
    world.actors["due"][actor] = run["now"] + jitter(run["costs"][Cost.TDCALL] >> 1, bits)


@inner
def _accept_step(world: World) -> int:
    """Return the cycles that ACCEPT needs for one 4K page of a 2M page."""
    return max(1, world.run["costs"][Cost.ACCEPT_2M] >> _PAGES_SHIFT)


@inner
def schedule_hold(world: World, actor: int) -> None:
    """Set when a 2M ACCEPT lets go: at its end, or at the poll after an interrupt has come."""
    me = world.actors["row"][actor]
    step = _accept_step(world)
    left = PAGES_PER_2M - world.entries["row"][me["entry"]]["counter"]
    wait = next_event(me) - me["started"]
    pages = max(1, (wait + step - 1) // step) if wait < left * step else left
    world.actors["due"][actor] = me["started"] + min(left, pages) * step


@inner
def is_long_accept(world: World, actor: int) -> bool:
    """Say whether the vCPU initialises a 2M page, which an interrupt can stop between 4K pages."""
    me = world.actors["row"][actor]
    return bool(
        me["state"] == State.HOLD
        and me["leaf"] == Leaf.ACCEPT
        and me["outcome"] == Outcome.SUCCESS
        and level_of(world.run, me["entry"]) == 1
    )


@inner
def _refused_walk(world: World, actor: int, end: int) -> int:
    """Return how ACCEPT ends whose walk stopped above the level asked for: no lock is taken."""
    state = world.entries["row"][end]["state"]
    if level_of(world.run, end) == 1 and is_guest_accessible(state):
        return Outcome.PAGE_ALREADY_ACCEPTED
    return Outcome.EPT_VIOLATION


@inner
def _outcome_under_lock(leaf: int, state: int) -> int:
    """Return how the TDCALL ends, given the state of the entry it has locked."""
    if leaf == Leaf.ACCEPT:
        if is_acceptable(state):
            return Outcome.SUCCESS
        if is_guest_accessible(state):
            return Outcome.PAGE_ALREADY_ACCEPTED
        if state == EntryState.NL_MAPPED or state == EntryState.NL_BLOCKED:
            return Outcome.PAGE_SIZE_MISMATCH
        return Outcome.EPT_VIOLATION
    if (
        state == EntryState.FREE
        or state == EntryState.REMOVED
        or state == EntryState.BLOCKED
        or state == EntryState.PENDING_BLOCKED
        or state == EntryState.NL_MAPPED
        or state == EntryState.NL_BLOCKED
    ):
        return Outcome.EPT_VIOLATION
    return Outcome.SUCCESS


@inner
def _exit_with_violation(world: World, actor: int) -> None:
    """Leave the guest with an EPT violation of type ACCEPT, which zero-step does not count."""
    me = world.actors["row"][actor]
    me["accept_fault"] = 1
    me["pending"] = 0
    begin_exit(world, actor, Exit.EPT_VIOLATION)


@inner
def is_answer(outcome: int) -> bool:
    """Say whether the guest is told so by a TDCALL, and goes on."""
    return bool(
        outcome == Outcome.SUCCESS
        or outcome == Outcome.PAGE_ALREADY_ACCEPTED
        or outcome == Outcome.PAGE_SIZE_MISMATCH
    )


@inner
def tdcall_over(world: World, actor: int) -> None:
    """Run the TDCALL epilogue: host-priority time-out, or back to the guest."""
    run = world.run
    me = world.actors["row"][actor]
    flagged, since, exits = after_tdcall(
        me["hp_flagged"] != 0,
        me["hp_since"],
        run["now"],
        world.setup["hp_timeout"],
        me["outcome"],
    )
    me["hp_flagged"] = flagged
    me["hp_since"] = since
    if me["outcome"] == Outcome.OPERAND_BUSY:
        me["category"] = Category.GUEST_BUSY
    elif me["outcome"] == Outcome.OPERAND_BUSY_HOST_PRIORITY:
        me["category"] = Category.GUEST_PRIORITY_STALL
    elif not is_answer(me["outcome"]):
        break_off(world, actor, Place.TDCALL_OVER, me["outcome"])
    if exits:
        begin_exit(world, actor, Exit.HOST_PRIORITY_TIMEOUT)
        return
    me["state"] = State.TDCALL_RETURN
    cost = run["costs"][Cost.TDCALL]
    world.actors["due"][actor] = run["now"] + cost - (cost >> 1)


@inner
def _hold(world: World, actor: int) -> None:
    """Keep the entry that was just locked for as long as the TDCALL needs it."""
    run = world.run
    me = world.actors["row"][actor]
    me["state"] = State.HOLD
    me["started"] = run["now"]
    me["outcome"] = _outcome_under_lock(me["leaf"], world.entries["row"][me["entry"]]["state"])
    if me["leaf"] != Leaf.ACCEPT or me["outcome"] != Outcome.SUCCESS:
        world.actors["due"][actor] = run["now"] + run["costs"][Cost.ATTR_HOLD]
    elif level_of(run, me["entry"]) == 1:
        schedule_hold(world, actor)
    else:
        world.actors["due"][actor] = run["now"] + run["costs"][Cost.ACCEPT_4K]


@inner
def _acquire_entry(world: World, word: int) -> tuple[int, int]:
    """Try an entry's lock for the guest, in the order of the module's version."""
    if world.program["guests_test_mark_first"]:
        return entry_acquire_guest_mark_first(word)
    return entry_acquire_guest(word)


@inner
def _locks_free(world: World) -> bool:
    """Say whether guests lock FREE entries: the module does so, and the scenario leaves it."""
    return bool(world.program["guests_lock_free_entries"] and world.setup["guests_lock_free"])


@inner
def _is_abandoned(entry: np.void) -> bool:
    """Say whether an entry that refuses a guest has a mark that nobody is about to clear.

    No call holds it, and its SPTE shows that KVM is not at it: it was marked by a host call that
    was given up.
    """
    return bool(entry["word"] & ENTRY_LOCKED == 0 and entry["spte"] != Spte.FROZEN)


@inner
def try_entry(world: World, actor: int) -> None:
    """Handle TDCALL: walk, then try the entry's lock as a guest."""
    run = world.run
    me = world.actors["row"][actor]
    end = walk_end(world, me["asked"])
    me["entry"] = end
    if me["leaf"] == Leaf.ACCEPT and end != me["asked"]:
        me["outcome"] = _refused_walk(world, actor, end)
        if me["outcome"] == Outcome.EPT_VIOLATION:
            _exit_with_violation(world, actor)
        else:
            tdcall_over(world, actor)
        return
    entry = world.entries["row"][end]
    if entry["state"] == EntryState.FREE and not _locks_free(world):
        me["outcome"] = Outcome.EPT_VIOLATION
        _exit_with_violation(world, actor)
        return
    word, result = _acquire_entry(world, entry["word"])
    entry["word"] = word
    if result == LockResult.SUCCESS:
        entry["holder"] = actor
        entry["holder_leaf"] = me["leaf"]
        _hold(world, actor)
        return
    run["n_guest_busy"] += 1
    run["n_abandoned"] += _is_abandoned(entry)
    me["outcome"] = Outcome.OPERAND_BUSY
    if result == LockResult.BUSY_HOST_PRIORITY:
        me["outcome"] = Outcome.OPERAND_BUSY_HOST_PRIORITY
    tdcall_over(world, actor)


@inner
def _commit_accept(world: World, actor: int) -> None:
    """Store what ACCEPT did, and unlock; a plain store (up to 1.5.06) leaves no mark of a host's.

    Source: TDX module 1.5.01 and 1.5.28, src/td_dispatcher/vm_exits/tdg_mem_page_accept.c.
    """
    run = world.run
    me = world.actors["row"][actor]
    entry = world.entries["row"][me["entry"]]
    entry["word"] = entry_commit(entry["word"], world.program["accept_keeps_mark"] != 0, False)
    if level_of(run, me["entry"]) == 1:
        pages = (run["now"] - me["started"]) // _accept_step(world)
        if entry["counter"] + pages < PAGES_PER_2M:
            entry["counter"] += pages
            me["outcome"] = Outcome.INTERRUPTED
            return
    entry["counter"] = 0
    entry["state"] = next_state(Leaf.ACCEPT, entry["state"])


@inner
def let_entry_go(world: World, actor: int) -> None:
    """Handle HOLD: release the entry and end the TDCALL."""
    me = world.actors["row"][actor]
    if me["leaf"] == Leaf.ACCEPT and me["outcome"] == Outcome.SUCCESS:
        _commit_accept(world, actor)
    else:
        entry = world.entries["row"][me["entry"]]
        word, _ = entry_release(entry["word"])
        entry["word"] = word
    if me["outcome"] == Outcome.EPT_VIOLATION:
        _exit_with_violation(world, actor)
    elif me["outcome"] == Outcome.INTERRUPTED:
        me["hp_flagged"] = 0
        begin_interrupt_exit(world, actor)
    else:
        tdcall_over(world, actor)
