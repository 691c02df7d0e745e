"""Tests of the definitions: every metric that the code can show has one, and each agrees with the code."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from bench.data.words import Word
from bench.edits.measures import METRICS_OF
from bench.metrics.diagnostics import DiagnosticsMeasure
from bench.metrics.known_region import RING, KnownRegionMeasure
from bench.metrics.legibility import LegibilityMeasure
from bench.metrics.measure import Extra, Measure
from bench.metrics.names import VARIANTS
from bench.metrics.ranges import out_of_range
from bench.metrics.similarity import SimilarityMeasure
from bench.metrics.uncertainty import FEWEST_EFFECTIVE
from bench.models.architecture import Cost
from bench.tables import definitions, verdicts
from bench.tables.build import METRICS, Metric, style_of
from bench.tables.definitions import (
    Definition,
    definition_of,
    mark_meanings,
    measure_pages,
    scopes,
    verdict_meanings,
)
from bench.tables.grid import DIFFERS
from bench.tables.leaderboard import COSTS
from bench.tables.render import CITED, FEW, OURS, TERMINAL_DETAILS
from tests.helpers.imports import HEAVY, loaded_with
from tests.metrics.test_legibility import ColourReader

pytestmark = pytest.mark.golden

ROOT = Path(__file__).parents[2]
DEFINED = {name: one for page in measure_pages().values() for name, one in page.metrics.items()}
TIMES = re.compile(r'^ +"(\w+_per_image)":', re.MULTILINE)
HEIGHT = re.compile(r"_\d+px$")


@cache
def configured() -> dict[str, dict[str, Any]]:
    """Return the content of the configuration's files that name metrics, by their paths."""
    files = [*ROOT.glob("conf/metrics/*.yaml"), *ROOT.glob("conf/measure/*.yaml")]
    return {str(file): yaml.safe_load(file.read_text()) for file in files}


def styles() -> dict[str, Metric]:
    """Return the styles of all metrics of the project and of its configuration."""
    found = dict(METRICS)
    for content in configured().values():
        for measure in content.get("measures", {"": content}).values():
            found |= {name: Metric(**{"decimals": 4, **style}) for name, style in measure.get("metrics", {}).items()}
    return found


def of_configuration() -> Iterator[str]:
    """Yield the names of metrics that the configuration's measures and choices compute."""
    for content in configured().values():
        for measure in content.get("measures", {"": content}).values():
            yield from (*measure.get("set_metrics", {}), *measure.get("metrics", {}))
            if "name" in measure["measure"]:
                yield measure["measure"]["name"]
        for choice in content.get("choices", {}).values():
            yield from choice.get("metrics", {}).values()


def of_measures() -> Iterator[str]:
    """Yield the names of the values that the measures without networks compute for one small item."""
    truth = torch.arange(3 * 32 * 32, dtype=torch.int32).remainder(251).to(torch.uint8).reshape(1, 3, 32, 32)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 20:] = 1
    word = Word("horse", 0, 0, 10, 10, 10)
    extra = Extra([None], holes=mask[:, 0].numpy() > 0, words=[(word,)])
    measures: tuple[Measure, ...] = (
        KnownRegionMeasure(), SimilarityMeasure(), DiagnosticsMeasure(), LegibilityMeasure(ColourReader()),
    )  # fmt: skip
    for measure in measures:
        _, kept = measure.keep_truth(truth)
        yield from measure.keep(truth.float() / 255, truth, mask, kept, extra)


def known() -> set[str]:
    """Return the names of all metrics and costs that a table or a report can show, without endings."""
    names = {*METRICS, *TERMINAL_DETAILS, *of_configuration(), *of_measures()}
    names |= {metric for metrics in METRICS_OF.values() for metric in metrics}
    costs = {*COSTS, *(field.name for field in fields(Cost))}
    costs |= set(TIMES.findall((ROOT / "bench" / "evaluation" / "costs.py").read_text()))
    return {HEIGHT.sub("", name) for name in names} | costs | {"half_life"}


def test_every_metric_has_a_definition_and_every_definition_a_metric() -> None:
    assert DEFINED.keys() == known()


