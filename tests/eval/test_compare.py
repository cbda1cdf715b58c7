"""A whole comparison: real processes, real files."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eval.report import call_name, losses, reason_text
from tests.eval.conftest import SMALL, tdx_eval

pytestmark = pytest.mark.slow


def test_every_policy_plays_the_same_seeds(compared: Path) -> None:
    episodes = pd.read_parquet(compared / "results.parquet")
    seeds = episodes.groupby(["policy", "scenario"])["seed"].apply(lambda some: tuple(sorted(some)))
    assert seeds.nunique() == 1
    assert seeds.iloc[0] == tuple(range(1 << 32, (1 << 32) + 30))


def test_categories_sum_to_the_elapsed_time_of_all_cpus(compared: Path) -> None:
    episodes = pd.read_parquet(compared / "results.parquet")
    booked = episodes[[c for c in episodes if c.startswith("cycles_")]].sum(axis=1)
    assert (booked == episodes["elapsed_cycles"] * episodes["n_cpus"]).all()


def test_finished_work_is_the_same_for_all_policies(compared: Path) -> None:
    episodes = pd.read_parquet(compared / "results.parquet")
    finished = episodes[episodes["end"] == "finished"]
    for _, some in finished.groupby(["scenario", "seed"]):
        assert some["guest_items"].nunique() == 1 and some["task_items"].nunique() == 1


def test_number_of_processes_changes_nothing(compared: Path, tmp_path: Path) -> None:
    run = tdx_eval("compare", *SMALL, "--seeds", "30", "--jobs", "2", "--out", str(tmp_path / "out"))
    assert run.returncode == 0, run.stderr
    for name in ("results.parquet", "busy.parquet", "summary.json", "report.html"):
        assert (tmp_path / "out" / name).read_bytes() == (compared / name).read_bytes(), name


def test_report_stands_alone_and_shows_everything(compared: Path, summary: dict[str, Any]) -> None:
    text = (compared / "report.html").read_text()
    assert "http://" not in text and "https://" not in text and "<script" not in text
    for name in [*summary["policies"], *summary["scenarios"]]:
        assert name in text


def test_kick_without_gate_loses_tds_and_says_why(summary: dict[str, Any]) -> None:
    sean = summary["scenarios"]["s08-accept-2m/test"]["policies"]["p6-sean-2"]
    assert sean["killed"] > 0
    assert set(sean["killed_by"]) == {"MEM_RANGE_BLOCK: OPERAND_BUSY"}
    merged = summary["scenarios"]["s08-accept-2m/test"]["policies"]["p18-merged-6.16"]
    assert merged["killed"] == 0


def test_equal_policies_are_folded(summary: dict[str, Any]) -> None:
    for one in summary["scenarios"].values():
        assert one["policies"]["p20-merged-6.19"]["same_as"] == "p18-merged-6.16"


def test_reference_differs_from_itself_by_nothing(summary: dict[str, Any]) -> None:
    for one in summary["scenarios"].values():
        assert one["policies"][summary["reference"]]["difference"]["value"] == 0


def test_reasons_are_told_in_words() -> None:
    reason = {
        "call": "MEM_RANGE_BLOCK",
        "holder": "VP_ENTER",
        "lock": "TREE",
        "n_busy": 2.0,
        "cycles_lost": 2500.0,
    }
    assert call_name("PHYMEM_PAGE_WBINVD") == "PAGE.WBINVD"
    assert reason_text(reason, 2_500_000) == (
        "RANGE.BLOCK met VP.ENTER on the S-EPT tree: 2.0 times an episode, 1.0 µs lost"
    )


def test_a_loss_of_the_agent_is_reported() -> None:
    against = {
        "other": "break-even",
        "difference": {"value": 5000.0, "low": 2500.0, "high": 7500.0},
        "changes": {"decision": 4000.0, "gated": -10.0},
    }
    scenario = {"clock_khz": 2_500_000, "learned": {"ppo": {"best": against, "hindsight": against}}}
    (line,) = losses({"scenarios": {"s": scenario}})
    assert "ppo costs 2.0 µs an episode more than break-even" in line and "decision" in line


POLICIES = {
    "raises": "def decide(features, mask):\n    raise ValueError('no')\n",
    "seven": "def decide(features, mask):\n    return 7\n",
    "masked": "def decide(features, mask):\n    return 'YIELD'\n",
}
BAD = [
    (["--policies", "P99"], "P99"),
    (["--scenarios", "nowhere/test"], "nowhere"),
    (["--seeds", "0"], "--seeds 0"),
    (["--jobs", "-1"], "--jobs -1"),
    (["--set", "costs.nothing=1"], "nothing"),
    (["--costs", "missing.toml"], "missing.toml"),
    (["--agent", "missing"], "missing"),
    (["--policy", "missing.py:decide"], "missing.py"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD, ids=lambda value: str(value))
def test_bad_input_is_one_line_and_nothing_is_written(
    arguments: list[str], named: str, tmp_path: Path
) -> None:
    base = {"--scenarios": "s22-clean/test", "--policies": "P18", "--seeds": "2"}
    base |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    flat = [word for pair in base.items() for word in pair]
    run = tdx_eval("compare", *flat, "--out", str(tmp_path / "out"))
    assert run.returncode == 2
    assert named in run.stderr and "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", POLICIES)
def test_bad_policy_of_a_user_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.py"
    file.write_text(POLICIES[name])
    run = tdx_eval(
        *("compare", "--scenarios", "s08-accept-2m/test", "--policies", "P18", "--seeds", "2"),
        *("--jobs", "1", "--policy", f"{file}:decide", "--out", str(tmp_path / "out")),
    )
    assert run.returncode == 2
    assert f"{name}.py" in run.stderr and "Traceback" not in run.stderr


def test_existing_output_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    run = tdx_eval("compare", *SMALL, "--seeds", "1", "--out", str(tmp_path))
    assert run.returncode == 2 and "--overwrite" in run.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["kept.txt"]


def test_output_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = tdx_eval("compare", *SMALL, "--seeds", "1", "--out", str(tmp_path / "file" / "out"))
    assert run.returncode == 2 and "Traceback" not in run.stderr


def test_interrupt_leaves_finished_results_readable(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "eval.cli", "compare", *SMALL, "--seeds", "20000"]
        + ["--jobs", "1", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    for _ in range(1200):  # until a few test chunks are there
        if len(list(out.glob("parts/validation-*episodes.parquet"))) > 4:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in errors and "stopped" in errors
    readable = [pd.read_parquet(file) for file in out.rglob("*.parquet")]
    assert readable and all(np.isfinite(one["total_cost"]).all() for one in readable if len(one))
