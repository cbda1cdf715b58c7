"""The single environment: the checkers' rules, Gymnasium's, and our own."""

import hashlib
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numba
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env, data_equivalence
from hypothesis import given
from hypothesis import strategies as st

from tdx_env.env import SeamcallRetryEnv
from tdx_env.errors import ActionError, NotResetError, RenderModeError, ScenarioError
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.info import named_metrics
from tdx_env.scenarios import load, names
from tdx_env.spaces import START, action_table, feature_table, observation_names
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import NONE
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.features import N_FEATURES, Feature
from tdx_env.state.world import MAX_ENDED

ROOT = Path(__file__).resolve().parents[1]
ID = "tdx_env/SeamcallRetry-v0"
IS_START = observation_names().index("is_start")
# Some twenty decisions of all three paths in two thousand events: quick with the compiler off, too.
SMALL = "s03-zero-step/train"
SMALLER = {"groups.copiers.items": 60, "groups.acceptors.items": 6, "tasks.invalidator.items": 1}
SMALL_SEED = 161
QUICK = [name for name in names() if not name.startswith("s06")]
if numba.config.DISABLE_JIT:
    QUICK = ["s08-accept-2m/train", "s22-clean/test"]
CHECKED = QUICK if numba.config.DISABLE_JIT else names()

Step = tuple[Any, ...]


def run_episode(env: gymnasium.Env, actions: np.random.Generator, **reset: Any) -> list[Step]:
    """Return everything that an episode gives: what reset returned, then each step."""
    found: list[Step] = [env.reset(**reset)]
    has_ended = False
    while not has_ended:
        found.append(env.step(int(actions.integers(N_ACTIONS))))
        has_ended = found[-1][2] or found[-1][3]
    return found


def small_episode(env: gymnasium.Env) -> list[Step]:
    """Return an episode of the small scenario under fixed random actions, masked ones included."""
    return run_episode(env, np.random.default_rng(1), seed=SMALL_SEED, options=SMALLER)


def digest(episode: list[Step]) -> str:
    """Return a hash of everything in an episode, for comparing processes."""
    plain = repr(
        [
            [item.tolist() if isinstance(item, np.ndarray) else item for item in flat(step)]
            for step in episode
        ]
    )
    return hashlib.sha256(plain.encode()).hexdigest()


def metrics_of(episode: list[Step]) -> dict[str, int]:
    """Return what an episode came to."""
    return named_metrics(episode[-1][-1]["episode_metrics"])


def operations_of(step: Step) -> list[list[int]]:
    """Return id and waste of each operation that ended before a step's decision."""
    return [pair for pair in step[-1]["cost_by_operation"].tolist() if pair[0] != NONE]


def flat(step: Step) -> list[Any]:
    """Return a step's parts, its info as sorted pairs."""
    *parts, info = step
    return parts + [
        (key, value.tolist() if isinstance(value, np.ndarray) else value)
        for key, value in sorted(info.items())
    ]


def digest_in_another_process(**settings: str) -> str:
    """Return the hash of the small episode in a process of its own."""
    code = (
        "import gymnasium\n"
        "from tests.test_env import ID, SMALL, digest, small_episode\n"
        "env = gymnasium.make(ID, scenario=SMALL, operations_in_info=True)\n"
        "print(digest(small_episode(env)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore::RuntimeWarning", "-c", code],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def env() -> SeamcallRetryEnv:
    """Return the environment on the small scenario's full size."""
    return SeamcallRetryEnv(SMALL, operations_in_info=True)


@pytest.fixture
def started(env) -> SeamcallRetryEnv:
    """Return the environment at its start observation."""
    env.reset(seed=SMALL_SEED, options=SMALLER)
    return env


# --- what every environment has to keep


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_checkers_of_gymnasium_and_sb3_find_nothing(name):
    """Each has assertions of its own; neither warns."""
    from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

    env = gymnasium.make(ID, scenario=name, disable_env_checker=True).unwrapped
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        check_env(env)
        check_env_for_sb3(env)
    assert told == []


def test_made_environment_runs_without_a_warning():
    """`gymnasium.make` wraps it in Gymnasium's passive checker."""
    env = gymnasium.make(ID, scenario=SMALL)
    assert len(small_episode(env)) > 5
    env.close()


def test_observations_are_in_their_space(env):
    for step in small_episode(env):
        assert env.observation_space.contains(step[0])


def test_no_two_steps_share_memory(env):
    episode = small_episode(env)
    for before, after in zip(episode, episode[1:], strict=False):
        assert not np.shares_memory(before[0], after[0])
        for key in ("action_mask", "features"):
            assert not np.shares_memory(before[-1][key], after[-1][key])


