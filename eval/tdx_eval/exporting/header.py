"""A tree as a C99 header in the kernel's style."""

import re
from collections.abc import Mapping

from tdx_agents.tree import LARGEST, Node, Split, Tree, nodes_of
from tdx_env.module.operand_classes import OperandClass
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import Action
from tdx_eval.exporting.terms import LOCALS, TERMS, Term, fields_of, locals_of, meaning_of
from tdx_eval.worst.bounds import Bound

_WIDTH = 79
_TAB = "\t"
_PREAMBLE = """\
#ifdef __KERNEL__
#include <linux/minmax.h>
#include <linux/types.h>
#else
#include <stdint.h>
typedef uint64_t u64;
#ifndef min
#define min(a, b) ((a) < (b) ? (a) : (b))
#endif
#endif
"""
_SHARED = """\
#ifndef TDX_TREE_ANSWERS
#define TDX_TREE_ANSWERS
enum {{
{answers}
}};

enum {{
{paths}
}};

enum {{
{locks}
}};

#define TDX_LARGEST_PRICE\t((u64)1 << 28)
#define TDX_ROOT_LIMIT\t\t(((u64)1 << 28) - 1)
#endif
"""


def identifier(name: str) -> str:
    """Return a tree's name as C may have it."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "tree"


def _members(prefix: str, pairs: list[tuple[str, int]]) -> str:
    """Return the members of an enum, a line each."""
    return "\n".join(f"\t{prefix}{name} = {value}," for name, value in pairs)


def tests_of(root: Node) -> list[Split]:
    """Return a tree's tests, each before those below it."""
    return [node for node in nodes_of(root) if isinstance(node, Split)]


def _thresholds(ident: str, tests: list[Split]) -> dict[int, str]:
    """Return the name of each test's constant, by the test's identity; none for 0."""
    names: dict[int, str] = {}
    taken: dict[str, int] = {}
    for test in tests:
        if test.above == 0:
            names[id(test)] = ""
            continue
        base = f"{ident}_{test.input}".upper()
        taken[base] = taken.get(base, 0) + 1
        names[id(test)] = base if taken[base] == 1 else f"{base}_{taken[base]}"
    return names


def _comment(lines: list[str]) -> str:
    """Return a comment block."""
    return "\n".join(["/*", *(f" * {line}".rstrip() for line in lines), " */"])


def _wrapped(text: str, width: int = 72) -> list[str]:
    """Return a text in lines."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def _struct(ident: str, terms: list[Term]) -> str:
    """Return the record that the caller fills."""
    rows = [("allowed", "1 << answer for each answer possible here")]
    rows += [(name, meaning_of(name)) for name in fields_of(terms)]
    fields = [f"\tu64 {name};\t/* {meaning} */" for name, meaning in rows]
    return "\n".join([f"struct {ident}_decision {{", *fields, "};"])


def _leaf(action: Action, indent: str) -> list[str]:
    """Return the lines of a leaf."""
    if action == Action.RETRY:
        return [f"{indent}return TDX_RETRY;"]
    name = f"TDX_{action.name}"
    return [f"{indent}return d->allowed & (1 << {name}) ? {name} : TDX_RETRY;"]


def _body(node: Node, names: dict[int, str], depth: int) -> list[str]:
    """Return the lines of a node: tests nest to the right, what doesn't hold goes on below."""
    indent = _TAB * depth
    if isinstance(node, Action):
        return _leaf(node, indent)
    condition = TERMS[node.input].condition(names[id(node)])
    condition = condition.replace("{tab}", f"{indent}    ")
    inner = _body(node.then, names, depth + 1)
    braces = len(inner) > 1
    return [
        f"{indent}if ({condition}){' {' if braces else ''}",
        *inner,
        *([f"{indent}}}"] if braces else []),
        *_body(node.otherwise, names, depth),
    ]


def condition_lines(node: Node, depth: int, answers: Mapping[Action, str]) -> list[str]:
    """Return a tree as pseudo-code: numbers as they are, fields without a record.

    Args:
        node: Its root.
        depth: Tabs before the first line.
        answers: What is written for each answer.
    """
    indent = _TAB * depth
    if isinstance(node, Action):
        return [f"{indent}{answers[node]};"]
    term = TERMS[node.input]
    condition = term.condition(str(node.above) if node.above else "")
    condition = condition.replace("d->", "").replace("\n{tab}", " ")
    return [
        f"{indent}if ({condition})",
        *condition_lines(node.then, depth + 1, answers),
        f"{indent}else",
        *condition_lines(node.otherwise, depth + 1, answers),
    ]


def _defines(tests: list[Split], names: dict[int, str]) -> list[str]:
    """Return the named constants."""
    return [f"#define {names[id(test)]}\t{test.above}ULL" for test in tests if names[id(test)]]


def function_lines(tree: Tree) -> list[str]:
    """Return the lines of a tree's function, without what stands before it."""
    ident = identifier(tree.name)
    tests = tests_of(tree.root)
    terms = [TERMS[test.input] for test in tests]
    names = _thresholds(ident, tests)
    declared = [f"\tconst u64 {name} = {LOCALS[name].text};" for name in locals_of(terms)]
    return [
        f"static inline int {ident}(const struct {ident}_decision *d)",
        "{",
        *declared,
        *([""] if declared else []),
        *_body(tree.root, names, 1),
        "}",
    ]


def header_text(tree: Tree, bound: Bound) -> str:
    """Return the header.

    Args:
        tree: What it decides by.
        bound: What one operation can cause at most, for the comment.
    """
    ident = identifier(tree.name)
    tests = tests_of(tree.root)
    guard = f"{ident}_h".upper()
    about = [
        f"{tree.name}: {tree.n_nodes} nodes, tests on the longest path: {tree.depth}.",
        *_wrapped(tree.title),
        *_wrapped(f"From: {tree.source}"),
        "",
        "Numbers are below " + f"2^{LARGEST.bit_length() - 1}" + ", averages of cycles below 2^28,",
        "vCPUs at most 4096. What the caller reads is in the record alone.",
        "",
        *bound.lines(),
    ]
    shared = _SHARED.format(
        answers=_members("TDX_", [(one.name, int(one)) for one in Action]),
        paths=_members("TDX_PATH_", [(one.name, int(one)) for one in CallPath]),
        locks=_members("TDX_LOCK_", [(one.name, int(one)) for one in OperandClass]),
    )
    defines = _defines(tests, _thresholds(ident, tests))
    parts = [
        "/* SPDX-License-Identifier: MIT */",
        _comment(about),
        f"#ifndef {guard}\n#define {guard}\n",
        _PREAMBLE,
        shared,
        *(["\n".join(defines) + "\n"] if defines else []),
        _struct(ident, [TERMS[test.input] for test in tests]) + "\n",
        "\n".join(function_lines(tree)) + "\n",
        f"#endif /* {guard} */",
    ]
    return "\n".join(parts) + "\n"
