"""Who can meet whom on the module's locks: a version's calls, and parties that are no calls."""

from enum import IntEnum

from tdx_env.errors import ScenarioError, shown
from tdx_env.module.names import find_leaf, normal_form, short_name
from tdx_env.module.seamcalls import DEFAULT_VERSION, MODULE_VERSIONS, calls, module_version
from tdx_env.state.calls import Leaf


class Pseudo(IntEnum):
    """A party that is no call of its own; the numbers lie above those of `Leaf`."""

    ARMED_VP_ENTER = 100  # VP.ENTER of a vCPU whose zero-step list is not empty
    VCPU_IN_GUEST = 101  # between VP.ENTER and TD exit
    VP_INIT_VERSION_0 = 102  # VP.INIT as older kernels call it, where there is a version 1


Party = Leaf | Pseudo

# The row of the table that a pseudo-call is a special case of.
LEAF_OF: dict[Pseudo, Leaf] = {
    Pseudo.ARMED_VP_ENTER: Leaf.VP_ENTER,
    Pseudo.VCPU_IN_GUEST: Leaf.VP_ENTER,
    Pseudo.VP_INIT_VERSION_0: Leaf.VP_INIT,
}

_PSEUDO_NAMES: dict[str, Pseudo] = {
    "VP.ENTER (armed)": Pseudo.ARMED_VP_ENTER,
    "vCPU in the guest": Pseudo.VCPU_IN_GUEST,
    "VP.INIT version 0": Pseudo.VP_INIT_VERSION_0,
}


def parties(version: str = DEFAULT_VERSION) -> tuple[Party, ...]:
    """Return who can meet whom in a version of the module.

    Raises:
        ScenarioError: There is no such version.
    """
    has_init_0 = module_version(version).vp_init_takes_tdr_exclusive
    pseudo = [one for one in Pseudo if has_init_0 or one != Pseudo.VP_INIT_VERSION_0]
    return (*calls(version), *pseudo)


def require_party(party: Party, version: str) -> None:
    """Check that a version of the module has a party.

    Raises:
        ScenarioError: It hasn't; the message names the versions that have.
    """
    if party in parties(version):
        return
    having = ", ".join(name for name in MODULE_VERSIONS if party in parties(name))
    raise ScenarioError(
        f"{party_name(party)} is not in module version {shown(version)}, must be one of: {having}"
    )


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
