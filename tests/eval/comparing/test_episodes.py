"""Records of a whole batch against the metrics of one episode at a time."""

import numba
import numpy as np
import pandas as pd
import pytest

from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import busy_cells, episode_metrics
from tdx_env.scenarios import load
from tdx_eval.comparing.episodes import (
    CATEGORY,
    CELL,
    CELL_KEY,
    cells_of,
    cells_table,
    episodes_of,
    episodes_table,
)
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.yardsticks import load_policy

SEEDS = range(1 << 32, (1 << 32) + 5)
PLAYED = [  # finished, killed, hung; with and without busy replies
    ("s09-accept-4k/test", "P18"),
    ("s09-accept-4k/test", "P1"),
    ("s04-zero-step-livelock/test", "P1"),
    ("s21-small-tds/test", "P18"),
]
if numba.config.DISABLE_JIT:
    PLAYED = PLAYED[1:2]
needs_compiler = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without")


@pytest.fixture(scope="module", params=PLAYED, ids=lambda one: "-".join(one))
def batch(request: pytest.FixtureRequest) -> Batch:
    """Return episodes that have ended."""
    scenario, policy = request.param
    return run_batch(load_policy(policy), load(scenario), SEEDS)


def row_of(batch: Batch, index: int) -> dict[str, object]:
    """Return an episode's metrics as a row of a table."""
    metrics = episode_metrics(batch, index)
    left_out = {"cycles_by_category", "killed_by", "waiting"}
    row = {name: value for name, value in metrics.items() if name not in left_out}
    row |= {CATEGORY + name: value for name, value in metrics["cycles_by_category"].items()}
    by = metrics.get("killed_by")
    return row | {"killed_by": f"{by['call']}: {by['outcome']}" if by else ""}


def test_columns_are_the_metrics_of_each_episode(batch):
    """Names, order, types and values."""
    key = {"policy": "p", "scenario": "s"}
    rows = [{**key, "seed": seed, **row_of(batch, index)} for index, seed in enumerate(SEEDS)]
    found = episodes_table([("p", "s")], [episodes_of(batch, SEEDS)], [batch.costs])
    pd.testing.assert_frame_equal(found, pd.DataFrame(rows), check_exact=True)


def test_cells_are_summed_over_the_episodes(batch):
    cells = [cell for index in range(len(SEEDS)) for cell in busy_cells(batch, index)]
    found = cells_table([("p", "s")], [cells_of(batch)])
    assert list(found.columns) == ["policy", "scenario", *CELL_KEY, "n_busy", "cycles_lost"]
    if not cells:
        assert found.empty
        return
    wanted = pd.DataFrame(cells).groupby(CELL_KEY, as_index=False).sum()
    plain = found.drop(columns=["policy", "scenario"])
    pd.testing.assert_frame_equal(plain, wanted, check_exact=True)


def test_cells_of_several_chunks_are_one_row():
    one = np.array([(0, 2, 20), (3, 1, 10)], CELL)  # the TDR and an entry
    other = np.array([(3, 5, 50)], CELL)
    found = cells_table([("p", "s"), ("q", "s")], [np.concatenate([one, other]), other])
    assert found[["policy", "n_busy", "cycles_lost"]].to_numpy().tolist() == [
        ["p", 6, 60],
        ["p", 2, 20],
        ["q", 5, 50],
    ]


@needs_compiler
def test_memory_of_another_discipline_leaves_no_trace():
    """A batch that was played under one discipline plays another one as a new batch does."""
    scenario, before, after = "s09-accept-4k/test", load_policy("P1"), load_policy("P18")
    batch = run_batch(before, load(scenario), SEEDS)
    batch.use(after.discipline.record())
    batch.reset(np.array(SEEDS))
    batch.advance(after.decide)
    fresh = run_batch(after, load(scenario), SEEDS)
    assert (episodes_of(batch, SEEDS) == episodes_of(fresh, SEEDS)).all()
    assert (cells_of(batch) == cells_of(fresh)).all()
