"""The command `tdx-env`, as a user calls it."""

import json
import os
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tdx_env.cli import main
from tdx_env.scenarios import names
from tests.called import called

ROOT = Path(__file__).resolve().parents[1]
CLEAN = "s22-clean/test"
BUSY = "s08-accept-2m/train"
USER_POLICY = """
def retry(features, mask):
    return "RETRY"

def forbidden(features, mask):
    return "YIELD"

def broken(features, mask):
    raise ZeroDivisionError("no\\nway")
"""
GOOD = {
    "list": ["list"],
    "list test": ["list", "test"],
    "show": ["show", CLEAN, "--set", "costs.bare=2300", "--set", "host.n_vcpus=4..8"],
    "decode": ["decode", "0x8000020000000092"],
    "decode log": ["decode", "SEAMCALL (0x6) failed: 0x8000020000000092"],
    "conflicts": ["conflicts", "PAGE.AUG", "PAGE.ACCEPT"],
    "conflicts json": ["conflicts", "--json"],
    "conflicts of a version": ["conflicts", "--module", "hypothetical-remove-exclusive"],
    "simulate": ["simulate", BUSY, "--seed", "1", "--policy", "operand", "--conflicts", "3"],
    "simulate json": ["simulate", BUSY, "--seed", "1", "--policy", "operand", "--json"],
    "simulate kernel": ["simulate", BUSY, "--seed", "1", "--policy", "operand", "--kernel", "6.16"],
    "simulate again": ["simulate", BUSY, "--seed", "1", "--policy", "operand", "--json"],
    "simulate costs": ["simulate", CLEAN, "--costs", "{tmp}/costs.toml", "--json"],
    "simulate policy": ["simulate", BUSY, "--policy", "{tmp}/mine.py:retry", "--json"],
    "help": ["--help"],
    "help of simulate": ["simulate", "--help"],
}
BAD = {
    "unknown command": (["simulat"], "simulat"),
    "unknown option": (["list", "--bar"], "--bar"),
    "no argument": (["show"], "name"),
    "an argument too many": (["list", "train", "test"], "test"),
    "option without a value": (["simulate", CLEAN, "--set"], "--set"),
    "unknown split": (["list", "training"], "training"),
    "unknown scenario": (["show", "s99"], "s99"),
    "unknown kernel": (["simulate", CLEAN, "--kernel", "6.17"], "must be one of 6.16, "),
    "unknown split of a scenario": (["simulate", "s22-clean/tests"], "tests"),
    "scenario file that is not there": (["simulate", "{tmp}/none.toml"], "none.toml"),
    "scenario that is a folder": (["show", "{tmp}"], "{tmp}"),
    "scenario file that is no TOML": (["show", "{tmp}/mine.py"], "mine.py"),
    "scenario that is a pipe": (["show", "{tmp}/pipe.toml"], "is a pipe"),
    "scenario that is nested too deeply": (["show", "{tmp}/deep.toml"], "nested too deeply"),
    "scenario with a very long name": (["show", "a" * 300 + ".toml"], "name too long"),
    "broken TOML": (["show", "{tmp}/broken.toml"], "broken.toml"),
    "impossible scenario file": (["simulate", "{tmp}/wrong.toml"], "host.n_vcpus"),
    "override without a value": (["show", CLEAN, "--set", "costs.bare"], "costs.bare"),
    "override of nothing": (["show", CLEAN, "--set", "costs.bear=1"], "costs.bear"),
    "override out of bounds": (["simulate", CLEAN, "--set", "host.n_vcpus=0"], "host.n_vcpus"),
    "override that is no number": (["simulate", CLEAN, "--set", "costs.bare=1;2"], "costs.bare"),
    "override with 5,000 digits": (["show", CLEAN, "--set", f"costs.bare={'9' * 5_000}"], "--set"),
    "override that is given twice": (
        ["show", CLEAN, "--set", "costs.bare=1", "--set", "costs.bare=2"],
        "twice",
    ),
    "costs that are a pipe": (["show", CLEAN, "--costs", "{tmp}/pipe.toml"], "is a pipe"),
    "costs that are not there": (["simulate", CLEAN, "--costs", "{tmp}/no.toml"], "no.toml"),
    "unknown cost": (["simulate", CLEAN, "--costs", "{tmp}/wrong-costs.toml"], "bear"),
    "unknown policy": (["simulate", CLEAN, "--policy", "P99"], "P99"),
    "policy with a very long name": (["simulate", CLEAN, "--policy", "p" * 500], "ppp..."),
    "policy file that is not there": (["simulate", CLEAN, "--policy", "{tmp}/no.py:f"], "no.py"),
    "policy function that is not there": (["simulate", CLEAN, "--policy", "{tmp}/mine.py:f"], "f"),
    "policy that breaks": (["simulate", BUSY, "--policy", "{tmp}/mine.py:broken"], "broken"),
    "policy that is masked": (["simulate", BUSY, "--policy", "{tmp}/mine.py:forbidden"], "YIELD"),
    "negative seed": (["simulate", CLEAN, "--seed", "-1"], "--seed"),
    "huge seed": (["simulate", CLEAN, "--seed", "99999999999999999999"], "--seed"),
    "seed that is no number": (["simulate", CLEAN, "--seed", "one"], "--seed"),
    "negative conflicts": (["simulate", CLEAN, "--conflicts", "-1"], "--conflicts"),
    "status that is none": (["decode", "busy?"], "busy?"),
    "status out of range": (["decode", "0x1ffffffffffffffff"], "0x1ffffffffffffffff"),
    "unknown call": (["conflicts", "PAGE.AUK"], "PAGE.AUK"),
    "unknown module version": (["conflicts", "--module", "2.0"], "must be one of: 2.0.18"),
    "unknown version to change to": (["conflicts", "--changes", "1.5.01", "1.5.3"], "1.5.34"),
}


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return called(main, "tdx-env", *arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with a user's files, good and bad ones."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "mine.py").write_text(USER_POLICY)
    (folder / "costs.toml").write_text("bare = 2300\ntrack = { low = 4000, high = 4500 }\n")
    (folder / "wrong-costs.toml").write_text("bear = 2300\n")
    os.mkfifo(folder / "pipe.toml")
    (folder / "deep.toml").write_text("x = " + "[" * 9_999 + "]" * 9_999)
    (folder / "broken.toml").write_text("name = \n")
    clean = (ROOT / "tdx_env" / "scenarios" / "s22-clean.toml").read_text()
    wrong = clean.replace("n_vcpus = { low = 8, high = 16 }", "n_vcpus = 0")
    (folder / "wrong.toml").write_text(wrong)
    return folder


@pytest.fixture(scope="module")
def ran(folder):
    """Return a function from a command's name to how it went; each is run once."""

    @cache
    def run_once(name: str) -> subprocess.CompletedProcess[str]:
        arguments = GOOD[name] if name in GOOD else BAD[name][0]
        return run([one.format(tmp=folder) for one in arguments])

    return run_once


@pytest.fixture(scope="module")
def good(ran):
    """Return a function from a command's name to what it printed; it must have gone well."""

    def printed(name: str) -> str:
        done = ran(name)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return printed


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_mistake_is_one_line_and_exit_code_2(name, ran, folder):
    done = ran(name)
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("tdx-env: ")
    assert BAD[name][1].format(tmp=folder) in lines[0]
    assert done.stdout == ""


@pytest.mark.slow
def test_list_has_every_scenario_and_a_split_its_own(good):
    everything, test_only = good("list"), good("list test")
    assert all(name.partition("/")[0] in everything for name in names())
    assert all((name in test_only) == name.endswith("/test") for name in names())


@pytest.mark.slow
def test_show_has_what_was_overridden(good):
    shown = {line.split()[0]: line for line in good("show").splitlines() if line.strip()}
    assert "2,300" in shown["costs.bare"] and "user" in shown["costs.bare"]
    assert "4..8" in shown["host.n_vcpus"] and "user" in shown["host.n_vcpus"]
    assert {"limits.reward_scale", "areas.ram.initial", "tasks.zapper.kind"} <= set(shown)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["decode", "decode log"])
