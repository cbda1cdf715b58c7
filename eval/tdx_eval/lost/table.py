"""All that was lost: the same chain told once, with a trace."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tdx_env.state.world import End
from tdx_eval.comparing.machine import AS_THE_SCENARIO_SAYS, Choice, counterfactual_notes
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.lost.chain import title
from tdx_eval.lost.expected import Checked
from tdx_eval.lost.pairs import LostEpisodes, Pair
from tdx_eval.lost.replay import Case, Replay, scenario_of
from tdx_eval.lost.trace import hang_trace, kill_trace

_KILLED = End.KILLED.name.lower()


@dataclass(frozen=True)
class Story:
    """All that was lost by one chain.

    Attributes:
        number: From 1, in the order of the scenarios.
        end: killed, hung or capped.
        title: The chain, a sentence.
        lost: Who lost where, in order.
        case: The episode that ended first.
        cycles: When [cycles].
        trace: What happened there, a line an event.
    """

    number: int
    end: str
    title: str
    lost: tuple[LostEpisodes, ...]
    case: Case
    cycles: int
    trace: tuple[str, ...]


@dataclass(frozen=True)
class LostTable:
    """What was run and what came of it.

    Attributes:
        pairs: Every policy in every scenario.
        stories: The chains by which episodes were lost.
        expected: What was expected, and whether it was found.
        first_seed: Of the episodes of a pair.
        n_seeds: Episodes of a pair at most.
        most_events: Events of a pair, about, at most.
        versions: Package versions.
        choice: The machine, if it isn't the scenarios'.
    """

    pairs: tuple[Pair, ...]
    stories: tuple[Story, ...]
    expected: tuple[Checked, ...]
    first_seed: int
    n_seeds: int
    most_events: int
    versions: Mapping[str, str]
    choice: Choice = AS_THE_SCENARIO_SAYS

    @property
    def scenarios(self) -> list[str]:
        """The scenarios, in order."""
        return list(dict.fromkeys(pair.scenario for pair in self.pairs))

    @property
    def policies(self) -> list[str]:
        """The policies, in order."""
        return list(dict.fromkeys(pair.policy for pair in self.pairs))

    @property
    def counterfactual(self) -> list[str]:
        """The machines that nobody has, a sentence each."""
        played = [scenario_of(name, self.choice) for name in self.scenarios]
        return counterfactual_notes(played, map(load_policy, self.policies))

    def of_policy(self, policy: str) -> list[Pair]:
        """Return a policy's pairs that lost episodes."""
        return [pair for pair in self.pairs if pair.policy == policy and pair.lost]

    def n_episodes(self, scenario: str) -> tuple[int, int]:
        """Return the fewest and the most episodes that a policy played in a scenario."""
        counts = [pair.n_episodes for pair in self.pairs if pair.scenario == scenario]
        return min(counts), max(counts)

    def numbers(self, pair: Pair) -> list[int]:
        """Return the numbers of the stories of a pair."""
        return [
            story.number for story in self.stories if any(one in story.lost for one in pair.lost)
        ]


def trace_of(case: Case, end: str) -> tuple[str, ...]:
    """Return the trace of a lost episode."""
    replay = Replay(case)
    return tuple(kill_trace(replay) if end == _KILLED else hang_trace(replay))


def stories_of(pairs: Sequence[Pair]) -> tuple[Story, ...]:
    """Return the stories of some pairs, in the order in which they come up."""
    groups: dict[tuple[object, ...], list[LostEpisodes]] = defaultdict(list)
    for pair in pairs:
        for one in pair.lost:
            groups[one.end, one.chain.key].append(one)
    stories = []
    for number, lost in enumerate(groups.values(), 1):
        first = min(lost, key=lambda one: one.cycles)
        stories.append(
            Story(
                number, first.end, title([one.chain for one in lost]), tuple(lost),
                first.case, first.cycles, trace_of(first.case, first.end),
            )
        )  # fmt: skip
    return tuple(stories)
