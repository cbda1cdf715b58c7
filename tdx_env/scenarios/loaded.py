"""A scenario as many share it, with what the simulator reads of it."""

import functools

import numpy as np
from numpy.typing import NDArray

from tdx_env.scenarios.record import checked_setup_of
from tdx_env.scenarios.schema import Scenario

_TABLES = ("areas", "groups", "tasks", "costs")


class Loaded:
    """A scenario whose fields fit together; nobody changes it.

    Attributes:
        scenario: The scenario.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario

    @functools.cached_property
    def setup(self) -> NDArray[np.void]:
        """What the kernel reads: dtype SETUP, shape (1,), read-only."""
        setup = checked_setup_of(self.scenario)
        setup.flags.writeable = False
        return setup

    def copy(self) -> Scenario:
        """Return a scenario of one's own: its tables of tables, which aren't frozen, are copies."""
        given = self.scenario.model_fields_set
        own = {name: dict(getattr(self.scenario, name)) for name in _TABLES if name in given}
        return self.scenario.model_copy(update=own)
