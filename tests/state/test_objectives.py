"""Objectives: presets, weights, what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_env.errors import ObjectiveError
from tdx_env.state.objectives import (
    COST_NAMES,
    PRESETS,
    TRACK_PARTS,
    VECTOR,
    WEIGHED,
    checked_objective,
    cost_of,
    objective_name,
    weights_of,
)

# host, stolen, latency, the penalty's weight, its limit [us]; lost weighs 1, hostile nothing.
TABLE = {
    "cpu": (1, 1, 0, 1, 1000),
    "guest": (0.2, 1, 0, 1, 1000),
    "latency": (0.2, 0.2, 1, 1, 1000),
    "realtime": (0.2, 0.2, 0, 10, 50),
}


@pytest.mark.parametrize("name", TABLE)
def test_preset_weighs_what_it_should(name):
    host, stolen, latency, preempt, limit_us = TABLE[name]
    penalty = {1000: "preempt_1ms", 50: "preempt_50us"}[limit_us]
    wanted = {"host": host, "stolen": stolen, "latency": latency, penalty: preempt, "lost": 1}
    found = dict(zip(WEIGHED, weights_of(name), strict=True))
    assert found == dict.fromkeys(WEIGHED, 0.0) | wanted


def test_thread_is_waste_and_its_penalties():
    assert checked_objective("thread") == {"waste": 1, "preempt_penalty": 1, "lost": 1}


def test_every_preset_has_a_row_in_the_table():
    assert {*TABLE, "thread"} == set(PRESETS)


def test_parts_of_costs_have_one_order():
    assert (*WEIGHED, *TRACK_PARTS) == COST_NAMES
    assert set(VECTOR) == set(WEIGHED) - {"waste", "preempt_penalty"}


@given(
    st.dictionaries(
        st.sampled_from(WEIGHED), st.sampled_from([0.5, 1.0, 0.125, 20.0, 100.0]), min_size=1
    )
)
def test_name_of_an_objective_means_it(weights):
    assert checked_objective(objective_name(weights)) == checked_objective(weights)


def test_weights_of_a_preset_have_its_name():
    assert objective_name({"host": 1, "stolen": 1, "preempt_1ms": 1, "lost": 1.0}) == "cpu"
    assert objective_name({"host": 1, "lost": 0}) == "host=1"


@pytest.mark.parametrize(
    "spec",
    [
        "cpuu",
        "",
        3,
        None,
        {},
        {"host": 0},
        {"host": -1},
        {"host": math.nan},
        {"host": math.inf},
        {"host": 101},
        {"host": True},
        {"host": "1"},
        {"hosts": 1},
        "host=-1",
        "host=nan",
        "host=",
        "host=1,hosts=2",
        "host=1,host=2",
    ],
)
def test_what_is_no_objective_is_refused_in_one_line_that_names_what_is_allowed(spec):
    with pytest.raises(ObjectiveError) as caught:
        checked_objective(spec)
    text = str(caught.value)
    assert text.startswith("objective") and "\n" not in text
    assert "twice" in text or ("cpu, guest, latency, realtime, thread" in text and "host" in text)


def test_cost_is_the_weighted_sum_of_its_parts():
    parts = np.arange(len(WEIGHED) * 2, dtype=np.int64).reshape(len(WEIGHED), 2)
    weights = weights_of({"host": 0.5, "lost": 2})
    host, lost = parts[WEIGHED.index("host")], parts[WEIGHED.index("lost")]
    assert cost_of(parts, weights).tolist() == (host // 2 + 2 * lost).tolist()
