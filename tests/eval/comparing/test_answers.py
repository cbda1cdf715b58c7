"""Decision functions under one discipline: what README and docs/findings.md say of S20."""

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.scenarios import expand
from tdx_eval.comparing.answers import (
    DISCIPLINES,
    SPLITS,
    cheapest,
    compare_rules,
    discipline_of,
    played_cell,
    seeds_for,
    under,
    with_splits,
)

N_SEEDS = 8


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", DISCIPLINES)
def test_retry_is_cheapest_beside_a_prefault_under_one_discipline(name, split):
    scenario = f"s20-prefault/{split}"
    cells = compare_rules(scenario, discipline_of(name), seeds_for(scenario, N_SEEDS))
    assert cheapest(cells) == "RETRY"


@pytest.mark.slow
def test_a_frozen_entry_makes_p8_dear_beside_a_prefault():
    """P8 differs there from retrying in 6.16's kernel by `on_frozen` alone."""
    scenario = "s20-prefault/test"
    changed = discipline_of("P8").with_(on_frozen="local_retry")
    costs = [
        played_cell(under("RETRY", one), scenario, seeds_for(scenario, N_SEEDS)).costs.tolist()
        for one in (changed, discipline_of("P18"))
    ]
    assert costs[0] == costs[1]


def test_seeds_are_those_of_the_split():
    assert seeds_for("s20-prefault/train", 3) == range(3)
    assert seeds_for("s20-prefault/test", 1) != seeds_for("s20-prefault/validation", 1)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["core/test"], expand("core/test")),
        (["s09-accept-4k/test,s13-balloon/train"], ["s09-accept-4k/test", "s13-balloon/train"]),
        (["s09-accept-4k"], [f"s09-accept-4k/{split}" for split in SPLITS]),
        (
            ["s09-accept-4k/test", "s09-accept-4k"],
            [f"s09-accept-4k/{s}" for s in ("test", "train", "validation")],
        ),
    ],
)
def test_scenarios_are_named_as_for_a_comparison(given, wanted):
    assert with_splits(given) == wanted


def test_unknown_scenario_is_refused_by_name():
    with pytest.raises(ScenarioError, match="s99"):
        with_splits(["core/test", "s99"])
