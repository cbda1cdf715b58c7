"""Parties to a conflict and their names."""

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.matrix.parties import PARTIES, Party, Pseudo, find_party, party_name
from tdx_env.state.calls import Leaf


@pytest.mark.parametrize("party", PARTIES)
def test_party_is_found_by_its_name(party: Party) -> None:
    found = find_party(party_name(party))
    assert (type(found), found) == (type(party), party)


@pytest.mark.parametrize(
    ("text", "party"),
    [
        ("VP.ENTER armed", Pseudo.ARMED_VP_ENTER),
        ("armed_vp_enter", Pseudo.ARMED_VP_ENTER),
        ("vcpu-in-guest", Pseudo.VCPU_IN_GUEST),
        ("page.aug", Leaf.MEM_PAGE_AUG),
    ],
)
def test_forms_of_a_name_are_understood(text: str, party: Party) -> None:
    assert find_party(text) is party


def test_unknown_party_lists_calls_and_pseudo_calls() -> None:
    with pytest.raises(ScenarioError, match="TDH.VP.ENTER.*vCPU in the guest"):
        find_party("PAGE.FOO")
