"""Where jobs run side by side: joblib's backends, and clusters that register with joblib.

The simulator runs without Python's lock, so threads do as well as processes where the policy is
compiled, and need not be started: with 2 CPUs, 336 jobs took 6.1 s with threads and 7.4 s with
processes. A policy that is asked needs the lock between any two decisions: 64 jobs of a network
took 5.3 s with threads, 3.7 s with processes and 5.2 s one by one (medians of five). So processes
are the default.
"""

import os
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from tdx_env.errors import BackendError, one_of
from tdx_eval.comparing.ray_cluster import check_address, ray_joined
from tdx_eval.comparing.signals import interrupts_ignored, termination_at_once
from tdx_eval.comparing.workers import Leashed, deaths_told

if TYPE_CHECKING:
    from joblib import Parallel

DEFAULT = "loky"
SEQUENTIAL = "sequential"
_GROUP = 8  # jobs of each worker at a time, where a backend returns all results at once

# Backends that joblib lacks until their package is imported: module, and what to install for it.
_CLUSTERS = {
    "dask": ("distributed", "dask[distributed]"),
    "ray": ("ray.util.joblib", "ray"),
}
# Ray's workers take no CPU unless told to, and then all of them may start on one node.
_SETTINGS: dict[str, dict[str, object]] = {"ray": {"ray_remote_args": {"num_cpus": 1}}}
_OWN_PROCESSES = ("loky", "multiprocessing")  # which this process starts, and must not leave behind

Answer = TypeVar("Answer")


def backend_names() -> list[str]:
    """Return the names of all backends, installed or not."""
    from joblib.parallel import BACKENDS

    return sorted({*BACKENDS, *_CLUSTERS})


def check_backend(name: str) -> None:
    """Check that a backend can be used.

    Raises:
        BackendError: It is unknown, its package can't be imported, or its cluster doesn't answer.
    """
    known = backend_names()
    if name not in known:
        raise BackendError(f"--backend {name}: is unknown, {one_of(name, known)}")
    if name not in _CLUSTERS:
        return
    module, package = _CLUSTERS[name]
    try:
        import_module(module)
    except ImportError as error:
        others = ", ".join(one for one in known if one not in _CLUSTERS)
        raise BackendError(
            f"--backend {name}: {error}; install it (pip install '{package}'), or give one of: "
            f"{others}"
        ) from None
    if name == "ray":
        check_address()


@contextmanager
def _started(name: str) -> Iterator[None]:
    """Make a backend known to joblib; a cluster of its own runs until the end.

    Raises:
        BackendError: A cluster can't be reached, or lost a worker.
    """
    if name == "dask":
        with import_module("distributed").Client():  # DASK_SCHEDULER_ADDRESS, or a local cluster
            yield
        return
    if name == "ray":
        with ray_joined():
            import_module("ray.util.joblib").register_ray()
            yield
        return
    yield


@contextmanager
def _chosen(name: str) -> Iterator[None]:
    """Make a backend joblib's own choice meanwhile, with its settings."""
    from joblib import parallel_config

    with parallel_config(backend=name, **_SETTINGS.get(name, {})):
        yield


def n_workers(name: str, n_jobs: int) -> int:
    """Return how many jobs run side by side.

    Args:
        name: A backend.
        n_jobs: As many are asked for; 0: as there are CPUs, or as a cluster has.

    Raises:
        BackendError: A Ray cluster has fewer CPUs: it would wait for others to join.
    """
    from joblib import effective_n_jobs

    if name == SEQUENTIAL:
        return 1
    with _chosen(name):
        n_cpus = int(effective_n_jobs(-1))
        if name == "ray" and n_jobs > n_cpus:
            raise BackendError(
                f"--jobs {n_jobs}: the Ray cluster has {n_cpus} CPUs, give as many at most, or 0"
            )
        return int(effective_n_jobs(n_jobs or -1))


def _returns_each(name: str) -> bool:
    """Say whether a backend can return each result when it is there."""
    from joblib.parallel import get_active_backend

    with _chosen(name):
        return bool(get_active_backend()[0].supports_return_generator)


def _parallel(name: str, n_jobs: int, return_as: str) -> "Parallel":
    """Return what runs jobs with a backend.

    By `parallel_config`: joblib 1.6 passes a nesting level on to dask's jobs, which fail by it, if
    the backend is named to `Parallel` itself.
    """
    from joblib import Parallel

    with _chosen(name):
        return Parallel(n_jobs=n_jobs, return_as=return_as, batch_size=1)


def _as_they_come(
    function: Callable[..., Answer], items: Sequence[object], name: str, n_jobs: int
) -> Generator[Answer]:
    """Yield results as they are there."""
    from joblib import delayed

    parallel = _parallel(name, n_jobs, "generator_unordered")
    # The first jobs go out here, and the processes start.
    with interrupts_ignored(), deaths_told(name):
        results = parallel(delayed(function)(item) for item in items)
    try:
        with deaths_told(name):
            for result in results:  # noqa: UP028 (`yield from` would close the results first)
                yield result
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that jobs of a stopped run go unused
            results.close()


def _in_groups(
    function: Callable[..., Answer], items: Sequence[object], name: str, n_jobs: int
) -> Generator[Answer]:
    """Yield results group by group, for backends that return a list."""
    from joblib import delayed

    parallel = _parallel(name, n_jobs, "list")
    with ExitStack() as stack:
        with interrupts_ignored(), termination_at_once():  # the processes start
            stack.enter_context(parallel)
        size = _GROUP * n_jobs
        for first in range(0, len(items), size):
            yield from parallel(delayed(function)(item) for item in items[first : first + size])


def run_unordered(
    function: Callable[..., Answer], items: Sequence[object], name: str, n_jobs: int
) -> Generator[Answer]:
    """Call a function with each item; yield the results as they come.

    Args:
        function: Takes an item, and by name `n_workers`: how many calls run side by side.
        items: One for each call.
        name: A backend that `check_backend` found no fault with.
        n_jobs: As for `n_workers`.
    """
    with _started(name):
        n = n_workers(name, n_jobs)
        call: Callable[..., Answer] = partial(function, n_workers=n)
        if name in _OWN_PROCESSES:
            call = Leashed(call, os.getpid())
        if n == 1 and name not in _CLUSTERS:
            yield from map(call, items)
        elif _returns_each(name):
            yield from _as_they_come(call, items, name, n)
        else:
            yield from _in_groups(call, items, name, n)
