"""Runs: seeds, pairing, the parts of a cost, and policies that are refused."""

import numba
import numpy as np
import pandas as pd
import pytest

from agents.protocol import Kind, Policy
from agents.row import Row
from eval.compare import parts_of
from eval.run import CHUNK, Job, jobs_of, run_batch, run_job
from eval.seeds import FIRST_SEED, MAX_SEEDS, seeds_of
from tdx_env.errors import PolicyError
from tdx_env.host.discipline import DEFAULT

needs_compiler = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without")
SCENARIO = "s09-accept-4k/test"


def always_yield(features):
    """Give up, allowed or not."""
    return 2


def test_splits_have_seeds_of_their_own():
    assert seeds_of("test", 3) == range(1 << 32, (1 << 32) + 3)
    assert seeds_of("validation", 3) == range(1 << 31, (1 << 31) + 3)
    starts = sorted(FIRST_SEED.values())
    assert all(b - a >= MAX_SEEDS for a, b in zip(starts[:-1], starts[1:], strict=True))


def test_jobs_cover_every_seed_once():
    jobs = jobs_of(["a", "b"], ["s"], seeds_of("test", CHUNK + 7), {})
    seeds = [seed for job in jobs if job.policy == "b" for seed in job.seeds]
    assert seeds == list(seeds_of("test", CHUNK + 7))


def test_policies_face_the_same_work(compared):
    finished = compared.episodes[compared.episodes["end"] == "finished"]
    work = finished.groupby(["scenario", "seed"])[["n_vcpus", "task_items"]].nunique()
    assert (work == 1).all(axis=None)


def test_parts_sum_to_the_cost(compared):
    for _, rows in compared.episodes.groupby(["policy", "scenario"]):
        cost = float(rows["total_cost"].mean())
        assert sum(parts_of(rows, 1).values()) == pytest.approx(cost, rel=1e-12)


@needs_compiler
def test_cost_without_yield_is_that_of_a_scenario_with_weight_0(user_file):
    some = (f"{user_file}:slow", SCENARIO, seeds_of("test", 4))
    with_yield, _ = run_job(Job(*some))
    without, _ = run_job(Job(*some, {"limits.yield_weight": 0}))
    free = with_yield["total_cost"] - with_yield["cycles_yield"]
    assert with_yield["cycles_yield"].sum() > 0
    assert free.equals(without["total_cost"])


@needs_compiler
def test_asked_policy_plays_as_the_compiled_one(user_file):
    asked, asked_cells = run_job(Job(f"{user_file}:retry", SCENARIO, seeds_of("test", 5)))
    compiled, cells = run_job(Job("always-retry", SCENARIO, seeds_of("test", 5)))
    pd.testing.assert_frame_equal(asked.drop(columns="policy"), compiled.drop(columns="policy"))
    pd.testing.assert_frame_equal(asked_cells.drop(columns="policy"), cells.drop(columns="policy"))


@needs_compiler
def test_chunks_do_not_change_an_episode():
    whole, _ = run_job(Job("random", SCENARIO, seeds_of("test", 6)))
    seeds = seeds_of("test", 6)
    parts = [run_job(Job("random", SCENARIO, part))[0] for part in (seeds[:4], seeds[4:])]
    pd.testing.assert_frame_equal(whole, pd.concat(parts, ignore_index=True))


@needs_compiler
def test_compiled_policy_that_takes_a_masked_action_is_refused():
    policy = Row("rash", "", "", "", always_yield, DEFAULT).compile()
    with pytest.raises(PolicyError, match=r"rash: returned an action that its mask forbids"):
        run_batch(policy, "s06-conversion/test", seeds_of("test", 2), {})


@needs_compiler
def test_asked_policy_that_takes_a_masked_action_is_refused():
    def act(observations, features, masks):
        return np.full(len(masks), 2)

    policy = Policy("rash", "", "", "", Kind.BATCHED, DEFAULT, act=act)
    with pytest.raises(PolicyError, match=r"rash: returned .*2"):
        run_batch(policy, "s06-conversion/test", seeds_of("test", 2), {})
