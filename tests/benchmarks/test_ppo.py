"""Tables and curves of PPO's runs, of results that are given."""

from benchmarks.ppo import curves, tables

KEPT = {
    "scenarios": ["a", "b"],
    "rules": {"always RETRY": [-1.0, -3.0], "merged": [-9.0, -9.0]},
    "runs": {
        "0": [
            {"steps": 100, "seconds": 1.0, "returns": [-2.0, -4.0]},
            {"steps": 200, "seconds": 2.0, "returns": [-1.0, -2.0]},
        ],
        "1": [
            {"steps": 100, "seconds": 1.0, "returns": [-3.0, -5.0]},
            {"steps": 200, "seconds": 2.0, "returns": [-2.0, -2.0]},
        ],
    },
}


def test_curve_has_the_mean_over_scenarios_of_each_seed():
    assert "| 100 | -3.000 | -4.000 |" in tables(KEPT)


def test_end_of_each_scenario_has_mean_and_spread_over_seeds():
    assert "| a | -1.000 | -9.000 | -1.500 (-2.000 to -1.000) |" in tables(KEPT)


def test_chart_leaves_out_the_merged_kernel():
    levels = curves(KEPT)["layer"][1]["data"]["values"]
    assert levels == [{"cost": 2.0, "who": "always RETRY"}]
