"""Flush points: who is asked when, and that a rule and the same decisions do the same."""

import numpy as np
import pytest

from tdx_agents.constant import constant
from tdx_agents.flush import decide_by, decided
from tdx_agents.handwritten import rows
from tdx_agents.protocol import Decide
from tdx_env.engine.batch import Batch
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.host.flush_rules import random_price
from tdx_env.host.flush_table import FlushRule, flush_rule
from tdx_env.jit import decision
from tdx_env.scenarios import load, setup_of
from tdx_env.spaces import observation_names, observation_size, observe
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import Action
from tdx_env.state.features import Feature
from tdx_env.state.world import End

CHUNK = 40
SMALL = {
    "host.n_vcpus": 8,
    "tasks.balloon.items": 2,
    "tasks.balloon.chunk": CHUNK,
    "groups.acceptors.items": 12,
    "groups.acceptors.think_cycles": 20_000,
    "groups.computing.device_us": 5,  # so that some TRACKs are busy
}
SETUP = setup_of(load("s13-balloon/train", SMALL))
FREE = {"decision_cycles": 0}
ASKED = DEFAULT.with_(flush="decided", asks="all", **FREE)
FLUSH_ROWS = [row for row in rows() if row.discipline.flush != 1 and not row.number]


def played(discipline: Discipline, decide: Decide, setup: np.ndarray = SETUP) -> np.void:
    """Return the run of an episode."""
    batch = Batch(setup, discipline.record())
    batch.reset([3])
    batch.advance(decide)
    assert batch.run["end"][0] == End.FINISHED
    return batch.run[0]


def questions(discipline: Discipline, answer: Action) -> list[np.ndarray]:
    """Return the features of every decision of an episode, all answered alike."""
    batch = Batch(SETUP, discipline.record())
    batch.reset([3])
    batch.advance()
    found = []
    while batch.waiting[0]:
        found.append(batch.features[0].copy())
        allowed = batch.masks[0][answer]
        batch.advance(actions=[answer if allowed else Action.RETRY])
    return found


def of_path(found: list[np.ndarray], path: CallPath) -> list[np.ndarray]:
    """Return the questions of a path."""
    return [features for features in found if features[Feature.PATH] == path]


@pytest.mark.parametrize("row", FLUSH_ROWS, ids=lambda row: row.name)
def test_rule_and_decisions_have_the_same_trace(row):
    """Asked or not, the same is done at the same time; deciding costs nothing here."""
    free = row.discipline.with_(**FREE)
    twin = decided(row)
    one = played(free, row.compile().decide)
    other = played(twin.discipline.with_(**FREE), twin.compile().decide)
    for name in ("now", "overhead", "waste", "n_ipis", "n_flushes", "n_seamcalls", "mmu_waited"):
        assert one[name] == other[name], name
    assert other["n_events"] > one["n_events"]  # the decisions themselves


@pytest.mark.parametrize(("answer", "n_flushes"), [(Action.RETRY, 2), (Action.KICK, 2 * CHUNK)])
def test_chunk_is_asked_about_once_less_than_it_has_pages(answer, n_flushes):
    """Its last page ends the batch unasked."""
    found = of_path(questions(ASKED, answer), CallPath.FLUSH)
    assert len(found) == 2 * (CHUNK - 1)
    decide = constant(answer).decide
    assert played(ASKED, decide)["n_flushes"] == n_flushes


def test_flush_point_tells_of_the_batch():
    found = of_path(questions(ASKED, Action.RETRY), CallPath.FLUSH)[: CHUNK - 1]
    assert [one[Feature.BLOCKED] for one in found] == list(range(1, CHUNK))
    assert [one[Feature.PAGES_LEFT] for one in found] == list(range(CHUNK, 1, -1))
    assert all(one[Feature.MASK] == 0b111 for one in found)
    assert all(one[Feature.OPERAND] == 0 for one in found)
    held = [one[Feature.HELD_CYCLES] for one in found]
    assert held == sorted(held)
    assert len({one[Feature.BATCH_LOTTERY] for one in found}) == 1
    assert len({one[Feature.LOTTERY] for one in found}) == len(found)


