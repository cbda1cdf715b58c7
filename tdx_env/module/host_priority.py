"""The guest's host-priority timeout: how long TDCALLs may be refused before the TD exits.

The state is kept for each vCPU: a flag, and when the flag was set. It belongs to no lock and no
page.
"""

from tdx_env.errors import ScenarioError
from tdx_env.jit import kernel
from tdx_env.state.calls import Outcome

# Source of the three: TDX module 1.5, td_control_structures.h (HP_LOCK_TIMEOUT).
DEFAULT_TIMEOUT_US = 1_000_000
MIN_TIMEOUT_US = 10_000
MAX_TIMEOUT_US = 100_000_000

_WRITTEN_TICKS_MASK = 0xFFFF_FFFF


def timeout_cycles(timeout_us: int | None, tsc_mhz: int) -> int:
    """Return HP_LOCK_TIMEOUT in cycles, as the module ends up with it.

    A value that the host writes is cut to 32 bits of cycles; the default is not.

    Args:
        timeout_us: What the host writes [µs], or None if it leaves the default.
        tsc_mhz: The TSC's frequency [MHz].

    Raises:
        ScenarioError: The module would refuse the value.

    Source:
        TDX module 1.5, src/common/metadata_handlers/metadata_td.c,
        check_hp_lock_timeout_and_translate_to_tsc.
    """
    if timeout_us is None:
        return DEFAULT_TIMEOUT_US * tsc_mhz
    if not MIN_TIMEOUT_US <= timeout_us <= MAX_TIMEOUT_US:
        raise ScenarioError(
            f"host-priority timeout = {timeout_us} µs, "
            f"must be from {MIN_TIMEOUT_US} to {MAX_TIMEOUT_US}"
        )
    return timeout_us * tsc_mhz & _WRITTEN_TICKS_MASK


@kernel
def after_tdcall(
    is_flagged: bool, since: int, now: int, timeout: int, outcome: int
) -> tuple[bool, int, bool]:
    """Return what the end of a TDCALL makes of the flag, and whether the TD exits.

    A run of refusals is timed from its first one; any other end of a TDCALL ends the run. A TDCALL
    that ended in a TD exit of its own (EPT_VIOLATION) never gets here in the module: nothing
    changes.

    Args:
        is_flagged: The last TDCALLs were refused for host priority.
        since: When the first of them was [cycles].
        now: Time [cycles].
        timeout: HP_LOCK_TIMEOUT [cycles].
        outcome: An Outcome.

    Returns:
        The flag, when it was set [cycles], and True for a TD exit with HOST_PRIORITY_BUSY_TIMEOUT.

    Source:
        TDX module 1.5, src/td_dispatcher/tdx_td_dispatcher.c, td_call.
    """
    if outcome == Outcome.EPT_VIOLATION:
        return bool(is_flagged), since, False
    if outcome != Outcome.OPERAND_BUSY_HOST_PRIORITY:
        return False, since, False
    if not is_flagged:
        return True, now, False
    if now - since >= timeout:
        return False, since, True
    return True, since, False
