"""What the outputs of other projects' learners are read as, and what the page names."""

import re
from pathlib import Path

import pytest

from benchmarks.clients import CLIENTS, MONITOR, PROGRAMS, Outcome, of_cleanrl, of_zoo, told

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
HERE = Path(__file__).resolve().parent
ZOO = """
|    ep_rew_mean     | -3.5     |
|    total_timesteps | 2048     |
|    ep_rew_mean     | -1.25    |
|    total_timesteps | 4096     |
Saving to zoo
"""


def test_last_line_of_our_programs_is_the_outcome():
    said = 'noise\n{"steps": 5, "episodes": 2, "first": -2.0, "last": -1.0}\n'
    assert told(said, HERE) == Outcome(5, 2, -2.0, -1.0)


def test_outcome_of_cleanrl_is_counted_in_updates():
    assert of_cleanrl("SPS: 300\nSPS: 310\n", HERE) == Outcome(1024, 0, None, None)


def test_returns_beside_cleanrl_are_means_of_the_first_and_last_ten():
    said = "".join(f"episodic_return=-{value}.000000\n" for value in range(1, 21))
    assert of_cleanrl(f"{said}SPS: 300\n", HERE) == Outcome(512, 20, -5.5, -15.5)


def test_outcome_of_the_zoo_is_in_its_tables_and_its_list_of_episodes(tmp_path):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / MONITOR).write_text("#{}\nr,l,t\n-3.5,10,0.1\n-1.25,20,0.2\n")
    assert of_zoo(ZOO, tmp_path) == Outcome(4096, 2, -3.5, -1.25)


@pytest.mark.parametrize("client", CLIENTS, ids=[client.name for client in CLIENTS])
def test_program_of_each_client_is_there(client):
    ours = [part for part in client.command.split() if part.startswith("client_programs/")]
    assert all((PROGRAMS.parent / part).exists() for part in ours)


def test_page_has_rows_of_known_clients_alone():
    rows = re.findall(r"^\| ([a-z0-9-]+) \| .*`python", PAGE.read_text(), re.MULTILINE)
    assert rows and set(rows) <= {client.name for client in CLIENTS}
