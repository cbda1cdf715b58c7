"""Two parties on the same lock words: steps that touch none, and how far a party gets."""

import pytest

from tdx_env.matrix.encounter import Side, Words, arrive, do_step, phases
from tdx_env.matrix.parties import Party, Pseudo
from tdx_env.module.locks import LockResult, regime
from tdx_env.module.seamcalls import calls
from tdx_env.module.steps import CHECK, NEXT, POLL
from tdx_env.state.calls import Leaf, Lock, Op

NOTHING: frozenset[Lock] = frozenset()
OLDEST = "1.5.01"
REGIME = regime(OLDEST)


def side(party: Party, number: int = 0) -> Side:
    """Return a side that finds nothing but the common words of the TD."""
    leaf = Leaf.VP_ENTER if isinstance(party, Pseudo) else party
    return Side(party, calls(OLDEST)[leaf], number, NOTHING, NOTHING, REGIME)


def held(words: Words) -> set[int]:
    """Return the locks whose words are not free."""
    return {key[0] for key, word in words.items() if word}


@pytest.mark.parametrize("step", [POLL, NEXT, CHECK])
def test_poll_next_and_check_touch_no_lock_word(step) -> None:
    words: Words = {}
    assert do_step(words, side(Leaf.MEM_PAGE_DEMOTE), step) == LockResult.SUCCESS
    assert words == {}


def test_demote_polls_with_all_its_locks_but_the_large_pages() -> None:
    demote = side(Leaf.MEM_PAGE_DEMOTE)
    polling = [
        held(now) for now, number in phases({}, demote) if demote.steps[number:][:1] == (POLL,)
    ]
    assert polling == [{Lock.TDR, Lock.OP_STATE, Lock.TREE, Lock.ENTRY, Lock.NEW_PAGE}]


def test_list_keeps_the_tree_while_it_goes_to_the_next_entry() -> None:
    blockw = side(Leaf.EXPORT_BLOCKW)
    words: Words = {}
    for step in blockw.steps[: blockw.steps.index(NEXT)]:
        do_step(words, blockw, step)
    assert held(words) == {Lock.TDR, Lock.OP_STATE, Lock.TREE}


@pytest.mark.parametrize("leaf", [leaf for leaf in calls(OLDEST) if leaf != Leaf.VP_ENTER])
def test_undisturbed_call_leaves_every_word_free(leaf: Leaf) -> None:
    *_, (words, _) = phases({}, side(leaf))
    assert held(words) == set()


def test_refused_party_lets_go_of_what_it_has_taken() -> None:
    block, aug = side(Leaf.MEM_RANGE_BLOCK), side(Leaf.MEM_PAGE_AUG, 1)
    words: Words = {}
    for step in block.steps[:3]:
        do_step(words, block, step)
    before = {lock: words[side(Leaf.MEM_PAGE_AUG).key(lock)] for lock in (Lock.TDR, Lock.OP_STATE)}
    failure = arrive(words, aug)
    assert failure is not None and (failure.op, failure.lock) == (Op.ACQUIRE, Lock.TREE)
    assert before == {lock: words[aug.key(lock)] for lock in before}


def test_second_tds_locks_are_its_tdr_and_op_state() -> None:
    of_service = frozenset({Lock.OTHER_TDR, Lock.OTHER_OP_STATE})
    bind = Side(Leaf.SERVTD_BIND, calls(OLDEST)[Leaf.SERVTD_BIND], 0, NOTHING, of_service, REGIME)
    service = Side(
        Leaf.MEM_TRACK, calls(OLDEST)[Leaf.MEM_TRACK], 1, NOTHING, frozenset(Lock), REGIME
    )
    assert bind.key(Lock.OTHER_TDR) == service.key(Lock.TDR) != bind.key(Lock.TDR)
    assert bind.key(Lock.OTHER_OP_STATE) == service.key(Lock.OP_STATE)
