"""Entrants by hand, in the same template as what searches find."""

from tdx_agents.tree import Node, Split
from tdx_env.state.discipline import Action
from tdx_eval.searching.arena import UNTIL_WAITS

_GO, _KICK, _YIELD = Action.RETRY, Action.KICK, Action.YIELD


def _flush_at(pages: int) -> Node:
    """Return the rule that flushes when so many pages are blocked."""
    return Split("blocked", pages - 1, _KICK, _GO)


def by_hand() -> dict[str, Node]:
    """Return the entrants by hand, by name; all issue busy calls again but for the last two."""
    greedy = Split("wait_beyond_price", 0, _KICK, _GO)
    return {
        "until-waits": UNTIL_WAITS,
        "per-page": Split("is_flush", 0, _KICK, _GO),
        "batch-16": _flush_at(16),
        "batch-64": _flush_at(64),
        "to-the-end": _GO,
        "greedy": greedy,
        "greedy-half": Split("wait_beyond_half_price", 0, _KICK, _GO),
        "greedy-double": Split("wait_beyond_double_price", 0, _KICK, _GO),
        "greedy-yield": Split("wait_beyond_price", 0, _YIELD, _GO),
        "root": Split("past_root", 0, _KICK, _GO),
        "greedy-break-even": Split(
            "wait_beyond_price", 0, _KICK, Split("busy_beyond_price", 0, _KICK, _GO)
        ),
        "greedy-kick-2m": Split(
            "wait_beyond_price", 0, _KICK,
            Split("on_entry", 0, Split("level", 0, _KICK, _GO), _GO),
        ),
    }  # fmt: skip
