"""Losses: the chain in words, the trace, what is told together, what was expected."""

import json
from pathlib import Path

import numba
import numpy as np
import pytest

from tdx_env.engine.batch import Batch
from tdx_env.engine.waiting import waits
from tdx_env.scenarios import load, setup_of
from tdx_env.state.world import End
from tdx_eval.commands.lost import lost as lost_command
from tdx_eval.comparing.machine import Choice
from tdx_eval.comparing.seeds import seeds_of
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.lost.chain import Chain, chain_of_kill, hang_chain, title
from tdx_eval.lost.expected import EXPECTED, Expectation, look_at
from tdx_eval.lost.file import lost_json
from tdx_eval.lost.page import lost_page
from tdx_eval.lost.pairs import FEWEST, LostEpisodes, Pair, run_pair, run_pairs
from tdx_eval.lost.replay import Case, Replay
from tdx_eval.lost.table import LostTable, stories_of, trace_of
from tdx_eval.lost.trace import MOST_LINES
from tdx_eval.lost.wording import losers

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without compiler")

SEED = 1 << 32
S8, S19 = "s08-accept-2m/test", "s19-build/test"
LIVELOCK, STORM = "s04-zero-step-livelock/test", "s14-split-storm/test"
SWALLOWED = str(Path(__file__).resolve().parents[2] / "eval/tdx_eval/reality/swallowed.toml")
SPLIT_SEED = SEED + 43  # BLOCK of a split, not of a zap, is busy first
SEEDS = seeds_of("test", 6)
BUG = "KVM_BUG_ON"
OLD = Choice("1.5.06")  # ACCEPT erases the mark, so that a kick without a gate loses races
TODAY = Choice()


def killed(policy: str, scenario: str, choice: Choice = TODAY, n_seeds: int = 40) -> Case:
    """Return the first episode of a pair whose TD is killed."""
    for seed in seeds_of("test", n_seeds):
        case = Case(load_policy(policy).name, scenario, seed, choice)
        if Replay(case).to_the_end().run["end"] == End.KILLED:
            return case
    raise AssertionError(f"{policy} kills nothing in {scenario}")


def chain(policy: str, scenario: str, choice: Choice = TODAY) -> str:
    """Return the chain of a pair's first killed episode."""
    return chain_of_kill(Replay(killed(policy, scenario, choice))).text


# --- an episode played again


