"""Compiling the event loop ahead of its first use, with a sign of life."""

from rich.console import Console

from tdx_env.engine.batch import compile_loop
from tdx_env.jit import cache_folder

_SLOW = "compiling the simulator (about half a minute, once for each version)"


def warm_up() -> None:
    """Compile the event loop, or load it from the cache; say so while it takes time."""
    folder = cache_folder()
    is_cached = folder is not None and any(folder.rglob("*.nbc"))
    console = Console(stderr=True)
    with console.status("loading the simulator" if is_cached else _SLOW):
        compile_loop()
