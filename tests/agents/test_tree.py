"""Trees: files, their damages, and the answers of the compiled policy."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_agents import load
from tdx_agents.protocol import Kind
from tdx_agents.tree import (
    MAX_DEPTH,
    Split,
    Tree,
    answers_of,
    decide_by,
    read_tree,
    tree_names,
    tree_text,
    write_tree,
)
from tdx_agents.tree_inputs import BY_NAME, FLUSH_ONLY, INPUTS, input_values
from tdx_env.errors import PolicyError
from tdx_env.host.discipline import BOUNDED
from tdx_env.host.flush_rules import root_wait
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import Action
from tdx_env.state.features import Feature
from tests.agents.conftest import decisions, features_of

ROOT = {
    "if": "is_flush",
    "above": 0,
    "then": {"if": "wait_beyond_price", "above": 100, "then": "KICK", "else": "RETRY"},
    "else": "RETRY",
}
FILE = {
    "format_version": 1,
    "name": "mine",
    "title": "a tree",
    "source": "by hand",
    "discipline": {"flush": "decided", "asks": "all"},
    "root": ROOT,
}
FLUSH = {"path": CallPath.FLUSH, "MMU_CONTENDED": 1, "BLOCKED": 3, "N_IN_GUEST": 10}


@pytest.fixture
def path(tmp_path):
    """Return the file of a tree."""
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(FILE))
    return file


def put(path, *keys, value):
    """Write the file anew with one value changed."""
    content = json.loads(json.dumps(FILE))
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content))


def test_file_is_a_compiled_policy_under_its_discipline(path):
    policy = load(path)
    assert (policy.name, policy.kind) == ("mine", Kind.COMPILED)
    assert policy.discipline.flush == "decided"
    assert policy.discipline.on_exhaustion == BOUNDED.on_exhaustion
    assert policy.decision_cycles == 50


def test_answers_follow_the_tests(path):
    root = read_tree(path).root
    price = {"FLUSH_SEND": 1000, "FLUSH_TARGET": 200}  # 3,000 with 10 vCPUs
    late = features_of(Leaf.MEM_RANGE_BLOCK, **FLUSH, **price, CONTENDED_CYCLES=3101)
    early = features_of(Leaf.MEM_RANGE_BLOCK, **FLUSH, **price, CONTENDED_CYCLES=3100)
    busy = features_of(Leaf.MEM_RANGE_BLOCK, CONTENDED_CYCLES=9999)
    assert answers_of(root, np.array([late, early, busy])).tolist() == [1, 0, 0]


def test_masked_answer_becomes_retry():
    features = features_of(Leaf.MEM_PAGE_ADD)
    assert decide_by(Action.KICK)(features) == Action.RETRY


@pytest.mark.parametrize("name", tree_names())
def test_shipped_tree_is_known_by_name(name):
    assert load(name.upper()).name == name


def test_decisions_of_a_tree_go_under_another_discipline():
    crossed = load("greedy-tree@P20")
    assert crossed.name == "greedy-tree@p20-merged-6.19"
    assert crossed.discipline.flush == 1


def test_file_that_was_written_is_read_back(path, tmp_path):
    tree = read_tree(path)
    write_tree(tree, tmp_path / "new" / "tree.json")
    assert read_tree(tmp_path / "new" / "tree.json") == tree
    assert json.loads(tree_text(tree)) == FILE


@pytest.mark.parametrize(
    ("keys", "value", "told"),
    [
        (["format_version"], 2, "format_version = 2, must be 1"),
        (["root"], "JUMP", "root = 'JUMP', must be RETRY, KICK, YIELD or a test"),
        (["root"], 3, "root = 3, must be RETRY"),
        (["root", "then", "above"], -1, "root.then.above = -1, must be a whole number from 0"),
        (["root", "then", "above"], 1.5, "root.then.above = 1.5, must be a whole number"),
        (["root", "above"], 1, "root.above = 1, must be 0: is_flush is a flag"),
        (["root", "if"], "is_flesh", "root.if = 'is_flesh', must be one of: is_flush"),
        (["root", "if"], None, "root.if = None, must be one of"),
        (["root", "els"], "RETRY", "root: has the key 'els', must be one of"),
        (["name"], "", "name = '', must be a text of 1 to 400 characters"),
        (["discipline"], [], "discipline = [], must be an object"),
        (["discipline", "flash"], 1, "discipline: flash: Extra inputs"),
        (["code"], "x", "has the key 'code', must be one of"),
    ],
)
def test_each_damage_has_its_own_message(path, keys, value, told):
    put(path, *keys, value=value)
    with pytest.raises(PolicyError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is no JSON"),
        (b"[1]", "holds a list, must be an object"),
        (b'{"format_version": 1', "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_no_tree_is_refused(path, content, told):
    path.write_bytes(content)
    with pytest.raises(PolicyError, match=told):
        load(path)


def test_missing_file_and_missing_key_are_told(path, tmp_path):
    with pytest.raises(PolicyError, match="there is no such file"):
        load(tmp_path / "other.json")
    path.write_text(json.dumps({key: value for key, value in FILE.items() if key != "root"}))
    with pytest.raises(PolicyError, match="lacks the key 'root'"):
        load(path)


def test_too_deep_a_tree_is_refused(path):
    root = "RETRY"
    for _ in range(MAX_DEPTH + 1):
        root = {"if": "issues", "above": 1, "then": "KICK", "else": root}
    put(path, "root", value=root)
    with pytest.raises(PolicyError, match=f"below {MAX_DEPTH} tests"):
        load(path)


def nodes() -> st.SearchStrategy:
    """Return a strategy for trees of a few nodes."""

    def split(name, above, then, otherwise):
        return Split(name, 0 if INPUTS[BY_NAME[name]].is_flag else above, then, otherwise)

    leaves = st.sampled_from(list(Action))
    names = st.sampled_from([one.name for one in INPUTS])
    amounts = st.one_of(st.integers(0, 9), st.integers(0, 1 << 40))
    return st.recursive(leaves, lambda inner: st.builds(split, names, amounts, inner, inner))


@given(root=nodes(), features=decisions())
def test_tree_answers_as_a_walk_over_its_inputs_and_is_read_back(root, features):
    values = input_values(features[None])[0]
    node = root
    while isinstance(node, Split):
        node = node.then if values[BY_NAME[node.input]] > node.above else node.otherwise
    allowed = features[Feature.MASK] >> node & 1
    assert answers_of(root, features[None])[0] == (node if allowed else Action.RETRY)
    tree = Tree("t", "t", "t", BOUNDED, root)
    assert json.loads(tree_text(tree))["root"] is not None


@given(features=decisions())
def test_inputs_are_never_negative_and_flags_are_bits(features):
    features[[Feature.PATH]] = max(0, features[Feature.PATH])
    values = input_values(features[None])[0]
    assert (values >= 0).all()
    assert all(values[place] <= 1 for place, one in enumerate(INPUTS) if one.is_flag
               and one.name not in ("mmu_contended", "has_events", "need_resched"))  # fmt: skip


def test_batch_inputs_are_0_at_busy_replies():
    values = input_values(features_of(Leaf.MEM_TRACK, MMU_CONTENDED=1, N_IN_GUEST=9)[None])[0]
    assert not any(values[BY_NAME[name]] for name in FLUSH_ONLY)


@given(wait=st.integers(0, 1 << 20), gap=st.integers(1, 1 << 20), price=st.integers(0, 1 << 24))
def test_past_root_is_the_law_without_a_root(wait, gap, price):
    """The law's own root is rounded down: one cycle later at most."""
    features = features_of(Leaf.MEM_RANGE_BLOCK, **FLUSH)
    features[[Feature.CONTENDED_CYCLES, Feature.WAIT_GAP, Feature.FLUSH_SEND]] = wait, gap, price
    is_past = bool(input_values(features[None])[0, BY_NAME["past_root"]])
    if is_past:
        assert wait >= root_wait(price, gap)
    else:
        assert wait <= root_wait(price, gap)


def test_page_has_a_row_for_each_input():
    page = (Path(__file__).parents[2] / "docs" / "trees.md").read_text(encoding="utf-8")
    rows = [f"| `{one.name}` | {one.meaning} | {one.unit} | {one.cost} |" for one in INPUTS]
    assert [row for row in rows if row not in page] == []