@pytest.mark.parametrize(
    ("policy", "scenario"),
    [("P6", S8), ("P18", S19), ("P20", LIVELOCK), ("P2", "s03-zero-step/test")],
)
def test_replay_with_stops_is_the_same_episode(policy, scenario):
    """Closing the books at an instant changes nothing of what happens."""
    chosen = load_policy(policy)
    batch = Batch(setup_of(load(scenario)), chosen.discipline.record())
    batch.reset([SEED])
    batch.advance(chosen.decide)
    replay = Replay(Case(chosen.name, scenario, SEED))
    end = int(batch.run["now"][0])
    for instant in range(0, end, max(1, end // 97)):
        replay.to(instant)
    run = replay.to_the_end().run
    for name in ("end", "now", "n_decisions", "n_busy", "n_seamcalls", "kill_actor", "kill_leaf"):
        assert run[name] == batch.run[name][0], name


def test_replay_does_not_go_back():
    replay = Replay(Case("p6-sean-2", S8, SEED))
    now = int(replay.to(1_000_000).run["now"])
    assert replay.to(500).run["now"] == now


def test_recorded_events_are_those_from_an_instant_on():
    replay = Replay(Case("p6-sean-2", S8, SEED))
    every = replay.recorded(0)
    some = int(every["time"][len(every) // 2])
    assert np.array_equal(replay.recorded(some), every[every["time"] >= some])
    until = int(every["time"][3 * len(every) // 4])
    is_between = (every["time"] >= some) & (every["time"] <= until)
    assert np.array_equal(replay.recorded(some, until), every[is_between])


# --- the chain in words


@pytest.mark.parametrize(
    ("policy", "scenario", "choice", "text"),
    [
        (
            "P1-any", S8, TODAY,
            "RANGE.BLOCK met the guest's ACCEPT on a 2M S-EPT entry, at each of its tries: "
            "KVM_BUG_ON",
        ),
        (
            "P1", S8, TODAY,
            "RANGE.BLOCK met the guest's ACCEPT on a 2M S-EPT entry, not the tree lock, so not "
            "repeated: KVM_BUG_ON",
        ),
        (
            "P6", S8, OLD,
            "RANGE.BLOCK met the guest's ACCEPT on a 2M S-EPT entry, again after its kick, no gate "
            "behind it: KVM_BUG_ON",
        ),
        (
            "P9", S8, TODAY,
            "RANGE.BLOCK met the guest's ACCEPT on a 2M S-EPT entry, at each of its tries: "
            "KVM_BUG_ON",
        ),
        (
            "P18", "s15-export/test", TODAY,
            "RANGE.BLOCK met EXPORT.BLOCKW on the S-EPT tree, again after its kick, a gate for the "
            "call: KVM_BUG_ON",
        ),
        (
            "P2", "s03-zero-step/test", TODAY,
            "RANGE.BLOCK met an armed vCPU's VP.ENTER on the S-EPT tree, at its only try: "
            "KVM_BUG_ON",
        ),
    ],
)  # fmt: skip
def test_kill_is_told_with_call_holder_lock_and_what_came_of_it(policy, scenario, choice, text):
    assert chain(policy, scenario, choice) == text


def test_a_kick_without_a_gate_loses_no_race_once_accept_keeps_the_mark():
    today, before = (run_pair(load_policy("P6"), S8, SEEDS, 10**9, one) for one in (TODAY, OLD))
    assert (today.n_lost, before.n_lost > 0) == (0, True)


def test_build_is_told_with_the_ioctl_that_held_the_tdr():
    text = chain("P18", S19)
    assert " on the TDR, at its only try: KVM_BUG_ON" in text
    assert "VP.CREATE" in text or "VP.ADDCX" in text or "MR.EXTEND" in text


def hang_of(policy: str, scenario: str) -> str:
    """Return the chain of a pair's first hang."""
    batch = Replay(Case(load_policy(policy).name, scenario, SEED))
    assert batch.to_the_end().run["end"] == End.HUNG
    return hang_chain(waits(batch.batch, 0)).text


@pytest.mark.parametrize(
    ("policy", "scenario", "words"),
    [
        ("P20", LIVELOCK, "Zero-step stays armed on a page that KVM has added and nobody accepts"),
        ("P23", STORM, "Interrupts end each try of DEMOTE before it is done"),
        ("P18", "s12-slot-deletion-tickless/test", "the deletion waits by SRCU for that handler"),
    ],
)
def test_hang_is_told_by_the_loop_that_nothing_ends(policy, scenario, words):
    assert words in hang_of(policy, scenario)


# --- the trace


def test_trace_of_a_kill_shows_the_race():
    """The kick interrupts the ACCEPT, whose store erases the mark; it is back before the try."""
    lines = trace_of(killed("P6", S8, OLD), "killed")
    text = "\n".join(lines)
    assert len(lines) <= MOST_LINES + 1
    assert "RANGE.BLOCK, issue 1: the S-EPT entry is busy, held by vCPU" in text
    assert "IPIs" in text
    assert "PAGE.ACCEPT locks 2M page" in text
    assert "RANGE.BLOCK, issue 2: the S-EPT entry is busy" in lines[-2]
    assert lines[-1].strip() == BUG


def test_trace_of_a_swallowed_failure_begins_with_it():
    case = Case("p2-unlimited-loop", SWALLOWED, SPLIT_SEED)
    assert chain_of_kill(Replay(case)).text == (
        "RANGE.BLOCK met an armed vCPU's VP.ENTER on the S-EPT tree, its caller ignored the "
        "failure (B1), and PAGE.DEMOTE failed with GPA_RANGE_NOT_BLOCKED: KVM_BUG_ON"
    )
    lines = trace_of(case, "killed")
    assert any("RANGE.BLOCK, issue 1: the S-EPT tree lock is busy" in line for line in lines)
    assert "PAGE.DEMOTE: GPA_RANGE_NOT_BLOCKED" in lines[-2]


def test_trace_of_a_panic_tells_who_left_the_mark():
    """Only what was done to the page, up to the first refusal."""
    case = Case("p20-merged-6.19", "s26-abandoned-mark/test", 0)
    assert chain_of_kill(Replay(case)).text == (
        "The guest's ACCEPT was refused for the mark of a busy host call, and it tries once: it "
        "panics"
    )
    lines = trace_of(case, "killed")
    assert "PAGE.AUG, issue 1: the S-EPT entry is busy, held by host task" in lines[0]
    assert "gives up this pass over the fault" in lines[1]
    assert "is refused, a host call's mark is on it" in lines[-2]
    assert lines[-1].strip() == "the guest panics: TDX: Failed to accept memory"


def test_trace_of_a_hang_ends_with_who_waits():
    lines = trace_of(Case("p23-unbounded-restart", STORM, SEED), "hung")
    assert sum("PAGE.DEMOTE: INTERRUPTED" in line for line in lines) >= 2
    assert any("waits for mmu_lock for read, held for write by host task" in one for one in lines)
    assert "each ended by an interrupt" in lines[-1]


def test_times_of_a_trace_begin_at_zero_and_grow():
    lines = trace_of(killed("P9", S8), "killed")[:-1]
    times = [float(line.split()[0]) for line in lines if " us  " in line]
    assert times[0] == 0
    assert times == sorted(times)


# --- pairs


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """Six policies in two scenarios."""
    policies = ["p1-any-16", "p6-sean-2", "p9-fault-loop-16", "p18-merged-6.16", "always-retry"]
    return list(run_pairs(policies, [S8, S19], SEEDS, 10**9, OLD))


@pytest.fixture(scope="module")
def table(pairs) -> LostTable:
    """The table of these pairs."""
    checked = tuple(look_at(one, pairs) for one in EXPECTED)
    found = tuple(one for one in checked if one.found)
    return LostTable(tuple(pairs), stories_of(pairs), found, SEED, 6, 10**9, {"tdx-env": "0"})


def test_every_episode_is_counted_once(pairs):
    for pair in pairs:
        assert pair.n_episodes == 6
        assert pair.n_lost == pair.count(End.KILLED) + pair.count(End.HUNG)
        assert pair.n_lost <= 6
    lost = {(pair.policy, pair.scenario): pair.n_lost for pair in pairs}
    assert (
        lost["p1-any-16", S8] == lost["p9-fault-loop-16", S8] == lost["p18-merged-6.16", S19] == 6
    )
    assert lost["p18-merged-6.16", S8] == lost["always-retry", S8] == lost["always-retry", S19] == 0


def test_case_of_a_loss_ends_as_it_says(pairs):
    for pair in pairs:
        for one in pair.lost:
            run = Replay(one.case).to_the_end().run
            assert (End(int(run["end"])).name.lower(), int(run["now"])) == (one.end, one.cycles)


def test_long_episodes_are_fewer():
    pair = run_pair(load_policy("P18"), S8, seeds_of("test", 20), 1)
    assert pair.n_episodes == FEWEST


def test_number_of_seeds_may_be_below_the_fewest():
    assert run_pair(load_policy("P18"), S19, seeds_of("test", 2), 1).n_episodes == 2


def test_result_does_not_depend_on_how_seeds_are_cut():
    """The first few run apart from the rest."""
    whole = run_pair(load_policy("P6"), S8, SEEDS, 10**9, OLD)
    first = run_pair(load_policy("P6"), S8, SEEDS, 1, OLD)
    assert (first.n_episodes, whole.n_episodes) == (FEWEST, 6)
    assert whole.lost[0].n >= first.lost[0].n


# --- together


def lost(policy: str, scenario: str, one: Chain, n: int = 1, cycles: int = 5) -> LostEpisodes:
    """Return a loss."""
    return LostEpisodes(Case(policy, scenario, SEED), "killed", n, cycles, one)


def test_chains_that_differ_in_call_or_guest_call_alone_are_one_title():
    accept = Chain("RANGE.BLOCK", "the guest's ACCEPT", "a 4K S-EPT entry", True, "twice")
    attr = Chain("PAGE.AUG", "the guest's ATTR.RD", "a 4K S-EPT entry", True, "twice")
    assert accept.key == attr.key
    assert title([accept, attr, accept]) == (
        "RANGE.BLOCK or PAGE.AUG met the guest's ACCEPT or the guest's ATTR.RD on a 4K S-EPT entry,"
        " twice"
    )


def test_holder_of_another_kind_is_another_chain():
    vcpu = Chain("RANGE.BLOCK", "an armed vCPU's VP.ENTER", "the S-EPT tree", True, "twice")
    host = Chain("RANGE.BLOCK", "EXPORT.BLOCKW", "the S-EPT tree", False, "twice")
    assert vcpu.key != host.key


def test_stories_hold_every_loss_once(table, pairs):
    told = [one for story in table.stories for one in story.lost]
    assert sorted(map(repr, told)) == sorted(repr(one) for pair in pairs for one in pair.lost)
    assert [story.number for story in table.stories] == list(range(1, len(table.stories) + 1))
    for story in table.stories:
        assert story.cycles == min(one.cycles for one in story.lost)
        assert len(story.trace) <= MOST_LINES + 1


def test_story_names_the_losers_by_scenario(table):
    build = next(story for story in table.stories if " on the TDR, " in story.title)
    who = losers(build, table)
    assert list(who) == [S19]
    assert "p18-merged-6.16 6/6" in who[S19]


# --- expectations


def test_expectation_holds_or_is_explained(pairs):
    for expectation in EXPECTED:
        checked = look_at(expectation, pairs)
        assert checked.holds or not checked.found or checked.remark


def pair(policy: str, n_lost: int, where: str = "the S-EPT tree") -> Pair:
    """Return a pair of ten episodes."""
    one = Chain("RANGE.BLOCK", "EXPORT.BLOCKW", where, False, "twice")
    found = (lost(policy, "a/test", one, n_lost),) if n_lost else ()
    return Pair(policy, "a/test", 10, found)


@pytest.mark.parametrize(
    ("share", "n_lost", "holds"),
    [
        ("every episode", 10, True),
        ("every episode", 9, False),
        ("some episodes", 1, True),
        ("some episodes", 0, False),
        ("no episode", 0, True),
        ("no episode", 1, False),
    ],
)
def test_share_of_an_expectation(share, n_lost, holds):
    expectation = Expectation("text", ("P",), ("a",), share, "source", remark="why")
    checked = look_at(expectation, [pair("P", n_lost)])
    assert checked.holds == holds
    assert checked.remark == ("" if holds else "why")


def test_expectation_names_the_pairs_that_are_not_so():
    expectation = Expectation("text", ("P", "Q"), ("a",), "some episodes", "source")
    checked = look_at(expectation, [pair("P", 3), pair("Q", 0)])
    assert checked.found == "3 of 20 episodes; not so: Q 0 of 10"


def test_loss_on_another_lock_is_not_the_expected_one():
    expectation = Expectation("text", ("P",), ("a",), "some episodes", "source", "killed", "TDR")
    assert not look_at(expectation, [pair("P", 3)]).holds
    assert look_at(expectation, [pair("P", 3, "the TDR")]).holds


def test_expectation_about_what_was_not_run_finds_nothing():
    expectation = Expectation("text", ("P",), ("b",), "no episode", "source")
    checked = look_at(expectation, [pair("P", 0)])
    assert (checked.found, checked.holds, checked.remark) == ("", False, "")


# --- files


def test_page_states_command_seeds_and_versions(table):
    text = lost_page(table)
    assert "`tdx-eval lost --seeds 6 --events 1000000000 --write` with tdx-env 0" in text
    assert f"seeds from {SEED}" in text
    for story in table.stories:
        assert f"### {story.number}. {story.title}" in text
        assert story.trace[0] in text
    assert "Nothing at all is lost by always-retry." in text


def test_json_has_every_pair_and_story(table):
    content = json.loads(lost_json(table))
    assert len(content["pairs"]) == len(table.pairs)
    numbers = {one["story"] for row in content["pairs"] for one in row["lost"]}
    assert numbers == {story["number"] for story in content["stories"]}
    assert content["command"] == "tdx-eval lost --seeds 6 --events 1000000000"


@pytest.mark.slow
def test_command_writes_its_results(tmp_path: Path, capsys):

    out = tmp_path / "lost.json"
    lost_command(scenarios=S8, policies="P6,P18", seeds=3, events=10**9, module="1.5.06", out=out)
    content = json.loads(out.read_text())
    assert [row["n_lost"] for row in content["pairs"]] == [3, 0]
    assert content["machine"] == {"module.version": "1.5.06"}
    assert content["command"].endswith(" --module 1.5.06")
    shown = " ".join(capsys.readouterr().out.split())
    assert "again after its kick, no gate behind it: KVM_BUG_ON" in shown
