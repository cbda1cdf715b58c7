"""Making trees at random, and changing them: what searches are made of."""

from collections.abc import Iterator

import numpy as np

from tdx_agents.tree import Node, Split, nodes_of
from tdx_agents.tree_inputs import INPUTS, Input
from tdx_env.state.discipline import Action

MOST_LINES = 12
_FEWEST_LINES = 3
_TYPICAL = {"cycles": (6, 24), "pages": (0, 9)}  # log2 of thresholds, from and to, by unit
_OTHERS = (0, 8)
_ZERO_SHARE = 0.3  # of thresholds; all that is "beyond" begins at 0
_ANSWERS = (Action.RETRY, Action.KICK, Action.YIELD)
_ANSWER_SHARES = (0.45, 0.45, 0.1)
_GROWTH = 0.5  # chance that a place of a random tree is a test
_WIDEST = 2.0  # standard deviation of a threshold's change, in log2


def threshold_for(one: Input, generator: np.random.Generator) -> int:
    """Return a threshold of an input, drawn by its unit."""
    if one.is_flag or generator.random() < _ZERO_SHARE:
        return 0
    low, high = _TYPICAL.get(one.unit, _OTHERS)
    return int(2 ** generator.uniform(low, high))


def simplified(node: Node) -> Node:
    """Return a tree without tests that change nothing."""
    if isinstance(node, Action):
        return node
    then, otherwise = simplified(node.then), simplified(node.otherwise)
    return then if then == otherwise else Split(node.input, node.above, then, otherwise)


def random_leaf(generator: np.random.Generator) -> Action:
    """Return an answer."""
    return _ANSWERS[generator.choice(len(_ANSWERS), p=_ANSWER_SHARES)]


def random_tree(generator: np.random.Generator, n_lines: int = MOST_LINES) -> Node:
    """Return a tree of at most so many lines."""
    if n_lines < 3 or generator.random() > _GROWTH:
        return random_leaf(generator)
    return grown_program(generator, n_lines)


def grown_program(generator: np.random.Generator, n_lines: int) -> Split:
    """Return a tree that begins with a test, of at most so many lines, at least 3."""
    one = INPUTS[generator.integers(len(INPUTS))]
    left = n_lines - 1
    share = int(generator.integers(1, left))
    then = random_tree(generator, share)
    otherwise = random_tree(generator, left - share)
    return Split(one.name, threshold_for(one, generator), then, otherwise)


def drawn_tree(generator: np.random.Generator) -> Split:
    """Return a tree of 3 to 12 lines, none of whose tests changes nothing."""
    while True:
        n_lines = int(generator.integers(_FEWEST_LINES, MOST_LINES + 1))
        root = simplified(grown_program(generator, n_lines))
        if isinstance(root, Split):
            return root


def n_lines_of(root: Node) -> int:
    """Return the lines of a tree as a program: one for each test and each answer."""
    return sum(1 for _ in nodes_of(root))


def with_node(root: Node, place: int, node: Node) -> Node:
    """Return a tree with another node at a place, counted as `nodes_of` yields them."""
    numbers: Iterator[int] = iter(range(n_lines_of(root)))

    def copied(old: Node) -> Node:
        here = next(numbers)
        if here == place:
            for _ in range(n_lines_of(old) - 1):
                next(numbers)
            return node
        if isinstance(old, Action):
            return old
        return Split(old.input, old.above, copied(old.then), copied(old.otherwise))

    return copied(root)


def _changed_threshold(node: Split, generator: np.random.Generator) -> Split:
    """Return a test with another threshold."""
    one = next(found for found in INPUTS if found.name == node.input)
    if one.is_flag:
        return Split(node.input, 0, node.otherwise, node.then)
    moved = int((node.above + 1) * 2 ** generator.normal(0, _WIDEST / 2)) - 1
    above = max(0, moved) if generator.random() > _ZERO_SHARE / 3 else 0
    return Split(node.input, min(above, 1 << 30), node.then, node.otherwise)


def mutated(root: Node, generator: np.random.Generator, most_lines: int = MOST_LINES) -> Node:
    """Return a tree with one change: a threshold, an input, an answer, a test more or less."""
    nodes = list(nodes_of(root))
    place = int(generator.integers(len(nodes)))
    node = nodes[place]
    way = generator.random()
    if isinstance(node, Action):
        room = most_lines - len(nodes) + 1
        if way < 0.5 and room >= 3:
            one = INPUTS[generator.integers(len(INPUTS))]
            pair = [node, random_leaf(generator)]
            if generator.random() < 0.5:
                pair.reverse()
            return with_node(root, place, Split(one.name, threshold_for(one, generator), *pair))
        return with_node(root, place, random_leaf(generator))
    if way < 0.45:
        return with_node(root, place, _changed_threshold(node, generator))
    if way < 0.7:
        one = INPUTS[generator.integers(len(INPUTS))]
        changed = Split(one.name, threshold_for(one, generator), node.then, node.otherwise)
        return with_node(root, place, changed)
    if way < 0.85:
        return with_node(root, place, node.then if generator.random() < 0.5 else node.otherwise)
    room = most_lines - len(nodes) + n_lines_of(node)
    return with_node(root, place, grown_program(generator, max(3, room)))


def crossed(
    root: Node, other: Node, generator: np.random.Generator, most_lines: int = MOST_LINES
) -> Node:
    """Return a tree with a part of another one in place of one of its own."""
    place = int(generator.integers(n_lines_of(root)))
    parts = list(nodes_of(other))
    part = parts[int(generator.integers(len(parts)))]
    child = with_node(root, place, part)
    return child if n_lines_of(child) <= most_lines else root
