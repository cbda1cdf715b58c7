"""One episode under one policy, told in words: what happened, and the first conflicts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import numpy as np

from tdx_env.engine.batch import Batch
from tdx_env.engine.metrics import busy_cells, episode_metrics, module_drawn
from tdx_env.engine.render import holder_text, microseconds
from tdx_env.engine.scene import Scene
from tdx_env.engine.waiting import together
from tdx_env.errors import BrokenError, PolicyError, TdxEnvError
from tdx_env.module.names import short_name
from tdx_env.scenarios import Machine, Scenario, machine_of, setup_of
from tdx_env.spaces import observation_size, observe
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import Leaf, Outcome
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.status.decoder import Status, encode

_STATUS = {
    Outcome.SUCCESS: Status.SUCCESS,  # of BLOCK, at a flush point
    Outcome.GPA_RANGE_ALREADY_BLOCKED: Status.SUCCESS,  # which KVM takes for one
    Outcome.OPERAND_BUSY: Status.OPERAND_BUSY,
    Outcome.INTERRUPTED: Status.INTERRUPTED_RESTARTABLE,
    Outcome.INTERRUPTED_RESUMABLE: Status.INTERRUPTED_RESUMABLE,
}
_POLICIES = "tdx_env.policies"  # entry point group; this project's `agents` fills it


@dataclass(frozen=True)
class Conflict:
    """One busy reply and what was decided; times in cycles since the episode's start."""

    time: int
    actor: int
    who: str
    path: str
    call: str
    status: int
    issue: int
    holder: str
    n_in_guest: int
    action: str


@dataclass(frozen=True)
class Account:
    """What an episode came to, its first conflicts, who found what busy, and on which machine."""

    metrics: dict[str, Any]
    conflicts: list[Conflict]
    cells: list[dict[str, Any]]
    clock_khz: int
    machine: Machine


def load_policy(spec: str) -> Any:
    """Load a policy by name, file or folder, through whatever package offers policies.

    Raises:
        PolicyError: No package does, or the policy is unknown.
    """
    found = list(entry_points(group=_POLICIES))
    if not found:
        raise PolicyError("no policies are installed: install the package with its `agents`")
    return found[0].load()(spec)


@contextmanager
def blamed(name: str) -> Iterator[None]:
    """Turn whatever a user's policy raises into an error that names the policy.

    `sys.exit` too: a run that ends by it would have no result and no message.

    Args:
        name: The policy's.

    Raises:
        PolicyError: The policy raised something.
    """
    try:
        yield
    except (TdxEnvError, BrokenError, KeyboardInterrupt):
        raise
    except BaseException as error:  # the user's own code raises what it likes
        text = " ".join(str(error).split())
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise PolicyError(f"policy {name} raised {said}") from error


def _chooser(policy: Any, batch: Batch) -> Callable[[], int]:
    """Return a function that asks the policy for the action of the decision waited for."""
    observation = np.empty((1, observation_size(policy.discipline.asks)), np.float32)

    def choose() -> int:
        if policy.decide is not None:
            return int(policy.decide(batch.features[0]))
        observe(batch.features, observation)
        masks = batch.masks.astype(np.int8)
        return int(policy.act(observation, batch.features, masks)[0])

    return choose


def _conflict(batch: Batch, action: int) -> Conflict:
    """Return the busy reply that a decision is waited for about."""
    run = batch.run[0]
    actor = int(run["decision_actor"])
    me = batch.world(0).actors["row"][actor]
    return Conflict(
        time=int(run["now"]),
        actor=actor,
        who=Scene(batch, 0).who(actor),
        path=CallPath(int(me["question"])).name.lower(),
        call=Leaf(int(me["leaf"])).name,
        status=encode(_STATUS[Outcome(int(me["outcome"]))], int(me["operand"])),
        issue=int(me["issues"]),
        holder=holder_text(batch, 0),
        n_in_guest=int(run["n_in_guest"] - me["mode"]),
        action=Action(action).name,
    )


