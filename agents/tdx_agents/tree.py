"""Trees: a few tests of whole numbers, from a JSON file, as a compiled policy.

A file holds::

    {"format_version": 1, "name": "greedy-tree", "title": "...", "source": "...",
     "discipline": {"flush": "decided", "asks": "all"},
     "root": {"if": "wait_beyond_price", "above": 0, "then": "KICK", "else": "RETRY"}}

``discipline`` changes the bounded discipline (`tdx_env.host.discipline.BOUNDED`). A test compares
one of `tree_inputs.INPUTS` with a number; a leaf is an action, RETRY where that is masked. Loading
a file executes nothing of it.
"""

import functools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from tdx_agents.bundle import complaint
from tdx_agents.place import is_file
from tdx_agents.protocol import Decide, Features, Policy, if_allowed
from tdx_agents.row import Row
from tdx_agents.tree_inputs import BY_NAME, INPUTS, input_value
from tdx_env.errors import OutputError, PolicyError, one_of, shown
from tdx_env.host.discipline import BOUNDED, DECISION_CYCLES, Discipline
from tdx_env.jit import kernel
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import Action

SUFFIX = ".json"
FORMAT_VERSION = 1
MAX_DEPTH = 12  # tests from the root to a leaf
MAX_NODES = 255
LARGEST = 1 << 40
_FOLDER = Path(__file__).resolve().parent / "trees"
_ACTIONS = {action.name: action for action in Action}
_KEYS = ("format_version", "name", "title", "source", "discipline", "root")
_TEST_KEYS = ("if", "above", "then", "else")
_LONGEST_TEXT = 400
_INPUT, _ABOVE, _THEN, _ELSE, _ACTION = range(5)  # columns of a tree's table
N_COLUMNS = 5


@dataclass(frozen=True)
class Split:
    """One test, and what follows if it holds and if not.

    Attributes:
        input: Name of what is tested.
        above: The test holds if the input is larger.
        then: What follows if it holds.
        otherwise: What follows if it doesn't.
    """

    input: str
    above: int
    then: "Node"
    otherwise: "Node"


Node = Split | Action


@dataclass(frozen=True)
class Tree:
    """A tree with its name and its discipline.

    Attributes:
        name: What reports show.
        title: What it does, in one line.
        source: Where it comes from.
        discipline: What the host does round it, its price of a decision included.
        root: Its first node.
    """

    name: str
    title: str
    source: str
    discipline: Discipline
    root: Node

    @property
    def n_nodes(self) -> int:
        """Tests and leaves."""
        return sum(1 for _ in nodes_of(self.root))

    @property
    def depth(self) -> int:
        """Tests on the longest path."""
        return depth_of(self.root)

    def policy(self) -> Policy:
        """Return the tree as a policy, compiled."""
        rule = decide_by(self.root)
        return Row(self.name, "", self.title, self.source, rule, self.discipline).compile()


def nodes_of(node: Node) -> Iterator[Node]:
    """Yield a node and all below it, each before its children, `then` before `otherwise`."""
    yield node
    if isinstance(node, Split):
        yield from nodes_of(node.then)
        yield from nodes_of(node.otherwise)


def depth_of(node: Node) -> int:
    """Return the tests on the longest path from a node to a leaf."""
    if isinstance(node, Split):
        return 1 + max(depth_of(node.then), depth_of(node.otherwise))
    return 0


def table_of(root: Node) -> NDArray[np.int64]:
    """Return a tree as compiled code walks it, shape (n_nodes, N_COLUMNS).

    A row has the input (NONE for a leaf), its threshold, the rows that follow, and the action.
    """
    rows: list[list[int]] = []

    def add(node: Node) -> int:
        place = len(rows)
        rows.append([NONE, 0, place, place, int(Action.RETRY)])
        if isinstance(node, Split):
            follows = [add(node.then), add(node.otherwise)]
            rows[place][:4] = [BY_NAME[node.input], node.above, *follows]
        else:
            rows[place][_ACTION] = int(node)
        return place

    add(root)
    return np.array(rows, np.int64)


