"""The vector environment plays what single environments play."""

from typing import Any

import gymnasium
import numba
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from tdx_env.env import SeamcallRetryEnv
from tdx_env.errors import ActionError, NotResetError, ScenarioError
from tdx_env.host.discipline import Discipline
from tdx_env.info import INFO_ROWS, named_metrics
from tdx_env.scenarios import load
from tdx_env.spaces import observation_names
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.vector import SeamcallRetryVectorEnv

ID = "tdx_env/SeamcallRetry-v0"
IS_START = observation_names().index("is_start")
N_ENVS = 3
SEED = 11
OPTIONS = {"host.n_vcpus": 12}
SCENARIOS = ["s08-accept-2m/train", "s22-clean/test"]  # episodes of a step and of some ten
N_STEPS = 15 if numba.config.DISABLE_JIT else 120
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]
KEYS = [row.key for row in INFO_ROWS]


def make(mode: AutoresetMode = AutoresetMode.NEXT_STEP, **arguments: Any) -> SeamcallRetryVectorEnv:
    """Return a small vector environment."""
    return SeamcallRetryVectorEnv(N_ENVS, SCENARIOS, autoreset_mode=mode, **arguments)


def random_actions(n_envs: int = N_ENVS, n_steps: int = N_STEPS) -> np.ndarray:
    """Return actions, masked ones among them, shape (n_steps, n_envs)."""
    return np.random.default_rng(2).integers(0, N_ACTIONS, size=(n_steps, n_envs))


def part_of(info: dict[str, Any], index: int) -> dict[str, Any]:
    """Return what a vector's info says about one environment, as plain values."""
    return {key: np.asarray(info[key])[index].tolist() for key in KEYS}


def plain(info: dict[str, Any]) -> dict[str, Any]:
    """Return the same of a single environment's info."""
    return {key: np.asarray(info[key]).tolist() for key in KEYS}


class Single:
    """One single environment, stepped and reset as the vector environment says it does."""

    def __init__(self, seed: int) -> None:
        self.env = SeamcallRetryEnv(SCENARIOS)
        self.first = self.env.reset(seed=seed)
        self.has_ended = False

    def step(self, action: int) -> tuple[Any, ...]:
        """Take a step, or start the next episode if the last one has ended."""
        if self.has_ended:
            self.has_ended = False
            observation, info = self.env.reset()
            return observation, 0.0, False, False, info
        step = self.env.step(action)
        self.has_ended = step[2] or step[3]
        return step


def assert_same(step: tuple[Any, ...], of_vector: tuple[Any, ...], index: int) -> None:
    """Fail if a single step differs from one environment's share of a vector step."""
    assert step[0].tobytes() == of_vector[0][index].tobytes()
    assert step[1:4] == tuple(part[index] for part in of_vector[1:4])
    assert plain(step[4]) == part_of(of_vector[4], index)


# --- single and vector


def test_reset_is_that_of_single_environments():
    observations, info = make().reset(seed=SEED)
    for index in range(N_ENVS):
        observation, single = Single(SEED + index).first
        assert observation.tobytes() == observations[index].tobytes()
        assert plain(single) == part_of(info, index)


def test_next_step_mode_plays_single_environments_step_by_step():
    """Over several episodes each; the step after an end only resets."""
    vector, singles = make(), [Single(SEED + index) for index in range(N_ENVS)]
    vector.reset(seed=SEED)
    n_ends = 0
    for actions in random_actions():
        of_vector = vector.step(actions)
        for index, single in enumerate(singles):
            step = single.step(int(actions[index]))
            assert_same(step, of_vector, index)
            if single.has_ended:
                n_ends += 1
    assert n_ends > 1


def test_same_step_mode_plays_single_environments_step_by_step():
    """The end's step has the next start observation; the last one is in `final_obs`."""
    vector = make(AutoresetMode.SAME_STEP)
    singles = [Single(SEED + index) for index in range(N_ENVS)]
    vector.reset(seed=SEED)
    n_ends = 0
    for actions in random_actions():
        of_vector = vector.step(actions)
        for index, single in enumerate(singles):
            step = single.step(int(actions[index]))
            if not single.has_ended:
                assert_same(step, of_vector, index)
                continue
            n_ends += 1
            info = of_vector[4]
            assert info["_final_obs"][index] and info["_final_info"][index]
            assert step[0].tobytes() == info["final_obs"][index].tobytes()
            assert step[1:4] == tuple(part[index] for part in of_vector[1:4])
            final = info["final_info"]
            assert plain(step[4]) == part_of(final, index)
            start = single.step(0)
            assert start[0].tobytes() == of_vector[0][index].tobytes()
            assert start[4]["seed"] == info["seed"][index]
            assert start[4]["action_mask"].tolist() == info["action_mask"][index].tolist()
    assert n_ends > 1


