"""Maps: axes, the break-even border, bad input."""

import numpy as np
import pytest
from typer.testing import CliRunner

from tdx_env.errors import ScenarioError
from tdx_env.scenarios import load
from tdx_eval.commands.app import app
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.seeds import seeds_of
from tdx_eval.comparing.statistics import Estimate
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.mapping.axis import Axis, assumed, axis_from
from tdx_eval.mapping.border import border_of
from tdx_eval.mapping.grid import Grid, MapCell, play_cells, scenarios_of
from tdx_eval.mapping.page import map_finding, map_page, range_text

RUN = CliRunner()
X, Y = Axis("host.n_vcpus", (2, 4)), Axis("costs.accept_2m", (1000, 100_000))


def cell(x: int, y: int, ratio: float, spread: float = 0.05) -> MapCell:
    """Return a cell with a given ratio of costs."""
    low, high = ratio * (1 - spread) - 1, ratio * (1 + spread) - 1
    return MapCell(x, y, Estimate(ratio - 1, low, high), (0, 0))


def grid(*cells: MapCell) -> Grid:
    """Return a map of given cells."""
    ranges = ((2.0, 3.0), (5000.0, 50_000.0))
    return Grid("s/test", "kick", "retry", X, Y, 40, 2_500_000, list(cells), ranges)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("host.n_vcpus=2,8,4", (2, 4, 8)),
        ("host.n_vcpus=1..1000/4", (1, 10, 100, 1000)),
        ("host.n_vcpus=10..20/2", (10, 20)),
        ("host.n_vcpus=1..3/8", (1, 2, 3)),
        ("costs.bare=1_000..2_000/2", (1000, 2000)),
    ],
)
def test_axis_has_rising_values(text, values):
    assert axis_from("--x", text).values == values


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("host.n_vcpus", "must be KEY=LOW..HIGH"),
        ("host.n_vcpus=", "must be KEY=LOW..HIGH"),
        ("host.n_vcpus=8..8", "is empty"),
        ("host.n_vcpus=8..2", "is empty"),
        ("host.n_vcpus=2..8/1", "is empty"),
        ("host.n_vcpus=0..8", "whole numbers from 1"),
        ("host.n_vcpus=1.5,2", "whole numbers from 1"),
        ("host.n_vcpus=5,5", "has one value"),
        ("host.n_vcpus=1..9999/30", "at most 24"),
    ],
)
def test_axis_that_shows_nothing_is_refused(text, told):
    with pytest.raises(ScenarioError, match="--x") as error:
        axis_from("--x", text)
    assert told in str(error.value)


def test_border_is_straight_between_logarithms():
    """Half way in the logarithm of y, where the ratios are ×4 and ÷4."""
    found = border_of(grid(cell(2, 1000, 4), cell(4, 1000, 4), cell(2, 100_000, 0.25),
                           cell(4, 100_000, 2)))  # fmt: skip
    assert [x for x, _ in found] == [2]
    assert found[0][1] == pytest.approx(10_000)


def test_chance_makes_no_border():
    found = grid(cell(2, 1000, 1.01, 0.1), cell(2, 100_000, 0.99, 0.1))
    assert border_of(found) == []
    assert "no border is crossed" in map_finding(found)


def test_finding_names_where_they_break_even():
    found = grid(cell(2, 1000, 4), cell(4, 1000, 4), cell(2, 100_000, 0.25), cell(4, 100_000, 4))
    text = map_finding(found)
    assert "kick is cheaper than retry in 1 of 4 cells, dearer in 3" in text
    assert "break even at costs.accept_2m = 4.0 µs for host.n_vcpus = 2" in text


def test_page_shows_every_cell_and_what_is_assumed():
    found = grid(cell(2, 1000, 4), cell(4, 1000, 3), cell(2, 100_000, 0.25), cell(4, 100_000, 6))
    page = map_page(found)
    assert "×4.0" in page
    assert "÷4.0" in page
    assert range_text(found) in page
    assert "2 to 3" in range_text(found)
    assert "2.0 µs to 20.0 µs" in range_text(found)
    assert "<svg" in page


def test_assumed_range_is_the_scenarios():
    scenario = load("s08-accept-2m/test")
    cost = scenario.costs["accept_2m"]
    assert assumed(scenario, "costs.accept_2m") == (cost.low, cost.high)
    assert assumed(scenario, "host.n_nothing") is None


def test_cells_are_paired_and_are_what_a_comparison_plays():
    x, y = Axis("tasks.zapper.items", (1, 2)), Axis("costs.bare", (1000, 3000))
    every = scenarios_of("s09-accept-4k/test", x, y, {"tasks.zapper.chunk": 1})
    pair = load_policy("always-kick"), load_policy("always-retry")
    seeds, told = seeds_of("test", 2), []
    cells = play_cells(every, pair, seeds, lambda: told.append(1))
    assert [(one.x, one.y) for one in cells] == [(1, 1000), (2, 1000), (1, 3000), (2, 3000)]
    assert len(told) == 4
    costs = [run_batch(one, every[2, 3000], seeds).costs for one in pair]
    ratio = cells[-1].ratio
    assert ratio == pytest.approx(np.sum(costs[0]) / np.sum(costs[1]))


@pytest.mark.parametrize(
    "axes",
    [
        ["--x", "host.n_nothing=2..4", "--y", "costs.bare=1..2"],
        ["--x", "host.n_vcpus=4..4", "--y", "costs.bare=1..2"],
        ["--x", "costs.bare=1..2", "--y", "costs.bare=1..2"],
    ],
)
def test_bad_axes_are_one_error(tmp_path, axes):
    out = tmp_path / "map.html"
    result = RUN.invoke(app, ["map", "s09-accept-4k/test", *axes, "--out", str(out)])
    assert isinstance(result.exception, ScenarioError)
    assert not out.exists()
