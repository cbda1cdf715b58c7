"""Who can meet whom on the module's locks: the calls, and two parties that are no calls."""

from enum import IntEnum

from tdx_env.errors import ScenarioError
from tdx_env.module.names import find_leaf, normal_form, short_name
from tdx_env.state.calls import Leaf


class Pseudo(IntEnum):
    """A party that is no call of its own; the numbers lie above those of `Leaf`."""

    ARMED_VP_ENTER = 100  # VP.ENTER of a vCPU whose zero-step list is not empty
    VCPU_IN_GUEST = 101  # between VP.ENTER and TD exit


Party = Leaf | Pseudo
PARTIES: tuple[Party, ...] = (*Leaf, *Pseudo)

_PSEUDO_NAMES: dict[str, Pseudo] = {
    "VP.ENTER (armed)": Pseudo.ARMED_VP_ENTER,
    "vCPU in the guest": Pseudo.VCPU_IN_GUEST,
}


def party_name(party: Party) -> str:
    """Return a party's name, without what goes without saying."""
    for name, pseudo in _PSEUDO_NAMES.items():
        if party is pseudo:
            return name
    return short_name(Leaf(party))


def _plain(text: str) -> str:
    """Return the normal form of a name, without brackets."""
    return normal_form(text.translate(str.maketrans("()", "  ")))


def find_party(text: str) -> Party:
    """Return the call or pseudo-call that a name means.

    Raises:
        ScenarioError: There is none of that name, or several.
    """
    for name, pseudo in _PSEUDO_NAMES.items():
        if _plain(text) in (_plain(name), _plain(pseudo.name)):
            return pseudo
    try:
        return find_leaf(text)
    except ScenarioError as error:
        raise ScenarioError(f"{error}; also known: {', '.join(_PSEUDO_NAMES)}") from None
