"""Whatever a user gives in a file, an option or `reset`: one line, and what would be allowed."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_env.errors import ScenarioError
from tdx_env.scenarios import Range, Scenario, expand, load, overrides_from

DEEP = 100_000
CLOCK = "clock_khz = 2_000_000"


def refused(ask: Callable[[], object]) -> str:
    """Return what is said, which must be one line of a length that can be read."""
    with pytest.raises(ScenarioError) as caught:
        ask()
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 2_000  # the names of all scenarios
    return message


# What is replaced in the tiny scenario, by what, and what the message has.
IN_A_FILE = {
    "depth": (CLOCK, f"clock_khz = {'[' * DEEP}{']' * DEEP}", "nested too deeply"),
    "digits": (CLOCK, f"clock_khz = {'9' * 5_000}", "more than 64 bits"),
    "not a number": (CLOCK, "clock_khz = nan", "clock_khz = nan, must be a whole number"),
    "infinity": (CLOCK, "clock_khz = -inf", "clock_khz = -inf, must be a whole number"),
    "a huge float": (CLOCK, "clock_khz = 1e999", "clock_khz = inf, must be a whole number"),
    "a date": (CLOCK, "clock_khz = 1979-05-27", "clock_khz = 1979-05-27, must be a whole number"),
    "a key twice": (CLOCK, f"{CLOCK}\n{CLOCK}", "is no TOML file: Cannot overwrite a value"),
    "a line end in a key": (CLOCK, '"a\\nb" = 1', "a\\nb = 1, unknown key"),
    "a line end in a value": ('"own"', '"a\\nb"', 'family = "a\\nb", must be a family'),
    "a line end in a name": ('area = "ram"', 'area = "a\\nb"', 'area = "a\\nb", unknown area'),
    "markup": ('"tiny"', '"[bold]x"', 'name = "[bold]x", must be lower-case words'),
    "a long text": ('"own"', f'"{"x" * 500_000}"', "must be a family from S1"),
    "a long list": (CLOCK, f"cost_bands = {list(range(9_999))}", "9, 10, 11, ...], must be a list"),
}


@pytest.mark.parametrize("case", IN_A_FILE)
def test_a_file_that_makes_no_sense_gets_one_line(case, write):
    old, new, why = IN_A_FILE[case]
    path = write(old, new)
    message = refused(lambda: load(path))
    assert message.startswith(f"{path}: ")
    assert why in message


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("2", "reads 1: install a newer tdx-env to use this file"),
        ("0", "reads 1, the oldest there is: write 1 and load it again"),
        ("true", "must be a whole number: this version of tdx-env reads 1"),
        ('"1"', "must be a whole number: this version of tdx-env reads 1"),
    ],
)
def test_a_file_of_another_version_is_told_how_to_go_on(given, why, write):
    """In one line, although a file of another version has other keys as well."""
    path = write("schema_version = 1", f"schema_version = {given}\nnew_key = 3")
    assert why in refused(lambda: load(path))


def test_a_file_without_a_version_is_told_what_to_write(write):
    path = write("schema_version = 1\n")
    assert "is missing, add the line schema_version = 1:" in refused(lambda: load(path))


def test_a_pipe_with_a_scenarios_name_is_not_waited_for(tmp_path):
    path = tmp_path / "pipe.toml"
    os.mkfifo(path)
    for ask in (load, expand, lambda name: overrides_from([], Path(name))):
        assert "must be a file, is a pipe" in refused(lambda ask=ask: ask(str(path)))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a" * 300 + ".toml", "can't be read: File name too long"),
        ("a" * 300, "is unknown, must be a path to a .toml file, or one of"),
        ("a\0b.toml", "can't be read: a file's name can't hold a NUL"),
        ("a\0b", "is unknown, must be a path to a .toml file, or one of"),
        ("a\nb.toml", "a\\nb.toml: can't be read: No such file or directory"),
    ],
)
def test_a_name_that_no_file_can_have_gets_one_line(name, why):
    for ask in (load, expand):
        assert why in refused(lambda ask=ask: ask(name))


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (f"costs.bare={'[' * DEEP}", "the value must be"),
        (f"costs.bare={'9' * 5_000}", "the value must be"),
        (f"costs.bare=1..{'9' * 5_000}", "the value must be"),
        ("costs.bare=1\nhost.n_vcpus=2", "the value must be"),
        ("costs.bare=nan", "costs.bare = nan, must be a whole number"),
        ("costs.bare=1e999", "costs.bare = inf, must be a whole number"),
        ("a\nb=1", "a\\nb = 1, unknown key"),
        ("\udcff=1", "\\udcff = 1, unknown key"),
        ("a." * 9_999 + "b=1", "unknown key"),
        ("host.n_vcpus={low=1,high=2,more=3}", "{low = 1, high = 2, more = 3}, must be"),
    ],
)
def test_a_set_option_that_makes_no_sense_gets_one_line(option, why):
    assert why in refused(lambda: load("s22-clean", overrides_from([option])))


def test_a_key_is_set_once():
    options = ["costs.bare=1", "costs.bare=2"]
    assert "costs.bare is set twice" in refused(lambda: overrides_from(options))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"bare = {'[' * DEEP}{']' * DEEP}", "mine.toml: is nested too deeply"),
        (f"bare = {'9' * 5_000}", "mine.toml: holds a whole number of more than 64 bits"),
        ("bare = nan", "costs.bare = nan, must be a whole number"),
        ("bare = 1\nbare = 2", "mine.toml: is no TOML file"),
        ('"a\\nb" = 1', "mine.toml: a\\nb, unknown cost"),
    ],
)
def test_a_costs_file_that_makes_no_sense_gets_one_line(text, why, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert why in refused(lambda: load("s22-clean", overrides_from([], path)))


def nested(levels: int) -> list[object]:
    """Return a list in so many lists."""
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


ODD_VALUES = {
    "depth": nested(DEEP),
    "a number of 5,000 digits": 10**5_000,
    "a range of such numbers": Range(low=10**5_000, high=10**5_001),
    "not a number": np.float64("nan"),
    "an array": np.arange(9_999.0),
    "nothing": None,
    "bytes": b"a\nb",
    "a set": {1, 2},
    "lines": "a\nb",
    "half a character": "\ud800",
}


@pytest.mark.parametrize("case", ODD_VALUES)
@pytest.mark.parametrize(
    "key", ["host.n_vcpus", "costs.bare", "cost_bands", "groups.acceptor.program"]
)
def test_an_option_of_reset_that_makes_no_sense_gets_one_line(case, key):
    assert key in refused(lambda: load("s22-clean", {key: ODD_VALUES[case]}))


def test_what_numpy_calls_a_number_or_a_list_is_one():
    given = {"host.n_vcpus": np.array(9), "cost_bands": np.array([1, 2]), "costs.bare": np.int64(5)}
    scenario = load("s22-clean", given)
    assert (scenario.host.n_vcpus.low, scenario.cost_bands) == (9, (1, 2))


@pytest.mark.parametrize(
    ("text", "key"),
    [("host = 3", "host.n_vcpus"), ("costs = 3", "costs.bare"), ("groups.g = 3", "groups.g.count")],
)
def test_what_is_no_table_cannot_be_set_in(text, key, tmp_path):
    path = tmp_path / "odd.toml"
    path.write_text(f"schema_version = 1\n{text}\n")
    given, _, _ = text.partition(" = ")
    assert refused(lambda: load(path, {key: 4})).endswith(f"{given} = 3, must be a table")


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
KEYS = [
    *("host.n_vcpus", "host", "host.n_pcpus", "costs.bare", "costs", "cost_bands", "clock_khz"),
    *("name", "family", "title", "schema_version", "decisions", "areas.ram.initial", "tasks"),
    *("groups.acceptor.program", "groups.acceptor.area", "tasks.zapper.kind", "module.version"),
    *("tasks.zapper.trigger_group", "limits.stall_us", "guest.sept_ve_disable", "splits"),
]


def loads_or_says_why(ask: Callable[[], dict[str, object]]) -> bool:
    """Say whether a scenario with overrides loads, or the mistake is lines that can be read."""
    try:
        return isinstance(load("s22-clean", ask()), Scenario)
    except ScenarioError as error:
        return all(line.isprintable() for line in str(error).split("\n"))


@given(key=st.sampled_from(KEYS), value=VALUES)
def test_an_option_of_reset_loads_or_says_why_not(key, value):
    assert loads_or_says_why(lambda: {key: value})


@given(key=st.sampled_from(KEYS), text=st.text(max_size=12))
def test_a_set_option_loads_or_says_why_not(key, text):
    assert loads_or_says_why(lambda: overrides_from([f"{key}={text}"]))


@given(content=st.binary(max_size=60))
def test_any_file_says_why_not(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "any.toml"
    path.write_bytes(content)
    assert refused(lambda: load(path)).startswith(f"{path}: ")
