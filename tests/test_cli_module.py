"""The commands about the module alone."""

import inspect
import json
from collections.abc import Callable

import pytest

from tdx_env import cli
from tdx_env.cli_decode import decode_command
from tdx_env.cli_module import changes_command, conflicts_command
from tdx_env.errors import ScenarioError, StatusError
from tdx_env.matrix.parties import parties
from tdx_env.module.seamcalls import DEFAULT_VERSION

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print as into a pipe, where lines stay whole; what runs the tests may say a width."""
    monkeypatch.delenv("COLUMNS", raising=False)


def test_decode_prints_name_operand_and_flags(capsys: Capture) -> None:
    decode_command("0x8000020000000092")
    text = capsys.readouterr().out
    for part in [
        "0x8000020000000092",
        "TDX_OPERAND_BUSY",
        "SEPT_TREE (0x92)",
        "error",
        "S-EPT tree",
    ]:
        assert part in text


def test_decode_lists_every_lock_that_rcx_may_mean(capsys: Capture) -> None:
    decode_command("0x8000020000000001")
    text = capsys.readouterr().out
    for part in ["TDVPR", "TRACK", "the S-EPT entry in SEPT.ADD"]:
        assert part in text


@pytest.mark.parametrize(
    "command",
    [
        decode_command,
        lambda text: decode_command("9" * len(text)),
        lambda text: conflicts_command(text, None, as_json=False),
        lambda text: conflicts_command("PAGE.AUG", text, as_json=False),
        lambda text: conflicts_command(None, None, as_json=False, version=text),
    ],
)
def test_long_argument_is_not_repeated_whole(command: Callable[[str], None]) -> None:
    text = "x\n" * 2_500
    with pytest.raises((StatusError, ScenarioError)) as caught:
        command(text)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < len(text)


def test_decode_refuses_nonsense() -> None:
    with pytest.raises(StatusError, match="'nonsense' is not understood"):
        decode_command("nonsense")


def test_decode_names_the_calls_that_an_interrupt_stops(capsys: Capture) -> None:
    decode_command("0x8000000300000000")
    assert "PHYMEM.CACHE.WB" in capsys.readouterr().out


def test_conflicts_without_names_print_the_matrix(capsys: Capture) -> None:
    conflicts_command(None, None, False)
    assert "VP.ENTER (armed)" in capsys.readouterr().out


def test_command_line_asks_for_the_default_version() -> None:
    default = inspect.signature(cli.conflicts).parameters["module"].default
    assert default == DEFAULT_VERSION


def test_conflicts_without_names_print_all_as_json(capsys: Capture) -> None:
    conflicts_command(None, None, True)
    assert len(json.loads(capsys.readouterr().out)["cells"]) == len(parties()) ** 2


def test_two_names_print_both_orders(capsys: Capture) -> None:
    conflicts_command("PAGE.AUG", "tdh_mem_range_block", False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "RANGE.BLOCK meets PAGE.AUG",
        "PAGE.AUG meets RANGE.BLOCK",
    ]


def test_conflict_on_the_same_entry_alone_says_so(capsys: Capture) -> None:
    conflicts_command("PAGE.AUG", "PAGE.AUG", False)
    assert capsys.readouterr().out.startswith("About the same entry and page: PAGE.AUG meets")


def test_conflict_on_the_same_vcpu_alone_says_so(capsys: Capture) -> None:
    conflicts_command("VP.FLUSH", "VP.ENTER", False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["About the same vCPU", "VP.ENTER meets VP.FLUSH"],
        ["About the same vCPU", "VP.FLUSH meets VP.ENTER"],
    ]


def test_conflict_on_an_entry_that_promote_merges_says_so(capsys: Capture) -> None:
    conflicts_command("PAGE.PROMOTE", "PAGE.AUG", False, "1.5.01")
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("About an entry that PROMOTE merges: ") for line in lines) == 3


def test_pair_without_conflict_says_so(capsys: Capture) -> None:
    conflicts_command("TRACK", "PAGE.AUG", False)
    assert capsys.readouterr().out.count("no conflict") == 2


def test_one_name_prints_its_conflicts_alone(capsys: Capture) -> None:
    conflicts_command("TRACK", None, False)
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all("TRACK" in line and "no conflict" not in line for line in lines)


def test_pair_as_json_has_both_orders(capsys: Capture) -> None:
    conflicts_command("TRACK", "VP.ENTER", True)
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [(found["first"], found["second"]) for found in cells] == [
        ("TRACK", "VP.ENTER"),
        ("VP.ENTER", "TRACK"),
    ]


def test_version_changes_the_answer(capsys: Capture) -> None:
    conflicts_command("PAGE.AUG", "PAGE.REMOVE", False, "hypothetical-remove-exclusive")
    assert "SEPT_TREE" in capsys.readouterr().out


@pytest.mark.parametrize("version", ["1.5.01", "9.9"])
def test_unknown_name_or_version_is_refused(version: str) -> None:
    with pytest.raises(ScenarioError, match="is unknown, must be one of"):
        conflicts_command("PAGE.FOO", None, False, version)


def test_call_that_the_version_lacks_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"PAMT.REMOVE is not in module version '1\.5\.01'"):
        conflicts_command("PAGE.AUG", "PAMT.REMOVE", False, "1.5.01")


def test_changes_print_before_and_after(capsys: Capture) -> None:
    changes_command(("1.5.01", "1.5.34"), "VP.ENTER (armed)", "PAGE.AUG", False)
    text = capsys.readouterr().out
    for part in [
        "From module version 1.5.01 to 1.5.34",
        "armed_enter_shares_tree",
        "before: TDX_OPERAND_BUSY | SEPT_TREE on the S-EPT tree",
        "after: no conflict",
        "hold: VP.ENTER (armed)",
        "come: VP.ENTER (armed), PAGE.AUG",
    ]:
        assert part in text


def test_changes_as_json_have_rules_with_evidence_and_pairs(capsys: Capture) -> None:
    changes_command(("1.5.28", "1.5.34"), "ATTR.WR", None, True)
    record = json.loads(capsys.readouterr().out)
    rule = next(one for one in record["rules"] if one["rule"] == "guests_test_mark_first")
    assert rule["before"] == {"holds": False, "evidence": "R"}
    assert (record["from"], record["to"], record["pairs"]) == ("1.5.28", "1.5.34", [])


def test_changes_from_a_version_to_itself_are_none(capsys: Capture) -> None:
    changes_command(("2.0.18", "2.0.18"), "PAGE.AUG", "RANGE.BLOCK", False)
    assert capsys.readouterr().out.split("\n")[2:] == ["Rules", "", "Who meets whom", ""]


def test_old_name_of_a_version_warns(capsys: Capture) -> None:
    with pytest.warns(FutureWarning, match=r"'1\.5' is an old name, now '1\.5\.01'"):
        conflicts_command("TRACK", "PAGE.AUG", False, "1.5")
