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
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numba.extending import is_jitted
from numpy.typing import NDArray
from pydantic import ValidationError

from tdx_agents.bundle import complaint
from tdx_agents.protocol import Act, Decide, Features, Kind, Policy, is_allowed, mask_of, refusal
from tdx_env.errors import PolicyError
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.jit import DECISION_SIGNATURE
from tdx_env.state.actors import Path as CallPath
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.features import N_FEATURES, Feature

NAMES = [feature.name.lower() for feature in Feature]
_PLAIN = ["features", "mask"]
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
    except (Exception, SystemExit) as error:  # whatever the user's own code raises
        raise PolicyError(f"{path}: can't be imported: {_told(error)}") from error
    return module


def _told(error: BaseException) -> str:
    """Return an exception in one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _function(module: ModuleType, path: Path, name: str) -> Callable[..., Any]:
    """Return the function of a user's file."""
    function = getattr(module, name, None)
    if callable(function):
        return function
    own = [key for key, value in vars(module).items() if inspect.isfunction(value)]
    known = ", ".join(own) or "none"
    raise PolicyError(f"{path}: has no function {name}; its functions: {known}")


def _discipline(module: ModuleType, path: Path) -> Discipline:
    """Return the discipline that a user's file asks for."""
    changes = getattr(module, "DISCIPLINE", {})
    if not isinstance(changes, dict):
        raise PolicyError(f"{path}: DISCIPLINE is a {type(changes).__name__}, must be a dict")
    if hasattr(module, "DECISION_CYCLES"):
        changes = {**changes, "decision_cycles": module.DECISION_CYCLES}
    try:
        return DEFAULT.with_(**changes)
    except ValidationError as error:
        raise PolicyError(f"{path}: DISCIPLINE: {complaint(error)}") from None


def to_action(answer: object, mask: NDArray[np.int8]) -> int | None:
    """Return a user's answer as an allowed action, or None: a number, an `Action` or its name."""
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


def _plain_act(function: Callable[..., Any], place: str) -> Act:
    """Return a batched function that asks a user's plain function, one decision at a time."""

    def decide_one(features: Features, mask: NDArray[np.int8]) -> int:
        named = dict(zip(NAMES, features.tolist(), strict=True))
        try:
            answer = function(named, mask)
        except Exception as error:  # whatever the user's own code raises
            raise PolicyError(f"{place}: raised {_told(error)}") from error
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
    retry, kick, yield_ = (1 << action for action in Action)
    every = retry | kick | yield_
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
    """Refuse a compiled function that answers a sample with something that is not allowed."""
    for row in _sample_decisions(discipline.zap_yield):
        try:
            answer = decide(row)
        except Exception as error:  # whatever the user's own code raises
            raise PolicyError(f"{place}: raised {_told(error)}") from error
        mask = mask_of(row)
        if to_action(answer, mask) is None:
            raise PolicyError(f"{place}: {refusal(answer, mask)}")


def _is_compiled(function: Callable[..., Any], place: str) -> bool:
    """Say which of the two forms a user's function has."""
    plain = getattr(function, "py_func", function)
    parameters = list(inspect.signature(plain).parameters)
    if is_jitted(function):
        signatures = [signature.return_type for signature in function.nopython_signatures]
        if signatures == [DECISION_SIGNATURE.return_type] and len(parameters) == 1:
            return True
        raise PolicyError(f"{place}: is compiled, must be so by tdx_env.jit.decision")
    if len(parameters) == len(_PLAIN):
        return False
    # With the compiler off, a decision function is left as it was.
    if len(parameters) == 1 and not _COMPILER_IS_ON:
        return True
    raise PolicyError(
        f"{place}: takes ({', '.join(parameters)}), must take (features, mask), "
        "or (features) and be compiled with tdx_env.jit.decision"
    )


def load_user_file(path: Path, name: str) -> Policy:
    """Return the policy of a function in a user's file.

    Args:
        path: The file; it is run.
        name: The function in it.

    Raises:
        PolicyError: The file can't be imported or lacks the function, its discipline is not
            allowed, or a compiled function answers with something that is not allowed.
    """
    if not path.is_file():
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
        title=(inspect.getdoc(getattr(function, "py_func", function)) or place).splitlines()[0],
        source=place,
        kind=Kind.PYTHON if decide is None else Kind.COMPILED,
        discipline=discipline,
        decide=decide,
        act=act,
    )
