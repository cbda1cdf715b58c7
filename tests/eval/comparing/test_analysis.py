"""The summary: the choice of the best, folding, paired differences."""

import json

import numpy as np
import pandas as pd
import pytest

from tdx_env.errors import PolicyError
from tdx_eval.comparing import analysis
from tdx_eval.comparing.analysis import Entrants, against, fold, validation_scores
from tdx_eval.comparing.plan import REFERENCE, Plan, hand_written, named, validation_of
from tdx_eval.comparing.reckoning import Reckoning
from tdx_eval.comparing.yardsticks import load_policy


def frame(policy: str, costs: list[float], scenario: str = "s/validation") -> pd.DataFrame:
    """Return episodes with given costs, as far as a choice needs them."""
    n = len(costs)
    return pd.DataFrame(
        {"policy": policy, "scenario": scenario, "seed": range(n), "total_cost": costs}
    )


def test_best_is_the_candidate_with_the_lowest_mean_ratio():
    episodes = pd.concat(
        [
            frame(REFERENCE, [10, 10]),
            frame("good", [1, 3]),
            frame("bad", [50, 50]),
            frame(REFERENCE, [1000, 1000], "t/validation"),
            frame("good", [2000, 2000], "t/validation"),
            frame("bad", [1, 1], "t/validation"),
        ]
    )
    scores = validation_scores(episodes, [REFERENCE, "good", "bad"])
    assert list(scores) == ["bad", "good", REFERENCE]
    assert scores["good"] == pytest.approx(np.sqrt(0.2 * 2))


def test_contenders_and_chance_are_no_candidates():
    named = {name: load_policy(name) for name in ("random", "always-retry", REFERENCE)}
    assert Entrants(named, ["always-retry"]).candidates == [REFERENCE]


def test_policies_alike_in_every_result_are_folded(compared):
    result = next(s for s in compared.summary.scenarios if s.name == "s09-accept-4k/test").results
    assert result["p20-merged-6.19"].same_as == REFERENCE
    assert result["always-retry"].same_as == ""
    assert compared.summary.twins == {"p20-merged-6.19": REFERENCE}


def test_one_different_number_is_no_twin():
    runs = {"a": frame("a", [1, 2]), "b": frame("b", [1, 2]), "c": frame("c", [1, 3])}
    assert fold(runs, ["c", "b", "a"]) == {"a": "b"}


def test_difference_is_that_of_the_rows(compared):
    scenario = "s09-accept-4k/test"
    one = next(s for s in compared.summary.scenarios if s.name == scenario)
    rows = compared.episodes[compared.episodes["scenario"] == scenario]
    costs = rows.pivot_table(index="seed", columns="policy", values="total_cost")
    found = one.results["random"].to_reference
    wanted = costs["random"] - costs[REFERENCE]
    assert found.cycles.value == pytest.approx(wanted.mean(), rel=1e-12)
    assert sum(found.parts.values()) == pytest.approx(wanted.mean(), rel=1e-9)
    assert found.cheaper.value == pytest.approx((wanted < 0).mean() + (wanted == 0).mean() / 2)


def test_difference_of_finished_episodes_leaves_out_killed_pairs(compared):
    one = next(s for s in compared.summary.scenarios if s.name == "s09-accept-4k/test")
    killer = one.results["p1-blind-16"]
    assert 0 < killer.n_lost <= killer.n_episodes
    assert killer.to_reference.n_finished == killer.n_episodes - killer.n_lost
    assert killer.to_reference.cycles.value > 0


def test_seeds_that_differ_are_no_pairs(compared):
    from tdx_eval.comparing.analysis import runs_of

    with pytest.raises(AssertionError, match="not paired"):
        runs_of(compared.episodes.iloc[1:], compared.episodes["scenario"].iloc[0])


