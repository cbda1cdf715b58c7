"""Which module and kernel a user plays all scenarios on, and on which machines a plan is played."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from tdx_agents.protocol import Policy
from tdx_env.scenarios import Scenario, load, machine_of, machine_overrides


class Choice(NamedTuple):
    """What a command was told; None: what each scenario says.

    Attributes:
        module: A version of the TDX module, or several with commas between.
        kernel: A version of KVM.
    """

    module: str | None = None
    kernel: str | None = None

    @property
    def overrides(self) -> dict[str, object]:
        """What it overrides in a scenario, by dotted name."""
        return machine_overrides(self.module, self.kernel)

    @property
    def options(self) -> str:
        """The options that say so on a command line, each behind a space."""
        module = "" if self.module is None else f" --module {self.module.replace(' ', '')}"
        return module + ("" if self.kernel is None else f" --kernel {self.kernel}")


AS_THE_SCENARIO_SAYS = Choice()


def check_choice(choice: Choice) -> None:
    """Fail if there is no such module or kernel.

    Raises:
        ScenarioError: There isn't; the message lists the known ones, nearest first.
    """
    load("s22-clean", choice.overrides)  # which asks nothing of either


def machines(scenario: Scenario, policies: Iterable[Policy]) -> list[dict[str, Any]]:
    """Return the machines that some policies meet in a scenario; a row may bring its kernel."""
    kernels = dict.fromkeys(policy.discipline.kernel for policy in policies)
    found = dict.fromkeys(machine_of(scenario, kernel) for kernel in kernels)
    return [machine._asdict() for machine in found]


def counterfactual_notes(scenarios: Iterable[Scenario], policies: Iterable[Policy]) -> list[str]:
    """Return a line for each machine that nobody has, with the number of scenarios on it."""
    every = list(policies)
    counts: dict[str, int] = {}
    for scenario in scenarios:
        for machine in machines(scenario, every):
            if machine["counterfactual"]:
                told = f"module {machine['module']} under KVM {machine['kernel']} is counterfactual"
                text = f"{told}: {machine['counterfactual']}"
                counts[text] = counts.get(text, 0) + 1
    return [f"{text} ({n} scenario{'s' * (n > 1)})" for text, n in counts.items()]
