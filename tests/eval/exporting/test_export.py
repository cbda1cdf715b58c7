"""Trees in C, as text, as a picture: what is written, and that C answers as Python."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tdx_agents.tree import Split, Tree, tree_names, tree_of
from tdx_agents.tree_inputs import INPUTS
from tdx_env.errors import PolicyError
from tdx_env.state.discipline import Action
from tdx_eval.exporting.compiling import compiled_by_gcc, longest_path, missing_tool
from tdx_eval.exporting.drawing import tree_svg
from tdx_eval.exporting.equality import check_equal, random_states
from tdx_eval.exporting.header import function_lines, header_text
from tdx_eval.exporting.proposal import proposal_text
from tdx_eval.exporting.spoken import rules_text
from tdx_eval.exporting.terms import TERMS
from tdx_eval.worst.bounds import bound_of

RETRY, KICK, YIELD = Action
N_STATES = 10_000
GREEDY = tree_of("greedy-tree")
needs_gcc = pytest.mark.skipif(
    bool(missing_tool()), reason=f"{missing_tool()} is not installed: C can't be compiled"
)


def every_input() -> Tree:
    """Return a tree that asks for each input once, small and large thresholds in turn."""
    root = RETRY
    for place, one in enumerate(reversed(INPUTS)):
        above = 0 if one.is_flag else (0, 3, 1 << 12, 1 << 33)[place % 4]
        root = Split(one.name, above, (KICK, YIELD)[place % 2], root)
    return Tree("every input", "tests all there is", "by hand", GREEDY.discipline, root)


def compiled(tree: Tree):
    """Return a context with a tree compiled by gcc."""
    return compiled_by_gcc(tree, header_text(tree, bound_of(tree)))


@needs_gcc
def test_c_with_every_input_answers_as_python():
    tree = every_input()
    with compiled(tree) as library:
        check_equal(tree, library, random_states(N_STATES, seed=3))


@needs_gcc
@pytest.mark.parametrize("name", tree_names())
def test_shipped_tree_in_c_is_small_and_answers_as_python(name):
    tree = tree_of(name)
    with compiled(tree) as library:
        check_equal(tree, library, random_states(N_STATES, seed=1))
        assert library.measured.text_bytes <= 512


@needs_gcc
def test_difference_is_found_and_told():
    other = Tree(
        "greedy-tree", "", "", GREEDY.discipline, Split("wait_beyond_price", 0, YIELD, KICK)
    )
    with compiled(GREEDY) as library, pytest.raises(PolicyError, match="decisions differ"):
        check_equal(other, library, random_states(100, seed=1))


@needs_gcc
def test_header_that_is_no_c_is_told():
    with (
        pytest.raises(PolicyError, match="gcc fails"),
        compiled_by_gcc(GREEDY, "no C at all"),
    ):
        pass


def test_every_input_has_a_term():
    assert set(TERMS) == {one.name for one in INPUTS}


def test_header_has_named_constants_the_bound_and_no_loop():
    tree = Tree("t", "t", "t", GREEDY.discipline, Split("blocked", 63, KICK, RETRY))
    text = header_text(tree, bound_of(tree))
    assert "#define T_BLOCKED\t63ULL" in text
    assert "> T_BLOCKED)" in text
    assert "at most 2,048 SEAMCALLs" in text
    words = " ".join(function_lines(tree)).replace("(", " ").split()
    assert not {"for", "while", "goto", "do", "malloc", "float", "double"} & set(words)


def test_longest_path_takes_the_longer_branch():
    listing = "\n".join(
        [
            "   0:\tcmp    %rax,%rdi",
            "   3:\tja     a <f+0xa>",
            "   5:\txor    %eax,%eax",
            "   7:\tnop",
            "   9:\tret",
            "   a:\tmov    $1,%eax",
            "   f:\tret",
        ]
    )
    assert longest_path(listing) == 5


def test_block_that_gcc_has_put_last_may_jump_back():
    listing = "   0:\tja     3 <f>\n   1:\tnop\n   2:\tret\n   3:\tnop\n   4:\tjmp    1 <f>\n"
    assert longest_path(listing) == 5


def test_loop_has_no_longest_path():
    with pytest.raises(PolicyError, match="a loop"):
        longest_path("   0:\tnop\n   1:\tjmp    0 <f>\n")


def test_rules_say_what_each_input_costs():
    text = rules_text(GREEDY)
    assert "if wait_beyond_price > 0:\n    KICK\nelse:\n    RETRY" in text
    assert "costs one multiplication" in text


def test_picture_has_a_box_for_each_node():
    root = ET.fromstring(tree_svg(GREEDY))
    boxes = [one for one in root if one.tag.endswith("rect")]
    assert len(boxes) == GREEDY.n_nodes


def test_proposal_counts_its_lines():
    text = proposal_text(GREEDY)
    added = sum(line.startswith("+") for line in text.splitlines())
    removed = sum(line.startswith("-\t") for line in text.splitlines())
    assert f"{added} lines come, {removed} go" in text


def test_proposal_without_flush_points_leaves_the_loop_alone():
    discipline = GREEDY.discipline.with_(flush=1, asks="busy")
    text = proposal_text(Tree("t", "t", "t", discipline, Split("issues", 3, KICK, RETRY)))
    assert "tdp_mmu_zap_leafs" not in text
    assert "rule(kvm_tdx, tries) == KICK" in text


def test_random_states_stay_within_what_the_header_states():
    states = random_states(1000, seed=0)
    assert states.min() >= 0
    assert states.max() < 1 << 40
    assert len(np.unique(states[:, 0])) == 7
