"""The package as a whole: what it exports, and that importing it compiles nothing."""

import subprocess
import sys

import tdx_env.module
from tdx_env.module.locks import LockResult


def test_exported_names_exist() -> None:
    assert all(hasattr(tdx_env.module, name) for name in tdx_env.module.__all__)


def test_lock_functions_are_reached_through_the_package() -> None:
    assert tdx_env.module.locks.sharex_acquire_shared(0) == (2, LockResult.SUCCESS)


def test_import_compiles_nothing() -> None:
    """No dispatcher of the package has a compiled signature after the import."""
    script = (
        "import gc, tdx_env.module, tdx_env.cli_module\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "ours = [one for one in gc.get_objects() if isinstance(one, Dispatcher)"
        " and one.__module__.startswith('tdx_env')]\n"
        "print(sum(len(one.signatures) for one in ours))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert done.stdout == b"0\n"
