"""Tests of the list of the paper's claims: each is complete, and its numbers are those that the paper prints."""

import re
from pathlib import Path

import pytest
import yaml

import bench
from bench.config.compose import conf_dir
from bench.tables.claims import Claim
from tests.helpers.imports import HEAVY, loaded_with
from tests.tables.listed import EVERY, rows_of

METRICS = {"fid", "lpips", "pre_error", "clip_score", "inception_score", "border_step", "cost_share"}


@pytest.mark.blackbox
def test_every_statement_has_its_own_id() -> None:
    assert len(EVERY) == len({claim.id for claim in EVERY}) == 61
    for claim in EVERY:
        assert re.fullmatch(rf"(T{claim.table}\.[a-i]|across\.[a-f]|x[1-6](\.[ab])?)(\.all|\.size)?", claim.id)


@pytest.mark.blackbox
def test_checks_of_the_harness_are_not_claims_of_the_paper() -> None:
    own = {claim.id for claim in EVERY if claim.by == "harness"}
    assert own == {"x2", "x3.a", "x3.b", "x4", "x5", "x6", "T1.a.all", "T1.b.all", "T4.a.all"}
    assert {claim.by for claim in EVERY} == {"paper", "harness"}


@pytest.mark.blackbox
def test_a_size_is_accompanied_by_an_order() -> None:
    sizes = [claim for claim in EVERY if claim.id.endswith(".size")]
    assert len(sizes) == 6
    for size in sizes:
        order = next(claim for claim in EVERY if claim.id == size.id.removesuffix(".size"))
        assert (order.kind, order.comparisons) == ("order", size.comparisons)
        assert not re.search(r"\d|hundred|half|about", order.text)


@pytest.mark.blackbox
@pytest.mark.parametrize("claim", EVERY, ids=lambda claim: claim.id)
def test_a_statement_is_complete(claim: Claim) -> None:
    rows = {path.stem for path in (conf_dir() / "row").glob("*.yaml")}
    assert rows_of(claim) <= rows
    assert {re.sub(r"_hole_only$|_\d+_\d+$", "", metric) for metric in claim.metrics} <= METRICS
    assert claim.kind in ("order", "size", "digits", "equal", "structure")
    assert claim.where in ("run", "runs", "printed")
    assert (claim.run is not None) == (claim.where == "run")
    assert all(new != old for new, old in claim.pairs)
    if claim.where != "run":
        return
    if claim.against:
        assert claim.kind == "order"
        assert claim.against in ("paper", "measured")
        assert (bool(claim.row), "{rows}" in claim.text) == (True, True)
    elif claim.kind in ("order", "equal"):
        assert claim.comparisons
    if claim.kind == "equal":
        assert set(claim.margin) <= set(claim.margin_share) == set(claim.metrics)
    if claim.kind == "size" and claim.measure:
        assert claim.measure in ("gain", "share", "ratio", "resolution")
        assert len(claim.printed) == len(claim.comparisons)
        assert claim.between or len(claim.roundings) == len(claim.printed) or claim.measure == "resolution"
    if claim.kind == "digits":
        assert len(claim.printed) == len(claim.roundings) == len(claim.metrics)
    if claim.kind == "structure" or (claim.kind == "size" and not claim.measure):
        assert claim.reason


@pytest.mark.reference
def test_sizes_follow_from_the_printed_numbers() -> None:
    text = (Path(bench.__file__).parent / "tables" / "published.yaml").read_text()
    published = {
        name: {label: dict(zip(table["columns"], cells, strict=True)) for label, cells in table["rows"].items()}
        for name, table in yaml.safe_load(text).items()
    }
    labels = {
        1: {"stablediffusion": "StableDiffusion*", "large_mask": "Ours"},
        2: {
            "stablediffusion": "StableDiffusion",
            "base_mask": "Ours (base) w/ mask",
            "large_mask": "Ours (large) w/ mask",
        },
        4: {"paint_by_example": "Paint-by-Example*", "large_mask": "Ours"},
        9: {"base_mask": "Base decoder", "large_mask": "Large decoder", "large_x2_mask": "Large×2 decoder"},
    }
    ways = {
        "gain": lambda new, old: abs(new - old),
        "resolution": lambda new, old: abs(new - old),
        "share": lambda new, old: 1 - new / old,
        "ratio": lambda new, old: old / new,
    }
    seen = 0
    for claim in EVERY:
        if claim.kind == "size" and claim.pairs:
            for (new, old, metric), printed in zip(claim.comparisons, claim.printed, strict=True):
                name = {"pre_error": "pre_sse01"}.get(metric, metric)  # the printed errors are assumed to be sums
                cells = [published[f"table{claim.table}"][labels[claim.table][row]][name] for row in (new, old)]
                assert ways[claim.measure](*cells) == pytest.approx(printed, rel=2e-3)
                seen += 1
    ours = published["table1"]["Ours"]
    (digits,) = (claim for claim in EVERY if claim.kind == "digits")
    assert [ours[metric] for metric in digits.metrics] == list(digits.printed)
    assert seen == 11


@pytest.mark.blackbox
def test_claims_do_not_import_torch(tmp_path: Path) -> None:
    modules = [f"bench.tables.{name}" for name in ("claims", "verdicts", "judging", "printed", "designs", "effects")]
    loaded = loaded_with(", ".join(modules), tmp_path)
    assert loaded >= set(modules)
    assert not HEAVY & loaded
