"""Ranks on two versions of the module: how alike, who moves, which conflicts came or went."""

import json

import numba
import numpy as np
import pytest

from tdx_env.host.discipline import DEFAULT
from tdx_env.module.rules import RULES
from tdx_eval.comparing.seeds import seeds_of
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.ranks.order import kendall, movers, places
from tdx_eval.ranks.page import RankStudy, best_bounded, held_against, ranks_json, ranks_page
from tdx_eval.ranks.playing import FEWEST, PlayedPolicy, Ranking, compare_modules, is_bounded
from tdx_eval.ranks.reasons import Reason, rule_of, rule_of_count

COSTS = np.array([100.0, 200.0, 300.0, 400.0])
needs_compiler = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="minutes without compiler")


@pytest.mark.parametrize(
    ("after", "tau"),
    [
        ([10, 20, 30, 40], 1.0),
        ([40, 30, 20, 10], -1.0),
        ([20, 10, 30, 40], 4 / 6),  # one of six pairs is turned round
        ([100, 101, 300, 400], 5 / np.sqrt(5 * 6)),  # 1 % is a tie
        ([100, 101, 102, 101], None),
    ],
)
def test_tau_counts_pairs_in_the_same_order_and_in_the_other_one(after, tau):
    assert kendall(COSTS, np.array(after, float)) == pytest.approx(tau)


def test_a_place_is_1_and_how_many_are_cheaper():
    assert places({"a": 100, "b": 101, "c": 50, "d": 400}) == {"a": 2, "b": 2, "c": 1, "d": 4}


def test_movers_are_those_who_change_place_the_largest_change_first():
    before, after = {"a": 1, "b": 2, "c": 3}, {"a": 9, "b": 2, "c": 3}
    assert movers(before, after, 2) == [("a", 1, 3), ("b", 2, 1)]


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        (("MEM_PAGE_AUG", "VP_ENTER", "TREE"), "armed_enter_shares_tree"),
        (("MEM_RANGE_BLOCK", "EXPORT_MEM", "TREE"), "lists_yield_to_writers"),
        (("VP_CREATE", "VP_INIT", "TDR"), "vp_init_takes_tdr_exclusive"),
        (("MEM_RANGE_BLOCK", "ACCEPT", "ENTRY"), "accept_keeps_mark"),
        (("MEM_TRACK", "VP_ENTER", "EPOCH"), None),
    ],
)
def test_a_conflict_that_changes_has_the_rule_that_changed_it(cell, rule):
    assert rule_of(*cell) == (RULES[rule].meaning if rule else "")


@pytest.mark.parametrize(
    ("field", "before", "after", "rule"),
    [
        ("n_interrupted", 30, 0, "demote_is_interruptible"),
        ("n_interrupted", 5, 20, "lists_yield_to_writers"),
        ("n_synthetic", 4500, 130, "acceptable_pending_disarms"),
        ("n_synthetic", 240, 270, None),
    ],
)
def test_a_count_that_changes_has_its_rule_if_there_is_one(field, before, after, rule):
    assert rule_of_count(field, before, after) == (RULES[rule].meaning if rule else "")


@pytest.mark.parametrize(
    ("policy", "bounded"),
    [("P18", True), ("P20", True), ("P8", False), ("always-retry", False)],
)
def test_a_zap_that_has_a_last_try_is_bounded(policy, bounded):
    assert is_bounded(load_policy(policy).discipline) == bounded


def test_a_limit_that_ends_in_a_kill_is_bounded():
    assert is_bounded(DEFAULT.with_(on_exhaustion={"default": "kill"}))


PLAYED = {"a": PlayedPolicy(100.0, 0), "b": PlayedPolicy(50.0, 1), "c": PlayedPolicy(150.0, 0)}


def test_the_best_bounded_policy_lost_nothing():
    assert best_bounded(PLAYED, ["a", "b", "c"]) == "a"
    assert best_bounded(PLAYED, ["b"]) is None
    assert held_against(PLAYED, "c", "a") == "+50.0 %"
    assert held_against(PLAYED, "b", "a") == "1 lost"


def table(*rankings: Ranking) -> RankStudy:
    """Return a table of two versions."""
    return RankStudy(("1.5.01", "1.5.34"), rankings, ["a"], "tdx-eval ranks")


def test_the_page_tells_why_an_order_changes():
    reason = Reason("MEM_PAGE_AUG met VP_ENTER on TREE", 80.0, 0.0, "it shares")
    turned = {"a": PlayedPolicy(9.0, 0), "b": PlayedPolicy(5.0, 0), "c": PlayedPolicy(1.0, 0)}
    page = ranks_page(table(Ranking("s03-zero-step/test", 4, PLAYED, turned, (reason,))))
    assert "MEM_PAGE_AUG met VP_ENTER on TREE 80 → 0 an episode: it shares" in page
    assert "| s03-zero-step | 4 | -0.33 |" in page
    assert "episodes lost: b 1 → 0" in page


def test_a_scenario_that_a_version_can_not_play_says_so():
    (ranking,) = compare_modules(
        {}, ["s23-boot-dynamic-pamt/test"], ("1.5.01", "1.5.34"), seeds_of("test", 4), 1
    )
    assert "module 1.5.01 has no Dynamic PAMT" in ranks_page(table(ranking))


@needs_compiler
def test_policies_play_the_same_episodes_on_both_versions():
    policies = {name: load_policy(name) for name in ("always-retry", "always-kick")}
    (ranking,) = compare_modules(
        policies, ["s04-zero-step-storm/test"], ("1.5.06", "1.5.34"), seeds_of("test", 9), 1
    )
    assert ranking.n_episodes == FEWEST
    assert set(ranking.before) == set(ranking.after) == set(policies)
    assert "VP_ENTER met VP_ENTER on TREE" in [reason.what for reason in ranking.reasons]
    record = json.loads(ranks_json(table(ranking)))["rankings"][0]
    assert record["tau"] == ranking.tau
