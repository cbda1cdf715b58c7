"""The hand-written policies, row by row against what was proposed and merged."""

import numpy as np
import pytest
from hypothesis import given

from tdx_agents import names, policies_table
from tdx_agents.adaptive import break_even
from tdx_agents.fault_loop import fault_loop, walk_again
from tdx_agents.handwritten import catalogue, find, rows
from tdx_agents.kick import paolo_5
from tdx_agents.merged import install_16, kick_zap_else_yield
from tdx_agents.protocol import Kind, mask_of
from tdx_agents.retry import blind, doubling_cap
from tdx_agents.split import bounded_resume
from tdx_agents.structure import batched_merged, batched_retry
from tdx_env.host.discipline import BOUNDED, DEFAULT, HOST_LEAVES
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import UNLIMITED, Action, Exhaustion
from tdx_env.state.features import Feature
from tests.agents.conftest import ENTRY, EPOCH, TREE, answers, decisions, features_of

AUG, ADD = Leaf.MEM_PAGE_AUG, Leaf.MEM_PAGE_ADD
BLOCK, TRACK, REMOVE = Leaf.MEM_RANGE_BLOCK, Leaf.MEM_TRACK, Leaf.MEM_PAGE_REMOVE
ENTER, WBINVD, EXTEND = Leaf.VP_ENTER, Leaf.PHYMEM_PAGE_WBINVD, Leaf.MR_EXTEND
SEPT_ADD, UNBLOCK, DEMOTE = Leaf.MEM_SEPT_ADD, Leaf.MEM_RANGE_UNBLOCK, Leaf.MEM_PAGE_DEMOTE
FLUSH, CREATE, ADDCX, INIT = Leaf.VP_FLUSH, Leaf.VP_CREATE, Leaf.VP_ADDCX, Leaf.VP_INIT
BLOCKW, EXPORT_MEM, UNBLOCKW = Leaf.EXPORT_BLOCKW, Leaf.EXPORT_MEM, Leaf.EXPORT_UNBLOCKW
ZAP = (BLOCK, TRACK, REMOVE, UNBLOCK, DEMOTE)
SERIES_ROWS = ["P1", "P2", "P2b", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "P13"]
SERIES_ROWS += ["P14", "P23"]
FLUSH_ROWS = [row.name for row in rows() if row.discipline.flush != 1 and not row.number]
MERGED_ROWS = ["P17", "P18", "P19", "P20", "P21", "P21-locked", "P22", "P24", "P25"]
MERGED_ROWS += ["P27", "P28-1", "P28-4", "P28-8", "P28-16", "P28-32", "P28-64", "P29"]
MERGED_ROWS += ["P23-irqs-off", "P18-gate-page", "P18-batch-16", "P18-batch-512"]
RULES_OF_THUMB = ["break-even", "operand", "random", "retry-batch-16", "retry-batch-512"]
FOR_EVER = ["RETRY"] * 100 + ["AND SO ON"]
TDR_BY_RDX, TDR_IMPLICIT = 2, 128


def retries(count: int, end: str) -> list[str]:
    """Return a number of repeats and how they end."""
    return ["RETRY"] * count + [end]


@given(features=decisions())
def test_every_policy_answers_with_an_allowed_action(features):
    mask = mask_of(features)
    for policy in catalogue():
        assert mask[policy.decide(features)], policy.name


@given(features=decisions())
def test_plain_rules_answer_as_compiled(features):
    for row, policy in zip(rows(), catalogue(), strict=True):
        assert row.rule(features) == policy.decide(features), row.name


@pytest.mark.parametrize("leaf", [AUG, BLOCK, ENTER, ADD, BLOCKW])
def test_masked_alternatives_leave_retry(leaf):
    for policy in catalogue():
        assert policy.decide(features_of(leaf, MASK=1, BUSY_CYCLES=1 << 40)) == Action.RETRY


