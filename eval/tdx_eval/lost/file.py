"""What was lost, as JSON."""

import json
from dataclasses import asdict
from typing import Any

from tdx_eval.lost.pairs import LostEpisodes, Pair
from tdx_eval.lost.table import LostTable, Story
from tdx_eval.lost.wording import command


def _loss(one: LostEpisodes, table: LostTable) -> dict[str, Any]:
    """Return one chain of a pair."""
    story = next(story.number for story in table.stories if one in story.lost)
    return {
        "end": one.end,
        "n": one.n,
        "chain": one.chain.text,
        "story": story,
        "seed": one.case.seed,
        "cycles": one.cycles,
    }


def _pair(pair: Pair, table: LostTable) -> dict[str, Any]:
    """Return one policy in one scenario."""
    return {
        "policy": pair.policy,
        "scenario": pair.scenario,
        "n_episodes": pair.n_episodes,
        "n_lost": pair.n_lost,
        "lost": [_loss(one, table) for one in pair.lost],
    }


def _story(story: Story) -> dict[str, Any]:
    """Return what is told once for all pairs that lost so."""
    return {
        "number": story.number,
        "end": story.end,
        "title": story.title,
        **{key: value for key, value in asdict(story.case).items() if key != "choice"},
        "cycles": story.cycles,
        "trace": list(story.trace),
    }


def lost_json(table: LostTable) -> str:
    """Return the table as JSON."""
    content = {
        "command": command(table),
        "versions": dict(table.versions),
        "machine": table.choice.overrides,
        "counterfactual": list(table.counterfactual),
        "first_seed": table.first_seed,
        "n_seeds": table.n_seeds,
        "most_events": table.most_events,
        "pairs": [_pair(pair, table) for pair in table.pairs],
        "stories": [_story(story) for story in table.stories],
        "expected": [asdict(one) for one in table.expected],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
