"""How often the 95 % intervals contain the truth, and how often equals look different: a page.

`python -m tdx_eval.coverage --docs docs` draws paired costs whose true ratio and difference are
known, asks for the intervals, counts, and writes `statistics.md`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tdx_eval.comparing.output import write_text
from tdx_eval.comparing.statistics import (
    Estimate,
    Values,
    holm,
    paired_difference,
    relative_difference,
    resamples,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

PAGE = "statistics.md"
SIZES = (8, 40, 200)
FACTOR = 1.3  # of the first policy's mean cost to the second's
FAMILY = 30  # policies that are compared with one reference
_MORE_EQUALS = 3  # samples of A/A for each other one: families are few
_MOST_VISIBLE = 10.0  # beyond a factor of eleven nothing was visible
_NOISE = 0.3  # standard deviation of the log of what differs within a pair
_SEED = 15
_PERCENT = 100.0
_QUANTILES = (2.5, 97.5)  # [percent]

Pairs = tuple[Values, Values]
Draw = Callable[[np.random.Generator, int, float], Pairs]


def _normal(rng: np.random.Generator, n: int, factor: float) -> Pairs:
    """Draw normal costs: a base that a pair shares, and noise of each."""
    base = rng.normal(100, 20, n)
    return factor * base + rng.normal(0, 10, n), base + rng.normal(0, 10, n)


def _noisy(rng: np.random.Generator, base: Values, factor: float) -> Pairs:
    """Give each of a pair its own lognormal noise."""
    n = len(base)
    return factor * base * rng.lognormal(0, _NOISE, n), base * rng.lognormal(0, _NOISE, n)


def _lognormal(rng: np.random.Generator, n: int, factor: float) -> Pairs:
    """Draw costs that spread over decades, as episodes of one scenario do."""
    return _noisy(rng, rng.lognormal(0, 1, n), factor)


def _unpaired(rng: np.random.Generator, n: int, factor: float) -> Pairs:
    """Draw costs that spread over decades and have nothing in common."""
    return factor * rng.lognormal(0, 1, n), rng.lognormal(0, 1, n)


def _zero_inflated(rng: np.random.Generator, n: int, factor: float) -> Pairs:
    """Draw costs that are 0 in half of the pairs: nothing was busy."""
    return _noisy(rng, rng.lognormal(0, 0.5, n) * (rng.random(n) < 0.5), factor)


KINDS: dict[str, Draw] = {
    "normal": _normal,
    "lognormal": _lognormal,
    "lognormal, unpaired": _unpaired,
    "zero in half": _zero_inflated,
}
_MEANS = {  # of the second one's cost
    "normal": 100.0,
    "lognormal": math.exp(0.5 + _NOISE**2 / 2),
    "lognormal, unpaired": math.exp(0.5),
    "zero in half": 0.5 * math.exp(0.125 + _NOISE**2 / 2),
}


@dataclass(frozen=True)
class Coverage:
    """What came of one distribution and one number of pairs, as shares of the samples.

    Attributes:
        kind: Distribution.
        n: Pairs.
        ratio: Intervals of the relative difference that hold the truth.
        difference: The same of the difference.
        percentile: The same of a percentile bootstrap of the ratio.
        alike: A/A: equals whose relative difference looks significant.
        family: A/A: families of FAMILY equals with a significant one, after Holm.
        visible: Median of the smallest relative difference that could have been seen.
    """

    kind: str
    n: int
    ratio: float
    difference: float
    percentile: float
    alike: float
    family: float
    visible: float


def _percentile_holds(pair: Pairs, truth: float) -> bool:
    """Say whether a percentile bootstrap of the ratio of means holds the truth."""
    picks = resamples(len(pair[0]))
    ours, theirs = (some[picks].mean(axis=1) for some in pair)
    ratios = ours[theirs > 0] / theirs[theirs > 0]
    low, high = np.percentile(ratios, _QUANTILES)
    return bool(low <= truth <= high)


def _usable(draw: Draw, rng: np.random.Generator, n: int, factor: float) -> Pairs:
    """Draw until neither of the two costs nothing at all, which no ratio is told for."""
    while True:
        ours, theirs = draw(rng, n, factor)
        if ours.any() and theirs.any():
            return ours, theirs


def _holds(estimate: Estimate | None, truth: float) -> bool:
    """Say whether an interval holds the truth."""
    return estimate is not None and estimate.low <= truth <= estimate.high


def covered(kind: str, n: int, n_samples: int) -> Coverage:
    """Draw samples of a distribution and count."""
    draw, difference = KINDS[kind], (FACTOR - 1) * _MEANS[kind]
    rng = np.random.default_rng((_SEED, list(KINDS).index(kind), n))
    pairs = [_usable(draw, rng, n, FACTOR) for _ in range(n_samples)]
    ratios = [relative_difference(*pair) for pair in pairs]
    n_equals = _MORE_EQUALS * n_samples
    equals = [relative_difference(*_usable(draw, rng, n, 1.0)) for _ in range(n_equals)]
    tested = [one for one in equals if one is not None]
    families = [tested[at : at + FAMILY] for at in range(0, len(tested), FAMILY)]
    found = [any(_differs(one) for one in holm(family)) for family in families]
    return Coverage(
        kind,
        n,
        ratio=float(np.mean([_holds(one, FACTOR - 1) for one in ratios])),
        difference=float(np.mean([_holds(paired_difference(*pair), difference) for pair in pairs])),
        percentile=float(np.mean([_percentile_holds(pair, FACTOR) for pair in pairs])),
        alike=float(np.mean([_differs(one) for one in tested])),
        family=float(np.mean(found)),
        visible=float(np.median([one.smallest_visible for one in ratios if one is not None])),
    )


def _differs(estimate: Estimate) -> bool:
    """Say whether a difference is told."""
    return estimate.is_positive or estimate.is_negative


def _cells(one: Coverage) -> str:
    """Return a row of the table."""
    shares = (one.ratio, one.difference, one.percentile, one.alike, one.family)
    parts = [one.kind, str(one.n), *(f"{_PERCENT * share:.1f}" for share in shares)]
    most = f"> {_PERCENT * _MOST_VISIBLE:,.0f}"
    visible = f"{_PERCENT * one.visible:.0f}" if one.visible <= _MOST_VISIBLE else most
    return "| " + " | ".join([*parts, visible]) + " |"


def statistics_page(rows: list[Coverage], n_samples: int) -> str:
    """Return the page."""
    alike = _PERCENT * float(np.mean([one.alike for one in rows]))
    n_alike = _MORE_EQUALS * n_samples * len(rows)
    heads = (
        "costs", "pairs", "ratio", "difference", "ratio, percentiles", "A/A", "A/A, 30 at once",
        "smallest visible",
    )  # fmt: skip
    table = "\n".join(
        ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1), *map(_cells, rows)]
    )
    return f"""# Statistics

