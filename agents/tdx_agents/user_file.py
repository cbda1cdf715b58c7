"""Policies of users: a function in a Python file of their own.

A plain function gets the features by name and the mask, and returns an action::

    def decide(features, mask):
        return "KICK" if mask[1] and features["issues"] > 3 else "RETRY"

A function compiled with `tdx_env.jit.decision` gets the vector of integers instead. The file may
set ``DISCIPLINE``, a dict of changes to the default discipline, and ``DECISION_CYCLES``.
"""

import hashlib
import importlib.util
import inspect
import operator
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numba.extending import is_jitted
from numpy.typing import NDArray
from pydantic import ValidationError

from tdx_agents.bundle import complaint
from tdx_agents.place import is_file
from tdx_agents.protocol import (
    Act,
    Decide,
    Features,
    Kind,
    Policy,
    blamed_on,
    is_allowed,
    mask_of,
    refusal,
    told,
)
from tdx_env.errors import PolicyError, one_of, shown
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.jit import DECISION_SIGNATURE
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.features import N_FEATURES, Feature

NAMES = [feature.name.lower() for feature in Feature]
_PLAIN = ["features", "mask"]
_MUST_TAKE = "must take (features, mask), or (features) and be compiled with tdx_env.jit.decision"
_COMPILER_IS_ON = is_jitted(is_allowed)


def _import(path: Path) -> ModuleType:
    """Run a user's file and return it as a module of its own name."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"tdx_user_policy_{digest}", path)
    if spec is None or spec.loader is None:
        raise PolicyError(f"{path}: is no Python file, must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's own code raises, SystemExit too
        raise PolicyError(f"{path}: can't be imported: {told(error)}") from error
    return module


def _function(module: ModuleType, path: Path, name: str) -> Callable[..., Any]:
    """Return the function of a user's file."""
    function = getattr(module, name, None)
    if callable(function):
        return function
    own = [key for key, value in vars(module).items() if inspect.isfunction(value)]
    raise PolicyError(f"{path}: has no function {name}, {one_of(name, own)}")


def _discipline(module: ModuleType, path: Path) -> Discipline:
    """Return the discipline that a user's file asks for."""
    changes = getattr(module, "DISCIPLINE", {})
    if not isinstance(changes, dict) or not all(isinstance(key, str) for key in changes):
        raise PolicyError(f"{path}: DISCIPLINE = {shown(changes)}, must be a dict of fields")
    if hasattr(module, "DECISION_CYCLES"):
        changes = {**changes, "decision_cycles": module.DECISION_CYCLES}
    try:
        return DEFAULT.with_(**changes)
    except ValidationError as error:
        raise PolicyError(f"{path}: DISCIPLINE: {complaint(error)}") from None


def to_action(answer: object, mask: NDArray[np.int8]) -> int | None:
    """Return a user's answer as an allowed action, or None: a number, an `Action` or its name.

    A bool or a float is none, though it would do as a number: it is hardly what was meant.
    """
    if isinstance(answer, str):
        if answer.upper() not in Action.__members__:
            return None
        answer = Action[answer.upper()]
    if isinstance(answer, (bool, np.bool_)):
        return None
    try:
        number = operator.index(answer)  # type: ignore[arg-type]
    except TypeError:
        return None
    return number if 0 <= number < N_ACTIONS and mask[number] else None


class _Named(dict[str, int]):
    """The features of a decision by name."""

    def __missing__(self, name: str) -> int:
        """Refuse a name that no feature has.

        Raises:
            KeyError: Always; it names the nearest ones.
        """
        raise KeyError(f"feature {shown(name)} is unknown, {one_of(str(name), self)}")


def _plain_act(function: Callable[..., Any], place: str) -> Act:
    """Return a batched function that asks a user's plain function, one decision at a time."""

    def decide_one(features: Features, mask: NDArray[np.int8]) -> int:
        named = _Named(zip(NAMES, features.tolist(), strict=True))
        with blamed_on(place):
            answer = function(named, mask)
        action = to_action(answer, mask)
        if action is None:
            raise PolicyError(f"{place}: {refusal(answer, mask)}")
        return action

    def act(
        observations: NDArray[np.float32], features: Features, masks: NDArray[np.int8]
    ) -> NDArray[np.int64]:
        rows = zip(features, masks, strict=True)
        return np.array([decide_one(row, mask) for row, mask in rows], np.int64)

    return act


