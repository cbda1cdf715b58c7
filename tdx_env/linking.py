"""What is private to numba: linking functions into their callers, records by address, the cache.

numba optimises each function together with all that it calls, and makes machine code of it, even if
it has no entry from Python. The event loop has 350 functions, nested up to 17 deep: that was two
thirds of the time to compile it (22 of 35 s), most of it for code that nothing ever runs. What is
compiled here is linked into its callers; the outermost function is optimised with all of it. As
nothing else can call its parts, they are inlined more often, and lose what no caller uses: the
event loop is faster by a fifth to two thirds.

All of this rests on what another version of numba may change; no other module but `frontend`
imports numba's private modules.
"""

import pickle
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite.binding import Linkage
from numba.core import cgutils, types
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.core.typeinfer import register_dispatcher
from numba.extending import intrinsic, models, register_model

from tdx_env import frontend

TRIED = "0.68"
IS_TRIED = numba.__version__.startswith(f"{TRIED}.")
"""Whether this was tried with this numba. Otherwise functions are compiled as usual, which takes
twice as long, is slower, and gives the same results."""

if not IS_TRIED:
    warnings.warn(
        f"numba {numba.__version__} was not tried, only {TRIED}: the simulator takes twice as long "
        f"to compile and is slower (pip install 'numba=={TRIED}.*')",
        RuntimeWarning,
        stacklevel=2,
    )

# What pickle raises at a file that is cut off or filled with something else.
_DAMAGE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    TypeError,
    ValueError,
)


class _NoEnvironment:
    """Stands where numba tells the engine which globals a function needs when it runs objects.

    Compiled code that comes from the cache knows them for its outermost function only, too.
    """

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing: the engine knows no such function."""


# Of functions that are linked whether anything that was linked before calls them or not.
_KEPT = Linkage.weak_odr


def _relink(module: Any, before: Linkage, after: Linkage) -> None:
    """Give the functions of a module that have one linkage another one."""
    for function in module.functions:
        if not function.is_declaration and function.linkage == before:
            function.linkage = after


class _Part(JITCodeLibrary):
    """Code of one function, for linking only, and what else that needs."""

    @property
    def codegen(self) -> _NoEnvironment:
        """What sets up a function before it runs; a part never does by itself."""
        return _NoEnvironment()

    def finalize(self) -> None:
        """Leave optimising, and the code of what it calls, to what the part is linked into."""
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def own(self) -> Any:
        """Return the module with the function's code alone, for linking."""
        self._ensure_finalized()
        _relink(self._final_module, Linkage.external, _KEPT)
        return self._final_module

    def _get_module_for_linking(self) -> Any:
        """Return the function's code with all that it calls, for code that isn't compiled here."""
        if self._shared_module is None:
            self._shared_module = self.own().clone()
            for library in all_of(self._linking_libraries):
                self._shared_module.link_in(library._get_module_for_linking(), preserve=True)
            _relink(self._shared_module, _KEPT, Linkage.linkonce_odr)
        return self._shared_module

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0, as for each function without an entry from Python."""
        self._ensure_finalized()
        return 0


class _Single:
    """A part by itself, as numba wants something to be that it links.

    Args:
        part: The part.
    """

    def __init__(self, part: _Part) -> None:
        self._part = part
        self._reload_init = part._reload_init

    def _get_module_for_linking(self) -> Any:
        """Return the part's own code."""
        return self._part.own()


def all_of(libraries: Iterable[Any]) -> list[Any]:
    """Return what is to be linked for some code, each once: parts with all that they call."""
    found: dict[Any, Any] = {}
    waiting = list(libraries)
    while waiting:
        library = waiting.pop()
        if library in found:
            continue
        is_part = isinstance(library, _Part)
        found[library] = _Single(library) if is_part else library
        if is_part:
            waiting += library._linking_libraries
    return list(found.values())


class _Whole(JITCodeLibrary):
    """Code of a function that is entered from Python, with all that it calls."""

    def finalize(self) -> None:
        """Link, optimise and make machine code.

        Each part is linked here and nowhere else: linked into each of its callers, and with them
        into theirs, its code would be copied some hundred times.
        """
        self._linking_libraries = all_of(self._linking_libraries)
        super().finalize()

    def _optimize_final_module(self) -> None:
        """Optimise, knowing that what was linked in is called from here alone."""
        for linkage in (_KEPT, Linkage.linkonce_odr):
            _relink(self._final_module, linkage, Linkage.internal)
        super()._optimize_final_module()


class _WholeCompiler(Compiler):
    """numba's compiler, for functions that are entered from Python, whatever they are made of."""

    library: type[JITCodeLibrary] = _Whole

    def define_pipelines(self) -> Any:
        """Return numba's passes; what they compile goes into a library of ours."""
        state = self.state
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().define_pipelines()

    def _compile_core(self) -> Any:
        """Run the passes."""
        with frontend.quick():
            return super()._compile_core()


