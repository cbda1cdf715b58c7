"""What users give the environments: checked once, and written so that JSON can hold it."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from pydantic import ValidationError

from tdx_env.errors import ActionError, RenderModeError, ScenarioError, printable, shown
from tdx_env.host.discipline import Discipline
from tdx_env.host.flush_table import DECIDED
from tdx_env.scenarios import Scenario, expand
from tdx_env.scenarios.checks import check
from tdx_env.scenarios.complaints import scenario_error
from tdx_env.scenarios.groups import Convert
from tdx_env.scenarios.keys import put
from tdx_env.scenarios.loaded import Loaded
from tdx_env.scenarios.loader import loaded
from tdx_env.scenarios.tasks import SlotDelete, Zap
from tdx_env.spaces import ASKS
from tdx_env.state.discipline import N_ACTIONS, Action

ScenarioSpec = (
    str | Path | Scenario | Mapping[str, Any] | Sequence[str | Path | Scenario | Mapping[str, Any]]
)
DisciplineSpec = Discipline | Mapping[str, Any]
RENDER_MODES = ("ansi", "rgb_array")
SEED_LIMIT = 1 << 63
_WORLDS_A_THREAD = 32  # below that, handing work to a second thread costs more than it saves
NO_CHOICE: Mapping[str, object] = MappingProxyType({})  # of a machine: what the scenario says
ModuleSpec = str | Sequence[str] | None


def _scenario_of_table(table: Mapping[str, Any], machine: Mapping[str, object]) -> Scenario:
    """Return the scenario that a table of all its parameters means, on a machine.

    Raises:
        ScenarioError: The table is none, or not what that machine can do.
    """
    given = deepcopy(dict(table))
    for key, value in machine.items():
        put("scenario", given, key, value)
    try:
        scenario = Scenario.model_validate(given)
    except ValidationError as error:
        raise scenario_error("scenario", error, given) from error
    check("scenario", scenario)
    return scenario


def _scenario_as_it_is(
    spec: Scenario | Mapping[str, Any], machine: Mapping[str, object]
) -> Scenario:
    """Return the scenario that an object or a table is, on a machine."""
    if isinstance(spec, Mapping):
        return _scenario_of_table(spec, machine)
    if not machine:
        check(spec.name, spec)  # it may have been made, or copied with changes
        return spec
    return _scenario_of_table(spec.model_dump(mode="json", exclude_unset=True), machine)


def loaded_of(
    spec: ScenarioSpec,
    overrides: Mapping[str, object],
    machine: Mapping[str, object] = NO_CHOICE,
) -> list[Loaded]:
    """Return the scenarios that a name, a path, a scenario, its table or a list of them means.

    Args:
        spec: What was given.
        overrides: Parameters by dotted name; they go before the machine's.
        machine: As `tdx_env.scenarios.machine_overrides` returns it.

    Raises:
        ScenarioError: One of them is unknown or malformed.
    """
    if isinstance(spec, (Scenario, Mapping)):
        if overrides:
            raise ScenarioError("options: a Scenario object can't be overridden, give its name")
        return [Loaded(_scenario_as_it_is(spec, machine))]
    if isinstance(spec, Path):
        return [loaded(spec, {**machine, **overrides})]
    if isinstance(spec, str):
        return [loaded(name, {**machine, **overrides}) for name in expand(spec)]
    if not isinstance(spec, Sequence) or not spec:
        raise ScenarioError(f"scenario = {shown(spec)}, must be a name, a path or a list of them")
    return [found for one in spec for found in loaded_of(one, overrides, machine)]


def asked(
    discipline: DisciplineSpec | None,
    decisions: object,
    scenarios: Sequence[Scenario],
    usual: Discipline,
) -> Discipline:
    """Return the discipline of an environment that asks for some decisions.

    Args:
        discipline: Given by the user, or None: the usual, with flush points if they are asked at.
        decisions: Where somebody is asked, one of `ASKS`.
        scenarios: What is played.
        usual: What holds if the user says nothing.

    Raises:
        ScenarioError: The discipline or the word is none, or nothing would ever be asked.
    """
    if decisions not in ASKS:
        known = ", ".join(ASKS)
        raise ScenarioError(f"decisions = {shown(decisions)}, must be one of: {known}")
    if decisions == ASKS[0]:
        return discipline_of(usual if discipline is None else discipline).with_(asks=decisions)
    found = discipline_of(usual.with_(flush=DECIDED) if discipline is None else discipline)
    if found.flush != DECIDED:
        raise ScenarioError(
            f"decisions = {shown(decisions)}: discipline.flush = {shown(found.flush)} asks nobody "
            f"at flush points, must be {DECIDED!r}"
        )
    is_chosen = discipline is not None or decisions == "flush"
    if is_chosen and not any(has_zaps(one) for one in scenarios):
        names = ", ".join(one.name for one in scenarios)
        raise ScenarioError(
            f"decisions = {shown(decisions)}: nothing is zapped in {names}, so that there are no "
            "flush points; must have a zap, conversion or memslot deletion"
        )
    return found.with_(asks=decisions)


def has_zaps(scenario: Scenario) -> bool:
    """Say whether a scenario's host takes pages away, so that there may be flush points."""
    is_zapping = any(isinstance(task, Zap | SlotDelete) for task in scenario.tasks.values())
    return is_zapping or any(isinstance(group, Convert) for group in scenario.groups.values())


