"""Compiling functions for those that call them only: no machine code of their own.

numba optimises each function together with all that it calls, and makes machine code of it, even if
it has no entry from Python. The event loop has 350 functions, nested up to 17 deep: that was two
thirds of the time to compile it (22 of 35 s), most of it for code that nothing ever runs. What is
compiled here is linked into its callers; the outermost function is optimised with all of it. As
nothing else can call its parts, they are inlined more often, and lose what no caller uses: the
event loop is faster by a fifth to two thirds.
"""

from typing import Any

import numba
from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

IS_TRIED = numba.__version__.startswith("0.68.")
"""Whether this was tried with this numba: it rests on what is private to it. Otherwise functions
are compiled as usual, which takes twice as long, is slower, and gives the same results."""


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
