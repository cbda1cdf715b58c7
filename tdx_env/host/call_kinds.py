"""Which calls the host treats alike."""

from tdx_env.jit import inner
from tdx_env.state.calls import Leaf


@inner
def is_sept_call(leaf: int) -> bool:
    """Say whether the discipline's SEAMCALL lock covers a call."""
    return bool(
        leaf == Leaf.MEM_SEPT_ADD
        or leaf == Leaf.MEM_PAGE_AUG
        or leaf == Leaf.MEM_PAGE_REMOVE
        or leaf == Leaf.MEM_RANGE_BLOCK
        or leaf == Leaf.MEM_RANGE_UNBLOCK
        or leaf == Leaf.MEM_TRACK
        or leaf == Leaf.MEM_PAGE_DEMOTE
    )


@inner
def is_list_call(leaf: int) -> bool:
    """Say whether a call works through a list of pages."""
    return bool(leaf == Leaf.EXPORT_BLOCKW or leaf == Leaf.EXPORT_MEM)
