"""Tests of the short form of a table: which columns and rows it has, its explanations, and its LaTeX."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bench.config.schema import Tex
from bench.errors import BadInputError
from bench.tables.build import METRICS
from bench.tables.grid import Grid
from bench.tables.latex import fits_article, one_tabular
from bench.tables.main_table import check_tex, main_grid, main_renderings
from tests.tables.test_latex import compiled, overfull
from tests.tables.test_render import table

DOCUMENT = (
    r"\documentclass[twocolumn]{{article}}\usepackage{{booktabs,amssymb}}"
    r"\begin{{document}}text\input{{{path}}}\end{{document}}"
)


@pytest.mark.blackbox
def test_every_heading_has_an_arrow_and_every_cell_a_value_with_its_error() -> None:
    grid = main_grid(table(), Tex(published=False))
    assert grid.heads == ["Method", "FID (small features) ↓", "LPIPS (small features) ↓", "Pre_error [1e-5] ↓"]
    assert grid.lines[0] == ["StableDiffusion", "–", "0.5000 ± 0.0123", "3,333.33 ± 100.00"]
    assert [line[0] for line in grid.lines] == ["StableDiffusion", 'Mine <b>&, 50 % of "a_b" †', "Pasted back †"]


@pytest.mark.blackbox
def test_printed_numbers_stand_beside_measured_ones_of_the_same_unit() -> None:
    grid = main_grid(table(), Tex(published=True))
    assert [head for head in grid.heads if head == "printed"] == ["printed"] * 2  # the paper's error is a sum
    assert grid.lines[0][1:5] == ["–", "9.57", "0.5000 ± 0.0123", "0.255"]
    assert grid.lines[1][2] == "–"


@pytest.mark.blackbox
def test_columns_are_chosen_and_an_arrow_points_up_if_more_is_better() -> None:
    grid = main_grid(table(), Tex(columns=["psnr", "lpips"], published=False))
    assert grid.heads[1:] == ["PSNR [dB] ↑", "LPIPS (small features) ↓"]


@pytest.mark.blackbox
def test_only_the_significantly_best_value_is_bold() -> None:
    best = replace(table(), best={"lpips": "mine"})
    grid = main_grid(best, Tex(published=False))
    assert grid.best == {(1, 2)}
    text = main_renderings(best, Tex())["tex"]
    assert text.count(r"\textbf") == 1
    assert "significantly better" in text
    assert "significantly better" not in main_renderings(table(), Tex())["tex"]


@pytest.mark.blackbox
def test_the_caption_explains_the_signs_that_occur_and_can_be_replaced() -> None:
    found = main_renderings(table(), Tex(published=False))
    assert "† is not in the paper's table" in found["md"]
    assert "‡" not in found["md"]
    assert "printed" not in found["md"]
    own = main_renderings(table(), Tex(label="tab:mine", caption="Inpainting of 50 %"))
    assert r"\caption{Inpainting of 50 \% " in own["tex"]
    assert r"\label{tab:mine}" in own["tex"]
    assert r"of 50 \% $\pm$ is one standard error." in own["tex"]


@pytest.mark.blackbox
def test_printed_numbers_are_left_out_if_the_text_would_have_to_be_smaller() -> None:
    paper = replace(table(), profile="paper, custom (limit=2)")
    assert "printed" in main_grid(paper, Tex()).heads
    wide = replace(table(label="a label of a row that needs very much of the width of a page"), profile="paper")
    assert not fits_article(main_grid(wide, Tex(published=True)))
    assert "printed" not in main_grid(wide, Tex()).heads


@pytest.mark.blackbox
def test_printed_numbers_do_not_stand_beside_those_of_another_profile_by_default() -> None:
    assert "printed" not in main_grid(table(), Tex()).heads


@pytest.mark.blackbox
def test_a_signed_metric_has_no_better_direction() -> None:
    assert main_grid(table(), Tex(columns=["blur"])).heads[1:] == ["Blur, known [pixels] (0 is best)"]


@pytest.mark.blackbox
@pytest.mark.parametrize(("columns", "found"), [(["fid", "fidd"], "found fidd"), ([], "found no name")])
def test_an_unknown_column_is_refused(columns: list[str], found: str) -> None:
    with pytest.raises(BadInputError, match=rf"tex\.columns: expected names from this list: .*{found}"):
        check_tex({"label": None, "caption": None, "columns": columns}, METRICS)


@pytest.mark.blackbox
@pytest.mark.parametrize("label", ["", "a b", "a%b", "a{b", "a\\b", "a\nb", "ä"])
def test_a_label_that_latex_cannot_read_is_refused(label: str) -> None:
    with pytest.raises(BadInputError, match=r"tex\.label: expected letters, digits and the signs"):
        check_tex({"label": label, "caption": None, "columns": None}, METRICS)


@pytest.mark.blackbox
@pytest.mark.parametrize("caption", ["", "  ", "a\nb", "a\x00b"])
def test_a_caption_without_text_or_on_several_lines_is_refused(caption: str) -> None:
    with pytest.raises(BadInputError, match=r"tex\.caption: expected a printable text on one line"):
        check_tex({"label": None, "caption": caption, "columns": None}, METRICS)


@pytest.mark.blackbox
def test_a_column_that_was_not_measured_is_explained() -> None:
    assert "A dash stands for" in main_renderings(table(), Tex(columns=["dists"]))["md"]
    assert "A dash stands for" not in main_renderings(table(), Tex(columns=["pre_error"]))["md"]


@pytest.mark.blackbox
@pytest.mark.slow
@pytest.mark.parametrize("count", range(1, 7))
@pytest.mark.parametrize("label", ["Ours (large) w/o mask", "StableDiffusion, pasted back †"])
def test_a_two_column_article_includes_the_table_without_an_overfull_box(
    label: str, count: int, tmp_path: Path
) -> None:
    heads = ["Method", *["LPIPS (mini features) ↓", "printed"] * 3][: 1 + count]
    grid = Grid(heads, [[label, *["1.0571 ± 0.1234", "0.136"] * 3][: 1 + count]] * 6, best=frozenset({(1, 1)}))
    (tmp_path / "table_main.tex").write_text(one_tabular(grid, "A caption", "tab:2"))
    assert overfull(compiled(tmp_path, DOCUMENT.format(path="table_main"))) == []
    subprocess.run(["pdftotext", "-layout", "document.pdf"], cwd=tmp_path, check=True)
    assert "Table 1: A caption" in (tmp_path / "document.txt").read_text()
