"""`python -m benchmarks.cluster`: a comparison on two Ray nodes, held against one without Ray.

Both nodes run on this machine, with processes and memory of their own; they have the network and
the installed package in common. Ends with 1 if a file of the results differs in a byte.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from benchmarks.tables import table
from tdx_eval.comparing.backends import run_unordered

_SCENARIOS = "s08-accept-2m/test,s09-accept-4k/test,s13-balloon/test"
_POLICIES = "P1,P4,P18,P20,P28-4"
_EVALUATE = "from tdx_eval.cli import main; main()"
_SILENT = {"RAY_USAGE_STATS_ENABLED": "0"}  # Ray would report home


@contextmanager
def two_nodes() -> Iterator[None]:
    """Start a Ray cluster of two nodes with a CPU each; RAY_ADDRESS names it meanwhile."""
    os.environ |= _SILENT
    cluster = import_module("ray.cluster_utils").Cluster()
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, include_dashboard=False)
        cluster.wait_for_nodes()
        os.environ["RAY_ADDRESS"] = cluster.address
        yield
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        cluster.shutdown()


def _node(item: object, n_workers: int) -> str:
    """Return the node that this runs on."""
    found: str = import_module("ray").get_runtime_context().get_node_id()
    return found


def jobs_by_node(n_jobs: int) -> Counter[str]:
    """Return how many of some jobs each node of the cluster worked on."""
    return Counter(run_unordered(_node, range(n_jobs), "ray", 0))


def compare(backend: str, seeds: int, out: Path) -> None:
    """Run a comparison in a process of its own."""
    named = ["--scenarios", _SCENARIOS, "--policies", _POLICIES, "--seeds", str(seeds)]
    way = ["--backend", backend, "--chunk", "8", "--out", str(out)]
    command = [sys.executable, "-c", _EVALUATE, "compare", *named, *way]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def digests(folder: Path) -> dict[str, str]:
    """Return a digest of each file of results."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files}


def main(words: Sequence[str] | None = None) -> int:
    """Compare both ways; print the digests, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=64, help="episodes of each pair")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        here, there = Path(folder, "here"), Path(folder, "there")
        compare("sequential", options.seeds, here)
        with two_nodes():
            n_each = sorted(jobs_by_node(20).values())
            compare("ray", options.seeds, there)
        one, two = digests(here), digests(there)
    print(f"20 jobs went to {len(n_each)} nodes: {', '.join(map(str, n_each))}")
    print(
        table(
            ("file", "sequential", "ray"),
            [(name, one[name], two.get(name, "none")) for name in one],
        )
    )
    print("same bytes" if one == two else "bytes differ")
    return int(one != two or len(n_each) != 2)


if __name__ == "__main__":
    raise SystemExit(main())