def test_reset_forgets_that_the_last_action_was_masked(env):
    env.reset(seed=SMALL_SEED)
    assert env.step(Action.KICK)[-1]["action_was_masked"] is True
    assert env.reset(seed=SMALL_SEED)[-1]["action_was_masked"] is False


# --- the same seed gives the same


def test_same_seed_and_actions_give_the_same_episode(env):
    another = SeamcallRetryEnv(SMALL, operations_in_info=True)
    assert data_equivalence(small_episode(env), small_episode(another), exact=True)


def test_episode_depends_on_its_seed(env):
    first, second = (env.reset(seed=seed)[1]["seed"] for seed in (1, 2))
    assert (first, second) == (1, 2)
    traces = [run_episode(env, np.random.default_rng(0), seed=seed) for seed in (1, 2)]
    assert not data_equivalence(traces[0][-1], traces[1][-1])


def test_later_episodes_derive_from_the_first_seed(env):
    later = []
    for _ in range(2):
        env.reset(seed=3)
        later.append([env.reset()[1]["seed"] for _ in range(5)])
    assert later[0] == later[1]
    assert len({3, *later[0]}) == 6


def test_episodes_without_a_seed_differ(env):
    seeds = {SeamcallRetryEnv(SMALL).reset()[1]["seed"] for _ in range(3)}
    assert len(seeds) == 3


def test_overrides_of_one_episode_leave_the_others_alone(env):
    plain = env.reset(seed=5)
    env.reset(seed=5, options={"host.n_vcpus": 10, "groups.copiers.count": 1})
    assert data_equivalence(plain, env.reset(seed=5), exact=True)


@pytest.mark.slow
def test_other_process_gives_the_same_episode(env):
    assert digest(small_episode(env)) == digest_in_another_process(PYTHONHASHSEED="7")


@pytest.mark.slow
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compares with the compiler on")
def test_compiler_changes_nothing(env):
    assert digest(small_episode(env)) == digest_in_another_process(NUMBA_DISABLE_JIT="1")


# --- rewards


@given(st.sampled_from(QUICK), st.integers(0, (1 << 31) - 1), st.integers(0, 99))
def test_rewards_sum_to_minus_the_total_cost(name, seed, action_seed):
    """Exactly: a reward times the scale is a whole number of cycles, up to its last bit."""
    env = SeamcallRetryEnv(name)
    scale = load(name).limits.reward_scale
    _, *steps = run_episode(env, np.random.default_rng(action_seed), seed=seed)
    metrics = named_metrics(steps[-1][-1]["episode_metrics"])
    cycles = [step[1] * scale for step in steps]
    assert all(abs(one - round(one)) < 1e-3 for one in cycles)
    assert sum(round(one) for one in cycles) == -metrics["total_cost"]
    assert steps[-1][-1]["cost"][:3].sum() == metrics["total_cost"]


def test_elapsed_cycles_sum_to_the_episodes_length(env):
    episode = small_episode(env)
    elapsed = [step[-1]["elapsed_cycles"] for step in episode]
    assert sum(elapsed) == metrics_of(episode)["elapsed_cycles"]
    assert min(elapsed) >= 0


# --- the start observation, masks


def test_start_observation_allows_retry_alone(env):
    observation, info = env.reset(seed=0)
    assert observation[IS_START] == 1
    assert info["action_mask"].tolist() == [1, 0, 0]
    assert env.action_masks().tolist() == [True, False, False]
    assert info["features"][Feature.PATH] == START
    assert (info["actor"], info["path"], info["operation_id"]) == (NONE, NONE, NONE)


def test_start_observation_is_no_decision(env):
    """An episode has one step more than decisions, whatever was given."""
    episode = small_episode(env)
    assert metrics_of(episode)["n_decisions"] == len(episode) - 2
    assert all(step[0][IS_START] == 0 for step in episode[1:-1])


def test_episode_without_a_busy_reply_has_one_step():
    env = SeamcallRetryEnv("s22-clean/test")
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(Action.RETRY)
    metrics = named_metrics(info["episode_metrics"])
    assert (terminated, truncated, metrics["n_decisions"]) == (True, False, 0)
    assert reward == -metrics["total_cost"] / load("s22-clean").limits.reward_scale


@pytest.mark.parametrize("masked", [Action.KICK, Action.YIELD])
def test_masked_action_is_executed_as_retry_and_flagged(masked, env):
    env.reset(seed=SMALL_SEED, options=SMALLER)
    allowed = env.step(Action.RETRY)
    env.reset(seed=SMALL_SEED, options=SMALLER)
    refused = env.step(masked)
    assert data_equivalence(allowed[:4], refused[:4], exact=True)
    assert (allowed[4]["action_was_masked"], refused[4]["action_was_masked"]) == (False, True)


