"""The page of the JSON files that `tdx-eval` writes, from the dataclasses that they are made of."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from markdown_table import NOTE, table
from tdx_eval.comparing.summary import Summary
from tdx_eval.costs.study import Study
from tdx_eval.reality.row import RealityTable

_FILES: Mapping[str, tuple[type[Any], str]] = {
    "summary.json": (Summary, "`tdx-eval compare`"),
    "reality.json": (RealityTable, "`tdx-eval reality --out FOLDER`"),
    "costs.json": (Study, "`tdx-eval costs --write`"),
}
_ATTRIBUTES = re.compile(r"Attributes:\n(.*?)(?:\n\s*\n|\Z)", re.DOTALL)
_ENTRY = re.compile(r"^        (\w[\w, ]*): (.*(?:\n            .*)*)", re.MULTILINE)
_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def _meanings(kind: type[Any]) -> dict[str, str]:
    """Return what a dataclass's docstring says of each field."""
    section = _ATTRIBUTES.search(kind.__doc__ or "")
    if section is None:
        return {}
    return {
        name.strip(): " ".join(text.split()).replace("None", "null")
        for names, text in _ENTRY.findall(section[1])
        for name in names.split(",")
    }


def _parts(hint: Any) -> tuple[str, str, type[Any] | None]:
    """Return a type in words, what a path has behind the name, and the dataclass inside."""
    options = [one for one in get_args(hint) if one is not NoneType]
    if NoneType in get_args(hint):
        words, path, inner = _parts(options[0])
        return f"{words} or null", path, inner
    origin, arguments = get_origin(hint), [one for one in get_args(hint) if one is not Ellipsis]
    if origin is not None and issubclass(origin, Mapping):
        words, path, inner = _parts(arguments[1])
        return f"object: name to {words}", f".NAME{path}", inner
    if origin in (list, tuple):
        words, path, inner = _parts(arguments[0])
        return f"list: {words}", f"[]{path}", inner
    if is_dataclass(hint) and isinstance(hint, type):
        return "object", "", hint
    return _PLAIN.get(hint, "any"), "", None


def _lines(kind: type[Any], place: str, seen: set[type[Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield the row of each field, those of objects inside it behind it.

    Args:
        kind: A dataclass.
        place: Path of the object in the file, with a dot at its end.
        seen: Dataclasses that have been listed; each is listed once.
    """
    meanings, hints = _meanings(kind), get_type_hints(kind)
    for one in fields(kind):
        words, path, inner = _parts(hints[one.name])
        name = f"{place}{one.name}{path}"
        meaning = meanings.get(one.name, "")
        if inner is None:
            yield f"`{name}`", words, meaning
        elif inner in seen:
            yield f"`{name}`", f"{words} (`{inner.__name__}`, as above)", meaning
        else:
            seen.add(inner)
            yield f"`{name}`", f"{words} (`{inner.__name__}`)", meaning
            yield from _lines(inner, f"{name}.", seen)


def files_page() -> str:
    """Return the page of the JSON files."""
    parts = [
        "# Fields of the JSON files",
        NOTE,
        "What a comparison's tables hold (`results.parquet`, `validation.parquet`, "
        "`busy.parquet`) is in [files of results](../results.md). Each file has a number, "
        "`schema`; one of another number is refused by the commands that read it. Cycles are those "
        "of the scenario's clock. An *Estimate* is `{value, low, high, p}`: a value with its 95 % "
        "interval, and the p-value of no difference, if that was tested.",
    ]
    for name, (kind, command) in _FILES.items():
        parts += [f"## `{name}`", f"Written by {command}."]
        parts.append(table(("field", "type", "meaning"), list(_lines(kind, "", {kind}))))
    return "\n\n".join(parts) + "\n"
