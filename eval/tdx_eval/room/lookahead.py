"""What every allowed answer to a decision leads to: copies of the world, played on to the end.

Future k has the same key under every answer (common random numbers), so that answers that lead to
the same events cost the same, and luck that all meet cancels out.
"""

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Policy
from tdx_env.engine.batch import SKIP, Batch
from tdx_env.engine.futures import future_keys
from tdx_env.engine.run import Number
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.objectives import N_WEIGHED
from tdx_eval.room.stepping import Asked, check_compiled

_PARTS = slice(int(Number.WASTE), int(Number.WASTE) + N_WEIGHED)


class Lookahead:
    """Plays answers on.

    Args:
        copies: A batch of the same scenario and discipline as the worlds that are looked at, for
            the copies of them; its worlds are overwritten.
        base: Compiled policy that takes all later decisions.
        n_futures: Futures of each decision, at least 2 but for the true one.
        is_clairvoyant: Whether the one future is the true one. What the answer causes to be drawn
            differently counts then as its merit: such a gain is a bound, and luck is in it.
    """

    def __init__(
        self, copies: Batch, base: Policy, n_futures: int, is_clairvoyant: bool = False
    ) -> None:
        check_compiled(base)
        self._copies, self._base = copies, base
        self._n_futures = 1 if is_clairvoyant else n_futures
        self._is_clairvoyant = is_clairvoyant

    def costs(self, batch: Batch, asked: Asked) -> NDArray[np.float64]:
        """Return what each answer costs from the decision to the episode's end, itself included.

        Args:
            batch: The worlds; they are not changed.
            asked: Those of them that are looked at.

        Returns:
            Parts of the cost as `state.objectives.WEIGHED` has them, nan for what is masked, shape
            (n, N_ACTIONS, n_futures, N_WEIGHED) [cycles].
        """
        n_futures = self._n_futures
        found = np.full((len(asked.places), N_ACTIONS, n_futures, N_WEIGHED), np.nan)
        rows, actions = np.nonzero(asked.masks)
        rows, actions = np.repeat(rows, n_futures), np.repeat(actions, n_futures)
        futures = np.arange(len(rows)) % n_futures
        keys = future_keys(batch.run["seed"][asked.places], asked.numbers, n_futures)
        for first in range(0, len(rows), self._copies.n_worlds):
            some = slice(first, first + self._copies.n_worlds)
            where = (rows[some], actions[some], futures[some])
            sources = asked.places[where[0]]
            ended = self._played(batch, sources, where[1], keys[where[0], where[2]])
            found[where] = (ended - batch.numbers[_PARTS, sources]).T
        return found

    def _played(
        self,
        batch: Batch,
        sources: NDArray[np.int64],
        actions: NDArray[np.int64],
        keys: NDArray[np.uint64],
    ) -> NDArray[np.int64]:
        """Return the parts of the cost of whole episodes, shape (N_WEIGHED, n)."""
        copies, n = self._copies, len(sources)
        copies.adopt(batch, sources)
        if not self._is_clairvoyant:
            copies.rekey(keys)
        given = np.full(copies.n_worlds, SKIP, np.int64)
        given[:n] = actions
        with self._base.blamed():
            copies.advance(self._base.decide, given)
        return copies.numbers[_PARTS, :n]
