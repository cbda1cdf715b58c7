"""Compare kernel and oracle on random worlds until they differ; exit code 1 if they do.

Run in a folder with a mistake in the kernel, and NUMBA_DISABLE_JIT=1.
"""

import sys

from tests.oracles.comparison import compare
from tests.strategies import batch_world, random_world

N_WORLDS = 400
N_BATCHES = 100  # worlds whose zaps are long, in batches
# Later worlds, which meet what few do: faults behind a mapping just being split; a mark on an entry
# whose holder, a host call, commits; a writer that waits for a list that does not yield to it.
RARE = (778, 807, 1489, 2051, 1906, 1141, 618)


def main() -> int:
    """Return 1 at the first world in which kernel and oracle differ, or the kernel fails."""
    made = [(random_world, seed) for seed in (*RARE, *range(N_WORLDS))]
    made += [(batch_world, seed) for seed in range(N_BATCHES)]
    for make, seed in made:
        try:
            found = compare(seed, make)
        except Exception as error:  # noqa: BLE001 - a mistake may raise anything; it is caught then
            found = repr(error)
        if found:
            print(f"{make.__name__} {seed}: {found}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
