"""What scenarios expect, judged."""

from dataclasses import replace

import pytest

from tdx_env.scenarios import names
from tdx_eval.reporting.expected import CRITERIA, Judgement, expected_title, judged
from tdx_eval.reporting.html import report_page

from .conftest import difference

DEARER, CHEAPER = (0.2, 0.3, 0.4), (-0.4, -0.3, -0.2)
SAME, UNSURE = (-0.01, 0.0, 0.01), (-0.1, 0.0, 0.1)


def played(compared, slug, **ends):
    """Return a scenario called by another's name, with answers as given."""
    one = compared.summary.scenarios[0]
    answers = {f"always-{name}": difference(*some) for name, some in ends.items()}
    return replace(one, name=f"{slug}/test", answers=answers, expectation="It does.")


@pytest.mark.parametrize(
    ("slug", "ends", "wanted"),
    [
        ("s09-accept-4k", {"kick": DEARER}, Judgement.HELD),
        ("s09-accept-4k", {"kick": CHEAPER}, Judgement.NOT_HELD),
        ("s09-accept-4k", {"kick": SAME}, Judgement.NOT_HELD),
        ("s09-accept-4k", {"kick": UNSURE}, Judgement.OPEN),
        ("s09-accept-4k", {}, Judgement.OPEN),
        ("s05-zap-idle", {"kick": SAME, "yield": SAME}, Judgement.HELD),
        ("s05-zap-idle", {"kick": SAME, "yield": DEARER}, Judgement.NOT_HELD),
        ("s15-export", {"kick": SAME, "yield": CHEAPER}, Judgement.HELD),
        ("s18-noisy", {"kick": DEARER}, Judgement.OPEN),
    ],
)
def test_answers_are_judged(compared, slug, ends, wanted):
    what = judged(played(compared, slug, **ends))
    assert what is not None
    assert what.judgement is wanted


@pytest.mark.parametrize(
    ("n_lost", "wanted"), [(0, Judgement.HELD), (1, Judgement.NOT_HELD)], ids=["kept", "lost"]
)
def test_lost_tds_are_judged(compared, n_lost, wanted):
    one = played(compared, "s19-build-vp-init-v1")
    retry = replace(one.results["always-retry"], killed=n_lost, hung=0, capped=0)
    what = judged(replace(one, results={**one.results, "always-retry": retry}))
    assert what is not None
    assert what.judgement is wanted
    assert f"loses {n_lost} of" in what.found


def test_criteria_are_of_scenarios_that_exist():
    slugs = {name.rpartition("/")[0] for name in names("test")}
    assert CRITERIA.keys() <= slugs


def test_page_has_every_expectation_with_what_came_of_it(compared):
    text = report_page(compared.summary)
    assert expected_title(compared.summary) in text
    assert text.count("<p>Expectation: ") == len(compared.summary.scenarios)
