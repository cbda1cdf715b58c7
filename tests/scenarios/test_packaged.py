"""The package's scenarios: all load, their splits have nothing in common, sizes are calibrated."""

import numba
import numpy as np
import pytest

from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import busy_cells
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.module.versions import DEFAULT_VERSION
from tdx_env.scenarios import SPLITS, Range, Scenario, load, names, setup_of
from tdx_env.scenarios.groups import Running
from tdx_env.scenarios.tables import COST_NAMES
from tdx_env.scenarios.values import Choice
from tdx_env.state.accounting import Category
from tdx_env.state.discipline import Action
from tdx_env.state.kernels import DEFAULT_KERNEL
from tdx_env.state.world import End

SLUGS = sorted({name.partition("/")[0] for name in names()})
PAIRS = [("train", "validation"), ("train", "test"), ("validation", "test")]
BANDS = {"train": (0, 1, 4, 5, 8, 9), "validation": (2, 7), "test": (3, 6)}
MOST_EXITS = 2_300  # a second, of a busy vCPU
SIZES = {"count", "items", "chunk"}
RATES = {"think_cycles", "tick_us", "device_us", "host_tick_us", "hold_us"}
FAMILIES = range(1, 28)
CONTROLS = {"S1", "S2", "S5", "S21", "S22", "S23"}
CONTROL_SLUGS = {"s24-single-pages-calm"}  # of other families: at real rates nothing is decided
LARGE = 48  # vCPUs; of a larger TD fewer episodes are played
# Scenarios whose conflict is gone, and what it is gone on.
HISTORY = {
    "s03-zero-step": "module",
    "s04-zero-step-livelock": "module",
    "s04-zero-step-storm": "module",
    "s14-split-accept": "module",
    "s14-split-storm": "module",
    "s18-noisy": "module",
    "s19-build": "kernel",
    "s19-build-vp-init-v1": "kernel",
}
FEWEST = 20  # decisions of an episode, controls excepted
HANGS = {"s04-zero-step-livelock", "s14-split-storm"}  # whatever is decided at a busy reply
# What each scenario that isn't a control is about: the call that is busy and the lock, a counter,
# or what its threads wait for.
ABOUT = {
    "s03-zero-step": ("MEM_PAGE_AUG", "TREE"),
    "s04-zero-step-livelock": "n_synthetic",
    "s04-zero-step-storm": ("VP_ENTER", "TREE"),
    "s06-conversion": ("MEM_TRACK", "EPOCH"),
    "s06-conversion-calm": ("MEM_TRACK", "EPOCH"),
    "s06-conversion-248-calm": ("MEM_TRACK", "EPOCH"),
    "s06-conversion-248": ("MEM_TRACK", "EPOCH"),
    "s07-conversion-idle-ticks": ("MEM_TRACK", "EPOCH"),
    "s08-accept-2m": ("MEM_RANGE_BLOCK", "ENTRY"),
    "s09-accept-4k": ("MEM_RANGE_BLOCK", "ENTRY"),
    "s10-hostile": ("MEM_RANGE_BLOCK", "ENTRY"),
    "s10-hostile-2m": ("MEM_RANGE_BLOCK", "ENTRY"),
    "s10-hostile-accept": ("MEM_RANGE_BLOCK", "ENTRY"),
    "s10-hostile-attr": ("MEM_RANGE_BLOCK", "ENTRY"),
    "s11-provoked-kicks": ("MEM_RANGE_BLOCK", "ENTRY"),
    "s12-slot-deletion": ("MEM_TRACK", "EPOCH"),
    "s12-slot-deletion-tickless": ("MEM_TRACK", "EPOCH"),
    "s13-balloon": ("MEM_TRACK", "EPOCH"),
    "s14-split-accept": "n_interrupted",
    "s14-split-punch-hole": ("MEM_TRACK", "EPOCH"),
    "s14-split-storm": "n_interrupted",
    "s15-export": ("MEM_RANGE_BLOCK", "TREE"),
    "s16-oversubscribed": "n_moves",
    "s17-sockets": ("MEM_TRACK", "EPOCH"),
    "s18-noisy": ("MEM_PAGE_AUG", "TREE"),
    "s19-build": ("MR_EXTEND", "TDR"),
    "s19-build-vp-init-v1": ("MEM_RANGE_BLOCK", "TDR"),
    "s20-prefault": ("MEM_PAGE_AUG", "ENTRY"),
    "s24-single-pages": ("MEM_TRACK", "EPOCH"),
    "s25-conversion-in-place": ("MEM_TRACK", "EPOCH"),
    "s12-slot-deletion-calm": Category.MMU_LOCK_WAIT,
    "s13-balloon-calm": Category.MMU_LOCK_WAIT,
    "s16-oversubscribed-calm": Category.MMU_LOCK_WAIT,
    "s17-sockets-calm": ("MEM_TRACK", "EPOCH"),
    "s25-conversion-in-place-calm": Category.YIELD,
    "s27-balloon-faults": Category.MMU_LOCK_WAIT,
    "s27-balloon-quiet": Category.MMU_LOCK_WAIT,
    "s27-balloon-storm": Category.MMU_LOCK_WAIT,
    "s27-conversion-faults": Category.MMU_LOCK_WAIT,
    "s27-deletion-faults": Category.MMU_LOCK_WAIT,
    "s26-abandoned-mark": ("MEM_PAGE_AUG", "ENTRY"),
    "s26-abandoned-mark-repeats": ("MEM_PAGE_AUG", "ENTRY"),
    "s26-same-page": ("MEM_PAGE_AUG", "ENTRY"),
}


