"""The conflicts of an episode in which every busy reply is answered RETRY."""

from dataclasses import dataclass, replace

from tdx_env.engine.batch import Batch
from tdx_env.scenarios import Scenario, setup_of
from tdx_eval.comparing.seeds import FIRST_SEED
from tdx_eval.comparing.yardsticks import RETRY, load_policy

_N_SEEDS = 3  # tried, until an episode has a decision
_MOST_DECISIONS = 8192  # of an episode that are looked at


@dataclass(frozen=True)
class BusyCall:
    """Busy replies to one call, in a row.

    Attributes:
        seed: The episode's.
        first: Number of the first decision in the episode.
        n_busy: Busy replies.
        actor: Who called.
        time: When the first decision was asked for [cycles].
        cycles: From the first decision to the last [cycles].
    """

    seed: int
    first: int
    n_busy: int
    actor: int
    time: int
    cycles: int


def busy_calls(scenario: Scenario, seed: int) -> list[BusyCall]:
    """Play an episode and return its conflicts, in order."""
    policy = load_policy(RETRY)
    batch = Batch(
        setup_of(scenario), policy.discipline.record(), n_decisions_traced=_MOST_DECISIONS
    )
    batch.reset([seed])
    batch.advance(policy.decide)
    n_kept = int(batch.run["n_decisions_traced"][0])
    latest: dict[int, BusyCall] = {}
    found: list[BusyCall] = []
    for number, row in enumerate(batch.world(0).decisions["decision"][:n_kept]):
        actor, time = int(row["actor"]), int(row["time"])
        before = latest.get(actor)
        if before is None or row["issues"] <= 1:
            if before is not None:
                found.append(before)
            latest[actor] = BusyCall(seed, number, 1, actor, time, 0)
        else:
            n_busy = before.n_busy + 1
            latest[actor] = replace(before, n_busy=n_busy, cycles=time - before.time)
    return sorted([*found, *latest.values()], key=lambda one: one.first)


def chosen_calls(scenario: Scenario) -> dict[str, BusyCall]:
    """Return the typical conflict of a scenario, the median by length, and the worst, the longest.

    Of the first test episode that has one; none if none of a few has.
    """
    for seed in range(FIRST_SEED["test"], FIRST_SEED["test"] + _N_SEEDS):
        found = sorted(busy_calls(scenario, seed), key=lambda one: (one.cycles, one.first))
        if len(found) == 1:
            return {"the only conflict": found[0]}
        if found:
            return {"typical": found[(len(found) - 1) // 2], "worst": found[-1]}
    return {}
