"""The pictures of a report's scenarios, as HTML."""

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from tdx_env.scenarios import Scenario
from tdx_eval.forking.branches import Fork, fork_at
from tdx_eval.forking.conflicts import chosen_calls
from tdx_eval.forking.picture import finding, fork_svg, kinds_in

_FIGURE = Markup(
    '<figure class="fork"><figcaption>{}: {}.</figcaption><div class="scroll" role="region" '
    'tabindex="0" aria-label="Timeline">{}</div></figure>'
)
_KEY = Markup('<span><i class="fk-{}"></i> {}</span>')
_NOTE = Markup('<p class="soft">{}</p>')


def _figure(name: str, shown: Fork) -> Markup:
    """Return one fork as a figure."""
    head = f"{name[:1].upper()}{name[1:]} (seed {shown.seed})"
    return _FIGURE.format(head, finding(shown), fork_svg(shown))


def _key(shown: Iterable[Fork]) -> Markup:
    """Return what the colours mean."""
    items = Markup(" ").join(_KEY.format(kind, words) for kind, words in kinds_in(shown))
    return Markup('<p class="key soft">{}</p>').format(items)


def fork_picture(scenario: Scenario) -> Markup:
    """Return the forks of a scenario; one sentence if nothing was ever busy."""
    calls = chosen_calls(scenario)
    if not calls:
        return _NOTE.format("No SEAMCALL was busy in the first test episodes: nothing to fork.")
    forks = {name: fork_at(scenario, call) for name, call in calls.items()}
    figures = [_figure(name, one) for name, one in forks.items()]
    return Markup(
        '<details class="forks"><summary>Timelines: what each answer does to this '
        "conflict</summary>{}{}</details>"
    ).format(_key(forks.values()), Markup("").join(figures))


def fork_pictures(scenarios: Mapping[str, Scenario]) -> dict[str, Markup]:
    """Return the forks of the scenarios with contention, by name.

    Args:
        scenarios: What was compared.
    """
    return {name: fork_picture(one) for name, one in scenarios.items() if not one.is_control}
