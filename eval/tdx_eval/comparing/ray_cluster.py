"""A Ray cluster that runs jobs: joining it, leaving it, and what its errors mean."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from tdx_env.errors import BackendError

_ADDRESS = "RAY_ADDRESS"  # of the cluster to join; without one, Ray starts workers on this machine
_PATIENCE_S = 10.0


def _where() -> str:
    """Say which cluster is meant."""
    return f"{_ADDRESS}={os.environ[_ADDRESS]}" if _ADDRESS in os.environ else "on this machine"


def check_address() -> None:
    """Check that somebody listens where the cluster is said to be: Ray would try for minutes.

    Raises:
        BackendError: Nobody does.
    """
    host, colon, port = os.environ.get(_ADDRESS, "").rpartition(":")
    if not colon or "//" in host or not port.isdecimal():
        return  # a word as "auto", or an address of a kind that Ray takes apart itself
    try:
        socket.create_connection((host, int(port)), _PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise BackendError(
            f"--backend ray: no cluster answers {_where()}: {error}; start one by: ray start --head"
        ) from None


@contextmanager
def ray_joined() -> Iterator[None]:
    """Join the cluster of RAY_ADDRESS, or one of this machine alone, and leave it at the end.

    A process that has joined one already stays in it.

    Raises:
        BackendError: The cluster can't be reached, or a worker or node of it was lost.
    """
    ray = import_module("ray")
    is_ours = not ray.is_initialized()
    if is_ours:
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            first = str(error).partition("\n")[0]
            raise BackendError(
                f"--backend ray: can't join the cluster {_where()}: {first}"
            ) from None
    try:
        yield
    except ray.exceptions.RayTaskError:
        raise  # a job's own error
    except ray.exceptions.RayError as error:
        first = str(error).partition("\n")[0]
        raise BackendError(
            f"--backend ray: the cluster {_where()} lost a worker: {first}; what is finished is "
            "kept, the same command goes on from there"
        ) from error
    finally:
        if is_ours:
            ray.shutdown()
