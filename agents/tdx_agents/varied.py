"""A policy with one number of its discipline changed: ``P8@max_issues=4``."""

from dataclasses import replace

from pydantic import ValidationError

from tdx_agents.protocol import Policy
from tdx_env.errors import PolicyError, printable, shown
from tdx_env.host.discipline import Discipline

NUMBERS = ("max_issues", "flush", "max_interrupted", "walks_again", "decision_cycles")
"""Fields of a discipline that are numbers; `max_issues` is set for all SEAMCALLs."""
_UNDER, _IS = "@", "="


def varied_spec(spec: str) -> tuple[str, str, str] | None:
    """Return policy, field and value of a spec that changes a number, None if it is none."""
    policy, under, change = spec.rpartition(_UNDER)
    field, is_, value = change.partition(_IS)
    return (policy, field, value) if under and is_ and policy else None


def check_number(field: str, where: str) -> None:
    """Fail if a field of a discipline is no number.

    Args:
        field: Its name.
        where: What asked for it, for the message.

    Raises:
        PolicyError: It is none.
    """
    if field in NUMBERS:
        return
    kind = "is not a number" if field in Discipline.model_fields else "is no field of a discipline"
    raise PolicyError(f"{where}: {printable(field)} {kind}, must be one of {', '.join(NUMBERS)}")


def varied(policy: Policy, field: str, value: str) -> Policy:
    """Return a policy with one number of its discipline changed, named for it.

    Args:
        policy: The policy.
        field: One of NUMBERS.
        value: A whole number.

    Raises:
        PolicyError: The field is no number, or the value is none or out of bounds.
    """
    name = f"{policy.name}{_UNDER}{field}{_IS}{value}"
    check_number(field, name)
    try:
        number = int(value)
    except ValueError:
        raise PolicyError(
            f"{printable(name)}: {field} = {shown(value)}, must be a whole number"
        ) from None
    try:
        discipline = policy.discipline.with_(**{field: number})
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise PolicyError(f"{name}: {field} = {number}: {why}") from None
    title = f"{policy.title}; {field} = {number:,}"
    return replace(policy, name=name, number="", title=title, discipline=discipline, behaves_as="")
