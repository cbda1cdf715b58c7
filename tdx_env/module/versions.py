"""Versions of the TDX module as data: public releases, and variants that were only talked about.

A release has its rules from `rules.RULES`. A variant is 1.5.01 with one thing changed, as the
mailing list once believed or proposed it; no machine runs it.
"""

import difflib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from tdx_env.errors import N_NEAREST, ScenarioError, shown
from tdx_env.module.rules import RULES, Evidence, Rule


@dataclass(frozen=True)
class ModuleVersion:
    """What a version of the module does; the rules' meanings and sources are those of `RULES`.

    Attributes:
        meaning: What the version stands for.
        release: The public release that it is, or that it was made from.
        remove_takes_tree_exclusive: PAGE.REMOVE takes the tree exclusively; no release does.
        guests_lock_free_entries: ACCEPT and ATTR lock FREE entries too, before they find out; every
            release does.
    """

    meaning: str
    release: str
    tree_has_priority: bool
    armed_enter_shares_tree: bool
    commits_keep_mark: bool
    accept_keeps_mark: bool
    attr_wr_stores_entry: bool
    guests_test_mark_first: bool
    guests_test_mark_before_count: bool
    promote_takes_tree_exclusive: bool
    promote_locks_children: bool
    demote_is_interruptible: bool
    lists_yield_to_writers: bool
    vp_init_takes_tdr_exclusive: bool
    acceptable_pending_disarms: bool
    steps_by_instruction_count: bool
    accept_exits_on_removed: bool
    sept_remove_takes_removed_children: bool
    unblock_names_entry: bool
    blockw_returns_plain_success: bool
    has_dynamic_pamt: bool
    has_mem_scan: bool
    has_iotlb_tracking: bool
    remove_takes_tree_exclusive: bool = False
    guests_lock_free_entries: bool = True


def _release(name: str, meaning: str, **changed: bool) -> ModuleVersion:
    """Return a release, or a variant of it with some rules changed."""
    rules = {rule.name: rule.fact(name).holds for rule in RULES.values()}
    return ModuleVersion(meaning=meaning, release=name, **{**rules, **changed})


DEFAULT_VERSION = "1.5.34"
TRAINED_VERSIONS = ("1.5.06", "1.5.28", "1.5.34")
"""What the train splits of scenarios draw from, unless they name others: what KVM runs on."""
MODULE_VERSIONS: dict[str, ModuleVersion] = {
    "1.5.01": _release("1.5.01", "February 2024; no merged kernel runs on it"),
    "1.5.06": _release("1.5.06", "April 2024, the oldest that Linux 6.16 runs on: 1.5.01's locks"),
    "1.5.28": _release("1.5.28", "November 2025: host priority on the tree, marks are kept"),
    "1.5.34": _release("1.5.34", "March 2026: guests look at an entry's mark first, lists yield"),
    "2.0.18": _release("2.0.18", "February 2026: as 1.5.34, with tracking of devices' IOTLBs"),
    "hypothetical-remove-exclusive": _release(
        "1.5.01",
        "PAGE.REMOVE takes the tree exclusively, as the mailing list believed in 2024",
        remove_takes_tree_exclusive=True,
    ),
    "hypothetical-vp-init-v1": _release(
        "1.5.01",
        "1.5.01 with version 1 of VP.INIT, which takes the TDR exclusively",
        vp_init_takes_tdr_exclusive=True,
    ),
    "hypothetical-no-free-lock": _release(
        "1.5.01", "guests don't lock FREE entries", guests_lock_free_entries=False
    ),
    "hypothetical-demote-uninterruptible": _release(
        "1.5.01", "DEMOTE doesn't give up for an interrupt", demote_is_interruptible=False
    ),
}

# Known for their locks, but not versions that a TD runs on: the newer table rows weren't seen.
LOCK_RELEASES: dict[str, ModuleVersion] = {
    "2.0.12": _release("2.0.12", "as 1.5.28, but guests count themselves in before they look"),
    "2.0.16": _release("2.0.16", "December 2025: the lock words of 1.5.28"),
}

ALIASES: dict[str, str] = {
    "1.5": "1.5.01",
    "1.5-remove-exclusive": "hypothetical-remove-exclusive",
    "1.5-vp-init-v1": "hypothetical-vp-init-v1",
    "1.5-no-free-lock": "hypothetical-no-free-lock",
    "1.5-demote-uninterruptible": "hypothetical-demote-uninterruptible",
}


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names, those that look most like ``name`` first."""
    names = list(known)
    likeness = {one: difflib.SequenceMatcher(None, name, one).ratio() for one in names}
    return sorted(names, key=lambda one: (-likeness[one], names.index(one)))


def version_name(name: str) -> str:
    """Return the name that a version goes by; an older name of it warns.

    Raises:
        ScenarioError: There is no such version.
    """
    if name in ALIASES:
        warnings.warn(
            f"module version {shown(name)} is an old name, now {shown(ALIASES[name])}",
            FutureWarning,
            stacklevel=2,
        )
        return ALIASES[name]
    if name not in MODULE_VERSIONS:
        known = ", ".join(nearest_first(name, MODULE_VERSIONS)[:N_NEAREST])
        raise ScenarioError(f"module version {shown(name)} is unknown, must be one of: {known}")
    return name


def module_version(name: str) -> ModuleVersion:
    """Return a version of the module by name.

    Raises:
        ScenarioError: There is none of that name.
    """
    return MODULE_VERSIONS[version_name(name)]


def lock_version(name: str) -> ModuleVersion:
    """Return a version by name; also one whose lock words alone are known.

    Raises:
        ScenarioError: There is none of that name.
    """
    if name in LOCK_RELEASES:
        return LOCK_RELEASES[name]
    return module_version(name)


def rules_not_read(name: str) -> list[tuple[Rule, Evidence]]:
    """Return the rules of a version's release that were not read in its own text, and why."""
    release = module_version(name).release
    facts = [(rule, rule.fact(release).evidence) for rule in RULES.values()]
    return [(rule, evidence) for rule, evidence in facts if evidence != Evidence.READ]