def test_bit_says_that_somebody_waits_and_the_clock_since_when_that_was_seen():
    found = of_path(questions(ASKED, Action.RETRY), CallPath.FLUSH)
    for one in found:
        assert one[Feature.MMU_CONTENDED] == (one[Feature.MMU_WAITERS] > 0)
        assert one[Feature.CONTENDED_CYCLES] <= one[Feature.MMU_WAITED]
    assert any(one[Feature.CONTENDED_CYCLES] > 0 for one in found)


def test_busy_replies_have_no_flush_features():
    found = of_path(questions(ASKED, Action.KICK), CallPath.ZAP)
    assert found
    assert not any(one[Feature.BLOCKED :].any() for one in found)


def test_yield_drops_the_lock_after_the_flush():
    """Waiters or not; KICK drops it for waiters alone."""
    n_locks = {
        answer: int(played(ASKED, constant(answer).decide)["n_write_locks"])
        for answer in (Action.KICK, Action.YIELD)
    }
    assert n_locks[Action.YIELD] == 2 * CHUNK
    assert 2 <= n_locks[Action.KICK] < n_locks[Action.YIELD]


@pytest.mark.parametrize(
    ("asks", "has_flush", "has_busy"),
    [
        ("busy", False, True),
        ("flush", True, False),
        ("all", True, True),
    ],
)
def test_only_what_is_asked_for_is_asked(asks, has_flush, has_busy):
    found = questions(ASKED.with_(asks=asks), Action.KICK)
    n_flush = len(of_path(found, CallPath.FLUSH))
    assert (n_flush > 0, len(found) > n_flush) == (has_flush, has_busy)


def test_unasked_a_decided_flush_comes_when_somebody_waits():
    retry = constant(Action.RETRY).decide
    unasked = played(ASKED.with_(asks="busy"), retry)
    until = played(DEFAULT.with_(flush={"contended": True}, **FREE), retry)
    assert unasked == until


def test_unasked_a_busy_call_is_issued_again():
    """Exactly what RETRY does, but for the decisions."""
    page_by_page = decision(decide_by(FlushRule(pages=1)))
    unasked, asked = (played(ASKED.with_(asks=who), page_by_page) for who in ("flush", "all"))
    assert unasked["n_busy"] == asked["n_busy"] > 0
    assert unasked["now"] == asked["now"]
    assert unasked["n_decisions"] < asked["n_decisions"]


def at_flush(**values: int) -> np.ndarray:
    """Return the features of a flush point; those not given are 0."""
    features = np.zeros(len(Feature), np.int64)
    given = {"PATH": CallPath.FLUSH, "MASK": 7, "BLOCKED": 5, "MMU_CONTENDED": 1, **values}
    for name, value in given.items():
        features[Feature[name]] = value
    return features


# A flush costs 10,000 + 9 × 10,000 = 100,000 cycles.
PRICE = {"FLUSH_SEND": 10_000, "FLUSH_TARGET": 10_000, "N_IN_GUEST": 9}


