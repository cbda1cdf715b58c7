"""Decision functions that nobody proposed but every comparison needs: yardsticks.

They run under the default discipline. With the catalogue's break-even, operand and random rules
they show what a decision alone can change.
"""

import functools

import tdx_agents
from tdx_agents.constant import always_kick, always_yield
from tdx_agents.merged import kick_zap_else_yield
from tdx_agents.protocol import Policy
from tdx_agents.retry import always_retry
from tdx_agents.row import Row
from tdx_agents.varied import varied, varied_spec
from tdx_env.host.discipline import DEFAULT

RETRY, KICK, YIELD = "always-retry", "always-kick", "always-yield"
REFERENCE_RULE = "p18-rule"
ANSWERS = (KICK, YIELD, REFERENCE_RULE)
"""Rules that are compared with RETRY under one discipline: nothing but the answer differs."""
RANDOM = "random"  # the catalogue's yardstick: never the best policy of anybody


_ROWS = (
    Row(
        RETRY,
        "",
        "again whatever is busy, under the default discipline",
        "yardstick",
        always_retry,
        DEFAULT,
    ),
    Row(
        KICK,
        "",
        "kick whatever is busy, under the default discipline",
        "yardstick",
        always_kick,
        DEFAULT,
    ),
    Row(
        YIELD,
        "",
        "yield wherever that is allowed, else again, under the default discipline",
        "yardstick",
        always_yield,
        DEFAULT,
    ),
    Row(
        REFERENCE_RULE,
        "",
        "P18's decisions under the default discipline",
        "yardstick, from Linux 6.16",
        kick_zap_else_yield,
        DEFAULT,
    ),
)


def yardstick_names() -> list[str]:
    """Return the yardsticks' names, in order."""
    return [row.name for row in _ROWS]


@functools.cache
def _compiled(row: Row) -> Policy:
    """Return a yardstick, compiled once a process."""
    return row.compile()


def load_policy(spec: str) -> Policy:
    """Return a policy: a yardstick, or whatever `tdx_agents.load` takes.

    Raises:
        PolicyError: There is no such policy, or a user's file can't be used.
        BundleError: The folder is no bundle, or one that can't be used.
    """
    changed = varied_spec(spec)
    if changed is not None and changed[0].lower() in yardstick_names():
        return varied(load_policy(changed[0]), *changed[1:])
    row = next((row for row in _ROWS if row.name == spec.lower()), None)
    return tdx_agents.load(spec) if row is None else _compiled(row)