def test_flag_of_masked_actions_agrees_with_the_mask_before(env):
    """Also later in the episode; at the start observation nothing but RETRY counts as masked."""
    actions = np.random.default_rng(1)
    episode = small_episode(env)
    masks = [step[-1]["action_mask"] for step in episode]
    given_actions = [int(actions.integers(N_ACTIONS)) for _ in episode[1:]]
    flags = [not mask[action] for mask, action in zip(masks, given_actions, strict=False)]
    assert [step[-1]["action_was_masked"] for step in episode[1:]] == flags
    metrics = metrics_of(episode)
    assert metrics["n_masked_actions"] == sum(flags[1:])


def test_mask_is_one_of_int8_that_spaces_can_sample_with(env):
    for step in small_episode(env):
        mask = step[-1]["action_mask"]
        assert mask.dtype == np.int8 and mask[Action.RETRY] == 1
        assert mask[env.action_space.sample(mask=mask)]


# --- info


def test_decision_says_whose_it_is_and_on_which_path(env):
    episode = small_episode(env)
    for step in episode[1:-1]:
        info = step[-1]
        assert 0 <= info["actor"] < metrics_of(episode)["n_threads"]
        assert info["path"] == info["features"][Feature.PATH]
        assert info["features"].shape == (N_FEATURES,)
        assert info["operation_id"] > 0 or info["operation_id"] == NONE
    assert {step[-1]["path"] for step in episode[1:-1]} > {CallPath.FAULT, CallPath.ZAP}


def test_every_operation_ends_at_most_once_and_costs_no_more_than_all(env):
    episode = small_episode(env)
    ended = [pair for step in episode for pair in operations_of(step)]
    operations = [operation for operation, _ in ended]
    metrics = metrics_of(episode)
    assert len(operations) == len(set(operations)) <= metrics["n_faults"] + metrics["n_zaps"]
    assert 0 < sum(cost for _, cost in ended) <= metrics["wasted_cycles"]


def test_decision_names_an_operation_that_is_still_open(env):
    """None is open when a page that was blocked is given back, or in a VP.ENTER after a tick."""
    over: set[int] = set()
    named = set()
    for step in small_episode(env)[1:-1]:
        info = step[-1]
        over |= {operation for operation, _ in operations_of(step)}
        assert info["operation_id"] not in over
        named.add(info["operation_id"])
    assert NONE in named and len(named) > 2


def test_no_step_names_more_operations_than_are_kept():
    env = SeamcallRetryEnv("s22-clean/test", operations_in_info=True)
    env.reset(seed=0)
    step = env.step(Action.RETRY)
    metrics = named_metrics(step[-1]["episode_metrics"])
    n_operations = metrics["n_faults"] + metrics["n_zaps"]
    assert len(operations_of(step)) == min(MAX_ENDED, n_operations)


def test_info_names_seed_and_scenario(env):
    for step in small_episode(env):
        assert (step[-1]["seed"], env.scenario_names[step[-1]["scenario"]]) == (SMALL_SEED, SMALL)


# --- scenarios


def test_list_of_scenarios_draws_one_for_each_episode():
    wanted = ["s08-accept-2m/train", "s22-clean/train"]
    env = SeamcallRetryEnv(wanted)
    drawn = [env.reset(seed=seed)[1]["scenario"] for seed in range(20)]
    assert {env.scenario_names[number] for number in drawn} == set(wanted)
    assert drawn == [env.reset(seed=seed)[1]["scenario"] for seed in range(20)]


def test_word_stands_for_a_split():
    env = SeamcallRetryEnv("validation")
    assert env.scenario_names == tuple(names("validation"))
    drawn = {env.reset(seed=seed)[1]["scenario"] for seed in range(200)}
    assert drawn == set(range(len(env.scenario_names)))


