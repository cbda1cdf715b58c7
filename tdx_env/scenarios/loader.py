"""Scenarios by name or file: reading, the split, overrides, and lists of names."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from tdx_env.errors import ScenarioError, one_of, printable
from tdx_env.module.versions import ALIASES, TRAINED_VERSIONS
from tdx_env.scenarios import grid
from tdx_env.scenarios.checks import check
from tdx_env.scenarios.complaints import scenario_error
from tdx_env.scenarios.keys import plain, put
from tdx_env.scenarios.loaded import Loaded
from tdx_env.scenarios.schema import CORE, MARKS, SCHEMA_VERSION, SPLITS, Scenario
from tdx_env.scenarios.values import is_range_table, is_whole
from tdx_env.scenarios.wording import as_written, known
from tdx_env.toml_file import parse_toml, toml_text

_FOLDER = Path(__file__).resolve().parent
_COSTS_FILE = "costs.toml"
_SUFFIX = ".toml"
_DEFAULT_SPLIT = "train"
_MOST_KEPT = 512  # scenarios, of some 100 kB
_KEPT: dict[tuple[str, str, str], Loaded] = {}


class Layers(NamedTuple):
    """What a resolved scenario is made of, each layer over the one before.

    Attributes:
        where: File and split, for messages.
        costs: The common costs.
        base: The file without its splits.
        split: The split's table.
        name: The resolved name.
        split_name: The split, None if the file has none.
    """

    where: str
    costs: dict[str, Any]
    base: dict[str, Any]
    split: dict[str, Any]
    name: object
    split_name: str | None = None


def _text_of(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ScenarioError: It can't be read.
    """
    try:
        return toml_text(path)
    except ValueError as error:
        raise ScenarioError(f"{printable(str(path))}: {error}") from error


@functools.lru_cache(_MOST_KEPT)
def _parsed(path: Path, text: str) -> dict[str, Any]:
    """Return what a file's text holds; not to be changed.

    Raises:
        ScenarioError: It is no TOML.
    """
    try:
        return parse_toml(text)
    except ValueError as error:
        raise ScenarioError(f"{printable(str(path))}: {error}") from error


@functools.cache
def _packaged(name: str) -> dict[str, Any]:
    """Return a file of the package as read; not to be changed."""
    path = _FOLDER / name
    return _parsed(path, _text_of(path))


@functools.cache
def _slugs() -> tuple[str, ...]:
    """Return the names of the package's scenario files, but for those of the what-if grid."""
    stems = (path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))
    others = {Path(_COSTS_FILE).stem, *grid.FILES}
    return tuple(sorted(stem for stem in stems if stem not in others))


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with another one laid over it; a range is replaced as a whole."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        is_table = isinstance(value, Mapping) and isinstance(under, Mapping)
        if is_table and not is_range_table(value) and not is_range_table(under):
            merged[key] = merge(under, value)  # type: ignore[arg-type]
        else:
            merged[key] = value
    return merged


def _split_name(name: str) -> tuple[str, str | None]:
    """Return file or slug, and split, of a name as `load` takes it."""
    head, slash, tail = name.rpartition("/")
    is_packaged = "/" not in head and not name.endswith(_SUFFIX)
    if slash and (head.endswith(_SUFFIX) or is_packaged):
        return head, tail
    return name, None


def _unknown_split(where: str, split: str, splits: Sequence[str]) -> ScenarioError:
    """Return the error for a split that a scenario doesn't have."""
    return ScenarioError(f"{where}: split {as_written(split)} is unknown, {known(splits, split)}")


def _check_version(where: str, data: Mapping[str, Any]) -> None:
    """Check that a file has the format that is read here, before anything else is made of it.

    Raises:
        ScenarioError: It hasn't; the message says how to go on.
    """
    reads = f"this version of tdx-env reads {SCHEMA_VERSION}"
    if "schema_version" not in data:
        line = f"schema_version = {SCHEMA_VERSION}"
        raise ScenarioError(f"{where}: schema_version is missing, add the line {line}: {reads}")
    given = data["schema_version"]
    key = f"{where}: schema_version = {as_written(given)}"
    if not is_whole(given):
        raise ScenarioError(f"{key}, must be a whole number: {reads}")
    if given > SCHEMA_VERSION:
        raise ScenarioError(f"{key}, {reads}: install a newer tdx-env to use this file")
    if given < SCHEMA_VERSION:
        raise ScenarioError(
            f"{key}, {reads}, the oldest there is: write {SCHEMA_VERSION} and load it again, what "
            "else has to change is then named key by key"
        )


