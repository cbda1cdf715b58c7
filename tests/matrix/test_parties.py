"""Parties to a conflict and their names."""

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.matrix.parties import (
    Party,
    Pseudo,
    find_party,
    parties,
    party_name,
    require_party,
)
from tdx_env.module.seamcalls import calls
from tdx_env.state.calls import Leaf


@pytest.mark.parametrize("party", [*Leaf, *Pseudo])
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
        ("vp_init_version_0", Pseudo.VP_INIT_VERSION_0),
        ("vp.init", Leaf.VP_INIT),
        ("pamt.add", Leaf.PHYMEM_PAMT_ADD),
    ],
)
def test_forms_of_a_name_are_understood(text: str, party: Party) -> None:
    assert find_party(text) is party


def test_unknown_party_lists_calls_and_pseudo_calls() -> None:
    with pytest.raises(ScenarioError, match="one of: TDH.MEM.PAGE.*vCPU in the guest"):
        find_party("PAGE.FOO")


@pytest.mark.parametrize("version", ["1.5.01", "1.5.34"])
def test_parties_are_the_calls_of_a_version_and_the_pseudo_calls(version: str) -> None:
    old = (Pseudo.ARMED_VP_ENTER, Pseudo.VCPU_IN_GUEST)
    pseudo = old if version == "1.5.01" else tuple(Pseudo)
    assert parties(version) == (*calls(version), *pseudo)


def test_call_that_a_version_lacks_says_who_has_it() -> None:
    message = "PHYMEM.PAMT.ADD is not in module version '1.5.06', must be one of: 1.5.28, 1.5.34"
    with pytest.raises(ScenarioError, match=message):
        require_party(Leaf.PHYMEM_PAMT_ADD, "1.5.06")
