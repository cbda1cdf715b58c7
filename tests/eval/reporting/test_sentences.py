"""Sentences: where a contender loses, and why."""

from dataclasses import replace

from tdx_eval.comparing.statistics import Estimate
from tdx_eval.comparing.summary import Conflict
from tdx_eval.reporting.sentences import defeat_text, defeats, reasons, sentences
from tdx_eval.reporting.wording import conflict_text, direction, duration, percent, signed

CERTAIN, UNSURE = Estimate(5.0, 1.0, 9.0), Estimate(5.0, -1.0, 9.0)


def test_every_significant_loss_is_listed(compared):
    summary = compared.summary
    wanted = {
        one.name
        for one in summary.scenarios
        if one.contests["mine:kick"].to_best.cycles.is_positive
    }
    found = {defeat.scenario.name for defeat in defeats(summary) if not defeat.is_hindsight}
    assert found == wanted
    assert wanted  # kicking is dear somewhere


def test_loss_names_the_part_that_grew_most(compared):
    defeat = defeats(compared.summary)[0]
    part = max(defeat.difference.parts, key=defeat.difference.parts.__getitem__)
    assert reasons(defeat.difference.parts)[0][0] == part
    assert defeat.difference.other in defeat_text(defeat)


def test_small_parts_are_no_reasons():
    found = reasons({"gated": 4.9, "unwind": 0.1, "decision": -3.0})
    assert found == [("gated", 4.9)]


def test_verdict_needs_the_whole_interval():
    assert direction(CERTAIN) == "worse"
    assert direction(UNSURE) == "even"
    assert direction(Estimate(-5, -9, -1)) == "better"


def test_sentences_name_best_reference_and_contender(compared):
    text = " ".join(sentences(compared.summary))
    for name in (compared.summary.best, compared.summary.reference, "mine:kick", "p1-blind-16"):
        assert name in text


def test_one_scenario_is_not_told_as_all_of_them(compared):
    one = compared.summary.contested[0]
    text = " ".join(sentences(replace(compared.summary, scenarios=[one])))
    assert "in the one scenario with contention" in text
    assert "all 1" not in text


def test_gap_without_a_conflict_names_none(compared):
    summary = compared.summary
    scenarios = [
        replace(
            one,
            results={name: replace(result, conflicts=[]) for name, result in one.results.items()},
        )
        for one in summary.scenarios
    ]
    text = " ".join(sentences(replace(summary, scenarios=scenarios)))
    assert "The widest gap" in text
    assert "conflict" not in text


def test_conflict_reads_as_kernel_developers_say_it(compared):
    one = next(s for s in compared.summary.scenarios if s.clock_khz == 2_500_000)
    conflict = Conflict("MEM_RANGE_BLOCK", "VP_ENTER", "TREE", 812.0, 3_000_000.0)
    wanted = "RANGE.BLOCK met VP.ENTER on the S-EPT tree: 812 times, 1.2 ms lost"
    assert conflict_text(conflict, one) == wanted


def test_numbers_keep_their_sign_and_unit():
    assert signed(-1234.56) == "\N{MINUS SIGN}1,234.6"
    assert signed(-0.04) == "0.0"
    assert percent(-0.99994) == "\N{MINUS SIGN}99.99\N{NO-BREAK SPACE}%"
    assert percent(-0.999999) == "\N{MINUS SIGN}99.99\N{NO-BREAK SPACE}%"
    assert percent(-1) == "\N{MINUS SIGN}100.00\N{NO-BREAK SPACE}%"
    assert percent(216) == "×217.0"
    assert [duration(us) for us in (12.34, 1200, 2.5e6)] == ["12.3 µs", "1.2 ms", "2.5 s"]
