"""numba's front end, made quicker: how our functions are typed and lowered.

Private to numba, as `linking` is. Of a cold compile LLVM took a quarter; the rest was numba's own
passes, in Python, for each of 480 functions that are nested up to 17 deep. What they did again and
again is done once here, and what none of our functions needs is left out.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

from numba.core import event, ir, typed_passes, untyped_passes
from numba.core.compiler_machinery import PassManager
from numba.core.targetconfig import ConfigStack, TargetConfig
from numba.core.types.functions import BaseFunction

# numba's own order. Left out is what serves closures, `with`, raised objects, literal_unroll,
# lists and parallel loops: kernels have none of them.
_PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.RewriteSemanticConstants,
    untyped_passes.DeadBranchPrune,
    untyped_passes.GenericRewrites,
    untyped_passes.InlineInlinables,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.NopythonRewrites,
    typed_passes.NoPythonSupportedFeatureValidation,
    typed_passes.IRLegalization,
    typed_passes.AnnotateTypes,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)
_watchers: list[Callable[[Any], object]] = []
_depth = [0]


def passes(function: Any) -> list[PassManager]:
    """Return the passes that a function of ours goes through; whoever watches is told of it."""
    for watcher in _watchers:
        watcher(function)
    manager = PassManager("kernel")
    for one in _PASSES:
        manager.add_pass(one, one.__name__)
    manager.finalize()
    return [manager]


@contextlib.contextmanager
def watched(watcher: Callable[[Any], object]) -> Iterator[None]:
    """Have something called with each function of ours that is compiled meanwhile."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """Let numba compile quicker meanwhile; its global lock has to be held.

    There is no collection of garbage, which found next to none among millions of objects; how a
    built-in is called with some types is resolved once; and nobody times what is nested.
    """
    _depth[0] += 1
    try:
        if _depth[0] > 1:  # the outermost function's compilation has seen to it
            yield
            return
        with _no_collection(), contextlib.ExitStack() as changes:
            changes.enter_context(_changed(event, "install_timer", _no_timer))
            changes.enter_context(_changed(TargetConfig, "__hash__", _hash_of_options))
            changes.enter_context(_changed(TargetConfig, "__eq__", _are_equal_options))
            changes.enter_context(_changed(BaseFunction, "get_call_type", _once()))
            changes.enter_context(_changed(ir.Inst, "_rec_list_vars", _variables()))
            yield
    finally:
        _depth[0] -= 1


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Collect no garbage meanwhile."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def _changed(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Have another value in place of an attribute meanwhile."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _no_timer(kind: str, callback: Any) -> contextlib.AbstractContextManager[None]:
    """Stand for a timer: a function nested 17 deep would be heard by as many."""
    return contextlib.nullcontext()


def _hash_of_options(options: Any) -> int:
    """Return the hash of compiler options; numba hashes their names alone, in twenty steps."""
    return hash(type(options))


def _are_equal_options(options: Any, other: Any) -> bool:
    """Say whether compiler options are equal: mostly they are even written alike."""
    if not isinstance(other, TargetConfig):
        return NotImplemented
    return options._values == other._values or options.values() == other.values()


def _once() -> Callable[..., Any]:
    """Return `get_call_type` of built-in functions that resolves a call with some types once.

    numba tries some hundred ways to add two integers each time that two are added, and words an
    error for each that doesn't fit.
    """
    resolve = BaseFunction.get_call_type
    known: dict[Any, tuple[Any, Any, Any]] = {}

    def get_call_type(function: Any, context: Any, args: Any, kws: Any) -> Any:
        """Return the signature, and have the function remember its implementation."""
        options = ConfigStack.top_or_none()
        key = (id(function), context, tuple(args), tuple(sorted(kws.items())), options)
        found = known.get(key)
        if found is None:
            signature: Any = resolve(function, context, args, kws)
            found = (function, signature, function.get_impl_key(signature))
            known[key] = found
        _, signature, implementation = found
        function._impl_keys[signature.args] = implementation
        return signature

    return get_call_type


def _variables() -> Callable[..., list[Any]]:
    """Return `_rec_list_vars` of statements that knows what holds no variables by its type.

    Half a million statements are asked, most of whose parts are names, numbers and places.
    """
    search = ir.Inst._rec_list_vars
    holders = (ir.Var, ir.Inst, list, tuple, dict)
    is_empty: dict[type, bool] = {}

    def variables(statement: Any, value: Any) -> list[Any]:
        """Return the variables in a part of a statement, in order."""
        kind = type(value)
        if kind is ir.Var:
            return [value]
        if kind not in is_empty:
            is_empty[kind] = not issubclass(kind, holders)
        found: list[Any] = [] if is_empty[kind] else search(statement, value)
        return found

    return variables
