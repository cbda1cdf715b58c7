"""What the versions of the TDX module do differently, from the comparison of their sources."""

from typing import NamedTuple


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
    "hypothetical-no-free-lock": _OLD,
    "hypothetical-demote-uninterruptible": _OLD._replace(demote_polls=False),
}