def _layers_of_cell(cell: grid.Cell) -> Layers:
    """Return what a cell of the what-if grid is made of."""
    file = f"{grid.file_of(cell)}{_SUFFIX}"
    costs = _packaged(_COSTS_FILE)
    return Layers(file, costs, dict(_packaged(file)), grid.parameters(cell, costs), cell.name)


def layers_of(name: str | Path) -> Layers:
    """Read what a scenario is made of.

    Args:
        name: As for `load`.

    Raises:
        ScenarioError: There is no such scenario, file or split.
    """
    return _layers(name, _own_text(name))


def _own_text(name: str | Path) -> str:
    """Return what a user's file holds now; of a scenario of the package, which stays, nothing.

    Raises:
        ScenarioError: The file can't be read.
    """
    file, _ = _split_name(str(name))
    return _text_of(Path(file)) if file.endswith(_SUFFIX) else ""


def _layers(name: str | Path, text: str) -> Layers:
    """Return what a scenario is made of.

    Args:
        name: As for `load`.
        text: What its file holds, if it is a user's.

    Raises:
        ScenarioError: There is no such scenario or split, or the text is no scenario file.
    """
    file, split = _split_name(str(name))
    if file.endswith(_SUFFIX):
        where, data = printable(file), dict(_parsed(Path(file), text))
    elif split is None and file in grid.cells():
        return _layers_of_cell(grid.cells()[file])
    elif file in _slugs():
        where, data = f"{file}{_SUFFIX}", dict(_packaged(f"{file}{_SUFFIX}"))
    else:
        raise ScenarioError(
            f"scenario {as_written(str(name))} is unknown, must be a path to a {_SUFFIX} file, or "
            f"{one_of(file, _slugs()).removeprefix('must be ')} (with /{', /'.join(SPLITS)}); what "
            f"if: {grid.PATTERN}"
        )
    _check_version(where, data)
    splits = data.pop("splits", {})
    if not isinstance(splits, Mapping) or not set(splits) <= set(SPLITS):
        raise ScenarioError(f"{where}: splits must be tables named {', '.join(SPLITS)}")
    if split is None and _DEFAULT_SPLIT in splits:
        split = _DEFAULT_SPLIT
    if split is not None and split not in splits:
        raise _unknown_split(where, split, list(splits))
    if split is None:
        return Layers(where, _packaged(_COSTS_FILE), data, {}, data.get("name"))
    if not isinstance(splits[split], Mapping):
        raise ScenarioError(
            f"{where}: splits.{split} = {as_written(splits[split])}, must be a table"
        )
    full_name = f"{data.get('name')}/{split}"
    costs = _packaged(_COSTS_FILE)
    return Layers(f"{where} [{split}]", costs, data, splits[split], full_name, split)


def _defaults_of(split: str | None) -> dict[str, Any]:
    """Return what a split has unless its file says otherwise: train meets several modules."""
    return {"module": {"version": list(TRAINED_VERSIONS)}} if split == _DEFAULT_SPLIT else {}


def load(name: str | Path, overrides: Mapping[str, object] | None = None) -> Scenario:
    """Load a scenario.

    Args:
        name: ``family-slug/split`` as `names` lists them (without a split: train), a cell of the
            what-if grid (``w-guest-500us-today-64``), or a path to a TOML file, with ``/split``
            behind it if the file has splits.
        overrides: Dotted keys and their values, e.g. ``{"costs.bare": 2300}``.

    Raises:
        ScenarioError: There is no such scenario, split or key, or the scenario is impossible.
    """
    return loaded(name, overrides).copy()