def test_every_row_of_the_fact_sheet_is_there(by_number):
    assert {f"P{number}" for number in range(1, 27)} < set(by_number)


def changes_of(policy, other):
    """Return which fields of two disciplines differ, with the first one's values."""
    mine, theirs = policy.discipline.model_dump(), other.discipline.model_dump()
    return {name: value for name, value in mine.items() if value != theirs[name]}


# what all rows share: kernels of their time, and calls that no kernel repeats


@pytest.mark.parametrize(
    ("number", "kernel"),
    [("P17", "6.16"), ("P18", "6.16"), ("P19", "6.18"), ("P20", "6.19"), ("P21", "6.19")]
    + [(f"P{number}", "series-2024") for number in range(1, 17)]
    + [("P22", "6.19"), ("P23", "series-2024"), ("P24", "6.19"), ("P26", "series-2024")],
)
def test_rows_are_kernels_of_their_time(by_number, number, kernel):
    assert by_number[number].discipline.kernel == kernel


@pytest.mark.parametrize("number", ["P1", "P4", "P6", "P9", "P17", "P18", "P20", "P26"])
@pytest.mark.parametrize("leaf", [CREATE, ADDCX, INIT, FLUSH])
def test_busy_creation_of_a_vcpu_is_kvm_bug_on(by_number, number, leaf):
    """Linux 6.16, tdx_td_vcpu_init, tdx_flush_vp_on_cpu; reports B4 and B5."""
    assert answers(by_number[number], leaf, TDR_IMPLICIT) == ["KILL"]


@pytest.mark.parametrize("number", ["P1", "P4", "P6", "P9", "P17", "P18", "P20"])
@pytest.mark.parametrize("leaf", [BLOCKW, EXPORT_MEM])
def test_busy_list_call_of_an_export_is_an_error_to_user_space(by_number, number, leaf):
    """Intel's out-of-tree kernel: -EIO. That user space calls again is a guess."""
    assert answers(by_number[number], leaf) == ["USER_ERROR"]


@pytest.mark.parametrize("number", [*SERIES_ROWS, *MERGED_ROWS])
def test_unblockw_goes_as_aug(by_number, number):
    for operand in (TREE, ENTRY):
        aug = answers(by_number[number], AUG, operand)
        assert answers(by_number[number], UNBLOCKW, operand) == aug


@pytest.mark.parametrize("number", [*SERIES_ROWS, *MERGED_ROWS, *RULES_OF_THUMB])
def test_track_of_an_export_goes_as_that_of_a_zap(by_number, number):
    """KVM has one tdx_track."""
    if number != "random":
        zap, export = (
            answers(by_number[number], TRACK, EPOCH, path)
            for path in (CallPath.ZAP, CallPath.EXPORT)
        )
        assert zap == export


@pytest.mark.parametrize("leaf", [DEMOTE, BLOCKW, EXPORT_MEM])
def test_interrupted_call_is_repeated_by_all_but_chance(leaf):
    for policy in catalogue():
        features = features_of(leaf, 0, CallPath.INTERRUPTED, ISSUES=20, BUSY_CYCLES=1 << 40)
        if policy.name != "random":
            assert policy.decide(features) == Action.RETRY, policy.name


# P1 to P5, P8, P12: rows that only repeat


def test_p1_makes_17_calls_for_a_busy_tree(by_number):
    """Patch 09/21: the call and 16 repeats; AUG then re-enters, BLOCK's failure is ignored."""
    assert answers(by_number["P1"], AUG) == retries(16, "REENTER")
    assert answers(by_number["P1"], SEPT_ADD) == retries(16, "REENTER")
    assert answers(by_number["P1"], BLOCK) == retries(16, "SWALLOW")


