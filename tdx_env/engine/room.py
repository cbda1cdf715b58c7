"""What memory scenarios need, and the module's calls as they play them."""

import functools

import numpy as np
from numpy.typing import NDArray

from tdx_env.module.seamcalls import MODULE_VERSIONS
from tdx_env.module.seamcalls import program as steps_of
from tdx_env.state.setup import REGIONS_PER_TABLE
from tdx_env.state.world import PROGRAM


def n_entries(setups: NDArray[np.void]) -> int:
    """Return the S-EPT entries that the largest of the setups needs."""
    most = 0
    for setup in setups:
        regions = int(setup["areas"]["n_regions"][: setup["n_areas"]].sum())
        tables = -(-regions // REGIONS_PER_TABLE) + 1
        most = max(most, (regions << int(setup["page_shift"])) + regions + tables)
    return most


def n_actors_of(setups: NDArray[np.void]) -> int:
    """Return the actors that the largest of the setups needs."""
    tasks = [int(s["tasks"]["count_high"][: s["n_tasks"]].sum()) for s in setups]
    return max(int(s["n_vcpus_high"]) + n for s, n in zip(setups, tasks, strict=True))


@functools.cache
def _steps_of(module_version: int) -> NDArray[np.void]:
    """Return the steps of all calls of a version of the module; not to be changed."""
    return steps_of(list(MODULE_VERSIONS)[module_version])


def programs(setups: NDArray[np.void]) -> NDArray[np.void]:
    """Return the table of the module's calls for each setup, dtype PROGRAM."""
    programs = np.zeros(len(setups), PROGRAM)
    for row, version in enumerate(setups["module_version"].tolist()):
        programs["steps"][row] = _steps_of(version)
    return programs
