"""Tests of Tables 7 and 8 against the live decoders, with changed decoders and in every format."""

import io
import re
from dataclasses import astuple, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch
from rich.console import Console

from bench.models import DECODERS, build_decoder
from bench.models.architecture import trace_layers
from bench.tables.architecture import ArchitectureTable, Line, LineRow, claims, compare, notes, published
from bench.tables.architecture_render import frame, print_table, to_csv, to_html, to_latex, to_markdown
from tests.helpers.imports import HEAVY, loaded_with

CONCATENATING = {"blending": "concat", "branch": "partial"}
DECODER = {7: "base", 8: "large"}


@cache
def lines(name: str, **overrides: object) -> tuple[Line, ...]:
    with torch.device("meta"):
        decoder = build_decoder(name, **overrides)
    return tuple(Line(*astuple(layer)) for layer in trace_layers(decoder, 512))


@cache
def rows(number: int) -> tuple[LineRow, ...]:
    return tuple(compare(lines(DECODER[number], **CONCATENATING), published(number)))


def wrong(name: str, number: int, **overrides: object) -> list[tuple[str, int | str, str | None, str | None]]:
    """Return part, level, live layer and the paper's layer of the lines that disagree."""
    found = compare(lines(name, **{**CONCATENATING, **overrides}), published(number))
    return [
        (row.part, row.level, row.live and row.live.layer, row.paper and row.paper.layer)
        for row in found
        if not row.agrees
    ]


# --- lines -----------------------------------------------------------------------------------------------------------

LINES = [(number, index) for number in DECODER for index in range(len(published(number)))]


@pytest.mark.reference
@pytest.mark.parametrize(
    ("number", "index"), LINES, ids=["{}-{}-{}-{}".format(number, *published(number)[i][:3]) for number, i in LINES]
)
def test_every_line_agrees_with_the_live_decoder(number: int, index: int) -> None:
    row = rows(number)[index]
    assert row.paper == published(number)[index]
    assert row.live is not None
    assert row.live.output == row.paper.output
    assert row.agrees


@pytest.mark.golden
@pytest.mark.parametrize("number", DECODER)
def test_the_table_has_no_other_lines(number: int) -> None:
    assert len(rows(number)) == len(published(number)) == 5 + 4 + 3 + 3 * 4 + 4


@pytest.mark.reference
def test_the_large_decoder_built_by_factors_equals_table_8() -> None:
    assert wrong("base", 8, width=1.5, depth=1.5) == []


@pytest.mark.blackbox
def test_a_changed_width_changes_exactly_its_lines() -> None:
    assert wrong("base", 7, channels=(160, 256, 512, 512)) == [
        ("branch", 0, "PConv 3x3", "PConv2d/(3, 3)"),
        ("main", "out", "Concat", "Concat"),
        ("main", "out", "Conv 1x1", "Conv2d/(1, 1)"),
        ("main", "out", "GroupNorm", "GroupNorm (1, 1)"),
        ("main", 1, "ResBlock x3", "ResBlock x3"),
    ]


@pytest.mark.blackbox
def test_a_changed_depth_changes_exactly_the_residual_blocks() -> None:
    assert wrong("base", 7, depth=1.5) == [("main", level, "ResBlock x4", "ResBlock x3") for level in (1, 2, 3, 4)]


@pytest.mark.blackbox
def test_plain_convolutions_are_not_partial_ones() -> None:
    assert wrong("base", 7, branch="plain") == [
        ("branch", level, f"Conv {side}x{side}", f"PConv2d/({side}, {side})")
        for level, side in enumerate((3, 3, 4, 4, 4))
    ]


@pytest.mark.blackbox
def test_concatenations_are_only_in_the_paper_under_addition() -> None:
    assert wrong("base", 7, blending="add") == [
        ("main", level, None, layer) for level in ("out", 1, 2, 3, 4) for layer in ("Concat", "Conv2d/(1, 1)")
    ]


@pytest.mark.blackbox
def test_lines_that_the_paper_lacks_are_placed_in_their_level_or_last() -> None:
    paper = [Line("main", 1, "Concat", (3, 8, 8)), Line("main", 1, "Conv2d/(3, 3)", (1, 8, 8))]
    live = [Line("main", 2, "Upsample", (1, 8, 8)), Line("main", 1, "GroupNorm", (3, 8, 8)), paper[0]]
    live.append(Line("main", 1, "Conv 3x3", (1, 8, 8)))
    assert compare(live, paper) == [
        LineRow("main", 1, live[1], None),
        LineRow("main", 1, live[2], paper[0]),
        LineRow("main", 1, live[3], paper[1]),
        LineRow("main", 2, live[0], None),
    ]
    assert [row.agrees for row in compare(live, paper)] == [False, True, True, False]


