"""`tdx-eval decisions` as users run it."""

import numba
import pytest

from tests.eval.commands.running import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes with the compiler off"),
]


def test_each_answer_is_held_against_retry_under_the_given_discipline():
    result = run("decisions", "rules", "s09-accept-4k/test", "--discipline", "P8", "--seeds", 2)
    assert result.returncode == 0, result.stderr
    scenario, line, *tallies = result.stdout.splitlines()
    assert scenario == "s09-accept-4k/test"
    assert line.startswith("  P8 ")
    assert [told.partition(" is,")[0] for told in tallies] == [
        f"under P8, {answer}" for answer in ("KICK", "YIELD", "6.16")
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rules", "s99"], "s99"),
        (["rules", "--discipline", "P99"], "policy 'P99' is unknown"),
        (["rules", "s09-accept-4k", "--seeds", 10**20], "--seeds"),
        (["agent", "no/such/folder"], "no/such/folder"),
        (["agent", "P18"], "must be an agent's folder"),
    ],
)
def test_mistake_is_one_line(arguments: list[object], told: str):
    result = run("decisions", *arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert told in line
