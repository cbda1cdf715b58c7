"""Names in the evaluation: one name for one thing."""

import ast
from collections import defaultdict
from pathlib import Path

import tdx_eval

FOLDER = Path(tdx_eval.__file__).parent
# What every study has, by the same name in each.
ROLES = {"file", "page", "playing", "study", "terminal", "wording"}


def public_names(path: Path) -> set[str]:
    """Return the public functions and classes of a module."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")
    }


def test_no_two_functions_or_classes_have_one_name():
    places = defaultdict(list)
    for path in FOLDER.rglob("*.py"):
        for name in public_names(path):
            places[name.lower()].append(path.relative_to(FOLDER).as_posix())
    assert {name: some for name, some in places.items() if len(some) > 1} == {}


def test_modules_of_one_name_have_one_role():
    """A command is named as the study that it runs."""
    places = defaultdict(set)
    for path in FOLDER.rglob("*.py"):
        if path.parent.name != "commands" and path.stem not in {"__init__", *ROLES}:
            places[path.stem].add(path.parent.name)
    assert {stem: some for stem, some in places.items() if len(some) > 1} == {}
