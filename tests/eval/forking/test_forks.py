"""Forks: one instant, the same draws, each answer."""

import re
from html.parser import HTMLParser

import pytest

from tdx_env.scenarios import load
from tdx_env.state.accounting import Category
from tdx_env.state.discipline import Action
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.yardsticks import RETRY, load_policy
from tdx_eval.forking.branches import fork_at
from tdx_eval.forking.conflicts import busy_calls, chosen_calls
from tdx_eval.forking.page import fork_picture, fork_pictures
from tdx_eval.forking.picture import KINDS, finding, fork_svg

NAME = "s19-build/test"  # few events, many decisions


@pytest.fixture(scope="module")
def scenario():
    return load(NAME)


@pytest.fixture(scope="module")
def calls(scenario):
    return chosen_calls(scenario)


@pytest.fixture(scope="module")
def forked():
    """A conflict with three answers' worth of time lines."""
    accept = load("s09-accept-4k/test")
    return fork_at(accept, chosen_calls(accept)["worst"])


def test_every_busy_reply_belongs_to_one_conflict(scenario, calls):
    seed = calls["worst"].seed
    found = busy_calls(scenario, seed)
    batch = run_batch(load_policy(RETRY), scenario, range(seed, seed + 1))
    assert sum(one.n_busy for one in found) == batch.run["n_decisions"][0]


def test_worst_conflict_is_the_longest(scenario, calls):
    found = busy_calls(scenario, calls["worst"].seed)
    assert calls["worst"].cycles == max(one.cycles for one in found)
    shorter = sum(one.cycles < calls["typical"].cycles for one in found)
    longer = sum(one.cycles > calls["typical"].cycles for one in found)
    assert shorter <= len(found) / 2
    assert longer <= len(found) / 2


def test_scenario_without_a_busy_reply_makes_one_sentence():
    assert "nothing to fork" in fork_picture(load("s22-clean/test"))


def test_controls_have_no_picture(scenario):
    found = fork_pictures({"a": load("s22-clean/test")})
    assert found == {}


def test_branches_begin_at_one_instant_and_answer_differently(forked):
    assert [one.action for one in forked.branches][:2] == [Action.RETRY, Action.KICK]
    for one in forked.branches:
        assert one.record.begin == forked.time
        assert one.record.decisions[0].action == one.action
        assert one.record.decisions[0].time == forked.time
        assert all(later.action == Action.RETRY for later in one.record.decisions[1:])


def test_branches_share_what_was_under_way(forked):
    """What every actor was doing at the instant began at the same time in each branch."""
    begun = [
        {one.actor: one.begin for one in reversed(branch.record.slices)}
        for branch in forked.branches
    ]
    assert all(one == begun[0] for one in begun)


def test_waste_counts_from_the_reply_on_and_never_falls(forked):
    for one in forked.branches:
        costs = [
            one.waste(forked.time, instant)
            for instant in range(forked.time, forked.end, max(1, (forked.end - forked.time) // 7))
        ]
        assert costs[0] == 0
        assert costs == sorted(costs)


def test_kick_stops_vcpus_and_retry_does_not(forked):
    kicked = {
        one.action: sum(
            piece.end - piece.begin
            for piece in one.record.slices
            if piece.category in (Category.KICK_TARGET, Category.GATED)
        )
        for one in forked.branches
    }
    assert kicked[Action.KICK] > kicked[Action.RETRY]


def test_every_category_is_drawn_once():
    drawn = [category for _, some in KINDS.values() for category in some]
    assert sorted(drawn) == list(Category)


def test_drawing_is_well_formed_and_small(forked):
    text = str(fork_svg(forked))
    parser = HTMLParser()
    parser.feed(text)
    assert text.count("<text") == text.count("</text>")
    assert len(text) < 20_000
    assert "NaN" not in text
    numbers = [float(one) for one in re.findall(r'(?<= x=")[-\d.]+', text)]
    assert all(0 <= one <= 980 for one in numbers)


def test_finding_names_call_lock_and_costs(forked):
    text = finding(forked)
    assert "finds" in text
    assert "busy" in text
    assert "RETRY wastes" in text
    assert "KICK wastes" in text
