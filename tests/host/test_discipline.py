"""The host discipline as users write it."""

from typing import get_args

import pytest
from pydantic import ValidationError

from tdx_env.host.discipline import BOUNDED, DECISION_CYCLES, DEFAULT, HOST_LEAVES, Discipline
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import (
    DISCIPLINE,
    UNLIMITED,
    Asks,
    EnterYield,
    Exhaustion,
    FaultYield,
    GateScope,
    KickFlagged,
    OnFrozen,
    SeamcallLock,
    SplitCheck,
    TrackKick,
    Waiting,
)
from tdx_env.state.kernels import KERNELS, OF_SCENARIO


def test_default_is_the_one_that_agents_get():
    """Semantics: no SEAMCALL lock, gate for the call, 1,024 issues, then a gated kick."""
    record = DEFAULT.record()[0]
    assert (record["max_issues"] == 1024).all()
    assert (record["on_exhaustion"] == Exhaustion.GATED_KICK).all()
    bounded = BOUNDED.record()[0]
    assert (bounded["on_exhaustion"] == Exhaustion.GATED_KICK_ONCE).all()
    assert not record["tree_only"].any()
    assert record["seamcall_lock"] == SeamcallLock.NEVER
    assert record["gate_scope"] == GateScope.CALL
    assert record["on_frozen"] == OnFrozen.LOCAL_RETRY
    assert record["fault_yield"] == FaultYield.LOCAL_RETRY
    assert record["enter_yield"] == EnterYield.FASTPATH
    for flag in ("gate_first", "zap_yield", "prepopulate", "irqs_off", "enter_irqs_off"):
        assert not record[flag]
    assert record["kick_flagged"] == KickFlagged.NEVER
    assert (record["track_kick"], record["flush"]["pages"]) == (TrackKick.AFTER, 1)
    assert record["asks"] == Asks.BUSY
    assert record["max_interrupted"] == UNLIMITED
    assert record["decision_cycles"] == DECISION_CYCLES["counter"]


def test_default_is_possible_in_kvm_as_it_is():
    """The kernel is the scenario's; splits as posted in 2026."""
    record = DEFAULT.record()[0]
    assert record["kernel"] == OF_SCENARIO
    assert (record["split_check"], record["split_read"]) == (SplitCheck.FLAG, 0)
    assert not DEFAULT.needs_kvm_change


@pytest.mark.parametrize(
    ("changes", "needs_change"),
    [
        ({"zap_yield": True}, True),
        ({"flush": 2}, True),
        ({"flush": 1}, False),
        ({"flush": "greedy"}, True),
        ({"flush": "decided", "asks": "all"}, True),
        ({"prepopulate": True}, True),
        ({"track_kick": "before"}, False),
        ({"seamcall_lock": "mirror", "split_read": True}, False),
        ({"irqs_off": True}, False),
    ],
)
def test_kvm_change_is_needed_to_yield_in_a_zap_batch_or_prepopulate(changes, needs_change):
    assert DEFAULT.with_(**changes).needs_kvm_change == needs_change


def test_record_has_the_dtype_of_the_simulator():
    record = DEFAULT.record()
    assert record.dtype == DISCIPLINE
    assert record.shape == (1,)


def test_record_has_a_field_of_the_model_for_each_of_its_own():
    assert set(DISCIPLINE.names) == set(Discipline.model_fields)


@pytest.mark.parametrize(
    ("field", "members"),
    [
        ("seamcall_lock", SeamcallLock),
        ("gate_scope", GateScope),
        ("on_frozen", OnFrozen),
        ("fault_yield", FaultYield),
        ("enter_yield", EnterYield),
        ("kick_flagged", KickFlagged),
        ("track_kick", TrackKick),
        ("split_check", SplitCheck),
        ("asks", Asks),
    ],
)
def test_every_name_of_an_enum_can_be_written(field, members):
    names = get_args(Discipline.model_fields[field].annotation)
    assert sorted(names) == sorted(member.name.lower() for member in members)
    for member in members:
        assert DEFAULT.with_(**{field: member.name.lower()}).record()[0][field] == member


FLAGS = (
    "gate_first",
    "zap_yield",
    "prepopulate",
    "split_read",
    "irqs_off",
    "enter_irqs_off",
)


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("value", [False, True])
def test_every_flag_is_recorded(flag, value):
    assert DEFAULT.with_(**{flag: value}).record()[0][flag] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_interrupted", 0), ("max_interrupted", 10_000), ("walks_again", 2)],
)
def test_every_number_is_recorded(field, value):
    assert DEFAULT.with_(**{field: value}).record()[0][field] == value


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_can_be_brought(kernel):
    record = DEFAULT.with_(kernel=kernel).record()[0]
    assert list(KERNELS)[record["kernel"]] == kernel


@pytest.mark.parametrize(("given", "nearest"), [("6.17", "6.16"), ("7.2", "6.19"), ("7.4", "7.4")])
def test_unknown_kernel_is_answered_with_the_known_ones_nearest_first(given, nearest):
    with pytest.raises(ValidationError, match=f"must be one of: {nearest}"):
        DEFAULT.with_(kernel=given)


@pytest.mark.parametrize("member", Exhaustion)
def test_every_exhaustion_can_be_written(member):
    discipline = DEFAULT.with_(on_exhaustion={"MEM_TRACK": member.name.lower()})
    assert discipline.record()[0]["on_exhaustion"][Leaf.MEM_TRACK] == member


def test_lone_value_stands_for_all_leaves():
    record = DEFAULT.with_(max_issues=2).record()[0]
    assert (record["max_issues"] == 2).all()


