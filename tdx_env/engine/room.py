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
def _program_of(module_version: int) -> np.void:
    """Return the rules of a version of the module, dtype PROGRAM; not to be changed."""
    name = list(MODULE_VERSIONS)[module_version]
    program = np.zeros(1, PROGRAM)
    program["steps"] = steps_of(name)
    for rule in MODULE_RULES:
        program[rule] = getattr(MODULE_VERSIONS[name], rule)
    rules: np.void = program[0]
    return rules


def programs(setups: NDArray[np.void]) -> NDArray[np.void]:
    """Return the rules of the module's version for each setup, dtype PROGRAM."""
    programs = np.zeros(len(setups), PROGRAM)
    for row, version in enumerate(setups["module_version"].tolist()):
        programs[row] = _program_of(version)
    return programs
