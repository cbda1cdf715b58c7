"""Why a ranking changes: busy replies that came or went, and the rule of the module behind it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch
from tdx_env.module.rules import RULES
from tdx_env.state.world import N_CELLS
from tdx_eval.comparing.episodes import cell_names

_MOST = 3  # reasons told of a scenario
_LEAST = 1.0  # of an episode: a smaller change is none
_LISTS = ("EXPORT_BLOCKW", "EXPORT_MEM")
_COUNTED = {
    "n_interrupted": "calls interrupted",
    "n_synthetic": "synthetic exits of armed vCPUs",
}


@dataclass(frozen=True)
class Reason:
    """Something that happens more or less often on the other version.

    Attributes:
        what: A call that met another on a lock, or what else was counted.
        before: How often in an episode.
        after: Likewise.
        rule: The rule that says so; empty: it follows from other changes.
    """

    what: str
    before: float
    after: float
    rule: str

    def __str__(self) -> str:
        """Return it as a table shows it."""
        rule = f": {self.rule}" if self.rule else ""
        return f"{self.what} {self.before:.0f} → {self.after:.0f} an episode{rule}"


def rule_of(call: str, holder: str, lock: str) -> str:
    """Return the meaning of the rule by which two calls meet otherwise on a lock, or nothing."""
    pair = {call, holder}
    rules = {
        "armed_enter_shares_tree": lock == "TREE" and "VP_ENTER" in pair,
        "lists_yield_to_writers": lock == "TREE" and bool(pair & set(_LISTS)),
        "vp_init_takes_tdr_exclusive": lock == "TDR" and "VP_INIT" in pair,
        "accept_keeps_mark": lock == "ENTRY" and bool(pair & {"ACCEPT", "ATTR_RD", "ATTR_WR"}),
    }
    return next((RULES[name].meaning for name, fits in rules.items() if fits), "")


def rule_of_count(field: str, before: float, after: float) -> str:
    """Return the meaning of the rule by which something happens more or less often, or nothing."""
    if field == "n_interrupted":
        return RULES[
            "demote_is_interruptible" if after < before else "lists_yield_to_writers"
        ].meaning
    is_disarmed = field == "n_synthetic" and after < before / 2
    return RULES["acceptable_pending_disarms"].meaning if is_disarmed else ""


def _cells(batch: Batch) -> NDArray[np.float64]:
    """Return busy replies an episode by cell, shape (N_CELLS,)."""
    busy: NDArray[np.float64] = batch.run["cells"][:, :, 0].mean(axis=0)
    return busy


def reasons_of(before: Batch, after: Batch) -> tuple[Reason, ...]:
    """Return what changes most between two batches of the same episodes."""
    first, second = _cells(before), _cells(after)
    found = []
    for cell in range(N_CELLS):
        if abs(first[cell] - second[cell]) >= _LEAST:
            call, holder, lock = cell_names(cell)
            what = f"{call} met {holder} on {lock}"
            rule = rule_of(call, holder, lock)
            found.append(Reason(what, float(first[cell]), float(second[cell]), rule))
    for field, what in _COUNTED.items():
        one, other = (float(batch.run[field].mean()) for batch in (before, after))
        if abs(one - other) >= _LEAST:
            found.append(Reason(what, one, other, rule_of_count(field, one, other)))
    return tuple(sorted(found, key=lambda reason: -abs(reason.before - reason.after))[:_MOST])
