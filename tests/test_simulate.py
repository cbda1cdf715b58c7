"""One episode told in words: what the first conflicts say."""

import pytest

from tdx_agents.handwritten import find
from tdx_env.module.status import Status, encode
from tdx_env.scenarios import load
from tdx_env.simulate import Conflict, simulate


def conflicts(scenario: str, policy: str) -> list[Conflict]:
    """Return the first conflicts of one episode."""
    found = simulate(load(scenario), find(policy), seed=1, n_conflicts=100).conflicts
    assert found
    return found


@pytest.mark.slow
def test_holder_is_that_of_the_collision():
    """VP.ENTERs take the epoch lock shared: one of them is refused by TRACK alone."""
    met = [c.holder for c in conflicts("s09-accept-4k/test", "P18") if c.call == "VP_ENTER"]
    assert met
    assert all("MEM_TRACK" in holder for holder in met)


@pytest.mark.slow
def test_interrupted_demote_has_the_status_of_the_module():
    found = conflicts("s14-split-storm/test", "P21")
    status = encode(Status.INTERRUPTED_RESTARTABLE, 0)
    assert {c.status for c in found if c.call == "MEM_PAGE_DEMOTE"} == {status}
