"""What is private to numba: linking functions into their callers, records by address, the cache.

numba optimises each function together with all that it calls, and makes machine code of it, even if
it has no entry from Python. The event loop has 350 functions, nested up to 17 deep: that was two
thirds of the time to compile it (22 of 35 s), most of it for code that nothing ever runs. What is
compiled here is linked into its callers; the outermost function is optimised with all of it. As
nothing else can call its parts, they are inlined more often, and lose what no caller uses: the
event loop is faster by a fifth to two thirds.

All of this rests on what another version of numba may change; no other module imports numba's
private modules.
"""

import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite.binding import Linkage
from numba.core import cgutils, types
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.typeinfer import register_dispatcher
from numba.extending import intrinsic, models, register_model

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


class _Part(JITCodeLibrary):
    """Code of one function and what it calls, for linking only."""

    @property
    def codegen(self) -> _NoEnvironment:
        """What sets up a function before it runs; a part never does by itself."""
        return _NoEnvironment()

    def _optimize_final_module(self) -> None:
        """Leave that to what the part is linked into."""

    def _finalize_final_module(self) -> None:
        """Hand nothing to the engine."""
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0, as for each function without an entry from Python."""
        self._ensure_finalized()
        return 0


class _Whole(JITCodeLibrary):
    """Code of a function that is entered from Python, with all that it calls."""

    def _optimize_final_module(self) -> None:
        """Optimise, knowing that what was linked in is called from here alone."""
        for function in self._final_module.functions:
            if function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        super()._optimize_final_module()


def _compile_into(library: type[JITCodeLibrary], state: Any) -> None:
    """Let a compilation put its code into a library of ours."""
    state.library = library(state.targetctx.codegen(), state.func_id.func_qualname)
    state.library.enable_object_caching()


class _WholeCompiler(Compiler):
    """numba's compiler, for functions that are entered from Python."""

    def define_pipelines(self) -> Any:
        """Return numba's pipelines; what they compile is optimised as a whole."""
        _compile_into(_Whole, self.state)
        return super().define_pipelines()


class _PartCompiler(Compiler):
    """numba's compiler, for functions that become parts of others."""

    def define_pipelines(self) -> Any:
        """Return numba's pipelines; what they compile goes into a part."""
        _compile_into(_Part, self.state)
        return super().define_pipelines()


WHOLE: type[Compiler] = _WholeCompiler if IS_TRIED else Compiler
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
