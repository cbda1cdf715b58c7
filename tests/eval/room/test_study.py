"""What is to gain above a rule: play, page, file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tdx_agents
from tdx_env.errors import ResultError
from tdx_env.scenarios import load
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.objectives import N_WEIGHED, weights_of
from tdx_eval.room.file import JSON, PAGE, read_room, room_json
from tdx_eval.room.page import room_page
from tdx_eval.room.playing import Depth, better, play_ahead, play_base
from tdx_eval.room.study import Effort, Gain, RoomCell, RoomRow, RoomStudy, gain_of

DOCS = Path(__file__).resolve().parents[3] / "docs"
SMALL = {
    "host.n_vcpus": 6,
    "tasks.balloon.items": 1,
    "tasks.balloon.chunk": 24,
    "groups.acceptors.items": 8,
    "groups.acceptors.think_cycles": 20_000,
}
CPU = weights_of("cpu")


def costs_of(retry: list[int], kick: list[int]) -> np.ndarray:
    """Return costs of one decision, host's alone, YIELD masked."""
    costs = np.full((1, N_ACTIONS, len(retry), N_WEIGHED), np.nan)
    costs[0, : Action.YIELD] = 0
    costs[0, Action.RETRY, :, 3], costs[0, Action.KICK, :, 3] = retry, kick
    return costs


@pytest.mark.parametrize(
    ("retry", "kick", "best"),
    [
        ([100, 300], [90, 280], Action.KICK),  # 15 ± 5, three errors
        ([100, 300], [90, 310], Action.RETRY),  # 0 ± 10
        ([100, 300], [101, 301], Action.RETRY),
        ([100], [99], Action.KICK),  # the true future has no error
    ],
)
def test_answer_is_taken_if_what_it_saves_is_beyond_its_error(retry, kick, best):
    found = better(costs_of(retry, kick), np.array([Action.RETRY]), CPU)
    assert found.tolist() == [best]


def test_look_ahead_with_the_true_future_at_one_decision_never_loses():
    """All other answers are the base's, so that the episode is the one that was foreseen."""
    scenario, base = load("s13-balloon/train", SMALL), tdx_agents.load("decided-until-waits")
    before = play_base(scenario, base, range(1, 5))
    depth = Depth(1, 1, is_clairvoyant=True)
    found = play_ahead(scenario, base, CPU, before, range(1, 5), depth)
    assert found.n_looked >= 4
    if found.n_looked == 4:
        assert (found.played.costs(CPU) <= before.costs(CPU)).all()


def study(gain: Gain | None) -> RoomStudy:
    """Return a study of one scenario under one objective."""
    losses = {"flush KICK": (12.0, 1.0)}
    cell = RoomCell("cpu", 10.0, gain, "", 0, Gain(0.1, -1.0, 1.2), 8.0, 0.02, None, losses)
    row = RoomRow("s13-balloon/train", "tdx-eval room", Effort(), 3.0, 500.0, 0.9, [cell])
    return RoomStudy("decided-until-waits", [row])


def test_gain_is_what_is_saved_of_the_mean():
    found = gain_of(np.array([80.0, 160.0, 90.0]), np.array([100.0, 200.0, 110.0]))
    assert found.percent == pytest.approx(19.51)
    assert found.low < found.percent < found.high


def test_scenario_with_much_room_is_named():
    text = room_page(study(Gain(12.0, 5.0, 19.0)))
    assert "**12 %**" in text
    assert "- s13-balloon/train, cpu: 12 %" in text
    assert "(control)" not in text


@pytest.mark.parametrize("gain", [None, Gain(5.0, -3.0, 13.0), Gain(1.5, 0.5, 2.5)])
def test_scenario_without_room_is_a_control_and_says_why(gain):
    text = room_page(study(gain))
    assert "(control): nothing can be learned here" in text
    assert "λK is 0.90, where the rule is the best threshold" in text
    assert "flush KICK +12 ± 2 µs" in text


def test_another_rule_counts_as_room_and_is_named():
    found = study(None)
    cell = replace(
        found.rows[0].cells[0],
        rules={"decided-greedy": Gain(40.0, 30.0, 50.0), "decided-root": Gain(50.0, -1.0, 80.0)},
    )
    text = room_page(RoomStudy(found.base, [replace(found.rows[0], cells=[cell])]))
    assert cell.best == 40
    assert "+40.0 (+30.0 to +50.0) greedy" in text
    assert "- s13-balloon/train, cpu: 40 %: `decided-greedy`" in text


def test_scenario_that_is_measured_anew_takes_the_place_of_the_old_row():
    first, other = study(None), study(Gain(12.0, 5.0, 19.0)).rows[0]
    assert first.with_row(other).rows == [other]
    added = first.with_row(replace(other, scenario="s12-slot-deletion/train"))
    assert [row.scenario for row in added.rows] == ["s12-slot-deletion/train", "s13-balloon/train"]


def test_study_is_read_back(tmp_path):
    kept = study(Gain(12.0, 5.0, 19.0))
    path = tmp_path / "room.json"
    path.write_text(room_json(kept))
    assert read_room(path) == kept
    path.write_text("{}")
    with pytest.raises(ResultError, match=r"room\.json"):
        read_room(path)


def test_page_that_ships_is_made_from_the_file_that_ships():
    shipped = read_room(DOCS / JSON)
    assert (DOCS / PAGE).read_text(encoding="utf-8") == room_page(shipped)
