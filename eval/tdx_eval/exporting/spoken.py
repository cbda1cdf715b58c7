"""A tree's rules as text, a line for each test and each answer."""

from tdx_agents.tree import Node, Tree
from tdx_agents.tree_inputs import BY_NAME, INPUTS
from tdx_env.state.discipline import Action

_STEP = "    "


def test_text(name: str, above: int) -> str:
    """Return a test in words."""
    if INPUTS[BY_NAME[name]].is_flag:
        return name
    unit = INPUTS[BY_NAME[name]].unit
    return f"{name} > {above:,}" + ("" if above == 0 else f" {unit}")


def _lines(node: Node, depth: int) -> list[str]:
    """Return the lines of a node."""
    indent = _STEP * depth
    if isinstance(node, Action):
        return [f"{indent}{node.name}"]
    return [
        f"{indent}if {test_text(node.input, node.above)}:",
        *_lines(node.then, depth + 1),
        *([f"{indent}else:"]),
        *_lines(node.otherwise, depth + 1),
    ]


def rules_text(tree: Tree) -> str:
    """Return the rules, and what each input that they test means and costs."""
    used = dict.fromkeys(
        line.split()[1].rstrip(":") for line in _lines(tree.root, 0) if line.strip()[:3] == "if "
    )
    inputs = [INPUTS[BY_NAME[name]] for name in used]
    meanings = [f"{one.name}: {one.meaning} [{one.unit}]; costs {one.cost}" for one in inputs]
    return (
        "\n".join([f"{tree.name}: {tree.title}", "", *_lines(tree.root, 0), "", *meanings]) + "\n"
    )
