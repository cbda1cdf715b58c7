"""A tree as an SVG picture: tests in boxes, answers in round ones, yes to the left."""

from html import escape

from tdx_agents.tree import Node, Tree, depth_of, nodes_of
from tdx_env.state.discipline import Action
from tdx_eval.exporting.spoken import test_text

_WIDTH, _HEIGHT = 190, 34  # of a box
_GAP_X, _GAP_Y, _MARGIN = 14, 44, 16
_COLOURS = {Action.RETRY: "#d5e8d4", Action.KICK: "#f8cecc", Action.YIELD: "#dae8fc"}


class _Canvas:
    """Where the picture is put together."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.n_leaves = 0

    def box(self, x: float, y: float, text: str, fill: str, radius: int) -> None:
        """Draw a box with a text in its middle."""
        self.lines.append(
            f'<rect x="{x - _WIDTH / 2:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" '
            f'rx="{radius}" fill="{fill}" stroke="#444"/>'
        )
        place = f'x="{x:g}" y="{y + _HEIGHT / 2 + 4:g}"'
        self.lines.append(f'<text {place} text-anchor="middle">{escape(text)}</text>')

    def edge(self, start: tuple[float, float], end: tuple[float, float], text: str) -> None:
        """Draw a line from a test to what follows it."""
        (x1, y1), (x2, y2) = start, end
        self.lines.append(f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="#444"/>')
        self.lines.append(
            f'<text x="{(x1 + x2) / 2:g}" y="{(y1 + y2) / 2 - 3:g}" text-anchor="middle" '
            f'fill="#444">{text}</text>'
        )

    def node(self, node: Node, depth: int) -> tuple[float, float]:
        """Draw a node and all below it; return the middle of its upper edge."""
        y = _MARGIN + depth * (_HEIGHT + _GAP_Y)
        if isinstance(node, Action):
            x = _MARGIN + _WIDTH / 2 + self.n_leaves * (_WIDTH + _GAP_X)
            self.n_leaves += 1
            self.box(x, y, node.name, _COLOURS[node], _HEIGHT // 2)
            return x, y
        below = [self.node(one, depth + 1) for one in (node.then, node.otherwise)]
        x = (below[0][0] + below[1][0]) / 2
        for place, word in zip(below, ("yes", "no"), strict=True):
            self.edge((x, y + _HEIGHT), place, word)
        self.box(x, y, test_text(node.input, node.above), "#fff", 2)
        return x, y


def tree_svg(tree: Tree) -> str:
    """Return the picture."""
    canvas = _Canvas()
    canvas.node(tree.root, 0)
    n_leaves = sum(isinstance(node, Action) for node in nodes_of(tree.root))
    width = 2 * _MARGIN + n_leaves * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + depth_of(tree.root) * (_HEIGHT + _GAP_Y) + _HEIGHT
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="sans-serif" font-size="11">'
    )
    about = f"<title>{escape(tree.name)}: {escape(tree.title)}</title>"
    return "\n".join([head, about, *canvas.lines, "</svg>"]) + "\n"
