"""The one compile decorator: numba's ``njit`` with a cache that can't go stale.

numba keys a cached function by its own file alone, so a constant or a callee changed in another
file would leave stale code behind. Here the cache lives in a folder named after a digest of every
source of the calling package, numba's version and the bounds-check setting.
"""

import contextlib
import functools
import hashlib
import importlib.util
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numba

from tdx_env.frontend import watched
from tdx_env.linking import KERNEL, PART, WHOLE, entered, with_code

_Function = TypeVar("_Function", bound=Callable[..., Any])
DECISION_SIGNATURE = numba.types.int64(numba.types.Array(numba.types.int64, 1, "C"))
_config: Any = numba.config  # made from the environment, so its names are in no stub
IS_COMPILED = not _config.DISABLE_JIT
_PACKAGE = Path(__file__).resolve().parent
# A division by zero would have to be reported through each caller; kernels raise nothing.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_marked: list[str] = []  # names of the functions that are compiled when something calls them


def _sources() -> list[Path]:
    """Return the packages whose sources compiled code depends on: ours, and the policies'."""
    found = importlib.util.find_spec("tdx_agents")
    policies = found.submodule_search_locations if found is not None else None
    return [_PACKAGE, *map(Path, policies or ())]


def _digest() -> str:
    """Return a short digest of everything that compiled code depends on."""
    digest = hashlib.sha256()
    digest.update(f"{numba.__version__} {_config.BOUNDSCHECK}".encode())
    for folder in _sources():
        for source in sorted(folder.rglob("*.py")):
            digest.update(source.relative_to(folder.parent).as_posix().encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _candidates() -> list[Path]:
    """Return the folders that may hold the cache, best first."""
    named = os.environ.get("TDX_ENV_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    if named:
        return [Path(named)]
    cache_home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return [Path(cache_home).expanduser() / "tdx-env", _PACKAGE / "__pycache__" / "numba"]


@functools.cache
def cache_folder() -> Path | None:
    """Return the writable cache folder of exactly these sources, or None if there is none."""
    for base in _candidates():
        folder = base / _digest()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    warnings.warn(
        "no folder for compiled code can be written: the simulator is compiled anew in each "
        "process (set TDX_ENV_CACHE_DIR to a writable folder)",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


def compiled(
    function: _Function, *signature: Any, compiler: Any = KERNEL, **options: Any
) -> _Function:
    """Compile a function with our cache; with a signature at once, else at the first call.

    Args:
        function: The function.
        signature: Its signature, if it is to be compiled at once.
        compiler: What compiles it.
        options: Of numba, over those of kernels.
    """
    folder = cache_folder()
    before = _config.CACHE_DIR
    try:
        if folder is not None:
            _config.CACHE_DIR = str(folder)
        njit: Any = numba.njit
        plain = njit(pipeline_class=compiler, **(_OPTIONS | options))(function)
        return with_code(plain, signature, is_cached=folder is not None)
    finally:
        _config.CACHE_DIR = before


def decision(function: _Function) -> _Function:
    """Compile a decision function: integer features in, an `Action` (or ASK) out.

    All decision functions have one signature, so that the kernel that calls them compiles once.
    A user's may divide by zero or read past the features, and has to hear of it.
    """
    if not IS_COMPILED:
        return function
    options: dict[str, Any] = {"error_model": "python", "boundscheck": True}
    return compiled(function, DECISION_SIGNATURE, compiler=WHOLE, **options)


def _part(function: _Function, is_pasted: bool) -> _Function:
    """Compile a function into its callers; without an answer numba pastes if the caller is."""
    if not IS_COMPILED:
        return function
    _marked.append(function.__name__)
    njit: Any = numba.njit
    return njit(
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=PART,
        forceinline=is_pasted,
        **_OPTIONS,
    )(function)


def inner(function: _Function) -> _Function:
    """Compile a function of the simulator that only other compiled functions call.

    It has no entry from Python and no machine code of its own, and is not cached: its code is part
    of what calls it (see `linking`).
    """
    return _part(function, is_pasted=False)


def pasted(function: _Function) -> _Function:
    """Compile an inner function that is always inlined, for what every event goes through."""
    return _part(function, is_pasted=True)


def kernel(function: _Function) -> _Function:
    """Compile a function of the simulator when it is first called.

    Kernels take integers and arrays, check nothing and raise nothing. With ``NUMBA_DISABLE_JIT=1``
    the plain Python function is left as it is.
    """
    if not IS_COMPILED:
        return function
    return entered(compiled(function), _part(function, is_pasted=False))


def n_marked() -> int:
    """Return how many functions there are to compile."""
    return len(_marked)


@contextlib.contextmanager
def count_compiled(tell: Callable[[int], object]) -> Iterator[None]:
    """Have a count of the functions that are compiled meanwhile told whenever it grows.

    One that is compiled for several types of its arguments counts once.
    """
    compiled_ones: set[Any] = set()

    def count(function: Any) -> None:
        """Count a function."""
        compiled_ones.add(function)
        tell(len(compiled_ones))

    with watched(count):
        yield