def test_best_comes_from_validation_alone(compared):
    scores = compared.summary.validation
    assert compared.summary.best == min(scores, key=scores.__getitem__)
    assert set(scores) == {"p1-blind-16", REFERENCE, "p20-merged-6.19", "always-retry"}


def test_reach_is_over_rules_of_the_default_discipline(compared):
    one = next(s for s in compared.summary.scenarios if s.name == "s09-accept-4k/test")
    assert one.reach is not None
    assert one.reach.n_rules == 3  # random, always-retry, the user's
    costs = {name: one.results[name].cost.value for name in (one.reach.cheapest, one.reach.dearest)}
    assert one.reach.share == 1 - costs[one.reach.cheapest] / costs[one.reach.dearest]


def test_a_policy_against_itself_differs_by_nothing(compared):
    from tdx_eval.comparing.analysis import runs_of

    runs = runs_of(compared.episodes, "s09-accept-4k/test")
    found = against(runs, REFERENCE, REFERENCE, Reckoning("thread", 1))
    assert (found.cycles.value, found.cheaper.value) == (0, 0.5)
    assert set(found.parts.values()) == {0.0}


def test_summary_is_json_with_seeds_and_digests(compared):
    read = json.loads(json.dumps(compared.summary.as_json(), allow_nan=False))
    counts = dict.fromkeys(compared.plan.scenarios, 12)
    assert read["manifest"]["seeds"]["test"] == {"first": 1 << 32, "count": counts}
    assert set(read["manifest"]["scenarios"]) == set(compared.plan.scenarios)
    assert "file_sha256" in read["manifest"]["policies"]["mine:kick"]


def test_reference_takes_part_unasked():
    assert list(hand_written("P9")) == ["p9-fault-loop-16", REFERENCE]
    assert {"break-even", "operand", "random", "always-kick"} <= set(hand_written("all"))


@pytest.mark.parametrize("nothing", ["", ",", " , "])
def test_no_policy_at_all_is_refused_but_beside_the_reference(nothing):
    assert list(hand_written(nothing)) == [REFERENCE]
    with pytest.raises(PolicyError, match="names no policy"):
        named(nothing)


def test_policies_of_one_name_are_refused(user_file):
    one = load_policy(REFERENCE)
    with pytest.raises(PolicyError, match="P18: its name p18.* is that of another policy"):
        Plan({REFERENCE: one}, {"P18": one}, {}, {}, 1)


def test_choice_is_made_on_the_validation_split():
    assert validation_of(["s09-accept-4k/test", "s09-accept-4k/train"]) == [
        "s09-accept-4k/validation"
    ]
    assert validation_of(["mine.toml"]) == ["mine.toml"]


def test_track_is_counted_on_both_sides(compared):
    one = next(s for s in compared.summary.scenarios if s.name == "s09-accept-4k/test")
    rows = compared.episodes[compared.episodes["scenario"] == one.name]
    both = rows["total_cost"] + rows["cycles_track_kick"]
    means = both.groupby(rows["policy"]).mean()
    found = one.results["always-retry"].to_reference.with_track
    assert found is not None
    assert found.value == pytest.approx(means["always-retry"] / means[REFERENCE] - 1)


def test_answers_are_held_against_retry(compared, monkeypatch):
    monkeypatch.setattr(analysis, "ANSWERS", ("random", "always-kick"))
    runs = analysis.runs_of(compared.episodes, "s09-accept-4k/test")
    reckoning = Reckoning("thread", 1)
    found = analysis.answers(runs, reckoning)
    assert list(found) == ["random"]  # the other was not played
    assert found["random"].other == "always-retry"
    alone = analysis.against(runs, "random", "always-retry", reckoning)
    assert found["random"].cycles == alone.cycles


def test_footing_counts_every_cost_and_scenario_once(compared):
    footing = compared.summary.footing
    assert footing.n_costs == len(next(iter(compared.plan.scenarios.values())).costs)
    assert sum(footing.machines.values()) == len(compared.plan.scenarios)
