"""Each feature says something: over the random worlds it takes at least two values."""

import pytest

from tdx_env.state.features import Feature
from tests.oracles.comparison import RULES, run_kernel
from tests.strategies import batch_world, random_world

N_WORLDS = 120  # the last feature of busy replies has its second value in the 62nd
N_BATCHES = 30  # worlds whose zaps are long; of flush points the last one but ...
FROZEN = 923  # ... faults that meet a FROZEN SPTE meanwhile has its in the 20th


@pytest.fixture(scope="module")
def seen() -> dict[Feature, set[int]]:
    """Return values of each feature, from as many worlds as it takes for two of each."""
    found: dict[Feature, set[int]] = {feature: set() for feature in Feature}
    made = [(random_world, seed) for seed in range(N_WORLDS)]
    made = [(batch_world, seed) for seed in (*range(N_BATCHES), FROZEN)] + made
    for make, seed in made:
        episode = run_kernel(*make(seed), RULES[seed % len(RULES)])
        for vector in episode.features:
            for feature in Feature:
                found[feature].add(vector[feature])
        if all(len(values) > 1 for values in found.values()):
            break
    return found


@pytest.mark.parametrize("feature", Feature)
def test_feature_takes_two_values(feature, seen):
    """A feature that nobody fills would be 0 for ever."""
    assert len(seen[feature]) > 1
