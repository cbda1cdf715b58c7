"""Versions of the module: the rules of each release with their evidence, row by row."""

from pathlib import Path

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.module.rules import COMMITS, RELEASES, RULES, Evidence, commit_fact
from tdx_env.module.seamcalls import calls
from tdx_env.module.versions import (
    ALIASES,
    DEFAULT_VERSION,
    LOCK_RELEASES,
    MODULE_VERSIONS,
    TRAINED_VERSIONS,
    lock_version,
    module_version,
    nearest_first,
    rules_not_read,
    version_name,
)
from tdx_env.state.calls import Leaf

# The timeline of the public sources: 1.5.01, .06, .28, .34, then 2.0.12, .16, .18. A plus means
# that the rule holds; the letter is how that is known.
TIMELINE = {
    "tree_has_priority": "-R -R +R +R +R += +R",
    "armed_enter_shares_tree": "-R -R +R +R +R += +R",
    "acceptable_pending_disarms": "-R -R += += +R += +=",
    "accept_keeps_mark": "-R -R +R += +R += +R",
    "commits_keep_mark": "-R -I +I +R +I +I +R",
    "guests_test_mark_first": "-R -I -R +R -R -R +R",
    "guests_test_mark_before_count": "-R -I +R +R -R +R +R",
    "promote_takes_tree_exclusive": "-R -U +R +R +R +U +R",
    "promote_locks_children": "+R +U +U -R +U +U -I",
    "demote_is_interruptible": "+R +U -R -R +U +U -R",
    "vp_init_takes_tdr_exclusive": "-R +R += += += +R +=",
    "has_dynamic_pamt": "-R -I +R +R +R +I +R",
    "lists_yield_to_writers": "-R -I -U +R +I +I +R",
    "has_iotlb_tracking": "-R -I -I -R +I +I +R",
    "has_mem_scan": "-R -I -U +R -R -U +R",
    "accept_exits_on_removed": "-R -U +R += -U -U +R",
}


@pytest.mark.parametrize("name", TIMELINE)
def test_rule_is_as_in_the_timeline(name: str) -> None:
    facts = RULES[name].facts
    assert " ".join(f"{'+' if one.holds else '-'}{one.evidence}" for one in facts) == TIMELINE[name]


@pytest.mark.parametrize("release", RELEASES)
def test_version_follows_its_rules(release: str) -> None:
    version = lock_version(release)
    assert version.release == release
    for rule in RULES.values():
        assert getattr(version, rule.name) == rule.fact(release).holds


def test_what_is_unseen_is_as_in_the_next_older_release() -> None:
    older = {
        "1.5.06": "1.5.01",
        "1.5.28": "1.5.06",
        "1.5.34": "1.5.28",
        "2.0.12": "1.5.06",
        "2.0.16": "2.0.12",
        "2.0.18": "2.0.16",
    }
    for rule in RULES.values():
        for release, before in older.items():
            fact = rule.fact(release)
            if fact.evidence == Evidence.UNSEEN:
                assert fact.holds == rule.fact(before).holds, (rule.name, release)


def test_every_rule_names_its_source() -> None:
    assert all(".c" in rule.source or ".h" in rule.source for rule in RULES.values())


def test_releases_and_variants_are_told_apart_by_name() -> None:
    releases = [name for name in MODULE_VERSIONS if not name.startswith("hypothetical-")]
    assert releases == ["1.5.01", "1.5.06", "1.5.28", "1.5.34", "2.0.18"]
    assert not set(releases) & set(LOCK_RELEASES)


def test_the_default_is_todays_module_with_version_1_of_vp_init() -> None:
    assert DEFAULT_VERSION == "1.5.34"
    assert module_version(DEFAULT_VERSION).vp_init_takes_tdr_exclusive


def test_train_draws_from_what_linux_runs_on() -> None:
    """VP.INIT has the version that KVM calls in all of them."""
    assert TRAINED_VERSIONS == ("1.5.06", "1.5.28", "1.5.34")
    assert all(module_version(name).vp_init_takes_tdr_exclusive for name in TRAINED_VERSIONS)