# --- claims ----------------------------------------------------------------------------------------------------------


def evaluate(number: int = 7, **changed: Any) -> dict[str, dict[str, Any]]:
    """Return claims by letter, with some lines or parameters of the live decoders changed."""
    live = {
        "vanilla": lines("vanilla"),
        "base_concat": lines("base", **CONCATENATING),
        "large_concat": lines("large", **CONCATENATING),
    }
    parameters = {}
    for name in (*DECODERS, "base_concat", "large_concat"):
        overrides = CONCATENATING if name.endswith("_concat") else {}
        with torch.device("meta"):
            decoder = build_decoder(name.removesuffix("_concat"), **overrides)
        parameters[name] = sum(parameter.numel() for parameter in decoder.parameters())
    found = claims(
        number,
        changed.get("rows", rows(number)),
        live | changed.get("live", {}),
        parameters | changed.get("parameters", {}),
        scope="paper",
    )
    return {claim["id"].removeprefix(f"table{number}_"): claim for claim in found}


@pytest.mark.golden
@pytest.mark.parametrize("number", DECODER)
def test_every_claim_on_structure_holds(number: int) -> None:
    found = evaluate(number)
    assert list(found) == list("abcdef")
    for claim in found.values():
        assert set(claim) == {"id", "text", "kind", "scope", "verdict", "evidence", "by", "design", "design_evidence"}
        assert (claim["kind"], claim["scope"], claim["verdict"]) == ("structure", "paper", "holds"), claim
    assert found["a"]["evidence"] == "28 of 28 lines agree"
    assert "256 to 384" in found["b"]["evidence"]
    assert "1025 = 512 + 512 + 1" in found["e"]["evidence"]
    assert "base 60,276,227" in found["f"]["evidence"]
    assert "base_concat 62,016,771" in found["f"]["evidence"]


def with_channels(lines: tuple[Line, ...], place: tuple[str, int | str, str], channels: int) -> tuple[Line, ...]:
    assert place in [line[:3] for line in lines]
    return tuple(line._replace(output=(channels, *line.output[1:])) if line[:3] == place else line for line in lines)


@pytest.mark.blackbox
def test_each_claim_can_fail() -> None:
    base, large = lines("base", **CONCATENATING), lines("large", **CONCATENATING)
    changes: dict[str, list[dict[str, Any]]] = {
        "a": [{"rows": compare(lines("base"), published(7))}],
        "b": [{"live": {"large_concat": with_channels(large, ("main", 1, "Conv 1x1"), n)}} for n in (383, 385)],
        "c": [{"live": {"large_concat": base}}, {"live": {"base_concat": lines("base", depth=2, **CONCATENATING)}}],
        "d": [{"live": {"vanilla": lines("vanilla", depth=2)}}, {"live": {"vanilla": lines("base")}}],
        "e": [
            {"live": {"base_concat": with_channels(base, ("main", 2, "Concat"), 1024)}},
            {"live": {"large_concat": with_channels(large, ("branch", 0, "PConv 3x3"), 128)}},
            {"live": {"base_concat": lines("base"), "large_concat": lines("large")}},
        ],
        "f": [{"parameters": {name: 60_276_228}} for name in (*DECODERS, "base_concat", "large_concat")],
    }
    for letter, each in changes.items():
        for change in each:
            assert evaluate(**change)[letter]["verdict"] == "does not hold", (letter, change)


@pytest.mark.blackbox
def test_evidence_names_the_differing_lines() -> None:
    some = evaluate(rows=compare(lines("base", width=1.5, **CONCATENATING), published(7)))["a"]["evidence"]
    assert some.startswith("1 of 28 lines agree; not branch 0 PConv 3x3, ")
    assert evaluate(parameters={"base": 1})["f"]["evidence"].endswith("; expected base 60,276,227")


# --- formats ---------------------------------------------------------------------------------------------------------