def loaded(name: str | Path, overrides: Mapping[str, object] | None = None) -> Loaded:
    """Return a scenario that is shared with others who load the same.

    It is read and checked once, until the text of its file is another one, and kept. What warns is
    not kept, so that it warns whoever loads it.

    Args:
        name: As for `load`.
        overrides: As for `load`.

    Raises:
        ScenarioError: As for `load`.
    """
    changes = overrides or {}
    text, said = _own_text(name), _as_text(changes)
    key = (str(name), text, said or "")
    found = _KEPT.get(key) if said is not None else None
    if found is not None:
        return found
    found, is_old = _made(_layers(name, text), changes)
    if said is not None and not is_old:
        if len(_KEPT) >= _MOST_KEPT:
            _KEPT.clear()
        _KEPT[key] = found
    return found


def _as_text(overrides: Mapping[str, object]) -> str | None:
    """Return overrides as a text that only equal ones have, None for values that no file holds."""
    try:
        return json.dumps(plain(overrides)) if overrides else ""
    except (TypeError, ValueError, RecursionError):
        return None


def _made(read: Layers, overrides: Mapping[str, object]) -> tuple[Loaded, bool]:
    """Return a scenario of its layers, and whether it has words that were replaced since.

    Raises:
        ScenarioError: There is no such key, or the scenario is impossible.
    """
    defaults = {"costs": read.costs, **_defaults_of(read.split_name)}
    data = merge(merge(defaults, read.base), read.split)
    if "name" in data:
        data["name"] = read.name
    for key, value in overrides.items():
        put(read.where, data, key, value)
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        raise scenario_error(read.where, error, data) from error
    check(read.where, scenario)
    return Loaded(scenario), _is_old(data)


def _is_old(data: Mapping[str, Any]) -> bool:
    """Say whether a scenario as read, which is sound, has words that warn."""
    version = data.get("module", {}).get("version", ())
    given = [version] if isinstance(version, str) else version
    return "is_control" in data or any(one in ALIASES for one in given)


def file_of(name: str | Path) -> Path:
    """Return the file that a scenario is read from.

    Args:
        name: As for `load`.
    """
    file, _ = _split_name(str(name))
    return Path(file) if file.endswith(_SUFFIX) else _FOLDER / f"{file}{_SUFFIX}"


def names(split: str | None = None) -> list[str]:
    """Return the names of the package's scenarios, of one split or of all.

    Raises:
        ScenarioError: There is no such split.
    """
    if split is not None and split not in SPLITS:
        raise _unknown_split("scenarios", split, SPLITS)
    wanted = SPLITS if split is None else (split,)
    return [f"{slug}/{each}" for slug in _slugs() for each in wanted]


def marked(word: str, split: str) -> list[str]:
    """Return the names of a split's scenarios that are core, or have a mark."""
    every = {name: loaded(name).scenario for name in names(split)}
    if word == CORE:
        return [name for name, scenario in every.items() if scenario.is_core]
    return [name for name, scenario in every.items() if word in scenario.marks]


def expand(spec: str) -> list[str]:
    """Return the scenario names that a comma list stands for, each once, in order.

    Args:
        spec: Names, paths, and the words train, validation, test (all scenarios of that split),
            core, history, stress, what_if, control (those that are so marked, of the train split
            or of the one behind a slash: ``core/test``), and w-grid (all cells of the what-if
            grid, which no other word names).

    Raises:
        ScenarioError: It names nothing, or a scenario, file or split that isn't there.
    """
    found: dict[str, None] = {}
    for part in (part.strip() for part in spec.split(",")):
        word, _, split = part.partition("/")
        if part == grid.WORD:
            found |= dict.fromkeys(grid.cells())
        elif part in SPLITS:
            found |= dict.fromkeys(names(part))
        elif word in (CORE, *MARKS) and (split or _DEFAULT_SPLIT) in SPLITS:
            found |= dict.fromkeys(marked(word, split or _DEFAULT_SPLIT))
        elif part:
            found[_full_name(part)] = None
    if not found:
        words = ", ".join((*SPLITS, CORE, *MARKS, grid.WORD))
        allowed = f"must be names, paths or {words}, with commas between"
        raise ScenarioError(f"scenarios = {as_written(spec)}, {allowed}")
    return list(found)


def _full_name(name: str) -> str:
    """Return a name with its split, after a look whether it is there."""
    layers_of(name)
    file, split = _split_name(name)
    return f"{file}/{_DEFAULT_SPLIT}" if split is None and file in _slugs() else name