def test_variant_differs_from_1_5_01_in_one_rule() -> None:
    oldest = vars(module_version("1.5.01"))
    for name, version in MODULE_VERSIONS.items():
        if name.startswith("hypothetical-"):
            changed = {key for key, value in vars(version).items() if value != oldest[key]}
            assert len(changed - {"meaning"}) == 1


@pytest.mark.parametrize("old", ALIASES)
def test_old_name_warns_and_means_the_new_one(old: str) -> None:
    with pytest.warns(FutureWarning, match=f"{old!r} is an old name, now {ALIASES[old]!r}"):
        assert version_name(old) == ALIASES[old]


@pytest.mark.parametrize(("given", "first"), [("1.5.33", "1.5.34"), ("2.0.1", "2.0.18")])
def test_unknown_version_lists_the_known_ones_nearest_first(given: str, first: str) -> None:
    assert nearest_first(given, MODULE_VERSIONS)[0] == first
    assert sorted(nearest_first(given, MODULE_VERSIONS)) == sorted(MODULE_VERSIONS)
    with pytest.raises(ScenarioError, match=f"'{given}' is unknown, must be one of: {first}, "):
        module_version(given)


def test_lock_releases_are_no_versions_to_run_on() -> None:
    assert lock_version("2.0.12").guests_test_mark_before_count is False
    with pytest.raises(ScenarioError, match="'2.0.12' is unknown"):
        module_version("2.0.12")


def test_oldest_release_rests_on_its_own_source_alone() -> None:
    assert rules_not_read("1.5.01") == []
    assert {rule.name: evidence for rule, evidence in rules_not_read("1.5.34")} == {
        "accept_keeps_mark": Evidence.ELIMINATION,
        "vp_init_takes_tdr_exclusive": Evidence.ELIMINATION,
        "acceptable_pending_disarms": Evidence.ELIMINATION,
        "steps_by_instruction_count": Evidence.ELIMINATION,
        "accept_exits_on_removed": Evidence.ELIMINATION,
        "blockw_returns_plain_success": Evidence.INFERRED,
    }


@pytest.mark.parametrize("release", ["1.5.01", "1.5.06", "1.5.28", "1.5.34", "2.0.18"])
def test_table_keeps_the_marks_that_the_facts_of_commits_say(release: str) -> None:
    for leaf, call in calls(release).items():
        fact = commit_fact(leaf, release)
        assert call.keeps_mark == (call.stores_entry and fact is not None and fact.holds)


@pytest.mark.parametrize(
    ("leaf", "release", "evidence"),
    [
        (Leaf.ACCEPT, "1.5.28", "R"),
        (Leaf.ACCEPT, "1.5.34", "="),
        (Leaf.MEM_PAGE_DEMOTE, "1.5.28", "I"),
        (Leaf.MEM_PAGE_REMOVE, "1.5.34", "R"),
        (Leaf.MEM_RANGE_BLOCK, "2.0.18", "R"),
        (Leaf.EXPORT_BLOCKW, "1.5.34", "I"),
    ],
)
def test_commits_have_evidence_of_their_own(leaf: Leaf, release: str, evidence: str) -> None:
    fact = commit_fact(leaf, release)
    assert fact is not None and (fact.holds, fact.evidence) == (True, evidence)


def test_call_that_commits_no_entry_has_no_such_fact() -> None:
    assert commit_fact(Leaf.MEM_SEPT_RD, "1.5.34") is None
    assert Leaf.MEM_TRACK not in COMMITS


def test_page_of_the_modules_rules_has_each_rule_with_its_facts() -> None:
    page = (Path(__file__).parents[2] / "docs" / "module.md").read_text()
    for rule in RULES.values():
        facts = " | ".join(f"{'yes' if one.holds else 'no'} {one.evidence}" for one in rule.facts)
        assert f"| {rule.meaning} | {facts} | {rule.source} |" in page
