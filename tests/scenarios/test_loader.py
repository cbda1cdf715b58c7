"""Names, files, splits, and lists of names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.scenarios import SPLITS, digest, expand, load, names

SPLIT_TABLES = "[splits.train]\nhost.n_vcpus = 4\n[splits.test]\nhost.n_vcpus = 6\n"


def test_a_name_without_a_split_means_train():
    assert load("s06-conversion") == load("s06-conversion/train")


def test_the_resolved_name_is_what_was_asked_for():
    assert load("s06-conversion/test").name == "s06-conversion/test"


def test_a_file_outside_the_package_loads(write):
    assert load(write()).name == "tiny"


def test_a_file_outside_the_package_has_its_splits(write):
    path = write(more=SPLIT_TABLES)
    assert load(f"{path}/test").host.n_vcpus.high == 6
    assert load(Path(path) / "train") == load(path)


def test_a_file_gets_the_common_costs(write):
    assert load(write()).costs == load("s22-clean").costs


def test_a_file_may_replace_a_single_cost(write):
    more = '[costs.bare]\nlow = 1\nhigh = 2\nsource = "measured"\nby = "me"\n'
    costs = load(write(more=more)).costs
    assert costs["bare"].by == "me"
    assert costs["touch"] == load("s22-clean").costs["touch"]


def test_a_range_of_a_split_replaces_the_whole_range(write):
    assert load(write(more="[splits.train]\nhost.n_vcpus = 5\n")).host.n_vcpus.low == 5


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("s6-conversion", "s06-conversion, "),
        ("s06-conversion/prod", "train, validation, test"),
        ("no/such.toml", "can't be read"),
        ("a/b/c", "others .with /train"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(name, allowed):
    with pytest.raises(ScenarioError, match=allowed):
        load(name)


def test_a_split_that_a_file_does_not_have_is_an_error(write):
    with pytest.raises(ScenarioError, match='split "validation".*train, test'):
        load(f"{write(more=SPLIT_TABLES)}/validation")


@pytest.mark.parametrize(
    ("more", "allowed"),
    [("[splits.prod]\n", "train, validation, test"), ("[host\n", "is no TOML file")],
)
def test_a_malformed_file_is_named(more, allowed, write):
    path = write(more=more)
    with pytest.raises(ScenarioError, match=f"{path}.*{allowed}"):
        load(path)


def test_a_split_that_is_no_table_is_an_error(write):
    with pytest.raises(ScenarioError, match="splits.train = 3, must be a table"):
        load(write(more="[splits]\ntrain = 3\n"))


def test_names_of_one_split_end_in_it():
    assert names("test") == [name for name in names() if name.endswith("/test")]


def test_names_of_an_unknown_split_are_an_error():
    with pytest.raises(ScenarioError, match="train, validation, test"):
        names("prod")


@pytest.mark.parametrize("split", SPLITS)
def test_the_word_for_a_split_means_all_its_scenarios(split):
    assert expand(split) == names(split)


def test_a_list_is_expanded_in_order_and_once():
    spec = "s22-clean, s06-conversion/test,s22-clean/train"
    assert expand(spec) == ["s22-clean/train", "s06-conversion/test"]


@pytest.mark.parametrize("word", ["core", "history", "stress", "what_if", "control"])
def test_the_word_for_a_mark_means_all_scenarios_that_have_it(word):
    loaded = {name: load(name) for name in names("test")}
    has_it = [
        n for n, one in loaded.items() if word in one.marks or (word == "core" and one.is_core)
    ]
    if has_it:
        assert expand(f"{word}/test") == has_it
        assert expand(word) == [name.replace("/test", "/train") for name in has_it]
    else:
        with pytest.raises(ScenarioError, match="core, history, stress, what_if, control"):
            expand(word)


def test_the_key_that_was_there_before_marks_is_read_with_a_warning(write):
    with pytest.warns(FutureWarning, match=r'write marks = \["control"\]'):
        assert load(write('family = "', 'is_control = true\nfamily = "')).is_control


def test_a_control_can_not_be_core(write):
    path = write('family = "', 'is_core = true\nmarks = ["control"]\nfamily = "')
    with pytest.raises(ScenarioError, match="is_core = true, must be false: marks holds control"):
        load(path)


@pytest.mark.parametrize("marks", ['"hot"', '["hot"]', '["control", "control"]', "[1]"])
def test_an_unknown_mark_is_refused(write, marks):
    path = write('family = "', f'marks = {marks}\nfamily = "')
    with pytest.raises(ScenarioError, match="different words out of history, stress"):
        load(path)


def test_a_path_stays_a_path(write):
    path = str(write(more=SPLIT_TABLES))
    assert expand(f"{path},{path}/test") == [path, f"{path}/test"]


@pytest.mark.parametrize("spec", ["", ",", "s99-nothing", "no/such.toml"])
def test_a_list_of_nothing_or_of_unknown_names_is_an_error(spec):
    with pytest.raises(ScenarioError):
        expand(spec)


def test_the_digest_is_that_of_the_content(write):
    path = write()
    assert digest(load(path)) == digest(load(path))
    assert digest(load(path)) != digest(load(path, {"costs.bare": 2300}))


def test_a_default_that_is_written_out_changes_no_digest(write):
    path = write()
    before = digest(load(path))
    assert digest(load(path, {"tasks.zapper.is_shared_after": False})) == before
    assert digest(load(path, {"tasks.zapper.is_shared_after": True})) != before


def test_overriding_leaves_the_next_load_alone():
    before = load("s22-clean")
    load("s22-clean", {"costs.bare": 1, "host.n_vcpus": 9})
    assert load("s22-clean") == before


IMPORT_ONLY = """
import json, sys
from numba.core import event
read = []
sys.addaudithook(lambda name, args: read.append(str(args[0])) if name == "open" else None)
with event.install_recorder("numba:compile") as compiled:
    import tdx_env.cli_scenarios
    import tdx_env.scenarios
print(json.dumps([len(compiled.buffer), [path for path in read if path.endswith(".toml")]]))
"""


def test_importing_compiles_nothing_and_reads_no_scenario():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ONLY], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [0, []]
