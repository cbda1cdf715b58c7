"""What `--sweep` adds to the policies of a comparison."""

from collections.abc import Sequence

import tdx_agents
from tdx_agents.varied import check_number
from tdx_env.errors import PolicyError, shown
from tdx_eval.comparing.plan import ALL
from tdx_eval.comparing.yardsticks import yardstick_names


def with_sweeps(policies: str, sweeps: Sequence[str]) -> str:
    """Return policies with a row for each value of a swept field behind each of them.

    Args:
        policies: "all", or names with commas between.
        sweeps: ``FIELD=VALUE,VALUE``, each for all policies.

    Raises:
        PolicyError: A sweep has no values, or its field is not a number.
    """
    names = [one.strip() for one in policies.split(",") if one.strip()]
    if policies == ALL:
        names = [*tdx_agents.names(), *yardstick_names()]
    found = list(names)
    for sweep in sweeps:
        field, _, values = sweep.partition("=")
        check_number(field, f"--sweep {sweep}")
        given = [value.strip() for value in values.split(",")]
        if not all(given):
            raise PolicyError(f"--sweep {shown(sweep)}: must be FIELD=VALUE,VALUE,...")
        found += [f"{name}@{field}={value}" for value in given for name in names]
    return ",".join(dict.fromkeys(found)) if sweeps else policies
