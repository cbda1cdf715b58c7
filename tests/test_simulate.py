"""One episode told in words: what the first conflicts say."""

from pathlib import Path

import pytest

from tdx_agents.handwritten import find
from tdx_env.cli import main
from tdx_env.errors import PolicyError
from tdx_env.scenarios import load
from tdx_env.simulate import Conflict, blamed, simulate
from tdx_env.status.decoder import Status, encode
from tests.called import called


def conflicts(scenario: str, policy: str) -> list[Conflict]:
    """Return the first conflicts of one episode."""
    found = simulate(load(scenario), find(policy), seed=1, n_conflicts=100).conflicts
    assert found
    return found


@pytest.mark.parametrize("raised", [SystemExit(), SystemExit(0), ZeroDivisionError("a\nb")])
def test_policy_that_raises_is_named(raised: BaseException):
    """`sys.exit` too, which would leave without a result and with exit code 0."""
    with pytest.raises(PolicyError, match=r"policy mine raised \w+") as found, blamed("mine"):
        raise raised
    assert "\n" not in str(found.value)


def test_interrupt_is_nobodys_mistake():
    with pytest.raises(KeyboardInterrupt), blamed("mine"):
        raise KeyboardInterrupt


LEAVES = """
import sys

def decide(features, mask):
    sys.exit()
"""
DIVIDES = """
from tdx_env.jit import decision
from tdx_env.state.features import Feature

@decision
def decide(features):
    return 1 // features[Feature.KICKS] * 0
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "raised"), [(LEAVES, "SystemExit"), (DIVIDES, "ZeroDivisionError")]
)
def test_policy_file_that_raises_gets_no_exit_code_0(tmp_path: Path, text: str, raised: str):
    file = tmp_path / "mine.py"
    file.write_text(text)
    arguments = ["simulate", "s08-accept-2m/train", "--policy", f"{file}:decide"]
    done = called(main, "tdx-env", *arguments)
    (told,) = done.stderr.splitlines()
    assert "mine:decide raised" in told or "mine.py:decide: raised" in told
    assert raised in told
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.slow
def test_holder_is_that_of_the_collision():
    """VP.ENTERs take the epoch lock shared: one of them is refused by TRACK alone."""
    met = [c.holder for c in conflicts("s09-accept-4k/test", "P18") if c.call == "VP_ENTER"]
    assert met
    assert all("TRACK" in holder for holder in met)


@pytest.mark.slow
def test_interrupted_demote_has_the_status_of_the_module():
    found = conflicts("s14-split-storm/test", "P21")
    status = encode(Status.INTERRUPTED_RESTARTABLE, 0)
    assert {c.status for c in found if c.call == "MEM_PAGE_DEMOTE"} == {status}
