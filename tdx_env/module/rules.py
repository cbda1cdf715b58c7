"""In what the public releases of the TDX module differ, rule by rule, and how well that is known.

A row of `RULES` is a rule that is a field of `versions.ModuleVersion`; its facts stand in the order
of `RELEASES`. A row of `COMMITS` says how well it is known of one call that its commit keeps the
mark of a refused host.

The letters: R, that release's own text was read; =, by elimination: of the texts seen only that of
another release fits; I, inferred; U, unseen, and taken from the next older release. Nothing was
seen of 1.5.07 to 1.5.27 and of 2.0.09 to 2.0.11.

Source: the public sources of the module, releases 1.5.01 (22 February 2024), 1.5.06 (build
20240407), 1.5.28 (20251126), 1.5.34 (20260330), 2.0.12, 2.0.16 (20251204), 2.0.18 (20260211).
"""

from dataclasses import dataclass
from enum import StrEnum

from tdx_env.state.calls import Leaf


class Evidence(StrEnum):
    """How a fact about a release is known."""

    READ = "R"
    ELIMINATION = "="
    INFERRED = "I"
    UNSEEN = "U"

    @property
    def meaning(self) -> str:
        """Return the letter in words."""
        return _MEANINGS[self]


_MEANINGS = {
    Evidence.READ: "read",
    Evidence.ELIMINATION: "by elimination",
    Evidence.INFERRED: "inferred",
    Evidence.UNSEEN: "unseen, as in the next older release",
}


@dataclass(frozen=True)
class Fact:
    """What one release does about a rule.

    Attributes:
        holds: The rule holds there.
        evidence: How that is known.
    """

    holds: bool
    evidence: Evidence


@dataclass(frozen=True)
class Rule:
    """A rule that not all releases have.

    Attributes:
        name: The field of `versions.ModuleVersion`.
        meaning: What the module does where the rule holds.
        source: File and function, or field, of the module.
        facts: What each of `RELEASES` does.
    """

    name: str
    meaning: str
    source: str
    facts: tuple[Fact, ...]

    def fact(self, release: str) -> Fact:
        """Return what a release does."""
        return self.facts[RELEASES.index(release)]


RELEASES = ("1.5.01", "1.5.06", "1.5.28", "1.5.34", "2.0.12", "2.0.16", "2.0.18")


def _facts(row: str) -> tuple[Fact, ...]:
    """Return the facts that a row writes as ``yes R  no U ...``."""
    words = row.split()
    pairs = zip(words[::2], words[1::2], strict=True)
    facts = tuple(Fact({"yes": True, "no": False}[holds], Evidence(mark)) for holds, mark in pairs)
    assert len(facts) == len(RELEASES)
    return facts


