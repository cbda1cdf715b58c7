"""The page of what was lost, in Markdown."""

from collections.abc import Iterator

from tdx_eval.lost.table import LostTable, Story
from tdx_eval.lost.wording import command, ends_text, episodes, losers, never, short
from tdx_eval.reporting.wording import listing

_HEAD = """# Lost

Which policy loses the TD where, and by which chain of events. Every policy of the catalogue and
every yardstick plays every test scenario to the end; an episode is lost if the TD is killed
(KVM_BUG_ON), if it hangs (no progress for the scenario's `stall_us`), or if it is cut off at the
time cap.

Made by `{command} --write` with {versions}: up to {n_seeds} episodes
of each policy in each scenario, seeds from {first_seed}, but only as many as have about
{most_events:,} events, and four at least (see the table at the end). `tdx-env simulate SCENARIO
--policy POLICY --seed SEED` tells any of them.

{counts}{machines}
"""


def _row(*cells: object) -> str:
    """Return a line of a table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _counts(table: LostTable) -> str:
    """Say in two sentences how much was lost."""
    lost = sum(pair.n_lost for pair in table.pairs)
    total = sum(pair.n_episodes for pair in table.pairs)
    n_pairs = sum(bool(pair.lost) for pair in table.pairs)
    spared = never(table)
    text = f"{lost:,} of {total:,} episodes are lost, in {n_pairs:,} of {len(table.pairs):,} pairs."
    if spared:
        text += f" Nothing at all is lost by {listing(spared)}."
    return text


def _policies(table: LostTable) -> Iterator[str]:
    """Yield the table of policies."""
    yield "\n## Who loses where\n"
    yield "Numbers in brackets are those of the chains below."
    yield ""
    yield _row("policy", "loses in")
    yield _row("---", "---")
    for policy in table.policies:
        places = [
            f"{short(pair.scenario)}: {ends_text(pair)} {table.numbers(pair)}"
            for pair in table.of_policy(policy)
        ]
        yield _row(policy, "; ".join(places) or "nowhere")


def _story(story: Story, table: LostTable) -> Iterator[str]:
    """Yield a chain: who lost by it, and its trace."""
    yield f"\n### {story.number}. {story.title}\n"
    yield _row("scenario", f"{story.end} / episodes")
    yield _row("---", "---")
    for scenario, who in losers(story, table).items():
        yield _row(short(scenario), who)
    case = story.case
    where = f"{case.policy} in {case.scenario}{case.choice.options}"
    yield f"\nThe first to end: {where}, seed {case.seed}.\n"
    yield "```text"
    yield from story.trace
    yield "```"


def _expected(table: LostTable) -> Iterator[str]:
    """Yield what was expected, and why it was not found."""
    yield "\n## What was expected\n"
    yield _row("expectation", "source", "found", "")
    yield _row("---", "---", "---", "---")
    for one in table.expected:
        yield _row(one.text, one.source, one.found, "holds" if one.holds else "**does not hold**")
    failed = [one for one in table.expected if not one.holds]
    if failed:
        yield "\nWhere an expectation does not hold:\n"
    for one in failed:
        yield f"- {one.text} {one.remark}"


def _scenarios(table: LostTable) -> Iterator[str]:
    """Yield how many episodes were played."""
    yield "\n## Episodes\n"
    yield _row("scenario", "episodes of each policy")
    yield _row("---", "--:")
    for scenario in table.scenarios:
        yield _row(short(scenario), episodes(table, scenario))


def lost_page(table: LostTable) -> str:
    """Return the page."""
    versions = ", ".join(f"{name} {number}" for name, number in table.versions.items())
    machines = "".join(f" {note}." for note in table.counterfactual)
    head = _HEAD.format(
        command=command(table), versions=versions, n_seeds=table.n_seeds,
        first_seed=table.first_seed, most_events=table.most_events, counts=_counts(table),
        machines=machines,
    )  # fmt: skip
    lines = [head.rstrip(), *_policies(table), "\n## Chains"]
    for story in table.stories:
        lines += _story(story, table)
    lines += [*_expected(table), *_scenarios(table)]
    return "\n".join(lines) + "\n"