def test_table_without_default_keeps_the_other_leaves():
    changed = DEFAULT.with_(max_issues={"MEM_TRACK": 3}).with_(max_issues={"MEM_PAGE_AUG": 4})
    assert changed.limit(Leaf.MEM_TRACK) == 3
    assert changed.limit(Leaf.MEM_PAGE_AUG) == 4
    assert changed.limit(Leaf.MEM_RANGE_BLOCK) == 1024


def test_table_with_default_replaces_all_leaves():
    changed = DEFAULT.with_(max_issues={"MEM_TRACK": 3})
    changed = changed.with_(max_issues={"default": 5, "MEM_PAGE_AUG": 4})
    assert changed.limit(Leaf.MEM_TRACK) == 5


def test_unlimited_is_a_word():
    unlimited = DEFAULT.with_(max_issues="unlimited", max_interrupted="unlimited")
    assert unlimited.limit(Leaf.MEM_TRACK) == UNLIMITED
    assert unlimited.record()[0]["max_interrupted"] == UNLIMITED


@pytest.mark.parametrize(
    ("flush", "expected"),
    [
        (16, {"pages": 16}),
        ({"held_us": 50, "contended": True}, {"pages": 512, "held_us": 50, "contended": 1}),
        ("greedy", {"pages": 512, "waiting": Waiting.GREEDY, "price_percent": 100}),
        (
            {"waiting": "root", "sees": "count"},
            {"pages": 512, "waiting": Waiting.ROOT, "sees_count": 1},
        ),
        ("decided", {"pages": 512, "is_decided": 1, "contended": 1}),
    ],
)
def test_flush_rule_is_recorded(flush, expected):
    """What is decided is *until somebody waits* where nobody is asked."""
    row = DEFAULT.with_(flush=flush).record()[0]["flush"]
    others = set(row.dtype.names) - set(expected) - {"price_percent"}
    assert {name: row[name] for name in expected} == expected
    assert not any(row[name] for name in others)


@pytest.mark.parametrize("flush", [3, "greedy", "decided", {"pages": 9, "contended": True}])
def test_flush_rule_survives_json(flush):
    discipline = DEFAULT.with_(flush=flush)
    assert Discipline.model_validate_json(discipline.model_dump_json()) == discipline


def test_with_leaves_the_original_alone():
    DEFAULT.with_(max_issues={"MEM_TRACK": 3}, zap_yield=True)
    assert Discipline() == DEFAULT


def test_survives_json():
    written = DEFAULT.with_(max_issues={"MEM_TRACK": 3}, gate_scope="page").model_dump_json()
    assert Discipline.model_validate_json(written).limit(Leaf.MEM_TRACK) == 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_issues": {"VP_ENTRE": 1}}, "unknown leaf VP_ENTRE"),
        ({"max_issues": {"ACCEPT": 1}}, "unknown leaf ACCEPT"),
        ({"max_issues": 0}, "greater than or equal to 1"),
        ({"max_issues": True}, "valid integer"),
        ({"max_issues": 2.5}, "valid integer"),
        ({"on_exhaustion": "panic"}, "'kill', 'reenter'"),
        ({"gate_scope": "all"}, "'nothing', 'call' or 'page'"),
        ({"gate_first": 1}, "valid boolean"),
        ({"decision_cycles": -1}, "greater than or equal to 0"),
        ({"gates": 1}, "Extra inputs"),
        ({"kick_flagged": True}, "'never', 'busy' or 'zero_step'"),
        ({"seamcall_lock": "rwlock"}, "'never', 'always', 'after_busy' or 'mirror'"),
        ({"track_kick": "first"}, "'after' or 'before'"),
        ({"split_check": True}, "'flag' or 'locked'"),
        ({"flush": 0}, "from 1 to 512 pages, 'greedy', 'decided', or a table of pages, held_us"),
        ({"flush": 513}, "from 1 to 512 pages"),
        ({"flush": True}, "from 1 to 512 pages"),
        ({"flush": 2.0}, "from 1 to 512 pages"),
        ({"flush": "lazy"}, "from 1 to 512 pages"),
        ({"flush": {"page": 2}}, "Extra inputs"),
        ({"flush": {"held_us": -1}}, "greater than or equal to 0"),
        ({"flush": {"waiting": "long"}}, "'none', 'greedy', 'random' or 'root'"),
        ({"asks": "always"}, "'busy', 'flush' or 'all'"),
        ({"max_interrupted": -1}, "greater than or equal to 0"),
        ({"max_interrupted": UNLIMITED}, "less than 1073741824"),
        ({"max_interrupted": "never"}, "'unlimited'"),
        ({"prepopulate": 1}, "valid boolean"),
        ({"max_issues": {"MEM_SEPT_REMOVE": 1}}, "unknown leaf MEM_SEPT_REMOVE"),
    ],
)
def test_bad_values_are_refused(changes, told):
    with pytest.raises(ValidationError, match=told):
        DEFAULT.with_(**changes)


def test_host_leaves_are_the_seamcalls_that_are_simulated():
    assert HOST_LEAVES[0] == "MEM_SEPT_ADD"
    assert HOST_LEAVES[-1] == "VP_INIT"
    assert {"EXPORT_BLOCKW", "EXPORT_MEM", "EXPORT_UNBLOCKW", "VP_FLUSH"} < set(HOST_LEAVES)


@pytest.mark.parametrize("leaf", ["EXPORT_BLOCKW", "VP_FLUSH", "VP_CREATE", "VP_ADDCX", "VP_INIT"])
def test_calls_of_migration_and_vcpu_creation_can_be_limited(leaf):
    assert DEFAULT.with_(max_issues={leaf: 1}).limit(Leaf[leaf]) == 1
