"""The module's lock words as a SEAMCALL takes them and lets them go, and who was found on them."""

import numpy as np

from tdx_env.jit import inner
from tdx_env.module.locks import (
    LockResult,
    entry_acquire_host,
    entry_release,
    hp_acquire_exclusive,
    hp_acquire_shared,
    hp_has_mark,
    hp_release_exclusive,
    hp_release_shared,
    sharex_acquire_exclusive,
    sharex_acquire_shared,
    sharex_release_exclusive,
    sharex_release_shared,
)
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE, Leaf, Lock, Mode, Op
from tdx_env.state.world import CELL_LOCKS, N_HOLDERS, Word, World

_N_CELL_LOCKS = len(CELL_LOCKS)
_COLUMNS = np.full(len(Lock), NONE)  # of each lock in the busy matrix
_COLUMNS[list(CELL_LOCKS)] = range(_N_CELL_LOCKS)
NO_WORD, UNKNOWN = -1, -2
WORD_OF = np.full(len(Lock), UNKNOWN)  # the TD's lock word that each lock is, or NO_WORD
WORD_OF[[Lock.TDR, Lock.OP_STATE, Lock.TREE]] = Word.TDR, Word.OP_STATE, Word.TREE
WORD_OF[[Lock.EPOCH, Lock.MIG, Lock.MIGSC]] = Word.EPOCH, Word.MIG, Word.MIGSC
# MODEL: the locks of TDVPR and of pages are always free: KVM never names one vCPU or one page in
# two of the modelled calls at a time.
WORD_OF[[Lock.TDVPR, Lock.PAGE, Lock.NEW_PAGE, Lock.PAMT_PAGE_0, Lock.PAMT_PAGE_1]] = NO_WORD
_EXCLUSIVE = 1  # bit of every lock word


@inner
def _has_priority(world: World, word: int) -> bool:
    """Say whether a lock word of the TD has host priority; the tree's has in newer versions."""
    if word == Word.TREE:
        return bool(world.program["tree_has_priority"])
    return word < Word.TREE


@inner
def has_mark(world: World, lock: int) -> bool:
    """Say whether a refused host's mark stands on a lock of the TD."""
    word = WORD_OF[lock]
    return bool(_has_priority(world, word) and hp_has_mark(world.run["words"][word]))


@inner
def _acquire_word(value: int, mode: int, has_priority: bool) -> tuple[int, int]:
    """Try a lock word of the TD for a host; return it afterwards, and a LockResult."""
    if not has_priority:
        if mode == Mode.EXCLUSIVE:
            return sharex_acquire_exclusive(value)
        return sharex_acquire_shared(value)
    if mode == Mode.EXCLUSIVE:
        return hp_acquire_exclusive(value, False)
    return hp_acquire_shared(value, False)


@inner
def _release_word(value: int, mode: int, has_priority: bool) -> int:
    """Release a lock word of the TD."""
    if not has_priority:
        if mode == Mode.EXCLUSIVE:
            return sharex_release_exclusive(value)[0]
        return sharex_release_shared(value)[0]
    if mode == Mode.EXCLUSIVE:
        return hp_release_exclusive(value)[0]
    return hp_release_shared(value)[0]


@inner
def _acquire_entry(world: World, actor: int) -> bool:
    """Try the lock of the call's S-EPT entry for a host."""
    me = world.actors["row"][actor]
    entry = world.entries["row"][me["entry"]]
    word, result = entry_acquire_host(entry["word"])
    entry["word"] = word
    if result != LockResult.SUCCESS:
        return False
    entry["holder"] = actor
    entry["holder_leaf"] = me["leaf"]
    return True


@inner
def note_taken(world: World, word: int, actor: int, leaf: int) -> None:
    """Note who took a lock word last; who comes late (`host.lazy`) may have been before others."""
    run = world.run
    before = run["taken_at"][word]
    if run["now"] > before or (run["now"] == before and actor >= run["holder"][word]):
        run["holder"][word] = actor
        run["holder_leaf"][word] = leaf
        run["taken_at"][word] = run["now"]


@inner
def acquire(world: World, actor: int, lock: int, mode: int) -> bool:
    """Try a lock of the call; say whether it was taken."""
    run = world.run
    me = world.actors["row"][actor]
    if lock == Lock.ENTRY:
        if not _acquire_entry(world, actor):
            return False
    else:
        word = WORD_OF[lock]
        if word < 0:
            if word == UNKNOWN:
                break_off(world, actor, Place.LOCK, lock)
            return True
        if mode != Mode.SHARED and mode != Mode.EXCLUSIVE:
            break_off(world, actor, Place.LOCK_MODE, mode)
            return True
        value, result = _acquire_word(run["words"][word], mode, _has_priority(world, word))
        run["words"][word] = value
        if result != LockResult.SUCCESS:
            return False
        note_taken(world, word, actor, me["leaf"])
    me["held"] |= 1 << lock
    return True


@inner
def _mode_of(world: World, leaf: int, lock: int) -> int:
    """Return the mode in which a call takes a lock."""
    step = 0
    while True:
        row = world.program["steps"][leaf, step]
        if row["lock"] == lock and row["op"] <= Op.ACQUIRE_IF_ARMED:
            return row["mode"]
        step += 1


@inner
def release(world: World, actor: int, leaf: int, lock: int) -> None:
    """Release a lock of a call, if the actor holds it; the mode is that of the call's table."""
    if world.actors["row"][actor]["held"] & (1 << lock):
        release_in_mode(world, actor, lock, _mode_of(world, leaf, lock))


@inner
def release_in_mode(world: World, actor: int, lock: int, mode: int) -> None:
    """Release a lock that was taken in a mode, if the actor holds it."""
    run = world.run
    me = world.actors["row"][actor]
    if not me["held"] & (1 << lock):
        return
    me["held"] &= ~(1 << lock)
    if lock == Lock.ENTRY:
        entry = world.entries["row"][me["entry"]]
        word, _ = entry_release(entry["word"])
        entry["word"] = word
        return
    word = WORD_OF[lock]
    value = run["words"][word]
    run["words"][word] = _release_word(value, mode, _has_priority(world, word))


@inner
def _find_holder(world: World, word: int, lock: int) -> None:
    """Note who holds a lock word now: the last one to take it shared may have let it go again."""
    run = world.run
    if run["words"][word] & _EXCLUSIVE:
        return
    for other in range(run["n_actors"]):
        holder = world.actors["row"][other]
        if holder["held"] & (1 << lock):
            run["holder"][word] = other
            run["holder_leaf"][word] = holder["leaf"]
            if holder["counted"]:
                run["holder_leaf"][word] = Leaf.VP_ENTER
            return


@inner
def note_busy(world: World, actor: int, lock: int) -> None:
    """Count a busy reply in its cell: call, call of the lock's last holder, lock."""
    run = world.run
    me = world.actors["row"][actor]
    if lock == Lock.ENTRY:
        holder_leaf = world.entries["row"][me["entry"]]["holder_leaf"]
    else:
        word = WORD_OF[lock]
        _find_holder(world, word, lock)
        holder_leaf = run["holder_leaf"][word]
    if holder_leaf == NONE:
        holder_leaf = N_HOLDERS - 1
    run["n_busy"] += 1
    me["cell"] = (me["leaf"] * N_HOLDERS + holder_leaf) * _N_CELL_LOCKS + _COLUMNS[lock]
    me["busy_since"] = me["issued"]
    run["cells"][me["cell"]][0] += 1
