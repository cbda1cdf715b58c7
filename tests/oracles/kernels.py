"""What versions of KVM do differently, from sheet and mails rather than from the simulator."""

from dataclasses import dataclass

from tdx_env.state.calls import NONE

ORDER = ("series-2024", "6.16", "6.18", "6.19", "7.4-queue")


@dataclass(frozen=True)
class Rules:
    """The rules of one kernel."""

    leaves_dying_slot: bool
    build_guard: bool
    vp_init_locked: bool
    add_retried: bool


def rules_of(scenario: int, discipline: int) -> Rules:
    """Return the rules of the kernel that the discipline names, else of the scenario's."""
    kernel = ORDER[scenario if discipline == NONE else discipline]
    since_6_18 = kernel not in ("series-2024", "6.16")
    since_6_19 = since_6_18 and kernel != "6.18"
    return Rules(since_6_18, since_6_19, since_6_19, since_6_19)
