"""Seeds of the splits: disjoint, so that nothing is chosen on what it is tested on."""

FIRST_SEED = {"train": 0, "validation": 1 << 31, "test": 1 << 32}
CHUNK = 50  # episodes that are run side by side, unless a user says otherwise
MAX_SEEDS = 1 << 20  # far below the distance of the splits


def seeds_of(split: str, n_seeds: int) -> range:
    """Return a split's first seeds."""
    first = FIRST_SEED[split]
    return range(first, first + n_seeds)
