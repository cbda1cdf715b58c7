"""Found and derived side by side."""

from collections.abc import Mapping

from tdx_eval.worst.hostile import Attack

_UNITS = {
    "issues": "SEAMCALLs of one call",
    "seamcalls": "SEAMCALLs of the chunk",
    "stops": "stops of all vCPUs",
    "ipis": "IPIs",
    "cycles": "cycles of one non-preemptible stretch",
}


def _limit(attack: Attack, measure: str) -> int:
    """Return what is derived for a measure."""
    bound = attack.bound
    return bound.call.issues if measure == "issues" else int(getattr(bound, measure))


def attacks_table(found: Mapping[str, Attack]) -> str:
    """Return the worst attacks as a Markdown table."""
    rows = ["| measure | found | derived | lost TDs | guest |", "|---|---|---|---|---|"]
    for measure, attack in found.items():
        rows.append(
            f"| {_UNITS[measure]} | {getattr(attack, measure):,} | {_limit(attack, measure):,} | "
            f"{attack.n_lost} | {attack.guest.told()} |"
        )
    return "\n".join(rows)
