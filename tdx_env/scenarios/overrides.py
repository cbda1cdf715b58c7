"""What a user changes about a scenario on the command line: single keys, and measured costs."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tdx_env.errors import ScenarioError
from tdx_env.scenarios.checks import COST_NAMES
from tdx_env.scenarios.loader import read_toml
from tdx_env.scenarios.values import is_range_table

_RANGE = re.compile(r"(-?[0-9_]+)\.\.(-?[0-9_]+)")
_WORD = re.compile(r"[a-z][a-z0-9_]*")


def _parse(option: str, text: str) -> object:
    """Return the value of a ``key=value`` option."""
    span = _RANGE.fullmatch(text)
    if span:
        text = f"{{low = {span[1]}, high = {span[2]}}}"
    elif _WORD.fullmatch(text) and text not in {"true", "false", "inf", "nan"}:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise ScenarioError(
            f"--set {option}: the value must be a whole number, low..high, true, false or a word"
        ) from None


def _from_costs_file(path: Path) -> dict[str, object]:
    """Return the costs of a user's file, by dotted key."""
    read: dict[str, object] = {}
    for name, value in read_toml(path).items():
        if name not in COST_NAMES:
            known = ", ".join(COST_NAMES)
            raise ScenarioError(f"{path}: {name}, unknown cost, must be one of: {known}")
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
    for option in set_options:
        key, equals, text = option.partition("=")
        if not equals or not key.strip() or not text.strip():
            raise ScenarioError(f"--set {option}: must be key=value, for example costs.bare=2300")
        found[key.strip()] = _parse(option, text.strip())
    return found
