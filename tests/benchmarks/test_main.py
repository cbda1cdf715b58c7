"""The command line of the benchmarks."""

import sys

import pytest

from benchmarks.__main__ import main
from benchmarks.page import PARTS


def test_unknown_part_is_answered_with_the_known_ones(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "kernels"])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert "kernels" in said and all(part in said for part in PARTS)


@pytest.mark.slow
def test_quick_run_of_a_part_shows_its_tables_and_writes_nothing(monkeypatch, capsys, tmp_path):
    for name in ("_RESULTS", "_DOCS"):
        monkeypatch.setattr(f"benchmarks.__main__.{name}", tmp_path / name)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "single", "--quick"])
    main()
    assert "| CartPole-v1 |" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