@pytest.mark.parametrize("mode", MODES)
def test_threads_change_nothing(mode):
    n_envs = 4 if numba.config.DISABLE_JIT else 16
    found = []
    for n_threads in (1, 2, 3):
        env = SeamcallRetryVectorEnv(n_envs, SCENARIOS, autoreset_mode=mode, n_threads=n_threads)
        observations, info = env.reset(seed=SEED)
        trace = [observations.tobytes(), info["seed"].tobytes()]
        for actions in random_actions(n_envs):
            step = env.step(actions)
            trace += [part.tobytes() for part in step[:4]]
            trace += [step[4][key].tobytes() for key in ("action_mask", "seed")]
        found.append(trace)
    assert found[0] == found[1] == found[2]


def test_rewards_sum_to_minus_the_total_cost():
    """Of every episode that ended, whichever scenario it was."""
    env = make(AutoresetMode.SAME_STEP)
    _, info = env.reset(seed=SEED)
    scales = [load(name).limits.reward_scale for name in SCENARIOS]
    sums = np.zeros(N_ENVS, np.int64)
    n_ends = 0
    for actions in random_actions():
        scale = np.array([scales[number] for number in info["scenario"]])
        _, rewards, terminated, truncated, info = env.step(actions)
        sums += np.round(rewards * scale).astype(np.int64)
        for index in np.flatnonzero(terminated | truncated):
            metrics = named_metrics(info["final_info"]["episode_metrics"][index])
            assert sums[index] == -metrics["total_cost"]
            sums[index] = 0
            n_ends += 1
    assert n_ends > 1


# --- Gymnasium's rules


def test_made_by_gymnasium_it_is_this_one():
    env = gymnasium.make_vec(ID, num_envs=2, scenario="s22-clean/test")
    assert isinstance(env.unwrapped, SeamcallRetryVectorEnv)
    assert env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    observations, _ = env.reset(seed=0)
    assert env.observation_space.contains(observations)
    env.close()


def test_gymnasiums_own_vector_of_single_environments_gives_the_same():
    arguments: dict[str, Any] = {"num_envs": N_ENVS, "scenario": SCENARIOS}
    ours = gymnasium.make_vec(ID, **arguments)
    theirs = gymnasium.make_vec(ID, vectorization_mode="sync", **arguments)
    assert np.array_equal(ours.reset(seed=SEED)[0], theirs.reset(seed=SEED)[0])
    for actions in random_actions():
        for mine, other in zip(ours.step(actions)[:4], theirs.step(actions)[:4], strict=True):
            assert np.array_equal(mine, other)


@pytest.mark.parametrize("mode", [*MODES, *(mode.value for mode in MODES)], ids=str)
def test_metadata_names_the_mode_as_gymnasiums_enum(mode):
    assert make(mode).metadata["autoreset_mode"] == AutoresetMode(mode)
    assert SeamcallRetryVectorEnv.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP


def test_arrays_of_two_steps_share_no_memory():
    env = make()
    env.reset(seed=SEED)
    steps = [env.step(actions) for actions in random_actions(n_steps=3)]
    for before, after in zip(steps, steps[1:], strict=False):
        for one, other in zip(before[:4], after[:4], strict=True):
            assert not np.shares_memory(one, other)
        for key in KEYS:
            is_fresh = not np.shares_memory(before[4][key], after[4][key])
            assert is_fresh or not after[4][key].flags.writeable


@pytest.mark.parametrize("mode", MODES)
def test_observations_stay_as_they_are_for_one_more_step(mode):
    """Through ends and resets: two arrays take turns."""
    env = make(mode)
    last = env.reset(seed=SEED)[0]
    for number, actions in enumerate(random_actions()):
        kept = last.copy()
        is_reset = number % 10 == 9
        observations = env.reset()[0] if is_reset else env.step(actions)[0]
        assert np.array_equal(last, kept)
        last = observations


def test_info_of_an_episode_stays_as_it_was():
    """What an earlier info says about seeds and scenarios doesn't change with later episodes."""
    env = make()
    _, info = env.reset(seed=SEED)
    kept = {key: info[key].copy() for key in KEYS}
    env.reset()
    for key in KEYS:
        assert np.array_equal(info[key], kept[key])


def test_every_info_array_has_its_mask():
    env = make()
    _, info = env.reset(seed=SEED)
    for _ in range(N_STEPS):
        keys = {key for key in info if not key.startswith("_")}
        for key in keys:
            assert info[f"_{key}"].shape == (N_ENVS,) and info[f"_{key}"].dtype == bool
        assert {f"_{key}" for key in keys} == set(info) - keys
        info = env.step(np.zeros(N_ENVS, np.int64))[4]