def test_file_outside_the_package_is_played_as_one_inside(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes((ROOT / "tdx_env" / "scenarios" / "s22-clean.toml").read_bytes())
    for given_as in (path, str(path)):
        mine = SeamcallRetryEnv(given_as).reset(seed=0)
        packaged = SeamcallRetryEnv("s22-clean/train").reset(seed=0)
        assert data_equivalence(mine, packaged, exact=True)


def test_scenario_object_is_played_as_its_name():
    by_name = SeamcallRetryEnv("s22-clean/test").reset(seed=1)
    by_object = SeamcallRetryEnv(load("s22-clean/test")).reset(seed=1)
    assert data_equivalence(by_name, by_object, exact=True)


# --- mistakes


def test_step_before_reset_is_refused(env):
    with pytest.raises(NotResetError, match="before reset"):
        env.step(0)


def test_step_after_the_end_is_refused(env):
    small_episode(env)
    with pytest.raises(NotResetError, match="ended"):
        env.step(0)


def test_step_after_an_interrupt_is_refused_until_a_reset(started, monkeypatch):
    """What Ctrl-C leaves behind is no state to decide in."""

    def interrupted(*arguments: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(started._episode.batch, "_run_range", interrupted)
        started.step(0)
    with pytest.raises(NotResetError, match="interrupted"):
        started.step(0)
    expected = small_episode(SeamcallRetryEnv(SMALL))
    assert data_equivalence(small_episode(started)[1][:4], expected[1][:4], exact=True)


def test_made_environment_refuses_a_step_before_reset_likewise():
    with pytest.raises(NotResetError):
        gymnasium.make(ID, scenario=SMALL).step(0)


@pytest.mark.parametrize(
    "action",
    [3, -1, 0.5, "x", None, [1], np.array([0, 1]), np.array([3]), np.array("x"), np.array(0.5)],
    ids=repr,
)
def test_action_outside_the_space_is_refused_and_changes_nothing(action, started):
    with pytest.raises(ActionError, match=r"must be 0 \(RETRY\), 1 \(KICK\) or 2 \(YIELD\)"):
        started.step(action)
    assert started.step(0)[4]["action_was_masked"] is False


@pytest.mark.parametrize(
    "action", [0, np.int64(0), np.uint8(0), np.array(0), np.array([0]), Action.RETRY], ids=repr
)
def test_whole_number_of_any_kind_is_an_action(action, started):
    assert started.step(action)[4]["action_was_masked"] is False


@pytest.mark.parametrize(
    "scenario", ["s99-nothing", "", "s10-hostile/nothing", [], 5, [None], "x.toml"]
)
def test_unknown_scenario_is_refused(scenario):
    with pytest.raises(ScenarioError):
        SeamcallRetryEnv(scenario)


@pytest.mark.parametrize(
    "options",
    [
        {"host.n_vcpu": 4},
        {"host.n_vcpus": 0},
        {"host": {"n_vcpus": 4}},
        {"costs.bare": "cheap"},
        {"limits.time_cap_us": 1},
        {1: 2},
        ["host.n_vcpus"],
    ],
    ids=repr,
)
def test_impossible_option_is_refused(options, env):
    with pytest.raises(ScenarioError):
        env.reset(seed=0, options=options)


def test_refused_reset_leaves_no_episode_behind(started):
    with pytest.raises(ScenarioError):
        started.reset(options={"host.n_vcpus": 0})
    with pytest.raises(NotResetError):
        started.step(0)


@pytest.mark.parametrize("seed", [-1, 1 << 63, 0.5, "x"])
def test_seed_outside_its_range_is_refused(seed, env):
    with pytest.raises((ScenarioError, gymnasium.error.Error)):
        env.reset(seed=seed)


def test_unknown_render_mode_is_refused():
    with pytest.raises(RenderModeError, match="render_mode"):
        SeamcallRetryEnv(SMALL, render_mode="human")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*render_mode='rgb_array':UserWarning")
def test_make_vec_env_of_stable_baselines3_makes_ours():
    """It asks for pictures first."""
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env(ID, n_envs=2, seed=1, env_kwargs={"scenario": SMALL})
    assert envs.reset().shape == (2, len(observation_names()))


@pytest.mark.parametrize("given", ["P18", {"flush": 0}, {"track": 1}, 5], ids=repr)
def test_discipline_that_is_none_is_refused(given):
    with pytest.raises(ScenarioError, match="discipline"):
        SeamcallRetryEnv(SMALL, discipline=given)


# --- specifications

TABLE = load("s22-clean/test").model_dump(mode="json", exclude_unset=True)
ARGUMENTS = [
    {"scenario": "s22-clean/test", "render_mode": "ansi"},
    {"scenario": ["s22-clean/test", SMALL]},
    {"scenario": (Path(ROOT / "tdx_env" / "scenarios" / "s22-clean.toml"),)},
    {"scenario": load("s22-clean/test")},
    {"scenario": TABLE},
    {"scenario": SMALL, "discipline": Discipline(flush=4)},
    {"scenario": SMALL, "discipline": {"flush": 4}},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_specification_goes_through_json(arguments):
    """What it makes plays what the first one plays."""
    env = gymnasium.make(ID, **arguments)
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    first, second = (run_episode(each, np.random.default_rng(0), seed=3) for each in (env, again))
    assert data_equivalence(first, second, exact=True)


@pytest.mark.parametrize("table", [{"name": 5}, {}], ids=repr)
def test_table_that_is_no_scenario_is_refused(table):
    with pytest.raises(ScenarioError):
        SeamcallRetryEnv(table)


def test_table_of_a_discipline_is_that_discipline():
    one_try: dict[str, Any] = {"max_issues": 1, "on_exhaustion": "kill"}
    plain, by_table, by_object = (
        run_episode(SeamcallRetryEnv(SMALL, given), np.random.default_rng(0), seed=1)
        for given in (DEFAULT, one_try, Discipline(**one_try))
    )
    assert data_equivalence(by_table, by_object, exact=True)
    assert not data_equivalence(by_table[-1], plain[-1])


# --- texts


def test_render_shows_every_cpu_and_who_decides():
    env = SeamcallRetryEnv(SMALL, render_mode="ansi")
    with pytest.raises(NotResetError):
        env.render()
    env.reset(seed=SMALL_SEED, options=SMALLER)
    info = env.step(0)[-1]
    lines = env.render().splitlines()
    assert any("mmu_lock" in line for line in lines)
    deciding = [line for line in lines if "<- decides" in line]
    assert len(deciding) == 1 and f" {info['actor']} " in deciding[0]


def test_render_without_a_mode_is_nothing(started):
    assert started.render() is None


@pytest.mark.parametrize("table", [action_table, feature_table])
def test_docstring_has_the_table(table):
    lines = {line.strip() for line in SeamcallRetryEnv.__doc__.splitlines()}
    assert {line.strip() for line in table().splitlines()} <= lines


def test_docstring_has_the_headings_of_an_environment():
    headings = [
        "Description",
        "Action Space",
        "Observation Space",
        "Rewards",
        "Starting State",
        "Episode End",
        "Arguments",
        "Version History",
    ]
    lines = [line.strip() for line in SeamcallRetryEnv.__doc__.splitlines()]
    places = [lines.index(f"{heading}:") for heading in headings]
    assert places == sorted(places)
    assert "{" not in SeamcallRetryEnv.__doc__


# --- decisions: where somebody is asked

ZAPS = {"scenario": "s13-balloon/train"}
FEW_PAGES = {"tasks.balloon.items": 1, "tasks.balloon.chunk": 20, "groups.acceptors.items": 4}


@pytest.mark.parametrize(
    ("decisions", "paths"), [("flush", {CallPath.FLUSH}), ("all", {CallPath.FLUSH, CallPath.ZAP})]
)
def test_flush_points_are_asked_about_with_columns_of_their_own(decisions, paths):
    env = SeamcallRetryEnv(**ZAPS, decisions=decisions)
    assert env.observation_space.shape == (len(observation_names(decisions)),)
    observation, info = env.reset(seed=2, options=FEW_PAGES)
    flush, seen, total, has_ended = observation_names("all").index("path=FLUSH"), set(), 0.0, False
    while not has_ended:
        observation, reward, terminated, truncated, info = env.step(Action.RETRY)
        assert env.observation_space.contains(observation)
        has_ended, total = terminated or truncated, total + float(reward)
        if not has_ended:
            assert observation[flush] == (info["path"] == CallPath.FLUSH)
            assert info["features"][Feature.PATH] == info["path"]
            seen.add(info["path"])
    assert seen <= paths
    assert CallPath.FLUSH in seen
    scale = load(ZAPS["scenario"]).limits.reward_scale
    assert total * scale == pytest.approx(-info["cost"][:3].sum())


def test_busy_replies_alone_are_asked_about_unless_it_is_said():
    env = SeamcallRetryEnv(SMALL)
    assert env.observation_space.shape == (len(observation_names()),)
    assert env.observation_space == SeamcallRetryEnv(SMALL, decisions="busy").observation_space


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"decisions": "flushes"}, "decisions = 'flushes', must be one of: busy, flush, all"),
        ({"decisions": 3}, "decisions = 3, must be one of: busy, flush, all"),
        (
            {"decisions": "all", "discipline": {"flush": 16}},
            "discipline.flush = 16 asks nobody at flush points, must be 'decided'",
        ),
        (
            {"decisions": "flush", "scenario": SMALL},
            "nothing is zapped in s03-zero-step/train, so that there are no flush points",
        ),
    ],
)
def test_what_would_never_be_asked_is_refused(given, told):
    with pytest.raises(ScenarioError, match=told):
        SeamcallRetryEnv(**ZAPS | given)