N_WORLDS = 24


def retried(
    name: str,
    n_worlds: int,
    discipline: Discipline = DEFAULT,
    overrides: dict[str, object] | None = None,
) -> Batch:
    """Return episodes under blind retry, at their end."""
    batch = Batch(setup_of(load(name, overrides)), discipline.record(), n_worlds)
    batch.reset(np.arange(n_worlds))
    batch.advance()
    while batch.waiting.any():
        batch.advance(actions=np.full(n_worlds, Action.RETRY))
    return batch


def ranges(scenario: Scenario, fields: set[str]) -> dict[str, Range]:
    """Return the ranges of such fields of groups and tasks, by key."""
    found = {}
    for kind, tables in (("groups", scenario.groups), ("tasks", scenario.tasks)):
        for name, table in tables.items():
            for field in fields & set(type(table).model_fields):
                value = getattr(table, field)
                if isinstance(value, int):
                    value = Range(low=value, high=value)
                if isinstance(value, Range):
                    found[f"{kind}.{name}.{field}"] = value
    return found


def is_about_waiting(slug: str) -> bool:
    """Say whether what is decided there is when to kick, while others wait for a lock of KVM's."""
    return isinstance(ABOUT.get(slug), Category)


def are_disjoint(some: dict[str, Range], others: dict[str, Range]) -> bool:
    """Say whether at least one key's ranges have no value in common."""
    return any(
        some[key].high < others[key].low or others[key].high < some[key].low
        for key in some.keys() & others.keys()
    )


@pytest.mark.parametrize("name", names())
def test_every_scenario_loads_under_its_name(name):
    assert load(name).name == name


@pytest.mark.parametrize("slug", SLUGS)
def test_the_slug_begins_with_the_family(slug):
    assert load(slug).family == f"S{int(slug[1:3])}"


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("pair", PAIRS)
def test_splits_differ_in_a_size(slug, pair):
    some, others = (load(f"{slug}/{split}") for split in pair)
    if isinstance(some.host.n_vcpus, Choice):
        assert isinstance(others.host.n_vcpus, Choice)
        assert not set(some.host.n_vcpus.choices) & set(others.host.n_vcpus.choices)
        return
    sizes = ranges(some, SIZES) | {"n_vcpus": some.host.n_vcpus}
    assert are_disjoint(sizes, ranges(others, SIZES) | {"n_vcpus": others.host.n_vcpus})


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("pair", PAIRS)
def test_splits_differ_in_a_rate(slug, pair):
    some, others = (ranges(load(f"{slug}/{split}"), RATES) for split in pair)
    assert are_disjoint(some, others)


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("split", SPLITS)
def test_splits_have_their_own_bands_of_the_costs(slug, split):
    assert load(f"{slug}/{split}").cost_bands == BANDS[split]


def test_a_test_scenario_has_few_vcpus():
    assert any(load(name).host.n_vcpus.high <= 4 for name in names("test"))


def test_every_cost_has_a_source():
    costs = load("s22-clean").costs
    assert set(costs) == set(COST_NAMES)
    assert {cost.source for cost in costs.values()} <= {"measured", "derived", "stated", "guessed"}


@pytest.mark.parametrize("slug", SLUGS)
def test_every_scenario_says_in_a_sentence_what_it_should_show(slug):
    expectation = load(slug).expectation
    assert expectation is not None
    assert expectation.endswith(".")
    assert expectation.count(". ") == 0


def test_sizes_by_weight_of_train_are_in_no_other_split():
    weighted = [slug for slug in SLUGS if isinstance(load(slug).host.n_vcpus, Choice)]
    assert weighted
    for slug in weighted:
        sizes = [set(load(f"{slug}/{split}").host.n_vcpus.choices) for split in SPLITS]
        assert sum(map(len, sizes)) == len(set.union(*sizes))


def test_every_family_has_a_scenario():
    assert {load(slug).family for slug in SLUGS} == {f"S{number}" for number in FAMILIES}


@pytest.mark.parametrize("slug", SLUGS)
def test_controls_are_the_families_with_few_decisions(slug):
    scenario = load(slug)
    is_control = scenario.family in CONTROLS or slug in CONTROL_SLUGS
    assert scenario.is_control == is_control == (slug not in ABOUT)


@pytest.mark.parametrize("slug", SLUGS)
def test_core_scenarios_have_decisions_and_can_be_survived(slug):
    splits = [load(f"{slug}/{split}") for split in SPLITS]
    has_decisions = all(one.decisions is not None and one.decisions.low > 0 for one in splits)
    has_decisions |= is_about_waiting(slug)
    is_core = has_decisions and slug in ABOUT and slug not in HANGS | HISTORY.keys()
    is_core = is_core and "what_if" not in splits[0].marks
    assert [one.is_core for one in splits] == [is_core] * len(splits)


