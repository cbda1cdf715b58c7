"""Processes that work for this one: they end with it, and a run is told when one is killed."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from tdx_env.errors import BackendError

_LOOK_S = 1.0  # how often a worker looks whether its parent is there
_ORPHANED = 1  # exit code of a worker whose parent is gone

Answer = TypeVar("Answer")
_watching = threading.Lock()  # is taken once by the thread that watches, and kept


def _end_with(parent: int) -> None:
    """End this process when its parent is another one than that: the parent is gone."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(_ORPHANED)


@dataclass(frozen=True)
class Leashed(Generic[Answer]):
    """A function whose calls in other processes end when the process that sent them does.

    A process that is killed can't stop its workers, and theirs is an endless queue.

    Attributes:
        function: What is called.
        parent: Id of the process that sends the calls and started the workers.
    """

    function: Callable[..., Answer]
    parent: int

    def __call__(self, item: object) -> Answer:
        """Call the function; the first call in a worker begins to watch the parent."""
        if os.getpid() != self.parent and _watching.acquire(blocking=False):
            threading.Thread(target=_end_with, args=(self.parent,), daemon=True).start()
        return self.function(item)


@contextmanager
def deaths_told(name: str) -> Iterator[None]:
    """Turn the death of a worker into an error for the user.

    Args:
        name: The backend.

    Raises:
        BackendError: A worker was killed.
    """
    try:
        yield
    except BrokenProcessPool as error:
        raise BackendError(
            f"--backend {name}: a worker process was killed, perhaps for want of memory; fewer "
            "--jobs or a smaller --chunk need less"
        ) from error
