"""A batch of one world that is looked at after each event; what happens does not change by that."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tdx_agents.protocol import Policy
from tdx_env.engine.batch import Batch
from tdx_env.scenarios import Scenario, setup_of
from tdx_env.spaces import observation_size, observe

Look = Callable[[], None]
Answer = Callable[[], int]


class SteppedBatch(Batch):
    """One world that stops after each event.

    Args:
        scenario: What is played.
        policy: Whose discipline the host follows.

    Attributes:
        look: Is called after each event, and whenever the world asks or has ended.
    """

    events_a_call = 1

    def __init__(self, scenario: Scenario, policy: Policy) -> None:
        super().__init__(setup_of(scenario), policy.discipline.record(), n_events_traced=1)
        self.look: Look = lambda: None

    def _pieces(
        self, found: int, first: int, last: int, arguments: tuple[Any, ...]
    ) -> Iterator[int]:
        """Look at the world after each piece, which is one event."""
        for n_ended in super()._pieces(found, first, last, arguments):
            self.look()
            yield n_ended

    @property
    def rows(self) -> np.ndarray[Any, np.dtype[np.void]]:
        """The actors, dtype ACTOR, shape (n_actors,)."""
        found: np.ndarray[Any, np.dtype[np.void]] = self.actors["row"][0]
        return found[: int(self.run["n_actors"][0])]

    @property
    def now(self) -> int:
        """The world's time [cycles]."""
        return int(self.run["now"][0])

    def last_actor(self) -> int:
        """Return whose event was last; forgets it."""
        actor = int(self.world(0).trace["event"][0]["actor"])
        self.run["n_traced"] = 0
        return actor


def answer_of(policy: Policy, batch: Batch) -> Answer:
    """Return a function that gives the policy's answer to the decision that a world waits for."""
    observations = np.empty((1, observation_size()), np.float32)

    def answer() -> int:
        observe(batch.features, observations)
        return int(policy.actions(observations, batch.features, batch.masks)[0])

    return answer


def play_on(batch: SteppedBatch, answer: Answer, until: int | None = None) -> None:
    """Play until the episode ends, or until a decision is waited for after an instant.

    Args:
        batch: The world.
        answer: Gives the answers.
        until: [cycles]; default: the end.
    """
    batch.advance()
    batch.look()
    while batch.waiting[0] and (until is None or batch.now < until):
        action = answer()
        batch.advance(actions=[action])
        batch.look()