@pytest.mark.parametrize("leaf", [AUG, BLOCK, REMOVE])
def test_p1_s_callers_make_a_bug_of_a_busy_entry(by_number, leaf):
    """v19: KVM_BUG_ON of every error but TDX_ERROR_SEPT_BUSY."""
    assert answers(by_number["P1"], leaf, ENTRY) == ["KILL"]


def test_p1_any_retries_an_entry_too(by_number):
    assert answers(by_number["P1-any"], AUG, ENTRY) == retries(16, "REENTER")
    assert answers(by_number["P1-any"], BLOCK, ENTRY) == retries(16, "SWALLOW")
    assert answers(by_number["P1-any"], REMOVE, ENTRY) == FOR_EVER


@pytest.mark.parametrize("number", ["P1", "P1-any", "P2"])
def test_callers_loops_of_the_series_have_no_limit(by_number, number):
    for leaf in (REMOVE, TRACK, ADD, WBINVD):
        assert by_number[number].discipline.limit(leaf) == UNLIMITED
    assert answers(by_number[number], TRACK, EPOCH) == FOR_EVER


@pytest.mark.parametrize("number", ["P1", "P2", "P2b", "P3", "P6", "P9", "P13"])
def test_page_add_of_the_series_meets_a_held_tdr_with_a_bug(by_number, number):
    """v19, tdx_mem_page_add: the loop compares with TDX_ERROR_SEPT_BUSY; any other is an error."""
    assert answers(by_number[number], ADD, TDR_BY_RDX) == ["KILL"]


def test_p2_has_no_loop_for_block_and_aug(by_number):
    assert answers(by_number["P2"], AUG) == ["REENTER"]
    assert answers(by_number["P2"], BLOCK) == ["SWALLOW"]
    assert answers(by_number["P2"], REMOVE) == FOR_EVER
    assert answers(by_number["P2"], REMOVE, ENTRY) == ["KILL"]


def test_p2b_gates_track_before_its_first_try(by_number):
    """Series v19: a counter, a kick, vCPUs that spin, TRACK while busy; all else is P1's."""
    p2b = by_number["P2b"]
    assert changes_of(p2b, by_number["P1"]) == {"track_kick": "before"}
    assert answers(p2b, TRACK, EPOCH) == FOR_EVER
    assert answers(p2b, BLOCK) == retries(16, "SWALLOW")


def test_p3_repeats_for_ever_under_the_lock(by_number):
    p3 = by_number["P3"]
    assert p3.discipline.seamcall_lock == "always"
    assert answers(p3, AUG) == answers(p3, BLOCK) == FOR_EVER
    assert answers(p3, AUG, ENTRY) == ["KILL"]


def test_p4_kills_at_1024_tries(by_number):
    p4 = by_number["P4"].discipline
    assert p4.seamcall_lock == "always"
    for leaf in (AUG, SEPT_ADD, *ZAP):
        assert (p4.limit(leaf), p4.exhaustion(leaf).name) == (1024, "KILL")
    assert answers(by_number["P4"], AUG, ENTRY) == FOR_EVER


def test_p5_is_p4_with_the_lock_after_the_first_busy_reply(by_number):
    p4, p5 = by_number["P4"], by_number["P5"]
    assert p5.discipline == p4.discipline.with_(seamcall_lock="after_busy")
    assert p5.decide is p4.decide or p5.decide(features_of(AUG)) == p4.decide(features_of(AUG))


def test_p8_loops_on_every_call_and_operand(by_number):
    for name in HOST_LEAVES:
        assert answers(by_number["P8"], Leaf[name], ENTRY) == FOR_EVER


def test_p12_differs_from_p4_in_the_enter_path_alone(by_number):
    p4, p12 = by_number["P4"], by_number["P12"]
    assert p12.discipline == p4.discipline.with_(enter_yield="barrier")
    assert answers(p12, ENTER) == ["YIELD"]
    for leaf in (AUG, SEPT_ADD, ADD, *ZAP):
        assert answers(p12, leaf) == answers(p4, leaf)