def table(title: str = "layers", **overrides: object) -> ArchitectureTable:
    cost = {"parameters": 62_016_771, "tera_flop": 3.294021, "peak_activation_bytes": 1_477_443_584}
    found = compare(lines("base", **{**CONCATENATING, **overrides}), published(7))
    return ArchitectureTable(
        7,
        title,
        "at the paper's sizes",
        tuple(found),
        (
            {"name": "vanilla", "blending": None, "branch": None, **cost},
            {"name": "base_concat", **CONCATENATING, **cost},
        ),
        tuple(evaluate(rows=found).values()),
        ("100 % of <it>", *notes()),
    )


def grids(markdown: str) -> list[list[list[str]]]:
    """Return cells by table and line."""
    parts = [part.splitlines() for part in markdown.split("\n\n") if part.startswith("|")]
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in part] for part in parts]


def printed(shown: ArchitectureTable) -> str:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    print_table(shown, console)
    return console.file.getvalue()


@pytest.mark.blackbox
def test_markdown_contains_a_marked_line_for_each_row() -> None:
    layers, costs, verdicts = grids(to_markdown(table()))
    assert layers[0] == ["Branch", "l-th", "Layer", "Output (live)", "Paper: layer", "Paper: output", "agrees"]
    assert layers[2] == ["Condition", "0", "PConv 3x3", "128×512×512", "PConv2d/(3, 3)", "128×512×512", "✓"]
    assert layers[-1] == ["Main", "stem", "ResBlock", "512×64×64", "ResBlock", "512×64×64", "✓"]
    assert [line[-1] for line in layers[2:]] == ["✓"] * 28
    assert costs[2:] == [
        ["vanilla", "–", "–", "62,016,771", "3.294", "1,409"],
        ["base_concat", "concat", "partial", "62,016,771", "3.294", "1,409"],
    ]
    assert [line[1] for line in verdicts[2:]] == ["holds"] * 6
    for grid in (layers, costs, verdicts):
        assert {len(line) for line in grid} == {len(grid[0])}


@pytest.mark.blackbox
def test_a_missing_line_is_shown_by_a_dash_and_a_cross_in_every_format() -> None:
    shown = table(blending="add")
    layers, _, verdicts = grids(to_markdown(shown))
    assert ["Main", "out", "–", "–", "Concat", "257×512×512", "✗"] in layers
    assert [line[-1] for line in layers].count("✗") == 10
    assert verdicts[2][1] == "does not hold"
    for text in (to_html(shown), printed(shown)):
        assert text.count("✗") == 10
    latex = r"Main & out & \textendash{} & \textendash{} & Concat & 257$\times$512$\times$512 & \textbf{no} \\"
    assert to_latex(shown).splitlines().count(latex) == 1


@pytest.mark.blackbox
def test_html_and_latex_escape_commands() -> None:
    shown = table(r"<b>a_b</b> & 5 % \end")
    shown = replace(shown, decoders=tuple({**entry, "name": "<b>d_e"} for entry in shown.decoders))
    assert "&lt;b&gt;a_b&lt;/b&gt; &amp; 5 % \\end" in to_html(shown)
    assert "100 % of &lt;it&gt;" in to_html(shown)
    assert "<td>&lt;b&gt;d_e</td>" in to_html(shown)
    assert "<b>" not in to_html(shown)
    latex = to_latex(shown)
    tag = r"\textless{}b\textgreater{}a\_b\textless{}/b\textgreater{}"
    assert rf"{tag} \& 5 \% \textbackslash{{}}end" in latex
    assert not re.search("[✓✗×–]", latex)
    assert latex.isascii()


@pytest.mark.blackbox
def test_csv_is_read_back_as_the_frame() -> None:
    shown = table(blending="add")
    found = pandas.read_csv(io.StringIO(to_csv(shown)), dtype={"level": str})
    assert list(found.columns) == ["part", "level", "layer", "output", "paper_layer", "paper_output", "agrees"]
    pandas.testing.assert_frame_equal(found, frame(shown), check_dtype=False)
    assert found["agrees"].sum() == 18
    assert found["layer"].isna().sum() == 10


@pytest.mark.blackbox
def test_the_terminal_shows_lines_costs_claims_and_notes() -> None:
    shown = printed(replace(table("layers [bold]"), notes=("an [interval]",)))
    for word in ("layers [bold]", "PConv2d/(3, 3)", "1,409", "28 of 28 lines agree", "an [interval]"):
        assert word in shown


@pytest.mark.blackbox
def test_torch_is_not_imported(tmp_path: Path) -> None:
    loaded = loaded_with("bench.tables.architecture_render", tmp_path)
    assert "bench.tables.architecture" in loaded
    assert not HEAVY & loaded
