"""A Ray cluster: the same bytes as one machine, all nodes at work, mistakes told in one line."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import cluster
from tdx_env.errors import BackendError
from tdx_eval.comparing import backends
from tdx_eval.comparing.ray_cluster import check_address


@pytest.fixture(scope="module")
def nodes() -> Iterator[None]:
    """Start a cluster of two nodes."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with cluster.two_nodes():
        yield


def fail(item: object, n_workers: int) -> None:
    """Raise what a user's mistake raises."""
    raise BackendError(f"not {item}")


def die(item: object, n_workers: int) -> None:
    """End the worker."""
    import os

    os._exit(3)


@pytest.mark.slow
def test_jobs_go_to_both_nodes(nodes: None) -> None:
    assert sorted(cluster.jobs_by_node(20).values()) == [10, 10]


@pytest.mark.slow
def test_cluster_gives_the_same_bytes(nodes: None, tmp_path: Path) -> None:
    for backend in ("sequential", "ray"):
        cluster.compare(backend, 16, tmp_path / backend)
    assert cluster.digests(tmp_path / "ray") == cluster.digests(tmp_path / "sequential")


@pytest.mark.slow
def test_more_jobs_than_the_cluster_has_are_refused(nodes: None) -> None:
    with pytest.raises(BackendError, match="--jobs 8: the Ray cluster has 2 CPUs"):
        list(backends.run_unordered(fail, [1], "ray", 8))


@pytest.mark.slow
@pytest.mark.parametrize(("work", "said"), [(fail, "^not 1$"), (die, "lost a worker")])
def test_what_goes_wrong_in_a_worker_is_told_here(work, said: str, nodes: None) -> None:
    with pytest.raises(BackendError, match=said):
        list(backends.run_unordered(work, [1], "ray", 0))


def test_address_where_nobody_listens_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(BackendError, match=f"no cluster answers RAY_ADDRESS={address}"):
        check_address()


@pytest.mark.parametrize("address", ["", "auto", "ray://somewhere:10001", "a:b"])
def test_address_of_another_kind_is_left_to_ray(address: str, monkeypatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    check_address()
