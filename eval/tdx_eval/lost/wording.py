"""How policies, scenarios and counts read in the tables of what was lost."""

from collections import defaultdict

from tdx_env.state.world import End
from tdx_eval.lost.pairs import Pair
from tdx_eval.lost.table import LostTable, Story


def short(scenario: str) -> str:
    """Return a scenario's name without its split."""
    return scenario.removesuffix("/test")


def ends_text(pair: Pair) -> str:
    """Say how many episodes of a pair were killed, hung or capped."""
    counts = [(pair.count(end), end.name.lower()) for end in (End.KILLED, End.HUNG, End.CAPPED)]
    parts = [f"{n} {name}" for n, name in counts if n]
    return f"{' and '.join(parts)} of {pair.n_episodes}"


def losers(story: Story, table: LostTable) -> dict[str, str]:
    """Return for each scenario of a story who lost how many episodes by it."""
    played = {(pair.policy, pair.scenario): pair.n_episodes for pair in table.pairs}
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in story.lost:
        counts[one.case.scenario][one.case.policy] += one.n
    return {
        scenario: ", ".join(
            f"{policy} {n}/{played[policy, scenario]}" for policy, n in by_policy.items()
        )
        for scenario, by_policy in counts.items()
    }


def episodes(table: LostTable, scenario: str) -> str:
    """Say how many episodes the policies played in a scenario."""
    fewest, most = table.n_episodes(scenario)
    return f"{fewest}" if fewest == most else f"{fewest} to {most}"


def never(table: LostTable) -> list[str]:
    """Return the policies that lost nothing."""
    return [policy for policy in table.policies if not table.of_policy(policy)]


def command(table: LostTable) -> str:
    """Return the command that makes the table."""
    options = f"--seeds {table.n_seeds} --events {table.most_events}{table.choice.options}"
    return f"tdx-eval lost {options}"
