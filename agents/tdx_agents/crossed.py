"""The decisions of one policy under the discipline of another: ``retry@P18``.

A policy is both, and a comparison of two policies credits neither. Held against ``retry@AGENT``, an
agent shows what its decisions alone are worth; ``operand@P18`` and ``break-even@P18`` differ in
nothing else either.
"""

from dataclasses import replace

from tdx_agents.constant import constant
from tdx_agents.handwritten import find, known_names
from tdx_agents.protocol import Policy
from tdx_agents.tree import load_tree, tree_names, tree_place
from tdx_env.errors import PolicyError, one_of, shown
from tdx_env.state.discipline import Action


def under(decisions: Policy, frame: Policy) -> Policy:
    """Return the decisions of one policy under the discipline of another.

    What a decision takes, and where decisions are asked for, goes with who decides: it is the first
    one's.
    """
    return replace(
        decisions,
        name=f"{decisions.name}@{frame.name}",
        number="",
        title=f"decisions of {decisions.name}, discipline of {frame.name}",
        source=f"{decisions.source}; discipline: {frame.source}",
        discipline=frame.discipline.with_(
            decision_cycles=decisions.decision_cycles, asks=decisions.discipline.asks
        ),
        behaves_as="",
    )


def decider(name: str) -> Policy:
    """Return whose decisions a name before the @ means.

    Args:
        name: An action, in any letters, the name or file of a tree, or a name or number of the
            catalogue.

    Raises:
        PolicyError: It is none of them.
    """
    if name.upper() in Action.__members__:
        return constant(Action[name.upper()])
    policy = find(name)
    if policy is not None:
        return policy
    place = tree_place(name)
    if place is not None:
        return load_tree(place)
    actions = ", ".join(action.name.lower() for action in Action)
    others = one_of(name, (*known_names(), *tree_names())).removeprefix("must be ")
    raise PolicyError(
        f"the decisions of {shown(name)} are unknown, must be {actions} (always that action) or "
        f"{others}"
    )