_ROWS = (  # name, meaning, source; then 1.5.01, .06, .28, .34; 2.0.12, .16, .18
    (
        "tree_has_priority",
        "the S-EPT tree lock has host priority",
        "td_control_structures.h, secure_ept_lock",
        "no R  no R  yes R  yes R   yes R  yes =  yes R",
    ),
    (
        "armed_enter_shares_tree",
        "VP.ENTER of an armed vCPU takes the tree shared",
        "td_exit_stepping.c, td_entry_stepping_filter",
        "no R  no R  yes R  yes R   yes R  yes =  yes R",
    ),
    (
        "commits_keep_mark",
        "host calls commit with a compare-and-exchange that keeps the entry's host-priority mark",
        "sept_manager.c, atomically_update_sept_state_keep_tdhp",
        "no R  no I  yes I  yes R   yes I  yes I  yes R",
    ),
    (
        "accept_keeps_mark",
        "ACCEPT's commit, whether done or interrupted, keeps the entry's host-priority mark",
        "tdg_mem_page_accept.c, tdg_mem_page_accept",
        "no R  no R  yes R  yes =   yes R  yes =  yes R",
    ),
    (
        "attr_wr_stores_entry",
        "ATTR.WR always rewrites the L1 entry",
        "tdg_mem_page_attr_wr.c",
        "no R  no U  no U  yes R   no U  no U  yes I",
    ),
    (
        "guests_test_mark_first",
        "a guest looks at an entry's host-priority mark before it tries the entry's lock",
        "tdx_locks.h, sept_lock_acquire_guest",
        "no R  no I  no R  yes R   no R  no R  yes R",
    ),
    (
        "guests_test_mark_before_count",
        "a guest looks at a shared lock's host-priority mark before it counts itself in",
        "tdx_locks.h, acquire_sharex_lock_hp_sh",
        "no R  no I  yes R  yes R   no R  yes R  yes R",
    ),
    (
        "promote_takes_tree_exclusive",
        "PROMOTE takes the tree exclusively",
        "tdh_mem_page_promote.c",
        "no R  no U  yes R  yes R   yes R  yes U  yes R",
    ),
    (
        "promote_locks_children",
        "PROMOTE locks each of the 512 child entries",
        "tdh_mem_page_promote.c",
        "yes R  yes U  yes U  no R   yes U  yes U  no I",
    ),
    (
        "demote_is_interruptible",
        "DEMOTE looks for interrupts in a TD without L2 VMs, too",
        "tdh_mem_page_demote.c",
        "yes R  yes U  no R  no R   yes U  yes U  no R",
    ),
    (
        "lists_yield_to_writers",
        "a list call ends after its current entry when the tree has a waiting writer's mark",
        "helpers.c, check_host_interrupt_and_hp_bit",
        "no R  no I  no U  yes R   yes I  yes I  yes R",
    ),
    (
        "vp_init_takes_tdr_exclusive",
        "VP.INIT has a version 1, which KVM calls and which takes the TDR exclusively",
        "tdh_vp_init.c",
        "no R  yes R  yes =  yes =   yes =  yes R  yes =",
    ),
    (
        "acceptable_pending_disarms",
        "a listed page that can be accepted no longer faults if the TD gets #VE for PENDING pages",
        "td_exit_stepping.c, is_epf_expected",
        "no R  no R  yes =  yes =   yes R  yes =  yes =",
    ),
    (
        "steps_by_instruction_count",
        "single steps are told by retired instructions in a TD without PERFMON",
        "td_exit_stepping.c, vmexit_stepping_filter",
        "no R  yes R  yes =  yes =   yes R  yes =  yes =",
    ),
    (
        "accept_exits_on_removed",
        "ACCEPT of a REMOVED entry ends in an EPT violation, not in PAGE_SIZE_MISMATCH",
        "tdg_mem_page_accept.c, check_tdaccept_failure",
        "no R  no U  yes R  yes =   no U  no U  yes R",
    ),
    (
        "sept_remove_takes_removed_children",
        "SEPT.REMOVE takes a table whose children are REMOVED as well as one of FREE ones",
        "tdh_mem_sept_remove.c",
        "no R  no U  no U  yes R   no U  no U  yes I",
    ),
    (
        "unblock_names_entry",
        "UNBLOCK's TLB_TRACKING_NOT_DONE names RCX, not SEPT_TREE",
        "tdh_mem_range_unblock.c",
        "no R  no U  no U  yes R   no U  no U  yes R",
    ),
    (
        "blockw_returns_plain_success",
        "EXPORT.BLOCKW counts failed entries in R8 (version 1) or not at all, not in its status",
        "tdh_export_blockw.c",
        "no R  no U  no U  yes I   no U  no U  yes R",
    ),
    (
        "has_dynamic_pamt",
        "PHYMEM.PAMT.ADD and REMOVE exist, and take a range's 2M PAMT entry exclusively",
        "pamt_manager.c; the feature's bit is dynamic_pamt (36)",
        "no R  no I  yes R  yes R   yes R  yes I  yes R",
    ),
    (
        "has_mem_scan",
        "MEM.SCAN.RANGE, COMP, CONFIG and RESET do what they are named for",
        "tdh_mem_scan_range.c, tdh_mem_scan_comp.c",
        "no R  no I  no U  yes R   no R  no U  yes R",
    ),
    (
        "has_iotlb_tracking",
        "TRACK, REMOVE, PROMOTE, DEMOTE and UNBLOCK wait for the IOTLBs of attached devices, too",
        "helpers.h, is_tlb_and_iotlb_tracked",
        "no R  no I  no I  no R   yes I  yes I  yes R",
    ),
)  # fmt: skip

RULES: dict[str, Rule] = {row[0]: Rule(row[0], row[1], row[2], _facts(row[3])) for row in _ROWS}

# Of 1.5.34 and 2.0.18. Of the older releases that keep the mark it is known of ACCEPT (1.5.28 and
# 2.0.12 read), and of the helper that PROMOTE and DEMOTE share at 1.5.28.
COMMITS: dict[Leaf, str] = {
    Leaf.MEM_PAGE_AUG: "= R",
    Leaf.MEM_SEPT_ADD: "= R",
    Leaf.MEM_SEPT_REMOVE: "R R",
    Leaf.MEM_PAGE_REMOVE: "R R",
    Leaf.MEM_RANGE_BLOCK: "= R",
    Leaf.MEM_RANGE_UNBLOCK: "R R",
    Leaf.MEM_PAGE_PROMOTE: "R R",
    Leaf.MEM_PAGE_DEMOTE: "R R",
    Leaf.MEM_PAGE_RELOCATE: "R I",
    Leaf.EXPORT_BLOCKW: "I R",
    Leaf.EXPORT_UNBLOCKW: "I R",
    Leaf.EXPORT_MEM: "I I",
    Leaf.EXPORT_RESTORE: "I R",
    Leaf.IMPORT_MEM: "R I",
    Leaf.ACCEPT: "= R",
    Leaf.ATTR_WR: "R I",
    Leaf.MEM_SCAN_RANGE: "I I",
}


def commit_fact(leaf: Leaf, release: str) -> Fact | None:
    """Return whether a call's commit keeps the mark in a release; None if it commits no entry.

    Source:
        sept_manager.c, atomically_update_sept_state_keep_tdhp and its siblings, and their callers.
    """
    if leaf not in COMMITS:
        return None
    general = RULES["accept_keeps_mark" if leaf == Leaf.ACCEPT else "commits_keep_mark"]
    newest = ("1.5.34", "2.0.18")
    if release not in newest:
        return general.fact(release)
    evidence = COMMITS[leaf].split()[newest.index(release)]
    return Fact(general.fact(release).holds, Evidence(evidence))