def _sample_decisions(zap_yield: bool) -> NDArray[np.int64]:
    """Return decisions of every path as they occur, shape (n, N_FEATURES)."""
    retry, kick, yield_ = 1 << Action.RETRY, 1 << Action.KICK, 1 << Action.YIELD
    every = (1 << N_ACTIONS) - 1
    kinds = (
        (CallPath.FAULT, Leaf.MEM_PAGE_AUG, every),
        (CallPath.ZAP, Leaf.MEM_RANGE_BLOCK, every if zap_yield else retry | kick),
        (CallPath.ENTER, Leaf.VP_ENTER, every),
        (CallPath.BUILD, Leaf.MEM_PAGE_ADD, retry | yield_),
        (CallPath.EXPORT, Leaf.EXPORT_BLOCKW, every),
        (CallPath.INTERRUPTED, Leaf.MEM_PAGE_DEMOTE, retry | yield_),
    )
    samples = []
    for path, leaf, mask in kinds:
        for issues in (1, 100):
            row = np.ones(N_FEATURES, np.int64)
            row[[Feature.PATH, Feature.LEAF, Feature.MASK]] = path, leaf, mask
            row[[Feature.ISSUES, Feature.BUSY_CYCLES]] = issues, 5000 * issues
            samples.append(row)
    return np.array(samples)


def _check_compiled(decide: Decide, place: str, discipline: Discipline) -> None:
    """Refuse a compiled function that answers a sample with something that is not allowed.

    It is asked as it was written too: compiled, a float or a bool has become an integer.
    """
    written = getattr(decide, "py_func", decide)
    for row in _sample_decisions(discipline.zap_yield):
        mask = mask_of(row)
        for function in (decide, written):
            with blamed_on(place), np.errstate(divide="raise", over="ignore"):
                answer = function(row)
            if to_action(answer, mask) is None:
                raise PolicyError(f"{place}: {refusal(answer, mask)}")


def _signature(function: Callable[..., Any], place: str) -> inspect.Signature:
    """Return what a user's function takes."""
    try:
        return inspect.signature(getattr(function, "py_func", function))
    except (TypeError, ValueError):  # some that are written in C have none
        raise PolicyError(f"{place}: is {shown(function)}, {_MUST_TAKE}") from None


def _takes(signature: inspect.Signature, names: Sequence[str]) -> bool:
    """Say whether a function can be called with so many arguments."""
    try:
        signature.bind(*names)
    except TypeError:
        return False
    return True


def _recursive(function: object, above: tuple[object, ...] = ()) -> str | None:
    """Return the name of a compiled function that calls itself, at last, or None."""
    plain = getattr(function, "py_func", None)
    if plain is None:
        return None
    if function in above:
        return str(plain.__name__)
    callees = (plain.__globals__.get(name) for name in plain.__code__.co_names)
    found = (_recursive(callee, (*above, function)) for callee in callees)
    return next((name for name in found if name is not None), None)


def _is_compiled(function: Callable[..., Any], place: str) -> bool:
    """Say which of the two forms a user's function has."""
    signature = _signature(function, place)
    if is_jitted(function):
        recursive = _recursive(function)
        if recursive is not None:  # too deep, compiled code ends the process without a word
            raise PolicyError(f"{place}: {recursive} calls itself, must not where it is compiled")
        signatures = [signature.return_type for signature in function.nopython_signatures]
        if signatures == [DECISION_SIGNATURE.return_type] and _takes(signature, _PLAIN[:1]):
            return True
        raise PolicyError(f"{place}: is compiled, must be so by tdx_env.jit.decision")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise PolicyError(f"{place}: is async or a generator, must be a plain function")
    if _takes(signature, _PLAIN):
        return False
    # With the compiler off, a decision function is left as it was.
    if _takes(signature, _PLAIN[:1]) and not _COMPILER_IS_ON:
        return True
    raise PolicyError(f"{place}: takes ({', '.join(signature.parameters)}), {_MUST_TAKE}")


def _title(function: Callable[..., Any], place: str) -> str:
    """Return the first line of a function's docstring, or its place."""
    text = inspect.getdoc(getattr(function, "py_func", function)) or ""
    return (text.strip() or place).splitlines()[0]


def load_user_file(path: Path, name: str) -> Policy:
    """Return the policy of a function in a user's file.

    Args:
        path: The file; it is run.
        name: The function in it.

    Raises:
        PolicyError: The file can't be imported or lacks the function, its discipline is not
            allowed, or a compiled function answers with something that is not allowed.
    """
    if not is_file(path):
        raise PolicyError(f"{path}: there is no such file")
    module = _import(path)
    function = _function(module, path, name)
    place = f"{path}:{name}"
    discipline = _discipline(module, path)
    decide: Decide | None = None
    act: Act | None = None
    if _is_compiled(function, place):
        _check_compiled(function, place, discipline)
        decide = function
    else:
        act = _plain_act(function, place)
    return Policy(
        name=f"{path.stem}:{name}",
        number="",
        title=_title(function, place),
        source=place,
        kind=Kind.PYTHON if decide is None else Kind.COMPILED,
        discipline=discipline,
        decide=decide,
        act=act,
    )
