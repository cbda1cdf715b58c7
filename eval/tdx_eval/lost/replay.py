"""One episode played again, stopped at chosen instants to look at it."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch
from tdx_env.engine.scene import Scene
from tdx_env.scenarios import Scenario, setup_of
from tdx_env.scenarios import load as load_scenario
from tdx_env.state.world import End
from tdx_eval.comparing.machine import AS_THE_SCENARIO_SAYS, Choice
from tdx_eval.comparing.yardsticks import load_policy

_N_RECORDED = 1 << 16  # events kept of each slice of what is recorded
_N_SLICES = 33


@dataclass(frozen=True)
class Case:
    """An episode.

    Attributes:
        policy: Name of a policy whose rule is compiled.
        scenario: Name or file.
        seed: The episode's seed.
        choice: The machine, if it isn't the scenario's.
    """

    policy: str
    scenario: str
    seed: int
    choice: Choice = AS_THE_SCENARIO_SAYS


@functools.cache
def scenario_of(name: str, choice: Choice = AS_THE_SCENARIO_SAYS) -> Scenario:
    """Return a scenario on a machine, loaded once a process."""
    return load_scenario(name, choice.overrides)


class Replay:
    """An episode that is played up to one instant after the other.

    At each instant the books are closed, so what it costs is not that of an undisturbed episode;
    what happens is.

    Args:
        case: Which episode.
    """

    def __init__(self, case: Case) -> None:
        policy = load_policy(case.policy)
        assert policy.decide is not None
        self.case = case
        self.discipline = policy.discipline
        self._decide = policy.decide
        self.batch = Batch(
            setup_of(scenario_of(case.scenario, case.choice)),
            policy.discipline.record(),
            n_events_traced=_N_RECORDED,
        )
        self.restart()

    def restart(self) -> None:
        """Go back to the start."""
        self.batch.reset([self.case.seed])
        self._cap = int(self.batch.run["time_cap"][0])

    def to(self, instant: int) -> Scene:
        """Play until all that is due up to an instant has happened, or the episode ends."""
        run = self.batch.run[0]
        if run["end"] in (End.RUNNING, End.CAPPED) and instant > run["now"]:
            run["end"], run["time_cap"] = End.RUNNING, min(instant, self._cap)
            self.batch.advance(self._decide)
        return Scene(self.batch, 0)

    def to_the_end(self) -> Scene:
        """Play until the episode ends."""
        return self.to(self._cap)

    def recorded(self, begin: int, until: int | None = None) -> NDArray[np.void]:
        """Return the events from one instant to another, dtype EVENT.

        Args:
            begin: [cycles]
            until: [cycles]; default: the episode's end.
        """
        self.restart()
        last = int(self.to_the_end().run["now"]) if until is None else until
        self.restart()
        self.to(max(0, begin - 1))
        self.batch.run["n_traced"] = 0
        parts = []
        for instant in np.linspace(begin, last, _N_SLICES, dtype=np.int64).tolist():
            run = self.to(instant).run
            parts.append(self.batch.world(0).trace["event"][: int(run["n_traced"])].copy())
            self.batch.run["n_traced"] = 0
        events: NDArray[np.void] = np.concatenate(parts)
        return events
