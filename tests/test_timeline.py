"""The last step of an episode as a picture."""

import copy
import sys

import gymnasium
import numpy as np
import pytest

from tdx_env.env import SeamcallRetryEnv
from tdx_env.errors import MissingExtraError, NotResetError
from tdx_env.state.actors import State
from tdx_env.timeline import HEIGHT, WIDTH, Timeline

SCENARIO = "s09-accept-4k/test"


@pytest.fixture(scope="module")
def filmed() -> SeamcallRetryEnv:
    """Return an environment that is filmed and has made two steps."""
    env = SeamcallRetryEnv(SCENARIO, render_mode="rgb_array")
    env.reset(seed=3)
    env.render()
    for _ in range(2):
        env.step(0)
    return env


def test_pictures_have_one_shape_and_change_with_the_step(filmed) -> None:
    env = copy.deepcopy(filmed)
    frames = [env.render()]
    env.step(0)
    frames.append(env.render())
    env.reset(seed=4)
    frames.append(env.render())
    assert {(frame.shape, frame.dtype) for frame in frames} == {
        ((HEIGHT, WIDTH, 3), np.dtype(np.uint8))
    }
    assert not np.array_equal(frames[0], frames[1])


def test_stretches_of_an_actor_follow_each_other_up_to_now(filmed) -> None:
    batch = filmed._episode.batch
    found = filmed._timeline.stretches(batch)
    for actor in {one.actor for one in found}:
        mine = [one for one in found if one.actor == actor]
        assert all(a.end == b.start for a, b in zip(mine, mine[1:], strict=False))
        assert mine[-1].end == batch.run["now"][0]


def test_the_deciding_actors_call_ends_at_the_busy_reply(filmed) -> None:
    batch = filmed._episode.batch
    actor = int(batch.run["decision_actor"][0])
    states = [one.state for one in filmed._timeline.stretches(batch) if one.actor == actor]
    assert State.SEAMCALL in states


def test_drawing_changes_nothing(filmed) -> None:
    env = copy.deepcopy(filmed)
    plain = copy.deepcopy(filmed)
    plain.render_mode = None
    for _ in range(3):
        env.render()
        first, second = env.step(0), plain.step(0)
        assert np.array_equal(first[0], second[0])
        assert first[1] == second[1]


def test_nothing_is_kept_until_somebody_looks() -> None:
    env = SeamcallRetryEnv(SCENARIO, render_mode="rgb_array")
    with pytest.raises(NotResetError):
        env.render()
    env.reset(seed=3)
    env.step(0)
    assert env._timeline is None


def test_restored_state_shows_no_step_of_another(filmed) -> None:
    env = copy.deepcopy(filmed)
    env.restore(env.snapshot())
    assert len(env._timeline.stretches(env._episode.batch)) == env._episode.batch.run["n_actors"][0]


def test_wrappers_take_the_pictures() -> None:
    env = gymnasium.make("tdx_env/SeamcallRetry-v0", scenario=SCENARIO, render_mode="rgb_array")
    env = gymnasium.wrappers.RenderCollection(env)
    env.reset(seed=3)
    env.step(0)
    assert [frame.shape for frame in env.render()] == [(HEIGHT, WIDTH, 3)] * 2


def test_missing_pillow_names_the_extra(filmed, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"pillow.*pip install 'tdx-env\[eval\]'"):
        Timeline().frame(filmed._episode.batch, 1, "")


def test_film_is_recorded(tmp_path) -> None:
    pytest.importorskip("moviepy")
    env = SeamcallRetryEnv(SCENARIO, render_mode="rgb_array")
    film = gymnasium.wrappers.RecordVideo(env, str(tmp_path), episode_trigger=lambda _: True)
    film.reset(seed=3)
    film.step(0)
    film.close()
    assert list(tmp_path.glob("*.mp4"))