def discipline_of(discipline: DisciplineSpec) -> Discipline:
    """Return a discipline of a `Discipline` or a table of its fields.

    Raises:
        ScenarioError: It is none.
    """
    if isinstance(discipline, Mapping):
        try:
            return Discipline.model_validate(dict(discipline))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ScenarioError(
                f"discipline: {printable(field)} = {shown(first['input'])}: {first['msg']}"
            ) from error
    if not isinstance(discipline, Discipline):
        raise ScenarioError(
            f"discipline = {shown(discipline)}, must be a Discipline or a table of its fields"
        )
    return discipline


VECTOR_RENDER_MODES = ("ansi",)


def checked_render_mode(mode: object, modes: Sequence[str] = RENDER_MODES) -> Any:
    """Return a render mode, or None.

    Args:
        mode: What was given.
        modes: Those that there are.

    Raises:
        RenderModeError: It is none that the environment has.
    """
    if mode is None or mode in modes:
        return mode
    known = " or ".join(map(repr, modes))
    raise RenderModeError(f"render_mode = {shown(mode)}, must be None or {known}")


def checked_seed(seed: object) -> int:
    """Return a seed as an int.

    Raises:
        ScenarioError: It is none.
    """
    if isinstance(seed, (int, np.integer)) and 0 <= seed < SEED_LIMIT:
        return int(seed)
    raise ScenarioError(f"seed = {shown(seed)}, must be a whole number from 0 to 2^63 - 1")


def checked_count(name: str, value: object) -> int:
    """Return a number of things as an int.

    Args:
        name: What the number is called.
        value: It.

    Raises:
        ScenarioError: It is no whole number, or below 1.
    """
    if isinstance(value, (int, np.integer)) and value >= 1:
        return int(value)
    raise ScenarioError(f"{name} = {shown(value)}, must be a whole number, at least 1")


def checked_threads(value: object, n_envs: int) -> int:
    """Return a number of threads as an int; None: one a CPU, as far as that is worth while.

    Raises:
        ScenarioError: It is no whole number, or below 1.
    """
    if value is None:
        return min(os.cpu_count() or 1, -(-n_envs // _WORLDS_A_THREAD))
    return checked_count("n_threads", value)


def checked_options(options: object) -> Mapping[str, Any]:
    """Return the scenario parameters that a reset overrides.

    Raises:
        ScenarioError: They are no table of dotted names.
    """
    if options is None:
        return {}
    if isinstance(options, Mapping) and all(isinstance(key, str) for key in options):
        return options
    raise ScenarioError(
        f"options = {shown(options)}, must be scenario parameters by their dotted names, "
        'for example {"host.n_vcpus": 8}'
    )


def checked_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """Return an autoreset mode.

    Raises:
        ScenarioError: It is none, or one that does not exist here.
    """
    if mode in ("NextStep", "SameStep", AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        return AutoresetMode(mode)
    raise ScenarioError(f"autoreset_mode = {shown(mode)}, must be NextStep or SameStep")


def checked_mask(given: object, n_envs: int) -> NDArray[np.bool_]:
    """Return which environments a reset is for, shape (n_envs,).

    Raises:
        ScenarioError: The mask is none.
    """
    mask = np.asarray(given)
    if mask.shape == (n_envs,) and mask.dtype == np.bool_:
        return mask
    raise ScenarioError(
        f"reset_mask has shape {mask.shape} and type {mask.dtype}, must be {n_envs} booleans"
    )


def checked_action(action: object) -> int:
    """Return an action as an int; an array may have one number.

    Raises:
        ActionError: It is none.
    """
    if type(action) is int and 0 <= action < N_ACTIONS:  # the quick case
        return action
    number = action
    if isinstance(action, np.ndarray) and action.shape in ((), (1,)) and action.dtype.kind in "iu":
        number = action.item()
    if isinstance(number, (int, np.integer)) and 0 <= number < N_ACTIONS:
        return int(number)
    *others, last = (f"{one:d} ({one.name})" for one in Action)
    raise ActionError(f"action = {shown(action)}, must be {', '.join(others)} or {last}")


def checked_actions(actions: Any, n_envs: int) -> NDArray[np.int64]:
    """Return one action for each environment, shape (n_envs,).

    Raises:
        ActionError: One is none, or their number is wrong.
    """
    try:
        array = np.asarray(actions)
    except ValueError:
        raise ActionError(f"actions = {shown(actions)}, must be {n_envs} integers") from None
    if array.shape != (n_envs,) or array.dtype.kind not in "iu":
        raise ActionError(
            f"actions have shape {array.shape} and type {array.dtype}, "
            f"must be {n_envs} integers from 0 to {N_ACTIONS - 1}"
        )
    checked = np.ascontiguousarray(array, np.int64)
    if checked.view(np.uint64).max() >= N_ACTIONS:  # negative ones are large as these
        raise ActionError(
            f"actions reach from {array.min()} to {array.max()}, must be 0 to {N_ACTIONS - 1}"
        )
    return checked


def _plain(value: Any) -> Any:
    """Return an argument as JSON can hold it; the environments take that, too."""
    if isinstance(value, Discipline):
        return value.model_dump(mode="json")
    if isinstance(value, Scenario):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, AutoresetMode):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


class PlainSpec:
    """The attribute ``spec`` of an environment: what Gymnasium made it from, fit for JSON."""

    def __get__(self, env: Any, owner: type) -> EnvSpec | None:
        """Return it; None for an environment that was made without Gymnasium, and for a class."""
        return None if env is None else env.__dict__.get("_spec")

    def __set__(self, env: Any, spec: EnvSpec | None) -> None:
        """Keep it, with arguments that JSON can hold."""
        if spec is not None:
            kwargs = {name: _plain(value) for name, value in spec.kwargs.items()}
            spec = dataclasses.replace(spec, kwargs=kwargs)
        env.__dict__["_spec"] = spec