def test_action_masks_are_those_of_the_info():
    env = make()
    _, info = env.reset(seed=SEED)
    for actions in random_actions():
        assert info["action_mask"].dtype == np.int8
        assert np.array_equal(env.action_masks(), info["action_mask"] == 1)
        info = env.step(actions)[4]


# --- seeds, resets


def test_environment_i_plays_seed_plus_i():
    assert make().reset(seed=SEED)[1]["seed"].tolist() == [SEED, SEED + 1, SEED + 2]


def test_seeds_can_be_given_one_by_one():
    assert make().reset(seed=[5, 9, 5])[1]["seed"].tolist() == [5, 9, 5]


def test_environment_without_a_seed_of_its_own_goes_on_with_its_series():
    env = make()
    env.reset(seed=SEED)
    seeds = env.reset(seed=[5, None, 7])[1]["seed"].tolist()
    assert (seeds[0], seeds[2]) == (5, 7)
    single = Single(SEED + 1)
    assert seeds[1] == single.env.reset()[1]["seed"]


def test_environments_without_seeds_differ():
    seeds = {
        *make().reset()[1]["seed"].tolist(),
        *make().reset(seed=[None] * 3)[1]["seed"].tolist(),
    }
    assert len(seeds) == 2 * N_ENVS


def test_reset_without_a_seed_starts_the_next_episodes():
    env = make()
    env.reset(seed=SEED)
    later = env.reset()[1]["seed"].tolist()
    singles = [Single(SEED + index).env for index in range(N_ENVS)]
    assert later == [env.reset()[1]["seed"] for env in singles]


def test_reset_of_some_leaves_the_others_alone():
    env, plain_env = make(), make()
    for each in (env, plain_env):
        each.reset(seed=SEED)
    actions = np.zeros(N_ENVS, np.int64)
    before = env.step(actions)
    plain_env.step(actions)
    mask = np.array([True, False, False])
    observations, info = env.reset(seed=99, options={"reset_mask": mask})
    assert np.array_equal(observations[1:], before[0][1:])
    assert observations[0][IS_START] == 1
    assert info["seed"].tolist() == [99, SEED + 1, SEED + 2]
    for one, other in zip(env.step(actions)[:4], plain_env.step(actions)[:4], strict=True):
        assert np.array_equal(one[1:], other[1:])


# --- options, limits, texts


def test_reset_takes_the_options_of_the_single_environment():
    """For these episodes alone."""
    env, single = make(), SeamcallRetryEnv(SCENARIOS)
    observations, info = env.reset(seed=SEED, options=OPTIONS)
    assert np.array_equal(observations[0], single.reset(seed=SEED, options=OPTIONS)[0])
    for actions in random_actions(n_steps=5):
        step = single.step(int(actions[0]))
        assert_same(step, env.step(actions), 0)
        if step[2]:
            break
    plain_env = make()
    assert np.array_equal(env.reset(seed=SEED)[0], plain_env.reset(seed=SEED)[0])
    for actions in random_actions():
        assert np.array_equal(env.step(actions)[1], plain_env.step(actions)[1])


