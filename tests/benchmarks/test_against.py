"""The table of two source trees."""

from benchmarks.against import against_table


def test_rates_are_medians_and_the_ratio_is_theirs():
    def rounds(*rates: float) -> list[dict[str, dict[str, float]]]:
        return [{case: {"events": 2_000.0, "rate": rate} for case in CASES} for rate in rates]

    text = against_table(rounds(1e7, 2e7, 9e7), rounds(3e7, 1e6, 2.2e7))
    assert text.splitlines()[-1] == (
        "| s10-hostile/test | 64 | 2,000 | 2,000 | 20.0 M (10.0 M to 90.0 M) | "
        "22.0 M (1.00 M to 30.0 M) | 1.10 |"
    )


CASES = ("s06-conversion/test 0", "s10-hostile/test 64")
