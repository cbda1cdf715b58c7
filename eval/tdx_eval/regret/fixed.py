"""The rules whose regret is measured, all under one bounded discipline."""

from dataclasses import dataclass

from tdx_agents.adaptive import by_operand, kick_at_break_even
from tdx_agents.constant import always_kick, always_yield
from tdx_agents.merged import kick_zap_else_yield
from tdx_agents.protocol import Decide, Features, Policy, if_allowed
from tdx_agents.retry import always_retry
from tdx_agents.row import Row
from tdx_agents.tries import by_holder
from tdx_env.host.discipline import BOUNDED, Discipline
from tdx_env.state.discipline import Action
from tdx_env.state.features import Feature

TRIES = (2, 32, 512)
_ZAP = "; zap too (needs a KVM change)"
MAY_YIELD = BOUNDED.with_(zap_yield=True)
"""The bounded discipline, and YIELD in the zap path, which needs a change of KVM."""


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        policy: It, compiled.
        is_fixed: Whether it is one of the constant answers, or so many tries and then one answer;
            the others look at state.
    """

    policy: Policy
    is_fixed: bool


def after_tries(tries: int, action: Action) -> Decide:
    """Return the rule that repeats a busy call, and takes one other answer from some try on.

    Args:
        tries: Plain tries of one call, the first included.
        action: The answer from then on, where it is allowed.
    """

    def rule(features: Features) -> int:
        if features[Feature.ISSUES] < tries:
            return Action.RETRY
        return if_allowed(features, action)

    return rule


def _row(name: str, title: str, rule: Decide, discipline: Discipline) -> Row:
    """Return a rule."""
    return Row(name, "", title, "tdx-eval regret", rule, discipline)


def fixed_rows() -> list[Row]:
    """Return the constant answers, and so many tries followed by one answer; nothing compiled."""
    fixed = [
        _row("retry", "again, 1,024 times, a gated kick, as often again", always_retry, BOUNDED),
        _row("kick", "kick at once", always_kick, BOUNDED),
        _row("yield", "yield at once", always_yield, BOUNDED),
        _row("yield-zap", f"yield at once{_ZAP}", always_yield, MAY_YIELD),
    ]
    for n in TRIES:
        kick, give_up = after_tries(n, Action.KICK), after_tries(n, Action.YIELD)
        fixed.append(_row(f"{n}-then-kick", f"{n} tries, then kick", kick, BOUNDED))
        fixed.append(_row(f"{n}-then-yield", f"{n} tries, then yield", give_up, BOUNDED))
        title = f"{n} tries, then yield{_ZAP}"
        fixed.append(_row(f"{n}-then-yield-zap", title, give_up, MAY_YIELD))
    return fixed


def looking_rows() -> list[Row]:
    """Return the rules that look at state; nothing compiled."""
    return [
        _row("break-even", "kick when busy time has paid one", kick_at_break_even(), BOUNDED),
        _row("operand", "by the lock that is busy", by_operand, BOUNDED),
        _row("operand-zap", f"by the lock that is busy{_ZAP}", by_operand, MAY_YIELD),
        _row("operand-split", "kick for S-EPT locks, repeat TRACK", by_holder(16), BOUNDED),
        _row("p18-rule", "kick in a zap, else yield", kick_zap_else_yield, BOUNDED),
    ]


def all_rules() -> list[Rule]:
    """Return all rules, the fixed ones first, compiled."""
    return [
        *(Rule(row.compile(), True) for row in fixed_rows()),
        *(Rule(row.compile(), False) for row in looking_rows()),
    ]