@kernel
def walk(table: NDArray[np.int64], features: Features) -> int:
    """Return the answer of a tree to a decision; RETRY where its action is masked."""
    node = 0
    for _ in range(len(table)):
        place = table[node, _INPUT]
        if place < 0:
            break
        holds = input_value(features, place) > table[node, _ABOVE]
        node = table[node, _THEN] if holds else table[node, _ELSE]
    return if_allowed(features, table[node, _ACTION])


@kernel
def _walk_all(
    table: NDArray[np.int64], features: NDArray[np.int64], answers: NDArray[np.int64]
) -> None:
    """Write the answer of a tree to each of many decisions."""
    for row in range(len(features)):
        answers[row] = walk(table, features[row])


def answers_of(root: Node, features: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a tree's answers to decisions, shape (n,); features: (n, N_FEATURES)."""
    answers = np.empty(len(features), np.int64)
    _walk_all(table_of(root), np.ascontiguousarray(features, np.int64), answers)
    return answers


def decide_by(root: Node) -> Decide:
    """Return the decision function of a tree, plain."""
    table = table_of(root)

    def decide(features: Features) -> int:
        return walk(table, features)

    return decide


def _parsed(value: object, where: str, depth: int = 0) -> Node:
    """Return a node of a file.

    Raises:
        PolicyError: It is none; the message says where.
    """
    if isinstance(value, str):
        if value not in _ACTIONS:
            raise PolicyError(f"{where} = {shown(value)}, must be {', '.join(_ACTIONS)} or a test")
        return _ACTIONS[value]
    if not isinstance(value, Mapping):
        raise PolicyError(f"{where} = {shown(value)}, must be {', '.join(_ACTIONS)} or a test")
    if depth >= MAX_DEPTH:
        raise PolicyError(f"{where}: is below {depth} tests, must be below {MAX_DEPTH} at most")
    _check_keys(value, _TEST_KEYS, where)
    name, above = value["if"], value["above"]
    if not isinstance(name, str) or name not in BY_NAME:
        allowed = one_of(str(name), BY_NAME)
        raise PolicyError(f"{where}.if = {shown(name)}, {allowed}")
    most = 0 if INPUTS[BY_NAME[name]].is_flag else LARGEST
    if not isinstance(above, int) or isinstance(above, bool) or not 0 <= above <= most:
        must = f"a whole number from 0 to {most:,}" if most else f"0: {name} is a flag"
        raise PolicyError(f"{where}.above = {shown(above)}, must be {must}")
    follows = (_parsed(value[key], f"{where}.{key}", depth + 1) for key in ("then", "else"))
    return Split(name, above, *follows)


def _check_keys(value: Mapping[str, Any], wanted: tuple[str, ...], where: str) -> None:
    """Refuse an object that lacks a key, or has one that is unknown.

    Raises:
        PolicyError: It does.
    """
    for key in value:
        if key not in wanted:
            raise PolicyError(f"{where}: has the key {shown(key)}, {one_of(key, wanted)}")
    for key in wanted:
        if key not in value:
            raise PolicyError(f"{where}: lacks the key {shown(key)}")


def _discipline(changes: object, where: str) -> Discipline:
    """Return the discipline that a file asks for.

    Raises:
        PolicyError: It is not allowed.
    """
    if not isinstance(changes, dict):
        raise PolicyError(f"{where} = {shown(changes)}, must be an object of fields")
    try:
        return BOUNDED.with_(**{"decision_cycles": DECISION_CYCLES["tree"], **changes})
    except ValidationError as error:
        raise PolicyError(f"{where}: {complaint(error)}") from None


def _read(path: Path) -> dict[str, Any]:
    """Return what a file of a tree holds.

    Raises:
        PolicyError: It can't be read, or is no JSON object of our format.
    """
    if not is_file(path):
        raise PolicyError(f"{path}: there is no such file")
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"{path}: can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"{path}: is no JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise PolicyError(f"{path}: holds a {type(content).__name__}, must be an object")
    version = content.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        must = f"must be {FORMAT_VERSION}"
        raise PolicyError(f"{path}: format_version = {shown(version)}, {must}")
    return content


def read_tree(path: str | Path) -> Tree:
    """Return the tree of a file.

    Raises:
        PolicyError: It can't be read, is damaged, or asks for what is not allowed; the message
            says where.
    """
    path = Path(path)
    content = _read(path)
    _check_keys(content, _KEYS, str(path))
    for key in ("name", "title", "source"):
        text = content[key]
        if not isinstance(text, str) or not 1 <= len(text) <= _LONGEST_TEXT:
            must = f"must be a text of 1 to {_LONGEST_TEXT} characters"
            raise PolicyError(f"{path}: {key} = {shown(text)}, {must}")
    tree = Tree(
        content["name"],
        content["title"],
        content["source"],
        _discipline(content["discipline"], f"{path}: discipline"),
        _parsed(content["root"], f"{path}: root"),
    )
    if tree.n_nodes > MAX_NODES:
        raise PolicyError(f"{path}: has {tree.n_nodes} nodes, must have at most {MAX_NODES}")
    return tree


def _written(node: Node) -> object:
    """Return a node as files have it."""
    if isinstance(node, Split):
        follows = {"then": _written(node.then), "else": _written(node.otherwise)}
        return {"if": node.input, "above": node.above, **follows}
    return node.name


def tree_text(tree: Tree) -> str:
    """Return the content of a tree's file: of its discipline what differs from the bounded one."""
    bounded = BOUNDED.with_(decision_cycles=DECISION_CYCLES["tree"]).model_dump(mode="json")
    fields = tree.discipline.model_dump(mode="json")
    content = {
        "format_version": FORMAT_VERSION,
        "name": tree.name,
        "title": tree.title,
        "source": tree.source,
        "discipline": {key: value for key, value in fields.items() if value != bounded[key]},
        "root": _written(tree.root),
    }
    return json.dumps(content, indent=2) + "\n"


def write_tree(tree: Tree, path: Path) -> None:
    """Write a tree's file: it is old, or new, never half.

    Raises:
        OutputError: It can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(tree_text(tree), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: the tree can't be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


@functools.cache
def tree_names() -> tuple[str, ...]:
    """Return the names of the trees that come with the package, in order."""
    return tuple(sorted(path.stem for path in _FOLDER.glob(f"*{SUFFIX}")))


def tree_place(spec: str) -> Path | None:
    """Return the file that a shipped tree's name, or the path of a file, means; None: neither."""
    if spec.lower() in tree_names():
        return _FOLDER / f"{spec.lower()}{SUFFIX}"
    return Path(spec) if spec.endswith(SUFFIX) else None


def tree_of(spec: str) -> Tree:
    """Return the tree that a name or a file means.

    Raises:
        PolicyError: There is none, or as for `read_tree`.
    """
    place = tree_place(spec)
    if place is None:
        raise PolicyError(
            f"tree {shown(spec)} is unknown, {one_of(spec, tree_names())}; or a file (tree.json)"
        )
    return read_tree(place)


@functools.lru_cache(maxsize=256)
def _compiled(content: str, path: Path) -> Policy:
    """Return the policy of a file with this content, compiled once a process."""
    tree = read_tree(path)
    source = tree.source if path.parent == _FOLDER else f"{path}: {tree.source}"
    return replace(tree, source=source).policy()


def load_tree(path: Path) -> Policy:
    """Return the policy of a tree's file.

    Raises:
        PolicyError: As for `read_tree`.
    """
    tree = read_tree(path)
    return _compiled(tree_text(tree), path)
