"""How often somebody waits for mmu_lock, against what a stop of all vCPUs costs: λK, estimated.

λ is the rate at which threads fault (each asks for mmu_lock once), K what one stop costs all CPUs:
both from the middles of a scenario's ranges, before anything is played. Arrivals react: whoever
waits makes no new fault, so that this is an upper end where many wait. `python -m
tdx_eval.waiting_rate core` prints a table.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from tdx_env.scenarios import Range, Scenario, expand, load
from tdx_env.scenarios.groups import Accept, Touch
from tdx_env.scenarios.sizes import vcpu_count
from tdx_env.scenarios.tasks import Prefault
from tdx_env.scenarios.values import Choice

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_FAULT = ("td_exit", "fault_software", "fault_locked", "page_aug", "run_loop", "vp_enter")
_ACCEPT = ("tdcall", "tdcall", "accept_4k")  # refused once, then accepted
_TARGET = ("td_exit", "kick_handler", "run_loop", "vp_enter")
_SENDER = ("kick_target", "kick_ack")  # for each target; writes of the ICR are shared


@dataclass(frozen=True)
class Waiting:
    """An estimate for a scenario.

    Attributes:
        n_vcpus: Mean size of the TD.
        n_faulting: Threads that fault.
        rate: Faults of all of them [1/cycle].
        stop: What one stop of all vCPUs costs all CPUs [cycles].
    """

    n_vcpus: float
    n_faulting: float
    rate: float
    stop: float

    @property
    def lambda_k(self) -> float:
        """Waiters that come for each stop's worth of time."""
        return self.rate * self.stop


def _mean(value: Range | Choice) -> float:
    """Return the mean of what is drawn."""
    if isinstance(value, Choice):
        total = sum(value.weights)
        return sum(n * w for n, w in zip(value.choices, value.weights, strict=True)) / total
    return (value.low + value.high) / 2


def _cost(scenario: Scenario, *names: str) -> float:
    """Return the sum of the middles of some costs [cycles]."""
    return sum((scenario.costs[name].low + scenario.costs[name].high) / 2 for name in names)


def estimated(scenario: Scenario) -> Waiting:
    """Estimate the rate of waiters and the cost of a stop."""
    n_vcpus = _mean(scenario.host.n_vcpus)
    n_faulting, rate = 0.0, 0.0
    fault = _cost(scenario, *_FAULT)
    for name, group in scenario.groups.items():
        if isinstance(group, Accept | Touch):
            count = _mean(vcpu_count(scenario, name))
            n_faulting += count
            rate += count / (_mean(group.think_cycles) + fault + _cost(scenario, *_ACCEPT))
    for task in scenario.tasks.values():
        if isinstance(task, Prefault):
            n_faulting += _mean(task.count)
            rate += _mean(task.count) / (_mean(task.think_cycles) + fault)
    stop = n_vcpus * _cost(scenario, *_TARGET, *_SENDER)
    return Waiting(n_vcpus, n_faulting, rate, stop)


def rates_table(names: list[str]) -> str:
    """Return the estimates of scenarios, the rarest waiters first."""
    found = {name: estimated(load(name)) for name in names}
    width = max(map(len, found))
    lines = [f"{'scenario':{width}}  vCPUs  faulting  faults/ms  stop [us]      λK"]
    for name, one in sorted(found.items(), key=lambda item: item[1].lambda_k):
        khz = load(name).clock_khz
        lines.append(
            f"{name:{width}}  {one.n_vcpus:5.0f}  {one.n_faulting:8.1f}  {one.rate * khz:9.2f}  "
            f"{one.stop * 1_000 / khz:9.0f}  {one.lambda_k:6.2f}"
        )
    return "\n".join(lines)


@app.command()
def show(
    scenarios: Annotated[str, typer.Argument(help="Names, files, or a list's word")] = "core",
) -> None:
    """Print the estimates."""
    print(rates_table(expand(scenarios)))


if __name__ == "__main__":
    app()
