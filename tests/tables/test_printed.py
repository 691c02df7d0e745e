"""The printed numbers: the claims that they decide alone, and the two that they contradict."""

from dataclasses import asdict

from bench.tables import architecture
from bench.tables.printed import judge_printed, printed_unit


def test_the_printed_numbers_contradict_two_claims() -> None:
    found = {one.id: one for one in judge_printed()}
    assert {one.scope for one in found.values()} == {"printed"}
    contradicted = [key for key, one in found.items() if one.verdict == "contradicted by the printed numbers"]
    assert contradicted == ["T1.e", "across.f"]
    assert {one.verdict for key, one in found.items() if key not in contradicted} == {"holds"}
    assert list(found) == ["T1.e", "T4.d", "T5.d", *(f"across.{letter}" for letter in "abcdef")]


def test_evidence_shows_the_printed_numbers() -> None:
    found = {one.id: one.evidence for one in judge_printed()}
    assert found["T1.e"] == "lpips_40_50: Ours 0.244; not above it LaMa 0.24, LaMa, recomputed 0.243"
    assert "85.67 - 84.97 = 0.7;" in found["T4.d"]
    for step in ("0.68", "0.48", "0.17", "0.03"):
        assert f"= {step}" in found["T5.d"]
    assert found["across.f"] == "inception_score: Large×2 decoder w/o mask Table 10 37.74, 37.73"
    assert found["across.a"].startswith("fid: Ours (base) w/ mask Table 2 7.6, Table 3 7.6, Table 9 7.6; lpips:")


def test_the_printed_verdicts_of_one_table() -> None:
    assert [one.id for one in judge_printed(1)] == ["T1.e"]
    assert judge_printed(2) == []
    assert len(judge_printed("across")) == 6


def test_verdicts_have_the_fields_of_those_on_architecture() -> None:
    lines = [architecture.Line("main", 1, "ResBlock x3", (4, 2, 2))]
    live = dict.fromkeys(("vanilla", "base_concat", "large_concat"), lines)
    counts = dict.fromkeys(("vanilla", "base", "large", "large_x2", "base_concat", "large_concat"), 1)
    other = architecture.claims(7, [], live, counts, scope="paper")[0]
    assert list(asdict(judge_printed()[0])) == list(other)


def test_units_are_those_that_the_paper_prints() -> None:
    units = {number: printed_unit(number, "pre_error") for number in (2, 3, 4, 5, 9)}
    assert units == {2: "1e-5", 3: "1e-5", 4: "", 5: "", 9: "1e-5"}
    assert printed_unit(2, "fid") == printed_unit(99, "fid") == ""