def test_decode_says_what_it_is(name, good):
    shown = good(name)
    assert "TDX_OPERAND_BUSY" in shown
    assert "SEPT_TREE" in shown


@pytest.mark.slow
def test_conflicts_tell_both_orders(good):
    shown = good("conflicts")
    assert "PAGE.AUG meets" in shown and "meets PAGE.AUG" in shown.replace("TDH.MEM.", "")
    assert json.loads(good("conflicts json"))
    assert "Module version hypothetical-remove-exclusive" in good("conflicts of a version")


@pytest.mark.slow
def test_simulate_tells_time_waste_and_conflicts(good):
    shown = good("simulate")
    account = json.loads(good("simulate json"))
    metrics = account["metrics"]
    assert f"{metrics['n_events']} events" in shown
    assert f"{metrics['n_decisions']} decisions" in shown
    assert shown.count(" -> ") == min(3, metrics["n_decisions"]) > 0
    for heading in ("Where the CPUs' time went:", "Who found what busy:", "First conflicts:"):
        assert heading in shown.splitlines()


@pytest.mark.slow
def test_simulate_prints_json_with_everything(good):
    account = json.loads(good("simulate json"))
    assert set(account) == {"metrics", "conflicts", "cells", "clock_khz", "machine"}
    metrics = account["metrics"]
    assert len(account["conflicts"]) == min(20, metrics["n_decisions"]) > 0
    assert sum(cell["n_busy"] for cell in account["cells"]) == metrics["n_busy"]
    cycles = metrics["cycles_by_category"].values()
    assert sum(cycles) == metrics["elapsed_cycles"] * metrics["n_threads"]
    times = [conflict["time"] for conflict in account["conflicts"]]
    assert times == sorted(times)


@pytest.mark.slow
def test_same_command_prints_the_same(good):
    assert good("simulate json") == good("simulate again")


@pytest.mark.slow
def test_users_costs_and_policies_are_used(good):
    for name in ("simulate costs", "simulate policy"):
        assert json.loads(good(name))["metrics"]["end"] == "finished"
    actions = json.loads(good("simulate policy"))["conflicts"]
    assert {one["action"] for one in actions} <= {"RETRY"}


@pytest.mark.slow
def test_help_names_every_command_and_option(good):
    shown = good("help")
    for command in ("list", "show", "simulate", "decode", "conflicts"):
        assert command in shown
    for option in ("--policy", "--seed", "--json", "--set", "--costs"):
        assert option in good("help of simulate")


@pytest.mark.slow
def test_command_alone_shows_the_help():
    done = run([])
    assert "simulate" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_installed_command_is_this_one():
    with (ROOT / "pyproject.toml").open("rb") as file:
        scripts = tomllib.load(file)["project"]["scripts"]
    assert scripts["tdx-env"] == "tdx_env.cli:main"
