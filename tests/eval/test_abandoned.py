"""The page about the mark that a busy host call leaves."""

import numba
import pytest

from tdx_eval.abandoned import MERGED, MET, RETRY, Marks, marks_of

compiled = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes uncompiled")


def test_cell_says_what_lost_the_episodes_and_how_often_a_mark_was_met():
    assert str(Marks(24, 1, 22, 1, 2.5)) == "1 mark, 22 holder, 1 KVM (2.5)"
    assert str(Marks(24, 0, 0, 0, 0.0)) == "none (0)"


@compiled
def test_whoever_unwinds_is_lost_by_the_mark_and_whoever_repeats_is_not():
    assert marks_of(MERGED, MET, 4) == Marks(4, 4, 0, 0, 1.0)
    assert marks_of(RETRY, MET, 4) == Marks(4, 0, 0, 0, 0.0)


@compiled
def test_older_modules_lose_nobody_by_it():
    assert marks_of(MERGED, MET, 4, module__version="1.5.06").by_mark == 0
