"""Runs: seeds, pairing, the parts of a cost, and policies that are refused."""

import dataclasses
import pickle
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np
import pandas as pd
import pytest

from tdx_agents.protocol import Kind, Policy
from tdx_agents.row import Row
from tdx_env.errors import BackendError, PolicyError
from tdx_env.host.discipline import DEFAULT
from tdx_env.scenarios import load
from tdx_eval.comparing import carrying_out
from tdx_eval.comparing import jobs as jobs_module
from tdx_eval.comparing.carrying_out import tables
from tdx_eval.comparing.jobs import Job, jobs_of, run_batch, run_job
from tdx_eval.comparing.reckoning import Reckoning
from tdx_eval.comparing.seeds import FIRST_SEED, MAX_SEEDS, seeds_of
from tdx_eval.comparing.yardsticks import load_policy

needs_compiler = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without")
SCENARIO = "s09-accept-4k/test"
SWALLOWED = Path(__file__).resolve().parents[3] / "eval/tdx_eval/reality/swallowed.toml"


def always_yield(features):
    """Give up, allowed or not."""
    return 2


def test_splits_have_seeds_of_their_own():
    assert seeds_of("test", 3) == range(1 << 32, (1 << 32) + 3)
    assert seeds_of("validation", 3) == range(1 << 31, (1 << 31) + 3)
    starts = sorted(FIRST_SEED.values())
    assert all(b - a >= MAX_SEEDS for a, b in zip(starts[:-1], starts[1:], strict=True))


def jobs_for(
    policies: Sequence[str], seeds: Mapping[str, range], chunk: int, **overrides: object
) -> list[Job]:
    """Return jobs of policies and scenarios by name."""
    named = {key.replace("__", "."): value for key, value in overrides.items()}
    scenarios = {name: load(name, named) for name in seeds}
    loaded = {spec: load_policy(spec) for spec in policies}
    return jobs_of(loaded, scenarios, seeds, named, chunk)


def job_of(policy: str, scenario: str, seeds: range, **overrides: object) -> Job:
    """Return one job for all seeds."""
    return jobs_for([policy], {scenario: seeds}, len(seeds), **overrides)[0]


