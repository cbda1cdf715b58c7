"""Inner functions are compiled into those that call them, and nowhere else."""

from typing import Any

import numba
import pytest

from tdx_env.jit import inner

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


@inner
def _half(number: int) -> int:
    return number // 2


@inner
def _half_and_one(number: int) -> int:
    return _half(number) + 1


@pytest.fixture(scope="module")
def outer() -> Any:
    """A compiled function that calls an inner one, which calls another."""

    @numba.njit
    def twice(number: int) -> int:
        return 2 * _half_and_one(number)

    assert twice(7) == 8
    return twice


def test_callers_have_the_code_of_inner_functions(outer):
    assert outer(20) == 22


@pytest.mark.parametrize("function", [_half, _half_and_one])
def test_inner_functions_have_no_machine_code_of_their_own(outer, function):
    (compiled,) = function.overloads.values()
    engine = numba.core.registry.cpu_target.target_context.codegen()._engine
    assert not engine.is_symbol_defined(compiled.fndesc.llvm_func_name)
