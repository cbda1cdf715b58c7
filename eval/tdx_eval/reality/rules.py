"""Rows about the module's locks as the discussion had them, checked against the table of calls."""

from collections.abc import Callable

import numpy as np

from tdx_env.module.seamcalls import calls
from tdx_env.state.calls import Leaf, Lock, Mode, Op
from tdx_eval.reality.criteria import Always, Within
from tdx_eval.reality.row import Kind, Row, Sample

_EXCLUSIVE = (Leaf.MEM_RANGE_BLOCK, Leaf.MEM_RANGE_UNBLOCK, Leaf.MEM_PAGE_REMOVE)
_SHARED = (
    Leaf.MEM_SEPT_ADD, Leaf.MEM_PAGE_AUG, Leaf.MEM_PAGE_PROMOTE, Leaf.MEM_PAGE_DEMOTE,
)  # fmt: skip
_MODULE = "1.5.01"  # which the discussion was about
_OUR_TABLE = f"The table of calls, module {_MODULE}: not a matter of costs."


def _modes(leaf: Leaf) -> dict[int, Mode]:
    """Return the locks of a call and how it takes them."""
    steps = calls(_MODULE)[leaf].steps
    return {step.lock: step.mode for step in steps if step.op == Op.ACQUIRE}


def _tree_modes(n_draws: int) -> Sample:
    """Compare how calls take the tree lock."""
    said = dict.fromkeys(_EXCLUSIVE, Mode.EXCLUSIVE) | dict.fromkeys(_SHARED, Mode.SHARED)
    agrees = {leaf: _modes(leaf)[Lock.TREE] == mode for leaf, mode in said.items()}
    wrong = ", ".join(leaf.name for leaf, is_so in agrees.items() if not is_so)
    note = (
        f"{_OUR_TABLE} Not so: {wrong}, which takes the tree shared; SEPT.REMOVE, which frees a "
        "table, takes it exclusively."
    )
    return Sample(np.array(list(agrees.values()), float), note)


def _aug_locks(n_draws: int) -> Sample:
    """Count the locks of AUG."""
    modes = _modes(Leaf.MEM_PAGE_AUG)
    exclusive = ", ".join(Lock(lock).name for lock, mode in modes.items() if mode)
    note = f"{_OUR_TABLE} Exclusively: {exclusive}. PAMT parents are part of a page's lock."
    return Sample(np.array([float(len(modes))]), note)


def _attributes(n_draws: int) -> Sample:
    """Look whether ATTR.RD and ATTR.WR take the entry lock."""
    takes = [Lock.ENTRY in _modes(leaf) for leaf in (Leaf.ATTR_RD, Leaf.ATTR_WR)]
    return Sample(np.array(takes, float), _OUR_TABLE)


def _vcpu_lock(n_draws: int) -> Sample:
    """Look whether VP.ENTER takes its vCPU's lock exclusively."""
    is_exclusive = _modes(Leaf.VP_ENTER)[Lock.TDVPR] == Mode.EXCLUSIVE
    note = f"{_OUR_TABLE} It takes it shared; the public branch was rewritten since that mail."
    return Sample(np.array([float(is_exclusive)]), note)


def _row(row_id: str, observed: str, source: str, measure: Callable[[int], Sample]) -> Row:
    """Return the row of a statement about the table."""
    return Row(row_id, Kind.STATED, observed, source, "", Always(), measure)


ROWS = (
    _row(
        "tree-modes",
        "BLOCK, UNBLOCK and REMOVE take the per-TD S-EPT lock exclusively; ADD, AUG, PROMOTE and "
        "DEMOTE share it.",
        "S. Christopherson, 10 September 2024 (ZuBsTlbrlD6NHyv1)", _tree_modes,
    ),
    Row(
        "aug-locks", Kind.STATED,
        "AUG takes five locks in all, others than the S-EPT lock exclusively.",
        "R. Edgecombe, 10 September 2024", "locks", Within(5), _aug_locks,
    ),
    _row(
        "attr-locks", "ATTR.RD and ATTR.WR take the entry lock too.",
        "module team, November 2024", _attributes,
    ),
    _row(
        "enter-vcpu-lock", "VP.ENTER holds its vCPU's lock (TDVPR) exclusively.",
        "Y. Zhao, 13 September 2024, module 1.5.05", _vcpu_lock,
    ),
)  # fmt: skip
