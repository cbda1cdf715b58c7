"""Every policy on every scenario to the end: who loses, how often, by which chain."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tdx_agents.protocol import Policy
from tdx_env.engine.batch import Batch
from tdx_env.engine.waiting import waits
from tdx_env.state.world import End
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.machine import AS_THE_SCENARIO_SAYS, Choice
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.lost.chain import Chain, chain_of_kill, hang_chain
from tdx_eval.lost.replay import Case, Replay, scenario_of

FEWEST = 4  # episodes of each pair, however long they are


@dataclass(frozen=True)
class LostEpisodes:
    """Episodes of one policy in one scenario that were lost by one chain.

    Attributes:
        case: The one that ended first.
        end: How they ended: killed, hung or capped.
        n: How many.
        cycles: When that one ended [cycles].
        chain: How it came.
    """

    case: Case
    end: str
    n: int
    cycles: int
    chain: Chain


@dataclass(frozen=True)
class Pair:
    """One policy in one scenario.

    Attributes:
        policy: Its name.
        scenario: Its name.
        n_episodes: Episodes played.
        lost: Chains by which episodes were lost, the most frequent first.
        choice: The machine, if it isn't the scenario's.
    """

    policy: str
    scenario: str
    n_episodes: int
    lost: tuple[LostEpisodes, ...]
    choice: Choice = AS_THE_SCENARIO_SAYS

    @property
    def modules(self) -> tuple[str, ...]:
        """The versions of the module that its episodes drew from."""
        return scenario_of(self.scenario, self.choice).module.version

    @property
    def n_lost(self) -> int:
        """Episodes that did not finish."""
        return sum(one.n for one in self.lost)

    def count(self, end: End) -> int:
        """Return how many episodes ended so."""
        return sum(one.n for one in self.lost if one.end == end.name.lower())


EndKind = tuple[int | Chain, ...]


def _kind(batch: Batch, index: int) -> EndKind:
    """Return what tells one way of losing from another, as far as an episode's end shows it."""
    run = batch.run[index]
    if run["end"] != End.KILLED:
        return (int(run["end"]), hang_chain(waits(batch, index)))
    me = batch.world(index).actors["row"][run["kill_actor"]]
    level = int(me["entry"]) >= int(run["first_pd"])
    names = ("kill_leaf", "kill_outcome")
    is_kicked = bool(me["kicks"])
    return (
        int(run["end"]),
        *(int(run[name]) for name in names),
        int(me["operand"]),
        level,
        is_kicked,
    )


def _name_of(kind: EndKind) -> str:
    """Return how episodes of a kind ended."""
    assert isinstance(kind[0], int)
    return End(kind[0]).name.lower()


def _chain(case: Case, kind: EndKind) -> Chain:
    """Return the chain of an episode that was lost."""
    chain = kind[1]
    return chain if isinstance(chain, Chain) else chain_of_kill(Replay(case))


def _lost_ones(first: Case, batches: Sequence[Batch]) -> list[LostEpisodes]:
    """Return the chains by which some episodes were lost; consecutive seeds from the first's."""
    found: dict[EndKind, list[tuple[int, int]]] = defaultdict(list)
    seed = first.seed
    for batch in batches:
        for index in range(batch.n_worlds):
            if batch.run["end"][index] != End.FINISHED:
                cycles = int(batch.run["now"][index])
                found[_kind(batch, index)].append((cycles, seed))
            seed += 1
    by_chain: dict[tuple[str, Chain], list[tuple[int, int]]] = defaultdict(list)
    for kind, episodes in found.items():
        chain = _chain(replace(first, seed=min(episodes)[1]), kind)
        by_chain[_name_of(kind), chain] += episodes
    lost = []
    for (end, chain), episodes in by_chain.items():
        cycles, seed = min(episodes)
        lost.append(LostEpisodes(replace(first, seed=seed), end, len(episodes), cycles, chain))
    return sorted(lost, key=lambda one: (-one.n, one.chain.text))


def run_pair(
    policy: Policy,
    scenario: str,
    seeds: range,
    most_events: int,
    choice: Choice = AS_THE_SCENARIO_SAYS,
) -> Pair:
    """Run a policy in a scenario.

    Args:
        policy: One whose rule is compiled.
        scenario: Name or file.
        seeds: Consecutive seeds; the first few are always played.
        most_events: Further ones are played as long as no more events than this are expected.
        choice: The machine, if it isn't the scenario's.
    """
    first = seeds[:FEWEST]
    played = scenario_of(scenario, choice)
    batches = [run_batch(policy, played, first)]
    each = max(1, int(batches[0].run["n_events"].mean()))
    n_more = min(len(seeds), most_events // each) - len(first)
    if n_more > 0:
        batches.append(run_batch(policy, played, seeds[len(first) : len(first) + n_more]))
    n_episodes = sum(batch.n_worlds for batch in batches)
    lost = _lost_ones(Case(policy.name, scenario, seeds.start, choice), batches)
    return Pair(policy.name, scenario, n_episodes, tuple(lost), choice)


def run_pairs(
    policies: Sequence[str],
    scenarios: Sequence[str],
    seeds: range,
    most_events: int,
    choice: Choice = AS_THE_SCENARIO_SAYS,
) -> Iterator[Pair]:
    """Run every policy in every scenario, scenario by scenario."""
    loaded = [load_policy(name) for name in policies]
    for scenario in scenarios:
        for policy in loaded:
            yield run_pair(policy, scenario, seeds, most_events, choice)
