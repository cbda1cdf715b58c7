"""Each door that takes a module and a kernel refuses what isn't there, and keeps what is."""

from collections.abc import Callable
from pathlib import Path

import gymnasium
import pytest
from typer.testing import CliRunner

from tdx_env import cli
from tdx_env.errors import ScenarioError
from tdx_env.scenarios import load
from tdx_eval.commands.app import app
from tdx_eval.comparing.machine import Choice, counterfactual_notes, machines
from tdx_eval.comparing.manifest import manifest
from tdx_eval.comparing.plan import Plan
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.lost.replay import Case, Replay

ID = "tdx_env/SeamcallRetry-v0"
CLEAN = "s22-clean/test"
Door = Callable[..., object]


def _invoke(command: object, *arguments: str, **machine: str) -> object:
    """Run a command; raise what it raises."""
    options = [word for name, value in machine.items() for word in (f"--{name}", value)]
    result = CliRunner().invoke(command, [*arguments, *options])  # type: ignore[arg-type]
    if isinstance(result.exception, ScenarioError):
        raise result.exception
    return result


@pytest.fixture
def doors(tmp_path: Path) -> dict[str, Door]:
    """Return each door as a function of a scenario, a module and a kernel."""
    out = str(tmp_path / "out")
    return {
        "make": lambda name, **on: gymnasium.make(ID, scenario=name, **on),
        "make_vec": lambda name, **on: gymnasium.make_vec(ID, 2, scenario=name, **on),
        "make with an object": lambda name, **on: gymnasium.make(ID, scenario=load(name), **on),
        "simulate": lambda name, **on: _invoke(cli.app, "simulate", name, **on),
        "compare": lambda name, **on: _invoke(
            app, "compare", "--out", out, "--scenarios", name, **on
        ),
        "lost": lambda name, **on: _invoke(app, "lost", "--scenarios", name, "--out", out, **on),
        "reality": lambda name, **on: _invoke(app, "reality", "--row", "tree-modes", **on),
    }


PLAYING = ["make", "make_vec", "make with an object", "simulate", "compare", "lost"]


@pytest.mark.parametrize("door", [*PLAYING, "reality"])
@pytest.mark.parametrize(
    ("machine", "told"),
    [
        ({"module": "1.5.3"}, r'module\.version = "1\.5\.3", must be one of 1\.5\.34, '),
        ({"kernel": "7.1"}, r'host\.kernel = "7\.1", must be one of 6\.19, '),
    ],
)
def test_an_unknown_version_is_answered_with_the_nearest_first(door, machine, told, doors):
    with pytest.raises(ScenarioError, match=told):
        doors[door](CLEAN, **machine)


@pytest.mark.parametrize("door", PLAYING)
@pytest.mark.parametrize(
    ("name", "machine", "told"),
    [
        ("s23-boot-dynamic-pamt/test", {"module": "1.5.06"}, "module 1.5.06 has no Dynamic PAMT"),
        ("s25-conversion-in-place/test", {"kernel": "6.16"}, "6.16 can't convert in place"),
    ],
)
def test_what_a_version_has_not_is_refused_with_the_reason(door, name, machine, told, doors):
    with pytest.raises(ScenarioError, match=told):
        doors[door](name, **machine)


def test_a_lost_episode_is_played_again_on_the_machine_it_was_lost_on():
    choice = Choice("1.5.28", "6.18")
    replay = Replay(Case("always-retry", CLEAN, 1, choice))
    assert replay.batch.setups["module_versions"] == 0b100
    assert choice.options == " --module 1.5.28 --kernel 6.18"


def test_a_scenarios_machines_are_those_of_the_policies_kernels():
    policies = [load_policy(name) for name in ("P18", "always-retry", "always-kick")]
    found = machines(load(CLEAN), policies)
    assert [(one["module"], one["kernel"]) for one in found] == [
        ("1.5.34", "6.16"),
        ("1.5.34", "6.19"),
    ]


def test_a_manifest_names_the_machines_and_marks_what_nobody_has():
    chosen = {"module.version": "1.5.01"}
    scenario, policy = load(CLEAN, chosen), load_policy("always-retry")
    plan = Plan({"always-retry": policy}, {}, {CLEAN: scenario}, {CLEAN: scenario}, 4, chosen)
    (machine,) = manifest(plan)["machines"][CLEAN]
    assert (machine["module"], machine["kernel"]) == ("1.5.01", "6.19")
    assert machine["counterfactual"] == "KVM 6.19 refuses modules before 1.5.06"


def test_counterfactual_machines_are_told_once_each():
    played = [load(CLEAN, {"module.version": module}) for module in ("1.5.01", "1.5.01", "1.5.34")]
    assert counterfactual_notes(played, [load_policy("always-retry")]) == [
        "module 1.5.01 under KVM 6.19 is counterfactual: KVM 6.19 refuses modules before 1.5.06 "
        "(2 scenarios)"
    ]