def test_p26_kills_at_the_first_busy_reply(by_number):
    """Sean, 9 Sep 2024: a conflict is a bug of the kernel."""
    for name in HOST_LEAVES:
        assert answers(by_number["P26"], Leaf[name], ENTRY) == ["KILL"]


# P6, P7, P10, P11, P13, P14: rows that kick


@pytest.mark.parametrize("leaf", [AUG, SEPT_ADD, BLOCK, REMOVE, UNBLOCK, DEMOTE])
def test_p6_kicks_once_then_kills_without_a_gate(by_number, leaf):
    assert answers(by_number["P6"], leaf, ENTRY) == ["KICK", "KILL"]
    assert by_number["P6"].discipline.gate_scope == "nothing"


@pytest.mark.parametrize("number", ["P6", "P7", "P7-once", "P10", "P11"])
def test_proposals_about_sept_entries_leave_track_to_its_loop(by_number, number):
    """Sean and Paolo, 9 and 10 Sep 2024, speak of S-EPT SEAMCALLs; v19 and v1 loop on TRACK."""
    assert answers(by_number[number], TRACK, EPOCH) == FOR_EVER


def test_p7_kicks_before_each_of_five_tries(by_number):
    assert answers(by_number["P7"], BLOCK, ENTRY) == ["KICK"] * 4 + ["KILL"]
    assert answers(by_number["P7-once"], BLOCK, ENTRY) == ["KICK", *retries(3, "KILL")]
    assert by_number["P7"].discipline == by_number["P7-once"].discipline
    assert by_number["P7"].discipline.gate_scope == "nothing"


def test_p10_flags_at_a_synthetic_exit_too(by_number):
    """Sean, 9 Sep: resume the guest; if zero-step fires, kick; zap: the one and only retry."""
    p10 = by_number["P10"]
    assert changes_of(p10, by_number["P11"]) == {"kick_flagged": "zero_step"}
    assert answers(p10, AUG) == ["YIELD"]
    assert (p10.discipline.fault_yield, p10.discipline.on_frozen) == ("reenter", "reenter")
    assert answers(p10, BLOCK) == ["KICK", "KILL"]


def test_p11_kicks_the_flagged_fault_only(by_number):
    p11 = by_number["P11"]
    assert p11.discipline.kick_flagged == "busy"
    assert answers(p11, AUG) == ["YIELD"]
    assert p11.discipline.fault_yield == "reenter"
    assert answers(p11, BLOCK) == ["KICK", "KILL"]


def test_p13_gates_first_and_to_the_end_of_the_page(by_number):
    p13 = by_number["P13"]
    assert (p13.discipline.gate_first, p13.discipline.gate_scope) == (True, "page")
    assert answers(p13, BLOCK) == ["KICK", "KILL"]
    assert answers(p13, AUG) == ["YIELD"]


def test_p14_calls_again_once_then_gates_to_the_end_of_the_page(by_number):
    p14 = by_number["P14"]
    assert (p14.discipline.gate_first, p14.discipline.gate_scope) == (False, "page")
    assert answers(p14, TRACK, EPOCH) == ["RETRY", "KICK", "KILL"]


# P9, P15, P16: the fault loop


def test_p9_re_enters_the_guest_and_loops_in_the_zap(by_number):
    p9 = by_number["P9"]
    assert answers(p9, AUG) == ["YIELD"]
    assert (p9.discipline.fault_yield, p9.discipline.on_frozen) == ("reenter", "reenter")
    assert answers(p9, BLOCK) == retries(16, "KILL")


def test_p15_retries_locally_on_frozen_only(by_number):
    """Sean, 13 Sep: a FROZEN SPTE stays in KVM, the module's BUSY goes to the guest."""
    p15 = by_number["P15"]
    assert p15.discipline.on_frozen == "local_retry"
    assert answers(p15, AUG) == ["YIELD"]
    assert p15.discipline.fault_yield == "reenter"
    assert answers(p15, BLOCK) == ["KICK", "KILL"]
    assert p15.discipline.gate_scope == "call"


