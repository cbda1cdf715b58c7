"""Which machine a scenario stands for: its module under its kernel, and whether there is one."""

from collections.abc import Sequence
from typing import NamedTuple

from tdx_env.scenarios.schema import Scenario
from tdx_env.state.kernels import KERNELS

OLDEST_MODULE = (1, 5, 6)
"""Linux' TDX needs TOPOLOGY_ENUM and NO_RBP_MOD, which came with module 1.5.06.

Source: Linux 6.16, arch/x86/virt/vmx/tdx/tdx.c, init_tdx_module.
"""


class Machine(NamedTuple):
    """Module and kernel.

    Attributes:
        module: Version of the TDX module, or those that an episode draws from.
        kernel: Version of KVM whose rules hold.
        counterfactual: Why no machine runs the two together; empty: some may.
    """

    module: str
    kernel: str
    counterfactual: str

    def __str__(self) -> str:
        """Return it as a report shows it."""
        mark = f" (counterfactual: {self.counterfactual})" if self.counterfactual else ""
        return f"module {self.module}, KVM {self.kernel}{mark}"


def _number(version: str) -> tuple[int, ...] | None:
    """Return a module version as numbers; None: it is a variant that was never released."""
    parts = version.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else None


def why_counterfactual(module: str, kernel: str) -> str:
    """Return why no machine runs this module under this kernel, or an empty text."""
    number = _number(module)
    if number is None:
        return f"module {module} was never released"
    if not KERNELS[kernel].is_merged:
        return f"kernel {kernel} was never released"
    if number < OLDEST_MODULE:
        return f"KVM {kernel} refuses modules before 1.5.06"
    return ""


def _either(versions: Sequence[str]) -> str:
    """Return versions as a text."""
    *others, last = versions
    return f"{', '.join(others)} or {last}" if others else last


def machine_of(scenario: Scenario, kernel: str | None = None, module: str | None = None) -> Machine:
    """Return the machine that a scenario stands for.

    Args:
        scenario: What is played.
        kernel: The kernel that the policy's discipline brings; None: the scenario's.
        module: The version that an episode has drawn; None: all that the scenario draws from.
    """
    versions = scenario.module.version if module is None else (module,)
    rules = kernel or scenario.host.kernel
    reasons = dict.fromkeys(why_counterfactual(version, rules) for version in versions)
    return Machine(_either(versions), rules, "; ".join(filter(None, reasons)))


def machine_overrides(
    module: str | Sequence[str] | None = None, kernel: str | None = None
) -> dict[str, object]:
    """Return what a user's choice of a machine overrides in a scenario, by dotted name.

    Args:
        module: A version, several with commas between, or a list; None: the scenario's.
        kernel: A version of KVM; None: the scenario's.
    """
    overrides: dict[str, object] = {}
    if isinstance(module, str) and "," in module:
        overrides["module.version"] = [name.strip() for name in module.split(",")]
    elif module is not None:
        overrides["module.version"] = module
    if kernel is not None:
        overrides["host.kernel"] = kernel
    return overrides