@pytest.mark.parametrize("slug", SLUGS)
def test_history_is_pinned_to_the_newest_machine_that_has_the_conflict(slug):
    scenario = load(f"{slug}/test")
    assert ("history" in scenario.marks) == (slug in HISTORY)
    assert (scenario.module.version == ("1.5.06",)) == (HISTORY.get(slug) == "module")
    assert (scenario.host.kernel == "6.18") == (HISTORY.get(slug) == "kernel")


@pytest.mark.parametrize("slug", SLUGS)
def test_a_scenario_that_is_no_control_has_enough_decisions(slug):
    for split in SPLITS:
        decisions = load(f"{slug}/{split}").decisions
        assert decisions is not None
        assert is_about_waiting(slug) or slug not in ABOUT or decisions.high >= FEWEST


@pytest.mark.parametrize("slug", SLUGS)
def test_a_scenario_with_more_interrupts_than_a_real_host_has_is_a_stress(slug):
    """A busy vCPU makes 500 to 2,300 TD exits a second; device interrupts come on top."""
    gaps = [
        gap for split in SPLITS for gap in ranges(load(f"{slug}/{split}"), {"device_us"}).values()
    ]
    is_hot = any(0 < gap.low * MOST_EXITS < 1_000_000 for gap in gaps)
    assert ("stress" in load(slug).marks) == is_hot


@pytest.mark.parametrize("slug", [slug for slug in SLUGS if slug.endswith("-calm")])
def test_a_calm_scenario_has_timers_alone(slug):
    for split in SPLITS:
        scenario = load(f"{slug}/{split}")
        for group in scenario.groups.values():
            assert isinstance(group, Running)
            assert group.tick_us in (Range(low=1_000, high=1_000), Range(low=4_000, high=4_000))
            assert group.arm_cycles > 0
            assert (group.host_tick_us.low, group.device_us.high) == (4_000, 0)


whole_episodes = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="whole episodes take minutes uncompiled"
)


@pytest.fixture(scope="module", params=names())
def played(request: pytest.FixtureRequest) -> tuple[str, Batch]:
    """A scenario's name, and episodes of it under blind retry and the default discipline."""
    name = request.param
    return name, retried(name, 6 if load(name).host.n_vcpus.high > LARGE else N_WORLDS)


@pytest.mark.slow
@whole_episodes
def test_decisions_of_an_episode_are_as_the_file_says(played):
    """The median lies in the range, every episode ends."""
    name, batch = played
    ends = End.HUNG if name.partition("/")[0] in HANGS else End.FINISHED
    assert (batch.run["end"] == ends).all()
    decisions = load(name).decisions
    assert decisions is not None
    median = np.median(batch.run["n_decisions"])
    assert decisions.low <= median <= decisions.high
    slug = name.partition("/")[0]
    is_rich = FEWEST <= median <= 100 * FEWEST
    assert is_rich or slug not in ABOUT or is_about_waiting(slug)


@pytest.mark.slow
@whole_episodes
@pytest.mark.parametrize("slug", HISTORY)
def test_a_conflict_of_history_is_gone_on_todays_machine(slug):
    today = {"module.version": DEFAULT_VERSION, "host.kernel": DEFAULT_KERNEL}
    batch = retried(f"{slug}/test", 8, overrides=today)
    assert (batch.run["end"] == End.FINISHED).all()
    assert np.median(batch.run["n_decisions"]) < FEWEST


@pytest.mark.slow
@whole_episodes
def test_a_scenario_shows_what_it_is_about(played):
    """The first four episodes do; a control is about nothing."""
    name, batch = played
    about = ABOUT.get(name.partition("/")[0])
    if about is None:
        assert load(name).is_control
    elif isinstance(about, Category):
        waited = [
            world.actors["row"]["booked"][: world.run["n_actors"], about]
            for world in map(batch.world, range(4))
        ]
        assert sum(int(one.sum()) for one in waited) > 0
    elif isinstance(about, str):
        assert batch.run[about][:4].sum() > 0
    else:
        cells = [cell for index in range(4) for cell in busy_cells(batch, index)]
        assert about in {(cell["call"], cell["lock"]) for cell in cells}


@pytest.mark.slow
@whole_episodes
def test_a_local_retry_and_the_deletion_of_its_memslot_wait_for_each_other():
    """Without ticks for ever, as before 6.18; with them a tick ends it."""
    before = DEFAULT.with_(kernel="6.16")
    assert End.HUNG in retried("s12-slot-deletion-tickless", 8, before).run["end"]
    assert (retried("s12-slot-deletion", 8, before).run["end"] == End.FINISHED).all()


@pytest.mark.slow
@whole_episodes
def test_interrupts_off_end_the_interrupt_storm():
    batch = retried("s14-split-storm", 8, DEFAULT.with_(irqs_off=True))
    assert (batch.run["end"] == End.FINISHED).all()