def test_p16_walks_again_twice(by_number):
    """Sean, 10 Oct: up to two local retries of the TDP walk, then RET_PF_RETRY."""
    p16 = by_number["P16"]
    changes = {"on_frozen": "walk_again", "walks_again": 2}
    assert changes_of(p16, by_number["P15"]) == changes
    assert answers(p16, AUG) == ["YIELD"]


# P17 to P20: what was merged, and the last alternative


def test_p17_has_p1_s_loop_for_install_and_p18_s_kick_for_removal(by_number):
    p17, p18 = by_number["P17"], by_number["P18"]
    for leaf in (AUG, SEPT_ADD):
        assert answers(p17, leaf) == answers(by_number["P1"], leaf)
        assert answers(p17, leaf, ENTRY) == ["REENTER"]
    for leaf in (*ZAP, ENTER, ADD, WBINVD):
        assert answers(p17, leaf, ENTRY) == answers(p18, leaf, ENTRY)
    assert (p17.discipline.fault_yield, p17.discipline.on_frozen) == ("reenter", "reenter")
    assert p17.discipline.gate_scope == "call"


@pytest.mark.parametrize("leaf", ZAP)
@pytest.mark.parametrize("operand", [TREE, EPOCH, ENTRY])
def test_p18_kicks_gates_and_tries_a_zap_s_call_once_more(by_number, leaf, operand):
    """Linux 6.16: whatever the operand, which it masks away."""
    assert answers(by_number["P18"], leaf, operand) == ["KICK", "KILL"]
    assert by_number["P18"].discipline.gate_scope == "call"


def test_p18_retries_faults_locally_without_limit(by_number):
    p18 = by_number["P18"]
    assert answers(p18, AUG) == answers(p18, SEPT_ADD) == ["YIELD"]
    assert (p18.discipline.fault_yield, p18.discipline.on_frozen) == ("local_retry", "local_retry")
    assert p18.discipline.limit(AUG) == UNLIMITED


def test_p18_leaves_the_fast_path_and_returns_page_add_to_user_space(by_number):
    p18 = by_number["P18"]
    assert answers(p18, ENTER) == answers(p18, ADD) == ["YIELD"]
    assert p18.discipline.enter_yield == "fastpath"
    assert answers(p18, WBINVD, ENTRY) == answers(p18, EXTEND, TDR_BY_RDX) == ["KILL"]


@pytest.mark.parametrize(
    ("number", "earlier", "changes"),
    [
        ("P19", "P18", {"kernel": "6.18"}),
        ("P20", "P19", {"kernel": "6.19"}),
        ("P21", "P20", {}),
        ("P21-locked", "P21", {"split_check": "locked"}),
        ("P22", "P21", {"seamcall_lock": "mirror", "split_read": True}),
        ("P23", "P1", {}),
        ("P23-irqs-off", "P21", {"irqs_off": True}),
        ("P24", "P21", {"max_interrupted": 10_000}),
        ("P18-gate-page", "P18", {"gate_scope": "page"}),
        ("P18-batch-16", "P18", {"flush": 16}),
        ("P18-batch-512", "P18", {"flush": 512}),
    ],
)
def test_row_changes_an_earlier_one_in_one_thing(by_number, number, earlier, changes):
    assert changes_of(by_number[number], by_number[earlier]) == changes
    for leaf in (AUG, ENTER, ADD, WBINVD, *ZAP):
        assert answers(by_number[number], leaf) == answers(by_number[earlier], leaf)


# P21 to P24: splits, and calls that are interrupted


def test_p21_looks_for_a_mapping_before_it_takes_the_lock_for_write(by_number):
    """Yan, 2 Jul 2025: 17,626 times for write became 11."""
    p21 = by_number["P21"].discipline
    assert (p21.split_check, p21.split_read) == ("flag", False)
    assert answers(by_number["P21"], DEMOTE, ENTRY) == ["KICK", "KILL"]


