"""The report of the small comparison, made once."""

import pytest

from tdx_eval.comparing.statistics import Estimate
from tdx_eval.comparing.summary import Difference
from tdx_eval.reporting.html import report_page


@pytest.fixture(scope="session")
def text(compared) -> str:
    """The page of the small comparison."""
    return report_page(compared.summary)


def difference(low: float, value: float, high: float) -> Difference:
    """Return a difference with a given relative interval; its other fields are of no matter."""
    relative = Estimate(value, low, high)
    return Difference("other", relative, relative, relative, relative, 9, None, relative, {})
