"""What version 1 of the environment divides rewards by."""

from pathlib import Path

import numba
import pytest

from tdx_env.errors import ScenarioError
from tdx_env.scenarios import file_of, load, names
from tdx_eval.reward_scales import measured_scale, write_scale, yardstick


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes long with the compiler off")
def test_scale_is_the_yardsticks_cost_to_two_digits():
    scenario = load("s22-clean/train")
    scale = measured_scale(scenario, yardstick(), 4)
    assert scale == int(float(f"{scale:.1e}"))
    assert scale == pytest.approx(scenario.limits.reward_scale_v1, rel=0.5)


def test_every_packaged_scenario_has_its_scale():
    assert all(load(name).limits.reward_scale_v1 for name in names("train"))


def test_scale_is_written_behind_the_other_one(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text("[limits]\nreward_scale = 5\nstall_us = 7\n")
    assert write_scale(path, 2_000)
    assert path.read_text() == (
        "[limits]\nreward_scale = 5\nreward_scale_v1 = 2_000\nstall_us = 7\n"
    )
    assert not write_scale(path, 2_000)
    assert write_scale(path, 30)
    assert path.read_text().count("reward_scale_v1 = 30\n") == 1


def test_file_without_a_line_of_its_own_is_refused(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text("limits = { reward_scale = 5 }\n")
    with pytest.raises(ScenarioError, match="has no line reward_scale, write reward_scale_v1 = 9"):
        write_scale(path, 9)


def test_file_of_a_name_is_where_it_is_read_from():
    assert file_of("s22-clean/test").name == "s22-clean.toml"
    assert file_of("somewhere/mine.toml/train") == Path("somewhere/mine.toml")
