"""What is raised for an episode that a kernel has broken off: kernels raise nothing."""

import numpy as np

from tdx_env.errors import BrokenError, PolicyError
from tdx_env.state.actors import State
from tdx_env.state.broken import DISPATCHERS, Place
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.discipline import Action


def _name(kind: type[State] | type[Leaf], number: int) -> str:
    """Return the name of a member, or its number if there is none of that number."""
    if number == NONE:
        return "none"
    return kind(number).name if number in set(kind) else str(number)


def error_of(run: np.void) -> BrokenError | PolicyError:
    """Return what to raise for an episode whose end is BROKEN.

    Args:
        run: Its record, dtype RUN.
    """
    place, case = Place(int(run["broken_place"])), int(run["broken_case"])
    actor, state, leaf = (int(run[f"broken_{name}"]) for name in ("actor", "state", "leaf"))
    is_vcpu = actor < int(run["n_vcpus"])
    who = "nobody" if actor == NONE else f"{'vCPU' if is_vcpu else 'host task'} {actor}"
    where = f"{who}, state {_name(State, state)}, leaf {_name(Leaf, leaf)}"
    when = f"at cycle {int(run['now'])} of seed {int(run['seed'])}"
    if place == Place.ACTION_GIVEN:
        allowed = ", ".join(f"{action:d} ({action.name})" for action in Action)
        return PolicyError(f"action {case} for {where}, {when}: must be one of {allowed}")
    cases, function = DISPATCHERS[place]
    what = f"{cases.__name__} {case}"
    if case in set(cases):
        what += f" ({cases(case).name})"
    return BrokenError(
        f"{where}: {function} has no case for {what}, {when}; the simulator is at fault, not the "
        "policy"
    )