class _KernelCompiler(_WholeCompiler):
    """The same for the simulator's functions."""

    def define_pipelines(self) -> Any:
        """Return the passes that the simulator's functions need."""
        super().define_pipelines()
        return frontend.passes(self.state.func_id.func)


class _PartCompiler(_KernelCompiler):
    """The same for those that become parts of others."""

    library = _Part


WHOLE: type[Compiler] = _WholeCompiler if IS_TRIED else Compiler
KERNEL: type[Compiler] = _KernelCompiler if IS_TRIED else Compiler
PART: type[Compiler] = _PartCompiler if IS_TRIED else Compiler


class _Cache(FunctionCache):
    """numba's cache of a function, which compiles anew what a damaged file held."""

    def _load_overload(self, signature: Any, target: Any) -> Any:
        """Return the code for a signature, or None if there is none that can be read."""
        try:
            return super()._load_overload(signature, target)
        except _DAMAGE:
            self._drop()
            return None

    def _drop(self) -> None:
        """Delete the function's files, with a warning."""
        index = Path(self._cache_file._index_path)
        warnings.warn(
            f"{index.with_suffix('')}: compiled code is damaged, it is compiled anew",
            RuntimeWarning,
            stacklevel=2,
        )
        for path in [index, *index.parent.glob(f"{index.stem}.*.nbc")]:
            path.unlink(missing_ok=True)


def with_code(dispatcher: Any, signatures: Sequence[Any], is_cached: bool) -> Any:
    """Let a function keep its code in the cache folder; with signatures, compile it for them.

    Args:
        dispatcher: What numba made of the function.
        signatures: Without any, it is compiled when it is called.
        is_cached: Whether there is a cache folder.
    """
    if is_cached:
        dispatcher._cache = _Cache(dispatcher.py_func)
    with register_dispatcher(dispatcher):  # so that it may call itself
        for signature in signatures:
            dispatcher.compile(signature)
    if signatures:
        dispatcher.disable_compile()
    return dispatcher


class _Entered(CPUDispatcher):
    """A function that Python enters by code of its own, and compiled code has as a part."""

    part: Any = None

    @property
    def _numba_type_(self) -> Any:
        """What the function is to compiled code that calls it."""
        return types.Dispatcher(self.part)


def entered(dispatcher: Any, part: Any) -> Any:
    """Let compiled code that calls a function take a part in its place.

    Otherwise each function that also Python calls would be optimised, wrapped and kept in the cache
    whenever something that calls it is compiled: fifty of them, of which a run calls three.
    """
    dispatcher.__class__, dispatcher.part = _Entered, part
    return dispatcher


def code_address(dispatcher: Any, signature: Any) -> int:
    """Return where the code of a compiled function is."""
    found = dispatcher.get_compile_result(signature)
    return int(found.library.get_pointer_to_function(found.fndesc.llvm_func_name))


class _RecordsType(types.NamedTuple):
    """What a named tuple of records is to the compiler; of its own only for its short name.

    The names of a function's argument types are part of its name in compiled code, and that of a
    named tuple has all fields of all its records: 16 kB, in each place that names the function.
    """

    @property
    def mangling_args(self) -> tuple[str, tuple[()]]:
        """Return what the type is called in compiled code."""
        return self.instance_class.__name__, ()


register_model(_RecordsType)(models.TupleModel)


def records_at(named_tuple: type, dtypes: Sequence[np.dtype[np.void]]) -> Any:
    """Return a function for compiled code that turns a tuple of addresses into one of records.

    Args:
        named_tuple: Class of what it returns.
        dtypes: Of its records, in order.
    """

    def records_of(typing_context: Any, addresses: Any) -> Any:
        """Type and generate it."""
        found = _RecordsType([numba.from_dtype(dtype) for dtype in dtypes], named_tuple)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            records = [
                builder.inttoptr(address, context.get_value_type(record))
                for address, record in zip(
                    cgutils.unpack_tuple(builder, arguments[0]), found.types, strict=True
                )
            ]
            return context.make_tuple(builder, found, records)

        return found(addresses), generate

    return intrinsic(records_of)


def function_at(signature: Any) -> Any:
    """Return a function for compiled code that makes a function of its address alone."""

    def function_of(typing_context: Any, address: Any) -> Any:
        """Type and generate it."""
        function = types.FunctionType(signature)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = context.get_value_type(types.voidptr)
            made = cgutils.create_struct_proxy(function)(context, builder)
            made.c_addr = made.py_addr = cgutils.get_null_value(pointer)
            made.jit_addr = builder.inttoptr(arguments[0], pointer)
            return made._getvalue()

        return function(types.int64), generate

    return intrinsic(function_of)
