"""The report: complete, well-formed, with nothing outside of it."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

from markupsafe import Markup, escape
from rich.console import Console

from tdx_eval.reporting.html import MOST_SHOWN, report_page, shown_policies
from tdx_eval.reporting.terminal import show_summary
from tdx_eval.reporting.wins import win_text, wins
from tdx_eval.reporting.wording import percent

_VOID = {"meta", "img", "br", "input"}


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


MOST_BYTES = 1_500_000


def test_report_needs_nothing_from_outside(text: str):
    page = Page(text)
    assert all(one.startswith(("data:", "#")) for one in page.references)
    assert "@import" not in text
    assert "url(" not in text


def test_report_is_small(text: str):
    assert len(text.encode()) < MOST_BYTES


def test_every_table_has_row_heads(text: str):
    assert text.count("<table") > 10
    for body in re.findall("<tbody>(.*?)</tbody>", text, re.DOTALL):
        assert body.count("<tr") == body.count('<th scope="row">')


def test_every_chart_has_its_table_beneath(text: str):
    figures = re.findall("<figure.*?</figure>", text, re.DOTALL)
    assert len(figures) == 2
    assert all("The same as a table" in one and "<svg" in one for one in figures)


def test_tables_show_eight_policies_at_most_by_default(compared):
    shown = shown_policies(compared.summary)
    assert len(shown) <= MOST_SHOWN
    assert {compared.summary.best, "mine:kick"} <= set(shown)


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
    assert report_page(compared.summary) == text


def test_terminal_names_every_scenario_at_80_columns(compared):
    console = Console(file=io.StringIO(), width=80)
    show_summary(compared.summary, console)
    printed = console.file.getvalue()
    for one in compared.summary.scenarios:
        assert one.short_name in printed
    assert all(len(line) <= 80 for line in printed.splitlines())


def test_terminal_cuts_no_number_at_80_columns(compared):
    """Costs of seconds, and a contender's column at the right edge."""
    slow = [replace(one, clock_khz=1) for one in compared.summary.scenarios]
    console = Console(file=io.StringIO(), width=80)
    show_summary(replace(compared.summary, scenarios=slow), console)
    printed = console.file.getvalue()
    assert "…" not in printed
    for one in compared.summary.contested:
        relative = one.contests["mine:kick"].to_best.relative
        row = next(line for line in printed.splitlines() if line.startswith(one.short_name))
        assert row.rstrip().endswith(percent(relative.value))


def test_every_contested_scenario_has_a_winner_and_a_reason(compared, text: str):
    won = [one.name for some in wins(compared.summary).values() for one in some]
    assert sorted(won) == sorted(one.name for one in compared.summary.contested)
    for one in compared.summary.contested:
        assert "What fell most" in win_text(compared.summary, one)
        assert escape(win_text(compared.summary, one)) in text


def test_win_of_the_reference_says_what_the_best_pays(compared):
    """As in S4's livelock, where the policy that is best elsewhere hangs."""
    summary = compared.summary
    one = summary.contested[0]
    dearer = one.results["random"].to_reference
    assert dearer.cycles.is_positive
    results = one.results | {summary.best: replace(one.results[summary.best], to_reference=dearer)}
    changed = replace(one, hindsight=summary.reference, results=results)
    told = win_text(replace(summary, scenarios=[changed]), changed)
    assert f"Nothing is cheaper than {summary.reference}; {summary.best} is dearer" in told
    assert "What grew most" in told


def test_report_shows_whose_cycles_the_overhead_is(text: str):
    assert "Whose cycles" in text
    for head in ("host", "stolen", "hostile", "latency", "preempt 50 µs", "zap a page", "held p99"):
        assert f">{head}</th>" in text


def test_sweeps_stand_open_under_their_own_name(compared):
    page = report_page(compared.summary, sweeps=Markup('<h2 id="sweep">Swept</h2>'))
    assert '<section>\n<h2 id="sweep">Swept</h2>' in page
    assert '<a href="#sweep">' in page
    assert "against what was observed" not in page