How a comparison's intervals are made, and how far they can be trusted. All columns are percent.

{table}

- Made by `python -m tdx_eval.coverage --docs docs --samples {n_samples}`: {n_samples:,} samples a
  row of paired costs whose truth is known (a factor of {FACTOR}); 93 to 97 is what 95 should be.
- **ratio, difference**: how often the 95 % interval of the relative difference, and of the
  difference in cycles, holds the truth. **ratio, percentiles**: the percentile bootstrap that was
  used before; on 8 pairs it is wrong in 11 to 22 of 100.
- **A/A**: how often two policies that are alike look different; 5 at most is promised. All rows
  together: {alike:.1f} of {n_alike:,} samples, {_MORE_EQUALS * n_samples:,} a row.
  **30 at once**: how often at least one of {FAMILY} such comparisons does, after correction.
- **smallest visible**: the relative difference that is found in four samples of five (median).
- Fewer than 40 pairs are for a first look: differences in cycles of skewed costs are too sure, and
  where most pairs cost nothing, so are many verdicts at once.

## What is done

- Policies play the same seeds, so that a comparison is one of pairs; a relative difference is a
  ratio of means, since an episode weighs as much as it costs.
- Intervals are symmetric studentised bootstraps with 2,000 resamples (P. Hall, 1992): the standard
  error, by the delta method for a ratio, times the 95 % point of |t| in the resamples. Ratios and
  mean costs are treated as logarithms: factors up and down weigh alike, and no cost is below 0. A
  resample without any spread counts as the largest t; the point is one and a half times Student's
  at most, for as many pairs as carry the difference. `scipy.stats.bootstrap` has no studentised
  interval; that of `arch` 7.2 has two unequal tails, which is too short here, and takes a Python
  call for each resample.
- How often one is cheaper: E. B. Wilson's interval, which does not take eight of eight for always.
  The interquartile mean over scenarios: rliable's percentile bootstrap within strata.
- In a scenario all policies are compared with one reference. Their verdicts are corrected for their
  number by S. Holm's method, policies that behave alike counted once. Intervals are not: each is
  for its own comparison.
- Significance needs size: within ±2 % there is no difference that matters, whatever the interval.
- Lost TDs are counted; a mean that has them in it says nothing of the others.
"""


@app.command()
def measure_coverage(
    docs: Annotated[Path, typer.Option(help="Folder for statistics.md")],
    samples: Annotated[int, typer.Option(min=FAMILY, help="Samples of each row")] = 1_000,
) -> None:
    """Count how often the intervals hold the truth, and write the page."""
    rows = [covered(kind, n, samples) for kind in KINDS for n in SIZES]
    write_text(docs / PAGE, statistics_page(rows, samples))
    print(f"page: {docs / PAGE}")


if __name__ == "__main__":
    app()
