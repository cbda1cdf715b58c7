"""Compiling functions for those that call them only: no machine code of their own.

numba optimises each function together with all that it calls, and makes machine code of it, even if
it has no entry from Python. The event loop has 350 functions, nested up to 17 deep: that was two
thirds of the time to compile it (22 of 35 s), most of it for code that nothing ever runs. What is
compiled here is linked into its callers; the outermost function is optimised with all of it.
"""

from typing import Any

import numba
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

IS_TRIED = numba.__version__.startswith("0.68.")
"""Whether parts were tried with this numba: they rest on what is private to it. Otherwise each
function is compiled as usual, which takes twice as long and gives the same results."""

# Parts of up to so many functions are optimised before they are linked. The event loop then has
# 0.985 of the speed that it has if all parts are (0.975 if none is), and compiles in 12 s less.
_FEW_FUNCTIONS = 8


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
        """Leave that to what the part is linked into, unless there is little to do."""
        n_functions = sum(not function.is_declaration for function in self._final_module.functions)
        if n_functions <= _FEW_FUNCTIONS:
            super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        """Hand nothing to the engine."""
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0, as for each function without an entry from Python."""
        self._ensure_finalized()
        return 0


class PartCompiler(Compiler):
    """numba's compiler, for functions that become parts of others."""

    def define_pipelines(self) -> Any:
        """Return numba's pipelines; what they compile goes into a part."""
        state = self.state
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().define_pipelines()