def simulate(scenario: Scenario, policy: Any, seed: int, n_conflicts: int) -> Account:
    """Run one episode.

    Args:
        scenario: What is played.
        policy: An object with `decide` (or `act`) and `discipline`, as `load_policy` returns.
        seed: Seed of the episode.
        n_conflicts: Conflicts to keep.

    Raises:
        PolicyError: The policy answered with something that is not allowed.
    """
    batch = Batch(setup_of(scenario), policy.discipline.record())
    choose = _chooser(policy, batch)
    batch.reset([seed])
    batch.advance()
    conflicts: list[Conflict] = []
    while batch.waiting[0]:
        with blamed(policy.name):
            action = choose()
        if not 0 <= action < N_ACTIONS or not batch.masks[0][action]:
            allowed = [a.name for a in Action if batch.masks[0][a]]
            raise PolicyError(f"policy {policy.name} returned {action}, allowed: {allowed}")
        if len(conflicts) < n_conflicts:
            conflicts.append(_conflict(batch, action))
        batch.advance(actions=[action])
    return Account(
        episode_metrics(batch, 0),
        conflicts,
        busy_cells(batch, 0),
        scenario.clock_khz,
        machine_of(scenario, policy.discipline.kernel, module_drawn(batch, 0)),
    )


def _share_lines(account: Account) -> list[str]:
    """Return where the CPUs' time went, largest first."""
    categories = account.metrics["cycles_by_category"]
    total = sum(categories.values())
    ranked = sorted(categories.items(), key=lambda item: -item[1])
    return [
        f"  {name:22} {microseconds(cycles, account.clock_khz):12.1f} us {cycles / total:7.2%}"
        for name, cycles in ranked
        if cycles
    ]


def _who(by: dict[str, Any], metrics: dict[str, Any]) -> str:
    """Return who killed the TD, named as everywhere: vCPUs come first."""
    kind = "vCPU" if by["actor"] < metrics["n_vcpus"] else "host task"
    return f"{kind} {by['actor']}"


def _end_line(metrics: dict[str, Any]) -> str:
    """Say how the episode ended."""
    if metrics["killed"]:
        by = metrics["killed_by"]
        return f"The TD was killed: {_shortly(by['call'])} by {_who(by, metrics)}: {by['outcome']}."
    if metrics["hung"] or metrics["capped"]:
        kind = "hung: no progress" if metrics["hung"] else "was cut off at the time cap"
        return f"The episode {kind}. Who waits:\n  " + "\n  ".join(together(metrics["waiting"]))
    return "All work was done."


def _shortly(call: str) -> str:
    """Return a call's name as texts have it; what is no call (nobody) stays."""
    return short_name(Leaf[call]) if call in Leaf.__members__ else call


def account_text(account: Account) -> str:
    """Return the account of an episode as text."""
    m, khz = account.metrics, account.clock_khz

    def us(cycles: int) -> str:
        return f"{microseconds(cycles, khz):.1f} us"

    lines = [
        f"{str(account.machine)[:1].upper()}{str(account.machine)[1:]}.",
        _end_line(m),
        f"{us(m['elapsed_cycles'])} on {m['n_cpus']} CPUs, {m['n_events']} events, "
        f"{m['n_seamcalls']} SEAMCALLs, {m['n_busy']} busy, {m['n_decisions']} decisions, "
        f"{m['n_kicks']} kicks, {m['n_ipis']} IPIs.",
        f"Wasted {us(m['wasted_cycles'])}, overhead {us(m['overhead_cycles'])}, "
        f"total cost {us(m['total_cost'])}.",
        f"Faults: {m['n_faults']}, p99 {us(m['fault_p99_cycles'])}, longest "
        f"{us(m['fault_max_cycles'])}. Zaps: {m['n_zaps']}, p99 {us(m['zap_p99_cycles'])}, "
        f"longest {us(m['zap_max_cycles'])}. Longest non-preemptible stretch "
        f"{us(m['longest_nonpreemptible_cycles'])}.",
        "",
        "Where the CPUs' time went:",
        *_share_lines(account),
    ]
    if account.cells:
        lines += ["", "Who found what busy:"]
        lines += [
            f"  {_shortly(cell['call'])} met {_shortly(cell['holder'])} on {cell['lock']}: "
            f"{cell['n_busy']} "
            f"times, {us(cell['cycles_lost'])} lost"
            for cell in sorted(account.cells, key=lambda cell: -cell["cycles_lost"])
        ]
    if account.conflicts:
        lines += ["", "First conflicts:"]
        lines += [
            f"  {us(one.time):>12}  {one.who} {one.path} {_shortly(one.call)} issue "
            f"{one.issue}: {one.status:#018x}, {one.holder}, {one.n_in_guest} in guest "
            f"-> {one.action}"
            for one in account.conflicts
        ]
    return "\n".join(lines)
