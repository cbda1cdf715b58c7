"""The search for the worst guest: an evolution for each measure."""

from collections.abc import Callable

import numpy as np

from tdx_eval.worst.hostile import MEASURES, Attack, HostileGuest, changed_guest, drawn_guest

_N_PARENTS, _N_CHILDREN = 4, 8

Attacker = Callable[[HostileGuest], Attack]


def worst_guests(attack: Attacker, n_generations: int, seed: int) -> dict[str, Attack]:
    """Return the worst attack found for each measure.

    Args:
        attack: Plays a removal against a guest.
        n_generations: Of each evolution; a dozen guests are drawn before.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    drawn = [drawn_guest(generator) for _ in range(_N_PARENTS + _N_CHILDREN)]
    first = [attack(guest) for guest in [HostileGuest(), *drawn]]
    seen = list(first)
    for measure in MEASURES:
        people = list(first)
        for _ in range(n_generations):
            people.sort(key=lambda one: -getattr(one, measure))  # noqa: B023 (used at once)
            parents = people[:_N_PARENTS]
            picked = generator.integers(len(parents), size=_N_CHILDREN)
            children = [
                attack(changed_guest(parents[int(place)].guest, generator)) for place in picked
            ]
            seen += children
            people = [*parents, *children]
    return {measure: max(seen, key=_by(measure)) for measure in MEASURES}


def _by(measure: str) -> Callable[[Attack], int]:
    """Return what attacks are compared by."""
    return lambda one: int(getattr(one, measure))