def test_p23_and_p21_bear_any_number_of_interruptions(by_number):
    for number in ("P21", "P23"):
        assert by_number[number].discipline.max_interrupted == "unlimited"
        assert not by_number[number].discipline.irqs_off


# P27 to P29: plain tries before the kick, in the kernel of 6.19


@pytest.mark.parametrize("tries", [1, 2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("leaf", ZAP)
def test_plain_tries_come_before_one_gated_kick_and_one_more_try(by_number, tries, leaf):
    """Whatever the operand; the kernel masks it off."""
    row = by_number["P27" if tries == 2 else f"P28-{tries}"]
    for operand in (TREE, EPOCH, ENTRY):
        expected = ["RETRY"] * (tries - 1) + ["KICK", "KILL"]
        assert answers(row, leaf, operand) == expected
    assert row.discipline.gate_scope == "call"


def test_bounded_rule_ends_after_a_gated_kick_and_as_many_tries(by_number):
    row = by_number["retry-bounded"]
    assert row.discipline == BOUNDED
    assert (row.discipline.limit(BLOCK), row.discipline.exhaustion(BLOCK)) == (
        1024,
        Exhaustion.GATED_KICK_ONCE,
    )


@pytest.mark.parametrize("number", ["P27", "P28-32", "P29"])
@pytest.mark.parametrize("leaf", [AUG, SEPT_ADD, ENTER, ADD, WBINVD])
def test_elsewhere_plain_tries_are_6_19(by_number, number, leaf):
    assert answers(by_number[number], leaf) == answers(by_number["P20"], leaf)


@pytest.mark.parametrize(
    ("leaf", "operand", "expected"),
    [
        (BLOCK, TREE, ["KICK", "KILL"]),
        (REMOVE, ENTRY, ["KICK", "KILL"]),
        (TRACK, EPOCH, ["RETRY"] * 15 + ["KICK", "KILL"]),
        (BLOCK, TDR_IMPLICIT, ["RETRY", "KILL"]),
    ],
)
def test_p29_kicks_for_what_vcpus_hold(by_number, leaf, operand, expected):
    """TRACK's own kick follows anyway; no kick drives a host call away."""
    assert answers(by_number["P29"], leaf, operand) == expected


# structure: batches, gates, no faults at all


def test_p25_has_all_memory_from_the_start_and_one_lock(by_number):
    """Matlack, Jan 2023: S-EPT apart from the TDP MMU, one lock, populated at creation."""
    p25 = by_number["P25"]
    assert changes_of(p25, by_number["P18"]) == {
        "prepopulate": True,
        "seamcall_lock": "always",
        "fault_yield": "reenter",
        "on_frozen": "reenter",
    }


@pytest.mark.parametrize("pages", [1, 8, 16, 64, 512])
def test_batches_of_retry_change_the_default_discipline_in_one_thing(by_number, pages):
    row = by_number[f"retry-batch-{pages}"]
    assert row.discipline == DEFAULT.with_(flush=pages)
    assert answers(row, BLOCK, ENTRY) == answers(row, TRACK, EPOCH) == FOR_EVER


@pytest.mark.parametrize(
    ("number", "twin"), [("P21", "P20"), ("P23", "P1"), ("P20", ""), ("P19", ""), ("P18", "")]
)
def test_rows_that_behave_alike_say_so(by_number, number, twin):
    assert by_number[number].behaves_as == twin


def test_whoever_behaves_as_another_has_its_rule_and_discipline(by_number):
    for row in rows():
        if row.behaves_as:
            twin = next(other for other in rows() if other.number == row.behaves_as)
            assert row.rule is twin.rule
            assert row.discipline == twin.discipline
            assert not twin.behaves_as


@pytest.mark.parametrize("number", SERIES_ROWS)
def test_series_of_2024_enters_again_and_sends_frozen_faults_back(by_number, number):
    policy = by_number[number]
    assert answers(policy, ENTER) == FOR_EVER
    assert policy.discipline.on_frozen == "reenter"


# rules of thumb


@pytest.mark.parametrize(("busy_cycles", "action"), [(101_499, "RETRY"), (101_500, "KICK")])
def test_break_even_kicks_when_waiting_cost_as_much(by_number, busy_cycles, action):
    """600 fixed + 10 outside × 90 + 4,000 wait + 8 × (2,000 + 10,000) = 101,500 cycles."""
    features = features_of(
        BLOCK,
        ENTRY,
        BUSY_CYCLES=busy_cycles,
        N_VCPUS=18,
        N_IN_GUEST=8,
        KICK_SEND_TARGET=2000,
        KICK_WAIT=4000,
        KICK_TARGET=10_000,
    )
    assert by_number["break-even"].decide(features) == Action[action]


def test_break_even_starts_anew_after_a_kick(by_number):
    features = features_of(BLOCK, BUSY_CYCLES=1199, KICKS=1)
    assert by_number["break-even"].decide(features) == Action.RETRY
    features[Feature.BUSY_CYCLES] = 1200
    assert by_number["break-even"].decide(features) == Action.KICK


@pytest.mark.parametrize(
    ("leaf", "operand", "level", "action"),
    [
        (BLOCK, TREE, 1, "RETRY"),
        (TRACK, EPOCH, 0, "RETRY"),
        (BLOCK, ENTRY, 0, "RETRY"),
        (BLOCK, ENTRY, 1, "KICK"),
        (AUG, ENTRY, 1, "KICK"),
        (AUG, TDR_BY_RDX, 0, "YIELD"),
        (BLOCK, TDR_BY_RDX, 0, "RETRY"),  # YIELD is masked in the zap path
        (TRACK, ENTRY, 0, "RETRY"),  # RCX is the TDR here; masked likewise
        (ENTER, TDR_IMPLICIT, 0, "YIELD"),
        (ENTER, ENTRY, 0, "RETRY"),  # RCX is the vCPU here
        (ADD, TDR_BY_RDX, 0, "YIELD"),
        (INIT, TDR_IMPLICIT, 0, "YIELD"),
        (ADDCX, TDR_BY_RDX, 0, "RETRY"),  # RDX is the vCPU here
        (BLOCKW, TREE, 0, "RETRY"),
        (BLOCKW, TDR_BY_RDX, 0, "YIELD"),
        (UNBLOCKW, ENTRY, 0, "RETRY"),
        (UNBLOCKW, ENTRY, 1, "KICK"),
        (DEMOTE, ENTRY, 1, "KICK"),
    ],
)
def test_operand_rule_chooses_by_the_busy_lock(by_number, leaf, operand, level, action):
    features = features_of(leaf, operand, LEVEL=level)
    assert by_number["operand"].decide(features) == Action[action]


def test_operand_rule_yields_in_the_zap_path_where_allowed(by_number):
    features = features_of(TRACK, ENTRY, MASK=7)
    assert by_number["operand"].decide(features) == Action.YIELD


@pytest.mark.parametrize("mask", [1, 3, 5, 7])
def test_random_takes_each_allowed_action_equally_often(by_number, mask):
    allowed = np.flatnonzero(mask_of(features_of(AUG, MASK=mask)))
    drawn = [
        by_number["random"].decide(features_of(AUG, MASK=mask, LOTTERY=lottery))
        for lottery in range(60)
    ]
    for action in allowed:
        assert drawn.count(action) == 60 // len(allowed)


def test_operand_rule_yields_an_export_s_track_on_the_tdr(by_number):
    """RCX is the TDR in TRACK; unlike a zap, an export may yield."""
    features = features_of(TRACK, ENTRY, CallPath.EXPORT)
    assert by_number["operand"].decide(features) == Action.YIELD


def test_break_even_kicks_for_an_export_too(by_number):
    features = features_of(BLOCKW, BUSY_CYCLES=1 << 40)
    assert by_number["break-even"].decide(features) == Action.KICK


@pytest.mark.parametrize(
    ("leaf", "path", "action"),
    [
        (BLOCKW, None, "YIELD"),
        (EXPORT_MEM, None, "YIELD"),
        (TRACK, CallPath.EXPORT, "KICK"),
        (DEMOTE, CallPath.INTERRUPTED, "RETRY"),
        (CREATE, None, "YIELD"),
    ],
)
def test_p18_s_rule_under_other_disciplines(leaf, path, action):
    """Ioctls go back to user space; an interrupted call, which 6.16 doesn't know, is repeated."""
    assert kick_zap_else_yield(features_of(leaf, path=path)) == Action[action]


@pytest.mark.parametrize("name", ["break-even", "operand", "random"])
def test_rules_of_thumb_run_under_the_default_discipline(by_number, name):
    assert by_number[name].discipline == DEFAULT


# the table itself


def test_names_and_numbers_are_unique():
    assert len(set(names())) == len(names())
    numbers = [row.number for row in rows() if row.number]
    assert len(set(numbers)) == len(numbers)


def test_name_and_number_find_the_same_policy():
    assert find("P18") is find("p18") is find("p18-merged-6.16")
    assert find("p99") is None
    assert find("") is None


WITH_MADE_RULES = [row.name for row in rows() if row.number.startswith(("P27", "P28", "P29"))]
NEEDS_A_CHANGE = {"P18-batch-16", "P18-batch-512", "P25", *FLUSH_ROWS}


def test_batches_and_prepopulation_need_a_kvm_change(by_number):
    assert {number for number, row in by_number.items() if not row.is_mergeable} == NEEDS_A_CHANGE
    assert by_number["P25"].mark == "needs a KVM change"
    assert by_number["P18"].mark == "mergeable today"


def test_rows_are_compiled_and_decide_as_fast_as_a_counter():
    for policy in catalogue():
        assert policy.kind == Kind.COMPILED
        assert policy.decision_cycles == 10


def test_every_row_says_its_source_and_what_it_does():
    for row in rows():
        assert row.title
        assert row.source
        is_made = row.name in ("break-even", *WITH_MADE_RULES)  # their makers say the source
        assert "Source:" in row.rule.__doc__ if row.rule.__doc__ else is_made


def test_policies_table_has_a_line_for_each():
    lines = policies_table(200).splitlines()
    assert len(lines) == 2 + len(names())
    for name, line in zip(names(), lines[2:], strict=True):
        assert f" {name} " in line
        assert ("needs a change" in line) == (not find(name).is_mergeable)


def test_thresholds_are_parameters_and_part_of_the_name():
    assert blind(3).discipline.limit(AUG) == 4
    assert doubling_cap(64).discipline.limit(AUG) == 64
    assert paolo_5(3).discipline.limit(AUG) == 3
    assert fault_loop(2).discipline.limit(BLOCK) == 3
    assert walk_again(10).discipline.walks_again == 10
    assert install_16(3).discipline.limit(AUG) == 4
    assert bounded_resume(7).discipline.max_interrupted == 7
    assert batched_merged(4).discipline.flush == 4
    assert batched_retry(4).name == "retry-batch-4"
    assert blind(3).name == "p1-blind-3"
    assert break_even(500).name == "break-even-500"


def test_break_even_threshold_is_the_parameter():
    policy = break_even(500).compile()
    assert policy.decide(features_of(BLOCK, BUSY_CYCLES=500)) == Action.KICK
    assert policy.decide(features_of(BLOCK, BUSY_CYCLES=499)) == Action.RETRY
