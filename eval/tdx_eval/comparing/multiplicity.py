"""Many policies against one reference: verdicts that hold together.

A family is what one table of a scenario shows: all policies against the reference, those that
behave alike once.
"""

from collections.abc import Mapping
from dataclasses import replace

from tdx_eval.comparing.statistics import holm
from tdx_eval.comparing.summary import PolicyResult


def corrected(results: Mapping[str, PolicyResult]) -> dict[str, PolicyResult]:
    """Return a scenario's results with the p-values of their differences corrected.

    Args:
        results: By policy, each with its difference to the reference.
    """
    family = [
        name
        for name, one in results.items()
        if not one.same_as and name != one.to_reference.other and one.to_reference.cycles.p
    ]
    differences = {name: results[name].to_reference for name in family}
    cycles = dict(zip(family, holm([it.cycles for it in differences.values()]), strict=True))
    shares = {name: it.relative for name, it in differences.items() if it.relative}
    relative = dict(zip(shares, holm(list(shares.values())), strict=True))
    found = {}
    for name, one in results.items():
        stands_for = one.same_as or name
        if stands_for in cycles:
            difference = replace(
                one.to_reference, cycles=cycles[stands_for], relative=relative.get(stands_for)
            )
            one = replace(one, to_reference=difference)
        found[name] = one
    return found
