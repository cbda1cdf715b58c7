"""Compiling the event loop ahead of its first use, with a sign of life."""

from tdx_env.engine.batch import compile_loop
from tdx_env.jit import IS_COMPILED, cache_folder

_TEXT = "compiling the simulator (about half a minute, once for each version)"


def warm_up() -> None:
    """Compile the event loop, or load it from the cache; say so on stderr where it takes time.

    The spinner is for terminals; elsewhere nothing is printed.
    """
    folder = cache_folder()
    if not IS_COMPILED or (folder is not None and any(folder.rglob("*_run_range*.nbc"))):
        compile_loop()
        return
    from rich.console import Console  # 0.1 s, which an environment need not wait for

    with Console(stderr=True).status(_TEXT):
        compile_loop()