def played(job: Job) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a job's episodes and busy cells as tables, the policy's name aside."""
    chunk = run_job(job)
    policies = {job.policy: load_policy(job.policy)}
    episodes, cells = tables([job], policies, {chunk.key: chunk}.__getitem__)
    return episodes.drop(columns="policy"), cells.drop(columns="policy")


def test_jobs_cover_every_seed_once():
    seeds = {SCENARIO: seeds_of("test", 57), "s22-clean/test": seeds_of("test", 3)}
    jobs = jobs_for(["P18", "random"], seeds, 50)
    assert [len(job.seeds) for job in jobs] == [50, 50, 7, 7, 3, 3]
    for scenario, wanted in seeds.items():
        mine = [job for job in jobs if (job.policy, job.scenario) == ("random", scenario)]
        assert [seed for job in mine for seed in job.seeds] == list(wanted)


def test_rows_that_do_the_same_are_played_once(monkeypatch):
    """P21 splits as P20 zaps, and nothing else of a row gets to the simulator."""
    jobs = jobs_for(["P20", "P18", "P21"], {SCENARIO: seeds_of("test", 2)}, 2)
    zap, other, split = (job.key for job in jobs)
    assert zap == split != other
    run: list[str] = []
    store = SimpleNamespace(finished=set(), add=lambda chunk: None)
    monkeypatch.setattr(
        carrying_out, "run_job", lambda job, n_workers: run.append(job.policy) or job
    )
    assert list(carrying_out.carry_out(jobs, store, "sequential", 1)) == [zap, other]
    assert len(run) == 2


def test_rows_of_one_rule_under_other_disciplines_are_played_each():
    named = ["P28-4", "P28-32", "P20"]
    jobs = jobs_for(named, {SCENARIO: seeds_of("test", 2)}, 2)
    assert len({job.key for job in jobs}) == len(named)


def test_key_is_of_all_that_results_depend_on(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def decide(features, mask):\n    return 0\n")
    spec, seeds = f"{file}:decide", seeds_of("test", 4)
    job = job_of(spec, SCENARIO, seeds)
    others = [
        job_of("P18", SCENARIO, seeds),
        job_of("P20", SCENARIO, seeds),
        job_of(spec, "s08-accept-2m/test", seeds),
        job_of(spec, SCENARIO, seeds[1:]),
        job_of(spec, SCENARIO, seeds, costs__bare=2300),
        dataclasses.replace(job, code_digest="another"),
    ]
    file.write_text("def decide(features, mask):\n    return 1\n")
    others.append(job_of(spec, SCENARIO, seeds))
    assert job_of("P18", SCENARIO, seeds).key == others[0].key
    assert len({one.key for one in (job, *others)}) == 1 + len(others)


def test_worker_refuses_a_policy_that_changed_since_the_plan(tmp_path, monkeypatch):
    """A worker is a process that has not loaded the policy yet."""
    file = tmp_path / "mine.py"
    file.write_text("def decide(features, mask):\n    return 0\n")
    job = job_of(f"{file}:decide", SCENARIO, seeds_of("test", 2))
    file.write_text("def decide(features, mask):\n    return 1\n")
    monkeypatch.setattr(jobs_module, "_LOADED", {})
    with pytest.raises(PolicyError, match="has changed since the comparison began"):
        run_job(job)


@needs_compiler
def test_what_was_planned_is_played_whatever_becomes_of_the_file(tmp_path):
    """A job carries its scenario."""
    file = tmp_path / "mine.toml"
    file.write_text(SWALLOWED.read_text())
    job = job_of("P18", str(file), seeds_of("test", 2))
    before = run_job(job)
    file.unlink()
    again = run_job(pickle.loads(pickle.dumps(job)))
    assert (before.episodes == again.episodes).all()


def test_worker_with_other_code_is_refused():
    job = job_of("P18", SCENARIO, seeds_of("test", 2))
    with pytest.raises(BackendError, match="another version"):
        run_job(dataclasses.replace(job, code_digest="another"))


def test_policies_face_the_same_work(compared):
    finished = compared.episodes[compared.episodes["end"] == "finished"]
    work = finished.groupby(["scenario", "seed"])[["n_vcpus", "task_items"]].nunique()
    assert (work == 1).all(axis=None)


def test_parts_sum_to_the_cost(compared):
    for _, rows in compared.episodes.groupby(["policy", "scenario"]):
        cost = float(rows["total_cost"].mean())
        parts = Reckoning("thread", 1).parts(rows)
        assert sum(parts.values()) == pytest.approx(cost, rel=1e-12)


@needs_compiler
def test_episodes_serve_all_objectives():
    """The job is the same, what it comes to is reckoned anew; and what is reckoned is played so."""
    seeds = seeds_of("test", 3)
    thread, cpu = (job_of("P18", SCENARIO, seeds, objective=one) for one in ("thread", "cpu"))
    assert thread.key == cpu.key
    policies, chunk = {"P18": load_policy("P18")}, run_job(thread)
    rows = {
        name: tables([job], policies, {chunk.key: chunk}.__getitem__)[0]
        for name, job in (("thread", thread), ("cpu", cpu))
    }
    played = run_batch(policies["P18"], load(SCENARIO, {"objective": "cpu"}), seeds)
    assert rows["cpu"]["total_cost"].tolist() == played.costs.tolist()
    assert (rows["thread"]["total_cost"] < rows["cpu"]["total_cost"]).all()
    parts = Reckoning("cpu", 1).parts(rows["cpu"])
    assert sum(parts.values()) == pytest.approx(rows["cpu"]["total_cost"].mean(), abs=1)
    assert Reckoning("cpu", 1).off_cpu(rows["cpu"]) is None


@needs_compiler
def test_track_and_decisions_count_once(compared):
    """TRACK's kicks are in the cost by cpu already, and beside it by thread."""
    rows = compared.episodes
    thread, cpu, guest = (Reckoning(name, 1) for name in ("thread", "cpu", "guest"))
    beside = rows["total_cost"] + rows["cycles_track_kick"]
    assert thread.with_track(rows).tolist() == beside.tolist()
    assert cpu.with_track(rows).tolist() == rows["total_cost"].tolist()
    deciding = rows["cycles_decision"].to_numpy(float)
    assert (thread.deciding(rows) == deciding).all()
    assert (cpu.deciding(rows) == deciding).all()
    assert guest.deciding(rows) == pytest.approx(0.2 * deciding)