@pytest.mark.parametrize(
    ("rule", "values", "action"),
    [
        ({"pages": 6}, {}, Action.RETRY),
        ({"pages": 5}, {}, Action.KICK),
        ({"contended": True}, {}, Action.KICK),
        ({"contended": True}, {"MMU_CONTENDED": 0}, Action.RETRY),
        ({"held_us": 2}, {"BATCH_CYCLES": 4_999}, Action.RETRY),
        ({"held_us": 2}, {"BATCH_CYCLES": 5_000}, Action.KICK),
        ({"resched": True}, {"NEED_RESCHED": 1}, Action.KICK),
        ({"waiting": "greedy"}, {"CONTENDED_CYCLES": 99_999}, Action.RETRY),
        ({"waiting": "greedy"}, {"CONTENDED_CYCLES": 100_000}, Action.KICK),
        ({"waiting": "greedy"}, {"CONTENDED_CYCLES": 100_000, "MMU_CONTENDED": 0}, Action.RETRY),
        ({"waiting": "greedy", "price_percent": 50}, {"CONTENDED_CYCLES": 50_000}, Action.KICK),
        ({"waiting": "greedy", "sees": "count"}, {"CONTENDED_CYCLES": 100_000}, Action.RETRY),
        ({"waiting": "greedy", "sees": "count"}, {"MMU_WAITED": 100_000}, Action.KICK),
        # λK = 2: T = (sqrt(3) - 1) × 50,000 = 36,602; λK = 1: at once
        ({"waiting": "root"}, {"WAIT_GAP": 50_000, "CONTENDED_CYCLES": 36_601}, Action.RETRY),
        ({"waiting": "root"}, {"WAIT_GAP": 50_000, "CONTENDED_CYCLES": 36_602}, Action.KICK),
        ({"waiting": "root"}, {"WAIT_GAP": 100_000}, Action.KICK),
        # λK = 10: four waiters
        (
            {"waiting": "root", "sees": "count"},
            {"WAIT_GAP": 10_000, "MMU_WAITERS": 3},
            Action.RETRY,
        ),
        ({"waiting": "root", "sees": "count"}, {"WAIT_GAP": 10_000, "MMU_WAITERS": 4}, Action.KICK),
        ({"pages": 5}, {"PATH": CallPath.ZAP}, Action.RETRY),
    ],
)
def test_decision_function_follows_its_rule(rule, values, action):
    decide = decide_by(FlushRule.model_validate(rule))
    assert decide(at_flush(**PRICE, **values)) == action


def test_compiled_rules_decide_as_plain_ones():
    rng = np.random.default_rng(1)
    for row in FLUSH_ROWS:
        plain = decide_by(flush_rule(row.discipline.flush))
        compiled = decision(plain)
        for _ in range(20):
            features = at_flush(MMU_CONTENDED=int(rng.integers(2)))
            for feature in list(Feature)[Feature.BLOCKED :]:
                features[feature] = rng.integers(1 << int(rng.integers(1, 40)))
            assert compiled(features) == plain(features)


def test_drawn_share_of_the_price_has_the_density_of_the_best_rule():
    """Mean of x under e^x / (e - 1) on [0, 1]: 1 / (e - 1)."""
    prices = [random_price(1 << 20, place << 23) for place in range(256)]
    assert np.mean(prices) / (1 << 20) == pytest.approx(1 / (np.e - 1), abs=1e-3)
    assert prices == sorted(prices)


@pytest.mark.parametrize(("resched", "breaks"), [("never", False), ("vcpus", False), ("all", True)])
def test_slice_that_is_over_ends_a_hold_of_mmu_lock(resched, breaks):
    """The balloon is a host task: only where others want its CPU, once a slice and a page."""
    options = {
        "host.resched": resched,
        "host.break_on_contention": False,
        "costs.slice": {"low": 100_000, "high": 100_000},
    }
    scenario = load("s13-balloon/train", SMALL | options)
    retry = constant(Action.RETRY).decide
    run = played(DEFAULT.with_(**FREE), retry, setup_of(scenario))
    assert (run["n_write_locks"] > 2) == breaks


def test_columns_of_flush_points_are_filled_in_the_simulator():
    found = of_path(questions(ASKED, Action.RETRY), CallPath.FLUSH)
    out = np.empty((len(found), observation_size("all")), np.float32)
    observe(np.array(found), out)
    assert (out[:, observation_names("all").index("path=FLUSH")] == 1).all()
    assert (out >= 0).all()
    assert (out <= 1).all()
