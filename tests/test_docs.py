"""Links in the texts lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tdx_env.module.operands import Operand
from tdx_env.module.seamcalls import calls
from tdx_env.module.steps import Call
from tdx_env.state.calls import Leaf, Op
from tdx_env.state.objectives import COST_PARTS, PRESETS, WEIGHED

ROOT = Path(__file__).resolve().parents[1]
TEXTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:docs|tdx_env|agents|train|eval|tests|benchmarks)/[\w./-]+)`")
IDS = re.compile(r"tdx_env/Seamcall\w+-v\d+")  # of environments
FENCE = re.compile(r"```.*?```", re.DOTALL)


def without_code(text: str) -> str:
    """Return a text without its blocks of code."""
    return FENCE.sub("", text)


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as it is made for Markdown on the web."""
    plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return plain.replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """Return the anchors of a text's headings."""
    headings = re.findall(r"^#+ (.*)$", without_code(path.read_text()), re.MULTILINE)
    return {anchor(one) for one in headings}


def broken(path: Path) -> Iterator[str]:
    """Yield the links of a text that lead nowhere; those to other sites are left alone."""
    text = without_code(path.read_text())
    for target in LINK.findall(text):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, place = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (place and place not in anchors(file)):
            yield target
    for name in NAMED.findall(text):
        if not (IDS.fullmatch(name) or (ROOT / name).exists()):
            yield name


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_paths_lead_somewhere(path: Path) -> None:
    assert not list(broken(path))


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](no.md) [b](#one) [c](#two) [d](https://a.example/) `docs/no.md`\n")
    assert list(broken(page)) == ["no.md", "#two", "docs/no.md"]


def lock_line(call: Call) -> str:
    """Return a call's row of docs/module.md: its locks in the order in which it tries them."""
    tried = [
        f"{step.lock.name} {step.mode.name.lower()[:2]} {Operand(step.operand).name}"
        for step in call.steps
        if step.op in (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED)
    ]
    return f"| {call.name} | {', '.join(tried) or 'none'} | `{Path(call.source).name}` |"


@pytest.mark.parametrize("version", ["1.5.01", "1.5.34", "2.0.18"])
@pytest.mark.parametrize("leaf", list(Leaf), ids=lambda leaf: leaf.name)
def test_locks_of_each_call_are_those_of_the_page(leaf: Leaf, version: str) -> None:
    page = (ROOT / "docs" / "module.md").read_text()
    assert leaf not in calls(version) or lock_line(calls(version)[leaf]) in page


def test_tables_of_objectives_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "objectives.md").read_text()
    assert all(f"| {part.name} | {part.meaning} |" in page for part in COST_PARTS)
    assert f"| preset | {' | '.join(WEIGHED)} |" in page
    for name, weights in PRESETS.items():
        cells = (f"{weights[part]:g}" if part in weights else "" for part in WEIGHED)
        assert f"| `{name}` | {' | '.join(cells)} |" in page