@needs_compiler
def test_cost_without_yield_is_that_of_a_scenario_with_weight_0(user_file):
    some = (f"{user_file}:slow", "s07-conversion-idle-ticks/test", seeds_of("test", 4))
    with_yield, _ = played(job_of(*some))
    without, _ = played(job_of(*some, limits__yield_weight=0))
    free = with_yield["total_cost"] - with_yield["cycles_yield"]
    assert with_yield["cycles_yield"].sum() > 0
    assert free.equals(without["total_cost"])


@needs_compiler
def test_asked_policy_plays_as_the_compiled_one(user_file):
    asked, asked_cells = played(job_of(f"{user_file}:retry", SCENARIO, seeds_of("test", 5)))
    compiled, cells = played(job_of("always-retry", SCENARIO, seeds_of("test", 5)))
    pd.testing.assert_frame_equal(asked, compiled)
    pd.testing.assert_frame_equal(asked_cells, cells)


@needs_compiler
def test_chunks_do_not_change_an_episode():
    seeds = seeds_of("test", 6)
    whole, cells = played(job_of("random", SCENARIO, seeds))
    jobs = jobs_for(["random"], {SCENARIO: seeds}, 4)
    chunks = {job.key: run_job(job) for job in jobs}
    parts, part_cells = tables(jobs, {"random": load_policy("random")}, chunks.__getitem__)
    assert len(jobs) == 2
    pd.testing.assert_frame_equal(whole, parts.drop(columns="policy"))
    pd.testing.assert_frame_equal(cells, part_cells.drop(columns="policy"))


@needs_compiler
@pytest.mark.parametrize(("n_workers", "wanted"), [(1, 6), (2, 3), (8, 1)])
def test_workers_share_the_cpus(monkeypatch: pytest.MonkeyPatch, n_workers: int, wanted: int):
    given: list[int] = []
    monkeypatch.setattr("joblib.cpu_count", lambda: 6)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=given.append))
    run_job(job_of("P18", "s22-clean/test", seeds_of("test", 1)), n_workers)
    assert given == [wanted]


@needs_compiler
def test_jobs_before_do_not_change_an_episode(user_file):
    """Jobs of one scenario share memory."""
    job = job_of("P18", SCENARIO, seeds_of("test", 5))
    first = run_job(job)
    run_job(job_of(f"{user_file}:slow", SCENARIO, seeds_of("validation", 5)))
    again = run_job(job)
    assert (first.episodes == again.episodes).all()
    assert (first.cells == again.cells).all()


@needs_compiler
def test_compiled_policy_that_takes_a_masked_action_is_refused():
    policy = Row("rash", "", "", "", always_yield, DEFAULT).compile()
    with pytest.raises(PolicyError, match=r"rash: returned an action that its mask forbids"):
        run_batch(policy, load("s06-conversion/test"), seeds_of("test", 2))


@needs_compiler
def test_asked_policy_that_takes_a_masked_action_is_refused():
    def act(observations, features, masks):
        return np.full(len(masks), 2)

    policy = Policy("rash", "", "", "", Kind.BATCHED, DEFAULT, act=act)
    with pytest.raises(PolicyError, match=r"rash: returned .*2"):
        run_batch(policy, load("s06-conversion/test"), seeds_of("test", 2))
