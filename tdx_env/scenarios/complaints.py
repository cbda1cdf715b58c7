"""From pydantic's errors to one sentence a mistake: where, what was given, what is allowed."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tdx_env.errors import ScenarioError, printable
from tdx_env.scenarios.groups import PROGRAMS
from tdx_env.scenarios.keys import NAMED, known_keys
from tdx_env.scenarios.tables import FileTable
from tdx_env.scenarios.tasks import KINDS
from tdx_env.scenarios.wording import as_written, known

# Tables whose tables have one of several models: the key that says which, and the models.
_BY_KIND: dict[str, tuple[str, Mapping[str, type[FileTable]]]] = {
    "groups": ("program", PROGRAMS),
    "tasks": ("kind", KINDS),
}
_ALLOWED = {
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "string_too_short": "must be a text that is not empty",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}


def _shown(place: tuple[str, ...]) -> str:
    """Return a dotted key."""
    return ".".join(printable(part) for part in place)


def _kind_complaint(error: ErrorDetails, place: tuple[str, ...]) -> str:
    """Return what is wrong with the key that says what a group or task does."""
    key, models = _BY_KIND[place[0]]
    if error["type"] == "union_tag_not_found":
        return f"{_shown(place)}.{key} is missing, {known(models)}"
    given = error["input"][key]
    return f"{_shown(place)}.{key} = {as_written(given)}, {known(models, given)}"


def _key_complaint(error: ErrorDetails, place: tuple[str, ...], kind: str) -> str:
    """Return what is wrong with a key of a group or task: its kind hasn't it, or needs it.

    Args:
        error: What pydantic found.
        place: Where, without the kind.
        kind: The program or kind of task.
    """
    if error["type"] == "missing":
        return f"{_shown(place)} is missing, {kind} needs it"
    _, models = _BY_KIND[place[0]]
    why = f"{kind} has no such key" if place[-1] in NAMED[place[0]] else "unknown key"
    given = f"{_shown(place)} = {as_written(error['input'])}"
    return f"{given}, {why}, {known(sorted(models[kind].model_fields), place[-1])}"


def _complaint(error: ErrorDetails, data: Mapping[str, Any]) -> str:
    """Return one mistake as a sentence."""
    place = tuple(str(part) for part in error["loc"])
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return _kind_complaint(error, place)
    if place[0] in _BY_KIND and len(place) > 2:  # pydantic puts the kind behind the name
        kind, place = place[2], (*place[:2], *place[3:])
        if error["type"] in ("missing", "extra_forbidden"):
            return _key_complaint(error, place, kind)
    if error["type"] == "missing":
        table = known_keys(place[:-1], data)
        return f"{_shown(place)} is missing, must be given (keys here: {', '.join(table)})"
    given = f"{_shown(place)} = {as_written(error['input'])}"
    if error["type"] == "extra_forbidden":
        return f"{given}, unknown key, {known(known_keys(place[:-1], data), place[-1])}"
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
