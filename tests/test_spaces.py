"""What the agent sees: the table of features and the observation made from it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_env.module import Operand
from tdx_env.spaces import (
    ACTIONS,
    ASKS,
    FEATURES,
    FLUSH_FEATURES,
    START,
    EntryClass,
    Scale,
    action_space,
    action_table,
    columns_of,
    feature_table,
    observation_names,
    observation_size,
    observation_space,
    observe,
    reading_table,
)
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import LAST_SEAMCALL, NONE, EntryState, Leaf
from tdx_env.state.discipline import Action
from tdx_env.state.features import N_FEATURES, Feature

DOCSTRING_WIDTH = 96


HIDDEN = (
    Feature.MASK,
    Feature.LOTTERY,
    Feature.MMU_WAITERS,
    Feature.MMU_WAITED,
    Feature.BATCH_LOTTERY,
)


def observed(decisions="busy", **values):
    """Return the observation of one decision as name → value; features not given are 0."""
    features = np.zeros((1, N_FEATURES), np.int64)
    for name, value in values.items():
        features[0, Feature[name]] = value
    out = np.empty((1, observation_size(decisions)), np.float32)
    observe(features, out)
    return dict(zip(observation_names(decisions), out[0].tolist(), strict=True))


def test_every_feature_but_the_hidden_ones_has_a_row():
    listed = [row.feature for row in (*FEATURES, *FLUSH_FEATURES)]
    assert listed == [f for f in Feature if f not in HIDDEN]


def test_hidden_features_leave_the_observation_alone():
    hidden = {feature.name: 7 for feature in HIDDEN}
    assert observed("all", **hidden) == observed("all")


def test_each_row_says_where_kvm_reads_it_and_at_which_cost():
    assert all(row.read_from and row.read_cost for row in (*FEATURES, *FLUSH_FEATURES))
    assert all(row.meaning and row.unit for row in (*FEATURES, *FLUSH_FEATURES))


def test_names_are_unique_and_as_many_as_columns():
    names = observation_names()
    assert len(set(names)) == len(names) == observation_size()
    assert sum(len(columns_of(row)) for row in FEATURES) + 1 == observation_size()


def test_flush_points_have_columns_behind_those_of_busy_replies():
    names = observation_names("all")
    assert names[: observation_size()] == observation_names()
    assert names[observation_size()] == "path=FLUSH"
    assert observation_names("flush") == names
    assert len(set(names)) == len(names) == observation_size("all")


def test_busy_reply_says_nothing_of_flushes_and_a_flush_point_nothing_of_other_paths():
    busy = observed("all", PATH=CallPath.ZAP)
    assert not any(busy[name] for name in observation_names("all")[observation_size() :])
    flush = observed("all", PATH=CallPath.FLUSH, BLOCKED=511)
    assert [name for name in flush if name.startswith("path=") and flush[name]] == ["path=FLUSH"]
    assert flush["blocked"] == pytest.approx(9 / math.log2(513))


def test_start_observation_has_the_flag_the_vcpus_and_nothing_else():
    seen = observed(PATH=START, N_VCPUS=8)
    set_columns = {name: value for name, value in seen.items() if value != 0}
    assert set_columns.keys() == {"is_start", "n_vcpus"}
    assert set_columns["is_start"] == 1


def test_one_column_of_each_category_is_set():
    seen = observed(
        PATH=CallPath.ZAP,
        LEAF=Leaf.MEM_TRACK,
        OPERAND=Operand.TD_EPOCH,
        ENTRY_STATE=EntryState.BLOCKED,
    )
    assert {name for name, value in seen.items() if value == 1 and "=" in name} == {
        "path=ZAP",
        "leaf=MEM_TRACK",
        "operand=EPOCH",
        "entry_state=BLOCKED",
    }


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (NONE, EntryClass.NO_ENTRY),
        (EntryState.FREE, EntryClass.FREE),
        (EntryState.PENDING, EntryClass.PENDING),
        (EntryState.PENDING_BLOCKED, EntryClass.BLOCKED),
        (EntryState.MAPPED, EntryClass.MAPPED),
        (EntryState.NL_MAPPED, EntryClass.TABLE),
        (EntryState.EXPORTED_DIRTY, EntryClass.OTHER),
    ],
)
def test_entry_states_fall_into_classes(state, expected):
    assert observed(ENTRY_STATE=state)[f"entry_state={expected.name}"] == 1


@pytest.mark.parametrize("path", CallPath)
def test_every_path_has_a_column(path):
    seen = observed("all", PATH=path)
    assert [name for name in seen if name.startswith("path=") and seen[name] == 1] == [
        f"path={path.name}"
    ]


@pytest.mark.parametrize("leaf", [leaf for leaf in Leaf if leaf <= LAST_SEAMCALL])
def test_every_seamcall_that_is_simulated_has_a_column(leaf):
    seen = observed(LEAF=leaf)
    assert [name for name in seen if name.startswith("leaf=") and seen[name] == 1] == [
        f"leaf={leaf.name}"
    ]


def test_an_interrupted_call_speaks_of_no_lock():
    seen = observed(PATH=CallPath.INTERRUPTED, LEAF=Leaf.MEM_PAGE_DEMOTE, OPERAND=0)
    assert seen["operand=OTHER"] == 1


@given(cycles=st.integers(0, (1 << 32) - 1))
def test_cycles_are_scaled_by_their_logarithm(cycles):
    seen = observed(BUSY_CYCLES=cycles)["busy_cycles"]
    assert seen == pytest.approx(math.log2(1 + cycles) / 32, abs=1e-6)  # float32


def test_flags_and_levels_are_plain():
    seen = observed(HAS_EVENTS=1, LEVEL=1)
    assert seen["has_events"] == 1
    assert seen["level"] == pytest.approx(1 / 3)


def in_range(row):
    """Return a strategy for the values of a feature, and beyond if it is clipped."""
    if row.scale == Scale.ONE_HOT:
        return st.integers(row.low, row.high)
    return st.integers(-5, 1 << 62)


@pytest.mark.parametrize("decisions", ASKS)
@given(values=st.tuples(*(in_range(row) for row in (*FEATURES, *FLUSH_FEATURES))))
def test_any_observation_is_in_the_space(decisions, values):
    features = np.zeros((1, N_FEATURES), np.int64)
    for row, value in zip((*FEATURES, *FLUSH_FEATURES), values, strict=True):
        features[0, row.feature] = value
    out = np.full((1, observation_size(decisions)), np.nan, np.float32)
    observe(features, out)
    assert observation_space(decisions).contains(out[0])


def test_a_batch_is_observed_row_by_row():
    rng = np.random.default_rng(1)
    features = rng.integers(0, 4, (7, N_FEATURES))
    together = np.empty((7, observation_size()), np.float32)
    observe(features, together)
    for index in range(7):
        alone = np.empty((1, observation_size()), np.float32)
        observe(features[index : index + 1], alone)
        assert (alone[0] == together[index]).all()


def test_action_space_is_the_three_actions():
    assert action_space().n == len(Action)


@pytest.mark.parametrize("path", CallPath)
@pytest.mark.parametrize("action", Action)
def test_actions_say_what_each_means_on_each_path(path, action):
    """One row of the table for each pair, no two."""
    rows = [paths for number, paths, _ in ACTIONS if number == action]
    assert sum(path.name.lower() in paths.split(", ") for paths in rows) == 1


@pytest.mark.parametrize("table", [feature_table, action_table])
def test_tables_fit_into_a_docstring(table):
    lines = table().splitlines()
    assert max(map(len, lines)) <= DOCSTRING_WIDTH
    assert len(set(map(len, lines))) == 1


def test_feature_table_has_the_headings_of_the_environment():
    head = feature_table().splitlines()[0]
    assert [cell.strip() for cell in head.split("|")[1:-1]] == [
        "number",
        "name",
        "meaning",
        "unit",
        "low",
        "high",
    ]


def test_tables_name_every_feature():
    for row in (*FEATURES, *FLUSH_FEATURES):
        assert f" {row.name} " in feature_table()
        assert f" {row.name} " in reading_table()
