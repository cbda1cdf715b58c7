"""The pages of a scenario's keys and of its costs, from the models that read scenario files."""

import re
from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from markdown_table import NOTE, table
from tdx_env.scenarios.groups import PROGRAMS
from tdx_env.scenarios.schema import Scenario
from tdx_env.scenarios.tables import Area, CostRange, FileTable, Guest, Host, Limits, Module
from tdx_env.scenarios.tasks import KINDS
from tdx_env.scenarios.values import (
    Bands,
    Choice,
    KernelName,
    ModuleNames,
    ObjectiveText,
    Range,
    Sizes,
    Span,
    Whole,
    Word,
    Words,
)
from tdx_env.scenarios.wording import as_written
from tdx_eval.costs.ranges import common, overridden

_UNIT = re.compile(r" *\[([^\]]+)\]$")
_HEAD = ("key", "type", "unit", "default", "allowed", "meaning")
_TYPES: dict[type, str] = {
    Whole: "whole number",
    Span: "whole number or range",
    Sizes: "whole number, range or choices",
    Word: "text",
    Words: "list of words",
    Bands: "list of numbers",
    ObjectiveText: "text or table of weights",
    ModuleNames: "text or list",
    KernelName: "text",
}
_PARTS: Mapping[str, tuple[type[FileTable], str]] = {
    "host": (Host, "KVM and its machine."),
    "module": (Module, "The TDX module."),
    "guest": (Guest, "The TD's attributes."),
    "limits": (Limits, "When an episode ends without being finished, and what the reward counts."),
    "areas.NAME": (Area, "Guest memory that begins in one state; the file names it."),
    "costs.NAME": (CostRange, "A cost of this scenario alone, see [costs](costs.md)."),
}
_TABLES = {"host", "module", "guest", "limits", "areas", "groups", "tasks", "costs"}


def _check(field: FieldInfo) -> Any:
    """Return what a field's value is checked by, or None."""
    return next((one for one in field.metadata if type(one) in _TYPES), None)


def _literals(kind: Any) -> list[object]:
    """Return the words that a type allows, or nothing."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [word for part in get_args(kind) for word in _literals(part)]


def _type_and_allowed(field: FieldInfo) -> tuple[str, str]:
    """Return the type of a field's values in words, and which are allowed."""
    check = _check(field)
    words = " or ".join(f"`{word}`" for word in _literals(field.annotation))
    if check is None and words:
        return "text", words
    if check is None:
        kinds = [one for one in get_args(field.annotation) or [field.annotation] if one != NoneType]
        return {bool: "true or false", int: "whole number"}.get(kinds[0], "text"), ""
    allowed = _numbers(check) if hasattr(check, "low") else getattr(check, "allowed", "")
    if isinstance(check, ModuleNames | KernelName):
        allowed = "[module and kernel](versions.md)"
    if isinstance(check, ObjectiveText):
        allowed = "[objectives](../objectives.md)"
    return _TYPES[type(check)], allowed


def _numbers(check: Any) -> str:
    """Return the bounds of a number as a cell has them."""
    ends = f"{check.low:,} to {check.high:,}" if check.low < check.high else f"{check.low:,}"
    others = ["0"] if getattr(check, "has_zero", False) else []
    others += [f"`{word}`" for word in getattr(check, "words", ())]
    return " or ".join([ends, *others])


def _default(field: FieldInfo) -> str:
    """Return a field's default as a file would have it."""
    if field.is_required():
        return "must be given"
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, Range | Choice):
        return f"`{value}`"
    return f"`{as_written(list(value) if isinstance(value, tuple) else value)}`"


def _line(key: str, field: FieldInfo) -> tuple[str, ...]:
    """Return a key's row."""
    text = field.description or ""
    unit = _UNIT.search(text)
    kind, allowed = _type_and_allowed(field)
    meaning = _UNIT.sub("", text)
    return f"`{key}`", kind, unit[1] if unit else "", _default(field), allowed, meaning


def _lines(model: type[FileTable]) -> list[tuple[str, ...]]:
    """Return the rows of a table's keys."""
    return [_line(key, field) for key, field in model.model_fields.items()]


