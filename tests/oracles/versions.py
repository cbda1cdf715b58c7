"""What the versions of the TDX module do differently, from the comparison of their sources."""

from typing import NamedTuple

from tdx_env.state.streams import Draw

from .draws import draw


class Rules(NamedTuple):
    """One version.

    Attributes:
        tree_has_mark: A host that is refused the tree leaves a mark on it.
        keeps_mark: A host call that commits leaves the mark of a refused host on the entry.
        accept_keeps_mark: So does ACCEPT, whether it is done or interrupted.
        looks_first: A guest looks at the mark before it looks at the lock.
        armed_shares: An armed vCPU shares the tree.
        lists_yield: A list ends before its next entry if there is a mark on the tree.
        pending_is_fine: A listed PENDING page is fine if a touch of it is a #VE.
        demote_polls: DEMOTE looks for interrupts.
        init_alone: VP.INIT needs the TDR alone.
        remove_alone: PAGE.REMOVE needs the tree alone.
        locks_free: A guest call locks an entry before it finds out that it is FREE.
    """

    tree_has_mark: bool = False
    keeps_mark: bool = False
    accept_keeps_mark: bool = False
    looks_first: bool = False
    armed_shares: bool = False
    lists_yield: bool = False
    pending_is_fine: bool = False
    demote_polls: bool = True
    init_alone: bool = False
    remove_alone: bool = False
    locks_free: bool = True


_OLD = Rules()
_SHARED_WALKS = Rules(
    tree_has_mark=True,
    keeps_mark=True,
    accept_keeps_mark=True,
    armed_shares=True,
    pending_is_fine=True,
    demote_polls=False,
    init_alone=True,
)
_NEWEST = _SHARED_WALKS._replace(looks_first=True, lists_yield=True)

RULES: dict[str, Rules] = {
    "1.5.01": _OLD,
    "1.5.06": _OLD._replace(init_alone=True),
    "1.5.28": _SHARED_WALKS,
    "1.5.34": _NEWEST,
    "2.0.18": _NEWEST,
    "hypothetical-remove-exclusive": _OLD._replace(remove_alone=True),
    "hypothetical-vp-init-v1": _OLD._replace(init_alone=True),
    "hypothetical-no-free-lock": _OLD._replace(locks_free=False),
    "hypothetical-demote-uninterruptible": _OLD._replace(demote_polls=False),
}

ORDER = tuple(RULES)


def drawn(seed: int, allowed: int) -> str:
    """Return the version that an episode meets.

    Args:
        seed: The episode's.
        allowed: The versions that it may be, a bit each in the order of `ORDER`.
    """
    names = [name for number, name in enumerate(ORDER) if allowed >> number & 1]
    return names[(draw(seed, Draw.MODULE, 0, 0, 0) >> 32) * len(names) >> 32]
