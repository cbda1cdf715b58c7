"""From pydantic's errors to one sentence a mistake: where, what was given, what is allowed."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tdx_env.errors import ScenarioError
from tdx_env.scenarios.keys import known_keys
from tdx_env.scenarios.values import as_written

_ALLOWED = {
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "string_too_short": "must be a text that is not empty",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}


def _complaint(error: ErrorDetails, data: Mapping[str, Any]) -> str:
    """Return one mistake as a sentence."""
    if error["type"] == "mistake":
        return error["msg"]
    place = tuple(str(part) for part in error["loc"])
    key = ".".join(place)
    if error["type"] == "missing":
        table = known_keys(place[:-1], data)
        return f"{key} is missing, must be given (keys here: {', '.join(table)})"
    given = f"{key} = {as_written(error['input'])}"
    if error["type"] == "extra_forbidden":
        known = known_keys(place[:-1], data)
        return f"{given}, unknown key, must be one of: {', '.join(known)}"
    if error["type"] == "literal_error":
        return f"{given}, must be one of: {error['ctx']['expected']}"
    return f"{given}, {_ALLOWED.get(error['type'], error['msg'])}"


def scenario_error(where: str, error: ValidationError, data: Mapping[str, Any]) -> ScenarioError:
    """Return our error for what pydantic found.

    Args:
        where: File and split, for the message.
        error: What pydantic raised.
        data: The scenario as read.
    """
    mistakes = [_complaint(each, data) for each in error.errors(include_url=False)]
    return ScenarioError("\n".join(f"{where}: {each}" for each in mistakes))
