"""The report: complete, well-formed, with nothing outside of it."""

import io
from html.parser import HTMLParser

import pytest
from rich.console import Console

from eval.report import html
from eval.terminal import show

_VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects references and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.references += [named[key] for key in ("src", "href", "srcset") if key in named]
        self.ids.add(named.get("id", ""))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text(compared) -> str:
    return html(compared.summary)


def test_report_needs_nothing_from_outside(text: str):
    page = Page(text)
    assert all(one.startswith(("data:", "#")) for one in page.references)
    assert "http" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_report_is_well_formed(text: str):
    page = Page(text)
    assert page.open == []
    assert {one[1:] for one in page.references if one.startswith("#")} <= page.ids


def test_report_has_every_policy_and_scenario(compared, text: str):
    for name in compared.summary.policies:
        assert name in text
    for one in compared.summary.scenarios:
        assert f'id="{one.short_name}"' in text
        assert one.title in text


def test_report_shows_twins_as_one_row(text: str):
    assert "p18-merged-6.16 = P20" in text


def test_report_is_the_same_each_time(compared, text: str):
    assert html(compared.summary) == text


def test_terminal_names_every_scenario_at_80_columns(compared):
    console = Console(file=io.StringIO(), width=80)
    show(compared.summary, console)
    printed = console.file.getvalue()
    for one in compared.summary.scenarios:
        assert one.short_name in printed
    assert all(len(line) <= 80 for line in printed.splitlines())
