"""Rows about the host-priority mark of an S-EPT entry."""

import functools

import numpy as np
from numpy.typing import NDArray

from tdx_env.state.accounting import Category
from tdx_env.state.actors import State
from tdx_eval.reality.criteria import Always, below
from tdx_eval.reality.row import Kind, Row, Sample
from tdx_eval.reality.worlds import World, booked, microseconds, run_world

_WORLD = World("priority.toml")
_LOOP = "p9-fault-loop-16"  # a busy AUG is given up, the guest tries its ACCEPT again
_N_TRACED = 1 << 14
_ACCEPTER = 0
_MS = 1e3  # [µs]
Events = NDArray[np.void]  # dtype EVENT, shape (n,)


def _refused_after(events: Events, entry: int) -> bool | None:
    """Say whether the accepter was refused until another host call took the entry.

    Args:
        events: What came after AUG had failed.
        entry: The entry it had failed on.

    Returns:
        None if another host call took the entry before the accepter tried again.
    """
    is_refused = False
    for _, actor, state, where in events:
        if where != entry:
            continue
        if actor != _ACCEPTER and state == State.SEAMCALL:
            return True if is_refused else None
        if actor == _ACCEPTER and state == State.HOLD:
            return False
        if actor == _ACCEPTER and state == State.RETRY_WAIT:
            is_refused = True
    return None


@functools.cache
def _refusals(n_draws: int) -> NDArray[np.float64]:
    """Return, for each AUG that failed and was given up, whether the next ACCEPT was refused."""
    batch = run_world(_WORLD, _LOOP, n_draws, _N_TRACED)
    found = []
    for index in np.flatnonzero(batch.run["n_busy"]):
        world = batch.world(int(index))
        events = world.trace["event"][: world.run["n_traced"]]
        given_up = (events["actor"] == _ACCEPTER) & (events["state"] == State.UNWIND)
        for place in np.flatnonzero(given_up & (events["entry"] >= 0)):
            told = _refused_after(events[place + 1 :], int(events["entry"][place]))
            if told is not None:
                found.append(float(told))
    return np.array(found)


def _mark(n_draws: int) -> Sample:
    """Look what a failed AUG does to the guest's next ACCEPT of that page."""
    values = _refusals(n_draws)
    note = (
        f"{len(values)} AUGs that a guest's ATTR.RD made busy and KVM gave up (P9). Until the "
        "reader's own fault brings another host call the ACCEPT is refused each time; a host that "
        "repeats the AUG at once takes the mark away itself."
    )
    return Sample(values, note)


def _timeout(n_draws: int) -> Sample:
    """Measure how long host priority keeps a guest waiting."""
    batch = run_world(_WORLD, _LOOP, n_draws, _N_TRACED)
    cycles = booked(batch, Category.GUEST_PRIORITY_STALL, _ACCEPTER)
    values = microseconds(_WORLD, cycles[cycles > 0]) / _MS
    note = (
        "All refusals of an episode together, in the draws that have one: the limit is never "
        "reached, since the next host call on the entry is some microseconds away."
    )
    return Sample(values, note)


ROWS = (
    Row(
        "failed-aug-mark", Kind.STATED,
        "The host-priority mark that a failed AUG leaves refuses the guest's next ACCEPT until "
        "another host call takes the entry.",
        "TDX module 1.5, tdx_locks.h; R. Edgecombe, 9 September 2024", "", Always(), _mark,
    ),
    Row(
        "host-priority-timeout", Kind.LIMIT,
        "A guest that host priority refuses for 1 s leaves by a TD exit (HP_LOCK_TIMEOUT).",
        "TDX module 1.5, td_call", "ms", below(1_000), _timeout,
    ),
)  # fmt: skip
