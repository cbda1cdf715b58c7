"""The agents that come with the package."""

import pytest

import tdx_agents
from tdx_agents.bundle import load_manifest
from tdx_agents.network import network_cycles
from tdx_agents.shipped import FOLDER, shipped_folder, shipped_names
from tdx_env.state.objectives import PRESETS

PLACES = sorted(path.name for path in FOLDER.iterdir())
MOST_BYTES = 100_000


def test_there_is_one_for_each_objective_that_counts_stops_and_one_for_all():
    assert sorted(PLACES) == ["all", *sorted(set(PRESETS) - {"thread"})]


@pytest.mark.parametrize("name", shipped_names())
def test_each_name_loads_and_is_asked_everywhere(name: str):
    policy = tdx_agents.load(name)
    assert (policy.discipline.asks, policy.discipline.flush) == ("all", "decided")


def test_default_is_the_one_for_what_version_1_pays():
    assert shipped_folder("default") == shipped_folder("agent-cpu") == FOLDER / "cpu"


@pytest.mark.parametrize("place", PLACES)
def test_bundle_is_small_and_charged_for_what_it_reads(place: str):
    folder = FOLDER / place
    assert sum(one.stat().st_size for one in folder.iterdir()) < MOST_BYTES
    manifest = load_manifest(folder)
    n_read = sum(name in manifest.observation_names for name in manifest.read)
    assert manifest.discipline.decision_cycles >= network_cycles(n_read, manifest.hidden)


@pytest.mark.parametrize("place", PLACES)
def test_bundle_was_trained_on_train_splits_alone(place: str):
    names = load_manifest(FOLDER / place).training.scenario_digests
    assert all(name.partition(" ")[0].endswith("/train") for name in names)


def test_name_of_no_agent_is_refused_with_the_nearest():
    with pytest.raises(tdx_agents.protocol.PolicyError, match="agent-latency"):
        tdx_agents.load("agent-latenc")
