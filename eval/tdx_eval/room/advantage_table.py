"""A table of decisions of played episodes, and what each answer to them cost afterwards."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tdx_env.errors import ResultError


@dataclass(frozen=True, eq=False)
class AdvantageTable:
    """Decisions, a row each, and what each answer cost from there to the end.

    Attributes:
        observations: As `tdx_env.spaces.observe` fills them, the columns of flush points included,
            shape (n, observation_size("all")), float32.
        features: As compiled policies see them, shape (n, N_FEATURES), int64.
        path: A CallPath, shape (n,).
        mask: Which answers are allowed, shape (n, N_ACTIONS), bool.
        cost: Mean over the futures of what follows each answer, its own costs included; nan where
            it is masked, shape (n, N_ACTIONS, n_objectives) [cycles].
        error: Standard error of the mean difference to the base's answer, paired by future; 0 for
            that answer itself, nan where masked, shape (n, N_ACTIONS, n_objectives) [cycles].
        base_action: What the base answers, shape (n,).
        scenario: Place in `scenarios`, shape (n,).
        seed: Of the episode, shape (n,).
        number: Which decision of its episode it is, from 0, shape (n,).
        split: Of the scenario, "" if it has none, shape (n,).
        scenarios: Names.
        objectives: Names, or weights as text.
        base: Name of the base policy.
        n_futures: Futures of each decision.
    """

    observations: NDArray[np.float32]
    features: NDArray[np.int64]
    path: NDArray[np.int64]
    mask: NDArray[np.bool_]
    cost: NDArray[np.float64]
    error: NDArray[np.float64]
    base_action: NDArray[np.int64]
    scenario: NDArray[np.int64]
    seed: NDArray[np.int64]
    number: NDArray[np.int64]
    split: NDArray[np.str_]
    scenarios: tuple[str, ...]
    objectives: tuple[str, ...]
    base: str
    n_futures: int

    def gain(self) -> NDArray[np.float64]:
        """Return what each answer saves against the base's, shape as `cost` [cycles]."""
        rows = np.arange(len(self.path))
        own: NDArray[np.float64] = self.cost[rows, self.base_action][:, None]
        return own - self.cost

    def save(self, path: Path) -> None:
        """Write the table as .npz, arrays only: loading it executes nothing."""
        np.savez_compressed(path, **{one.name: getattr(self, one.name) for one in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "AdvantageTable":
        """Return the table that a file has.

        Raises:
            ResultError: It is no such file.
        """
        try:
            with np.load(path, allow_pickle=False) as kept:
                found = {one.name: kept[one.name] for one in fields(cls)}
        except (OSError, ValueError, KeyError) as error:
            raise ResultError(f"{path}: is no table of advantages: {error}") from error
        names = {name: tuple(found[name].tolist()) for name in ("scenarios", "objectives")}
        alone = {"base": str(found["base"]), "n_futures": int(found["n_futures"])}
        return cls(**found | names | alone)
