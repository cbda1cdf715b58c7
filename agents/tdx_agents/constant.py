"""Policies whose answer is always the same: what any decision is measured against."""

import functools

from tdx_agents.protocol import Decide, Features, Policy, if_allowed
from tdx_agents.retry import always_retry
from tdx_agents.row import Row
from tdx_env.host.discipline import DEFAULT
from tdx_env.state.discipline import Action


def always_kick(features: Features) -> int:
    """Kick wherever that is allowed. Source: none, a yardstick."""
    return if_allowed(features, Action.KICK)


def always_yield(features: Features) -> int:
    """Yield wherever that is allowed. Source: none, a yardstick."""
    return if_allowed(features, Action.YIELD)


_RULES: dict[Action, Decide] = {
    Action.RETRY: always_retry,
    Action.KICK: always_kick,
    Action.YIELD: always_yield,
}


@functools.cache
def constant(action: Action) -> Policy:
    """Return the policy that always takes one action, RETRY where that is masked.

    It is named for the action and runs under the default discipline.
    """
    title = f"{action.name} wherever it is allowed, else RETRY"
    row = Row(
        action.name.lower(), "", title, "yardstick", _RULES[action], DEFAULT.with_(asks="all")
    )
    return row.compile()
