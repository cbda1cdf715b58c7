"""What a user changes about a scenario on the command line: single keys, and measured costs."""

import re
from collections.abc import Sequence
from pathlib import Path

from tdx_env.errors import ScenarioError, printable
from tdx_env.scenarios.tables import COST_NAMES
from tdx_env.scenarios.values import is_range_table
from tdx_env.scenarios.wording import known
from tdx_env.toml_file import parse_toml, read_toml

_RANGE = re.compile(r"(-?[0-9_]+)\.\.(-?[0-9_]+)")
_WORD = re.compile(r"[a-z][a-z0-9_]*")
_VALUES = {"true", "false", "inf", "nan"}  # words that TOML has for values
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)+(-[a-z0-9-]+)?")  # no key takes a number with a point


def _parse(option: str, text: str) -> object:
    """Return the value of a ``key=value`` option."""
    span = _RANGE.fullmatch(text)
    if span:
        text = f"{{low = {span[1]}, high = {span[2]}}}"
    elif _VERSION.fullmatch(text) or (_WORD.fullmatch(text) and text not in _VALUES):
        return text
    try:
        table = parse_toml(f"value = {text}")
    except ValueError:
        table = {}
    if set(table) != {"value"}:  # a line end in the text begins another key
        raise ScenarioError(
            f"--set {option}: the value must be a whole number, low..high, true, false or a word"
        )
    return table["value"]


def _from_costs_file(path: Path) -> dict[str, object]:
    """Return the costs of a user's file, by dotted key."""
    where = printable(str(path))
    try:
        table = read_toml(path)
    except ValueError as error:
        raise ScenarioError(f"{where}: {error}") from error
    read: dict[str, object] = {}
    for name, value in table.items():
        if name not in COST_NAMES:
            must = known(COST_NAMES, name)
            raise ScenarioError(f"{where}: {printable(name)}, unknown cost, {must}")
        cost = dict(value) if is_range_table(value) else {"low": value, "high": value}
        read[f"costs.{name}"] = {"by": path.name} | cost
    return read


def overrides_from(set_options: Sequence[str], costs_file: Path | None = None) -> dict[str, object]:
    """Return the overrides that a command line asks for, as `load` takes them.

    Args:
        set_options: ``key=value`` or ``key=low..high``, with dotted keys.
        costs_file: TOML with a number, or low and high, for each cost that was measured. A key
            of set_options goes before it.

    Raises:
        ScenarioError: An option or the file can't be understood.
    """
    found = {} if costs_file is None else _from_costs_file(costs_file)
    given: dict[str, object] = {}
    for option in set_options:
        shown = printable(option)
        key, equals, text = (part.strip() for part in option.partition("="))
        if not equals or not key or not text:
            raise ScenarioError(f"--set {shown}: must be key=value, for example costs.bare=2300")
        if key in given:
            raise ScenarioError(f"--set {shown}: {printable(key)} is set twice, must be set once")
        given[key] = _parse(shown, text)
    return found | given