def _of_kinds(models: Mapping[str, type[FileTable]], word: str) -> str:
    """Return the table of the keys of all kinds of a group or task.

    Args:
        models: By the word that a file has for each.
        word: The key that holds it; it has a table of its own.
    """
    which: dict[tuple[str, ...], list[str]] = {}
    for kind, model in models.items():
        for line in _lines(model):
            if line[0] != f"`{word}`":
                which.setdefault(line, []).append(kind)
    lines = [
        (*line, "all" if len(kinds) == len(models) else ", ".join(kinds))
        for line, kinds in which.items()
    ]
    order = list(dict.fromkeys(line[0] for line in lines))
    lines.sort(key=lambda line: order.index(line[0]))
    kinds = table(
        (f"`{word}`", "what it is"),
        [(f"`{kind}`", (model.__doc__ or "").partition("\n")[0]) for kind, model in models.items()],
    )
    return f"{kinds}\n\n{table((*_HEAD, f'{word} that has it'), lines)}"


def scenario_page() -> str:
    """Return the page of a scenario's keys."""
    top = {key: field for key, field in Scenario.model_fields.items() if key not in _TABLES}
    parts = [
        "# Keys of a scenario",
        NOTE,
        "A scenario is a TOML file; [a scenario of your own](../howto/own-scenario.md) begins from "
        "a shipped one. An unknown key, a wrong type and a value out of its range are told with "
        "file, key, what was given and what is allowed. **A range** is `{ low = 4, high = 12 }`, "
        "drawn anew each episode, both ends included; on a command line `--set "
        "host.n_vcpus=4..12`. Every key can be set there by its dotted name.",
        "## The file",
        table(_HEAD, [_line(key, field) for key, field in top.items()]),
    ]
    for name, (model, text) in _PARTS.items():
        parts += [f"## `[{name}]`", text, table(_HEAD, _lines(model))]
    parts += ["## `[groups.NAME]`", "vCPUs that run one program.", _of_kinds(PROGRAMS, "program")]
    parts += ["## `[tasks.NAME]`", "Host threads that do one kind of work."]
    parts.append(_of_kinds(KINDS, "kind"))
    parts += [
        "## `[splits.NAME]`",
        "Any of the keys above: what differs in `train`, `validation` or `test`. Nothing is "
        "trained, selected or tuned on `test`.",
    ]
    return "\n\n".join(parts) + "\n"


def costs_page() -> str:
    """Return the page of the costs."""
    rows = common()
    flags = {flag: sum(row.flag == flag for row in rows) for flag in dict.fromkeys(_flags())}
    counts = ", ".join(f"{n} {flag}" for flag, n in flags.items() if n)
    lines = [
        (f"`{row.name}`", f"{row.low:,} to {row.high:,}", row.flag, row.use, row.by) for row in rows
    ]
    others = [
        (f"`{row.name}`", f"{row.low:,} to {row.high:,}", row.flag, f"`{scenario}`", row.by)
        for scenario, some in overridden().items()
        for row in some
    ]
    flag_text = "measured: a published number; derived: from published numbers; stated: by "
    flag_text += "somebody without data; guessed: by this project; user: your own"
    return (
        "\n\n".join(
            [
                "# Costs",
                NOTE,
                f"Of {len(rows)} costs {counts}: no public measurement of a single SEAMCALL "
                "exists. Each is drawn anew each episode, in cycles of the scenario's TSC "
                "(2,500 cycles are 1 µs unless `clock_khz` says otherwise). How far the ranking of "
                "policies hangs on each is in [costs and the ranking](../costs.md), how to put in "
                "your own in [costs that you measured](../howto/measured-costs.md).",
                f"*Evidence*: {flag_text}.",
                table(
                    ("cost", "range [cycles]", "evidence", "used for", "who, where, or why"), lines
                ),
                "## Of one scenario alone",
                table(
                    ("cost", "range [cycles]", "evidence", "scenario", "who, where, or why"), others
                )
                if others
                else "None.",
            ]
        )
        + "\n"
    )


def _flags() -> tuple[str, ...]:
    """Return the words for what a cost rests on."""
    return get_args(CostRange.model_fields["source"].annotation)
