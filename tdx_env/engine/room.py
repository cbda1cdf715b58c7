"""What memory scenarios need, and the module's rules as they play them."""

import functools

import numpy as np
from numpy.typing import NDArray

from tdx_env.module.seamcalls import MODULE_VERSIONS
from tdx_env.module.seamcalls import program as steps_of
from tdx_env.state.setup import REGIONS_PER_TABLE
from tdx_env.state.world import MODULE_RULES, PROGRAM


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
def programs() -> NDArray[np.void]:
    """Return the rules of each version of the module, dtype PROGRAM, in their order; read-only."""
    programs = np.zeros(len(MODULE_VERSIONS), PROGRAM)
    for row, (name, version) in enumerate(MODULE_VERSIONS.items()):
        programs["steps"][row] = steps_of(name)
        for rule in MODULE_RULES:
            programs[rule][row] = getattr(version, rule)
    programs.flags.writeable = False
    return programs