def test_options_of_some_leave_the_others_alone():
    """Also when those that were changed before are changed again, and end."""
    env, plain_env = make(), make()
    for each in (env, plain_env):
        each.reset(seed=SEED)
    mask = np.array([True, False, False])
    for n_vcpus in (12, 3, 40):
        env.reset(seed=5, options={"host.n_vcpus": n_vcpus, "reset_mask": mask})
        for actions in random_actions(n_steps=N_STEPS // 3):
            mine, other = env.step(actions), plain_env.step(actions)
            for one, two in zip(mine[:4], other[:4], strict=True):
                assert np.array_equal(one[1:], two[1:])


def test_scenarios_of_earlier_options_stay_for_those_who_play_them():
    env, alone = make(), SeamcallRetryEnv(SCENARIOS)
    env.reset(seed=SEED)
    first, second = np.array([True, False, False]), np.array([False, True, False])
    env.reset(seed=SEED, options={**OPTIONS, "reset_mask": first})
    env.reset(seed=SEED, options={"host.n_vcpus": 40, "reset_mask": second})
    alone.reset(seed=SEED, options=OPTIONS)
    for _ in range(3):
        step, of_vector = alone.step(0), env.step(np.zeros(N_ENVS, np.int64))
        assert_same(step, of_vector, 0)
        if step[2]:
            break


@pytest.mark.parametrize("mode", MODES)
def test_limit_of_steps_is_that_of_gymnasiums_wrapper(mode):
    ours = make(mode, max_episode_steps=4)
    makers = [lambda: gymnasium.make(ID, scenario=SCENARIOS, max_episode_steps=4)] * N_ENVS
    theirs = gymnasium.vector.SyncVectorEnv(makers, autoreset_mode=mode)
    assert np.array_equal(ours.reset(seed=SEED)[0], theirs.reset(seed=SEED)[0])
    n_cut = 0
    for actions in random_actions():
        mine, other = ours.step(actions), theirs.step(actions)
        for one, two in zip(mine[:4], other[:4], strict=True):
            assert np.array_equal(one, two)
        n_cut += int(mine[3].sum())
    assert n_cut > 1


@pytest.mark.parametrize("mode", [None, "sync"])
def test_make_vec_takes_limit_and_render_mode(mode):
    arguments: dict[str, Any] = {"scenario": SCENARIOS, "max_episode_steps": 3}
    env = gymnasium.make_vec(
        ID, num_envs=4, vectorization_mode=mode, render_mode="ansi", **arguments
    )
    env.reset(seed=SEED)
    cut = [env.step(np.zeros(4, np.int64))[3] for _ in range(3)]
    assert not cut[0].any() and cut[2].any()
    texts = env.render()
    assert len(texts) == 4 and all("mmu_lock" in text for text in texts)


def test_render_without_a_mode_is_nothing():
    env = make()
    env.reset(seed=SEED)
    assert env.render() is None


def test_specification_goes_through_json():
    env = gymnasium.make_vec(
        ID,
        num_envs=N_ENVS,
        scenario=SCENARIOS,
        discipline=Discipline(flush=4),
        autoreset_mode=AutoresetMode.SAME_STEP,
        n_threads=1,
        max_episode_steps=7,
    )
    again = gymnasium.make_vec(EnvSpec.from_json(env.spec.to_json()))
    assert again.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert np.array_equal(env.reset(seed=SEED)[0], again.reset(seed=SEED)[0])
    for actions in random_actions():
        assert np.array_equal(env.step(actions)[1], again.step(actions)[1])


# --- mistakes


def test_step_before_reset_is_refused():
    with pytest.raises(NotResetError):
        make().step(np.zeros(N_ENVS, np.int64))


def test_step_after_an_interrupt_is_refused_until_a_reset(monkeypatch):
    """What Ctrl-C leaves behind is no state to decide in; all environments are reset."""
    env = make()
    env.reset(seed=SEED)

    def interrupted(*arguments: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(env._batch, "_run_range", interrupted)
        env.step(np.zeros(N_ENVS, np.int64))
    with pytest.raises(NotResetError, match="interrupted"):
        env.step(np.zeros(N_ENVS, np.int64))
    observations, _ = env.reset(options={"reset_mask": np.array([True, False, False])})
    assert (observations[:, IS_START] == 1).all()
    env.step(np.zeros(N_ENVS, np.int64))


@pytest.mark.parametrize(
    "actions",
    [
        [0, 0, 3],
        [0, -1, 0],
        [0, -2, 0],
        [0, 0],
        [[0], [0], [0]],
        [0.0, 0.5, 1.0],
        ["x"] * 3,
        0,
        None,
        [[0], 0, 0],
        [0, 0, 1 << 63],
    ],
    ids=repr,
)
def test_actions_outside_the_space_are_refused_and_change_nothing(actions):
    env, other = make(), make()
    env.reset(seed=SEED)
    other.reset(seed=SEED)
    with pytest.raises(ActionError):
        env.step(actions)
    good = np.zeros(N_ENVS, np.int64)
    assert np.array_equal(env.step(good)[0], other.step(good)[0])


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_envs": 0},
        {"num_envs": -1},
        {"scenario": "s99"},
        {"scenario": []},
        {"autoreset_mode": AutoresetMode.DISABLED},
        {"autoreset_mode": "sometimes"},
        {"n_threads": 0},
        {"n_threads": 1.5},
        {"num_envs": "2"},
        {"max_episode_steps": 0},
        {"discipline": "P18"},
    ],
    ids=repr,
)
def test_impossible_argument_is_refused(arguments):
    with pytest.raises(ScenarioError):
        SeamcallRetryVectorEnv(**arguments)


@pytest.mark.parametrize(
    "options",
    [
        {"host.n_vcpu": 4},
        {"host.n_vcpus": 0},
        {1: 2},
        {"reset_mask": np.ones(2, bool)},
        {"reset_mask": np.ones(N_ENVS, int)},
        {"reset_mask": "all"},
        [True] * N_ENVS,
    ],
    ids=repr,
)
def test_impossible_option_is_refused(options):
    env = make()
    env.reset(seed=SEED)
    with pytest.raises(ScenarioError):
        env.reset(options=options)


@pytest.mark.parametrize("seed", [-1, [1, -1, 2], [1, 2], 1 << 63, "x", 0.5], ids=repr)
def test_impossible_seed_is_refused(seed):
    with pytest.raises(ScenarioError, match="seed"):
        make().reset(seed=seed)