@pytest.mark.parametrize("own", [None, {"definition": "One.", "range": "0", "misses": "", "sure": "Five."}])
def test_a_metric_without_one_of_its_texts_is_named(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = {"title": "New", "about": "About.", "code": [], "pages": [], "metrics": {"new_metric": own}}
    monkeypatch.setattr(definitions, "_data", lambda: {"measures": {"new": measure}})
    with pytest.raises(ValueError, match=r"definitions.yaml: new_metric: expected the texts .* for .*sees, misses"):
        definitions.measure_pages.__wrapped__()


@pytest.mark.parametrize("file", sorted(ROOT.glob("reports/*/results.json")), ids=lambda file: file.parent.name)
def test_every_number_of_the_committed_reports_has_a_definition(file: Path) -> None:
    results = json.loads(file.read_text())
    rows = results["rows"] if "architecture" not in file.parent.name else []
    names = {name for row in rows for name in row["metrics"]}
    names |= {name for costs in (results.get("costs") or {}).values() for name in costs}
    assert sorted(name for name in names if definition_of(name) is None) == []


@pytest.mark.parametrize("metric", DEFINED)
def test_a_definition_has_whole_sentences(metric: str) -> None:
    for text in (getattr(DEFINED[metric], field.name) for field in fields(Definition) if field.name != "range"):
        assert text == " ".join(text.split())
        assert not re.search(r"[<>{}*]|\]\(", text)
    for text in (DEFINED[metric].definition, DEFINED[metric].sees, DEFINED[metric].misses, DEFINED[metric].sure):
        assert re.match(r"[A-Z0-9-]", text)
        assert text.endswith(".")


@pytest.mark.parametrize("metric", DEFINED)
def test_a_range_agrees_with_the_code(metric: str) -> None:
    number = r"-?\d+(?:\.\d+)?"
    found = re.match(rf"any number\b|({number}) or more\b|({number}) to ({number})\b", DEFINED[metric].range)
    assert found is not None
    style = style_of(metric, styles())
    scale = 1.0 if style is None else style.scale
    least = float(found[1] or found[2] or -math.inf) / scale
    most = float(found[3] or math.inf) / scale
    for bound in (least, most):
        if math.isfinite(bound):
            assert out_of_range(metric, bound) is None
    for far, bound in ((-1e9, least), (1e9, most)):
        # A bound of the code is also a bound of the text.
        if out_of_range(metric, far) is not None:
            assert math.isfinite(bound)
            assert out_of_range(metric, bound + math.copysign(0.01 * max(1.0, abs(bound)), far)) is not None


@pytest.mark.parametrize("page", measure_pages().values(), ids=measure_pages())
def test_the_files_of_a_measure_exist(page: Any) -> None:
    assert page.title
    assert page.about.endswith(".")
    assert [path for path in page.code if not (ROOT / path).is_file()] == []
    assert [name for name in page.pages if not (ROOT / "docs" / name).is_file()] == []


def test_a_direction_agrees_with_the_style_of_the_metric() -> None:
    for metric, style in styles().items():
        found = definition_of(metric)
        assert found is not None
        if style.zero_is_best:
            assert "0 is best" in found.range
        elif style.higher_is_better:
            assert "larger is better" in found.range
        else:
            assert "larger is better" not in found.range


def test_a_name_with_endings_has_the_definition_of_its_metric_and_a_sentence_for_each_ending() -> None:
    base, derived = definition_of("fid"), definition_of("fid_saved_round_40_50")
    assert base is not None
    assert derived is not None
    assert derived.definition.startswith(base.definition)
    assert "rounded to 8 bits first" in derived.definition
    assert "40 to 50 %" in derived.definition
    assert derived.metric == "fid_saved_round_40_50"
    turn = definition_of("pre_error_turn_3")
    assert turn is not None
    assert "turn 3" in turn.definition
    height = definition_of("text_ned_crossing_12px")
    assert height is not None
    assert "begins at 12 pixels" in height.definition
    hole = definition_of("lpips_hole_only")
    assert hole is not None
    assert hole.misses.startswith("Every change of known pixels.")


def test_every_variant_has_a_sentence() -> None:
    for variant in VARIANTS:
        one, base = definition_of(f"fid_{variant}"), definition_of("fid")
        assert one is not None
        assert base is not None
        assert len(one.definition) > len(base.definition)


@pytest.mark.parametrize("metric", ["", "my_metric", "fid_mine", "psnr_12px", "fd_efficientnet_320"])
def test_a_metric_that_the_project_does_not_define_has_no_definition(metric: str) -> None:
    assert definition_of(metric) is None


def test_constants_of_the_code_stand_in_the_texts() -> None:
    assert f"at most {RING} pixels" in DEFINED["pre_error_ring"].definition
    assert f"Below {FEWEST_EFFECTIVE:g} effective sources" in DEFINED["lpips"].sure
    assert f"fewer than {FEWEST_EFFECTIVE:g} effective sources" in mark_meanings()[FEW]
    profiles = {
        name: yaml.safe_load((ROOT / "conf" / "profile" / f"{name}.yaml").read_text()) for name in ("mini", "paper")
    }
    least = {name: profile["fid_minimum"] for name, profile in profiles.items()}
    said = f"{least['mini']} on mini and {least['paper']:,} on paper"
    for metric in ("fid", "kid", "inception_score"):
        assert said in DEFINED[metric].sure


def test_every_mark_and_verdict_of_the_code_has_a_meaning() -> None:
    assert {OURS, CITED, FEW, DIFFERS, "±", "÷", "–", "bold"} <= mark_meanings().keys()
    words = {
        verdicts.HOLDS, verdicts.FAILS, verdicts.INCONCLUSIVE, verdicts.NOT_TESTED, verdicts.NOT_JUDGED,
        verdicts.CONTRADICTED,
    }  # fmt: skip
    assert verdict_meanings().keys() == words
    assert {verdicts.PAPER, verdicts.PRINTED, "custom", "mini"} == scopes().keys()


def test_the_page_on_reading_a_report_has_the_same_meanings() -> None:
    page = (ROOT / "docs" / "reading.md").read_text()
    texts = [*mark_meanings().values(), *verdict_meanings().values(), *scopes().values()]
    assert [text for text in texts if f"| {text} |" not in page] == []


def test_definitions_do_not_import_torch(tmp_path: Path) -> None:
    loaded = loaded_with("bench.tables.definitions", tmp_path)
    assert "bench.tables.definitions" in loaded
    assert not HEAVY & loaded
