"""Tests of one table in every format: complete lines, escaped labels, and dashes for missing values."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas
import pytest
from rich.console import Console

from bench.config.schema import Row, TableSpec
from bench.metrics.spread import Spread
from bench.metrics.summary import EXACT, UNBOUNDED, Measurement
from bench.metrics.uncertainty import Difference
from bench.runtime.not_available import NotAvailable
from bench.tables.build import Findings, Table, TableDesign, build_table, style_of
from bench.tables.designs import DesignDifference
from bench.tables.effects import Effect
from bench.tables.grid import terminal
from bench.tables.render import (
    change_shown,
    few_sources_note,
    frame,
    measured_shown,
    number_as_json,
    print_table,
    to_csv,
    to_html,
    to_latex,
    to_markdown,
)
from bench.tables.verdicts import Verdict

pytestmark = pytest.mark.blackbox

LABEL = 'Mine <b>&, 50 % of "a_b"'
DIFFERENCE = Difference(-0.25, 0.05, (-0.35, -0.15), 1e-7, sources=6, effective_sources=5.5, freedom=5.0)
DESIGNS = DesignDifference(-0.2, (-0.5, 0.1), {"base": 3}, 0.1, 0.05, 40.0)
RATIO = Measurement(5 / 3, 0.1, 8, 6, spread=Spread(0.1, 6, 6.0, 5.0, 0.0))
MISSING = NotAvailable("no large_mask")


def table(label: str = LABEL, title: str = "Inpainting", note: str = "Measured on little.") -> Table:
    rows = {
        "vanilla": Row("StableDiffusion", {}, published={2: "StableDiffusion"}),
        "mine": Row(label, {}),
        "pasted": Row("Pasted back", {}),
    }
    missing = Measurement(None, reason="8 items, fewer than the 128 that this protocol requires")
    measured = {
        "vanilla": {
            "fid": missing,
            "lpips": Measurement(0.5, 0.0123, 8, 6, spread=Spread(0.0123, 6, 6.0, 5.0, 0.0)),
            "pre_error": Measurement(0.1 / 3, 1e-3, 8, 6),
            "pre_sse01": Measurement(321.5, 10.0, 8, 6),
        },
        "mine": {
            "fid": missing,
            "lpips": Measurement(0.25, None, 8, 1, difference=DIFFERENCE, p_holm=2e-7),
            "pre_error": Measurement(0.02, 1e-3, 8, 6, ratio=RATIO),
        },
        "pasted": {"fid": missing, "pre_error": Measurement(0.0, 0.0, 8, 6, ratio=EXACT)},
    }
    spec = TableSpec(
        2,
        title,
        ["fid", "lpips", "pre_error"],
        reference="vanilla",
        readings=["pre_sse01"],
        beside=["kid", "pre_error_ring"],
    )
    return build_table(
        TableDesign(spec, rows, profile="mini", features="small"),
        measured,
        training={"vanilla": "", "mine": "10 steps", "pasted": ""},
        notes=[note],
    )


def grids(markdown: str) -> list[list[list[str]]]:
    """Return cells by table and line, split like by GitHub at every bar without a backslash."""
    found = []
    for part in markdown.split("\n\n"):
        if part.startswith("|"):
            lines = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in part.splitlines()]
            found.append([[cell.strip() for cell in line] for line in lines])
    return found


class Cells(HTMLParser):
    """Collect the text of every cell and the names of all tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def printed(shown: Table) -> str:
    console = Console(file=io.StringIO(), width=300, color_system=None)
    print_table(shown, console)
    return console.file.getvalue()


@pytest.mark.parametrize("label", [LABEL, "Mine | yours"])
def test_markdown_has_as_many_cells_in_every_line(label: str) -> None:
    main, paper, differences, details = grids(to_markdown(table(label)))
    for grid in (main, paper, differences, details):
        assert [len(line) for line in grid] == [len(grid[0])] * len(grid)
    assert len(main) == len(details) == 2 + 3
    assert len(differences) == len(paper) == 2 + 1


def test_missing_values_are_shown_as_dashes_and_zero_as_zero() -> None:
    (heads, _, vanilla, mine, pasted), *_ = grids(to_markdown(table()))
    assert heads == [
        "Method",
        "FID (small features)",
        "LPIPS (small features)",
        "Pre_error [1e-5]",
        "to StableDiffusion",
        "sum of squares over known values",
    ]
    assert vanilla == ["StableDiffusion", "–", "0.5000 ± 0.0123", "3,333.33 ± 100.00", "–", "321.500 ± 10.000"]
    assert mine[1:] == ["–", "0.2500 *", "2,000.00 ± 100.00", "÷ 1.67 [1.41, 1.92]", "–"]
    assert pasted == ["Pasted back †", "–", "–", "0.00 ± 0.00", "exact", "–"]


def test_printed_numbers_are_shown_in_a_separate_table() -> None:
    _, paper, *_ = grids(to_markdown(table()))
    error = "Pre_error (as printed, 1e-5; assumed: a sum of squares)"
    assert paper[0] == ["As the paper prints it", "FID", "LPIPS", error]
    assert paper[2:] == [["StableDiffusion", "9.57", "0.255", "1082.8"]]


def test_every_format_shows_the_measured_values() -> None:
    for shown in (to_markdown(table()), " ".join(Cells(to_html(table())).cells), printed(table())):
        for word in ("9.57", "1082.8", "0.5000 ± 0.0123", "3,333.33", "321.500", "exact", "Measured on little."):
            assert word in shown
    latex = to_latex(table())
    for word in ("9.57", "1082.8", r"0.5000 $\pm$ 0.0123", "3,333.33", "exact"):
        assert word in latex


def test_differences_have_their_interval_and_p_value() -> None:
    _, _, (_, _, line), _ = grids(to_markdown(table()))
    assert line[1:] == ["–", "-0.2500 [-0.3500, -0.1500], p < 0.001", "–"]


def test_html_shows_a_label_unchanged() -> None:
    page = Cells(to_html(table(title="a < b & c", note="<i>so</i>")))
    assert f"{LABEL} †" in page.cells
    assert {"b", "i", "script"} & page.tags == set()
    assert "<title>Table 2, profile mini: a &lt; b &amp; c</title>" in to_html(table(title="a < b & c"))


def test_latex_has_as_many_cells_in_every_line_whatever_a_label_holds() -> None:
    text = to_latex(table(r"A_b % & #1 $x^2$ {~} \end"))
    line, *_ = (line for line in text.splitlines() if line.startswith("A"))
    assert line.startswith(
        r"A\_b \% \& \#1 \$x\textasciicircum{}2\$ \{\textasciitilde{}\} \textbackslash{}end $^\dagger$ & \textendash{}"
    )
    # In a heading of several lines these stand in a tabular of their own.
    rows = [re.sub(r"\\begin{tabular}\[b].*?\\end{tabular}", "", line) for line in text.splitlines()]
    cells = [len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows if row.endswith(r"\\")]
    # The heading and three rows; the paper's one; the one row that is compared; what stands beside.
    assert cells == [6] * 4 + [4] * 2 + [4] * 2 + [4] * 4
    assert not re.search(r"[–±÷†]", text)


def test_the_best_value_is_bold_if_it_is_confirmed() -> None:
    shown = replace(table(), best={"pre_error": "mine"})
    assert "| **2,000.00** ± 100.00 | ÷ 1.67 [1.41, 1.92] |" in to_markdown(shown)
    assert "<strong>2,000.00</strong> ± 100.00</td>" in to_html(shown)
    assert r"\textbf{2,000.00} $\pm$ 100.00 &" in to_latex(shown)
    for text in (to_markdown(table()), to_html(table()), to_latex(table())):
        assert not re.search(r"\*\*|<strong>|\\textbf", text)


def test_the_notes_follow_the_table_in_latex() -> None:
    parts = to_latex(table(note="100 % of a_b")).split(r"\end{table*}")
    assert [r"100 \% of a\_b\par" in part for part in parts] == [False, True, False, False, False, False]


def test_csv_is_read_back_as_the_frame() -> None:
    expected = frame(table())
    found = pandas.read_csv(io.StringIO(to_csv(table())), engine="python")  # whose floats are Python's own
    assert list(found.columns) == list(expected.columns)
    assert len(found) == 3
    for name in expected.columns:
        for left, right in zip(found[name], expected[name], strict=True):
            assert (pandas.isna(left) and pandas.isna(right)) or left == right, name


def test_the_frame_contains_every_measurement_and_null_for_missing_ones() -> None:
    data = frame(table()).set_index("row")
    assert data.loc["vanilla", "pre_error"] == 0.1 / 3
    assert data.loc["vanilla", "lpips_ci95_low"] == pytest.approx(0.5 - 2.5706 * 0.0123, rel=1e-4)  # t of 6 sources
    assert data.loc["vanilla", "fid_published"] == 9.57
    assert data.loc["vanilla", "pre_sse01_published"] == 1082.8
    assert "pre_error_published" not in data
    assert data.loc["mine", "label"] == LABEL
    assert data.loc["pasted", "pre_error"] == 0
    assert data["fid"].isna().all()
    assert data["fid_reason"].str.startswith("8 items").all()
    assert pandas.isna(data.loc["pasted", "lpips"])
    assert pandas.isna(data.loc["mine", "lpips_stderr"])
    assert pandas.isna(data.loc["mine", "fid_published"])


def test_the_terminal_shows_every_word_unchanged() -> None:
    shown = printed(table("Mine [bold]", title="Inpainting [beta]", note="An interval is [low, high]."))
    words = ("Mine [bold] †", "Inpainting [beta]", "An interval is [low, high].")
    assert [word for word in words if word not in shown] == []


def test_separate_rows_have_their_own_table_and_copied_numbers_are_marked() -> None:
    rows = {
        "vanilla": Row("StableDiffusion", {}, published={2: "StableDiffusion"}),
        "budget": Row("Dec(Enc(x))", {}, beside=True),
        "cited": Row("Ours (base) w/ mask", None, published={2: "Ours (base) w/ mask"}, cited=True),
    }
    measured = {
        "vanilla": {"lpips": Measurement(0.5, 0.01, 8, 6), "lpips_hole_only": Measurement(0.4, 0.01, 8, 6)},
        "budget": {"lpips": Measurement(0.2, 0.01, 8, 6)},
    }
    shown = build_table(
        TableDesign(TableSpec(2, "Inpainting", ["lpips"]), rows, profile="mini", features="small"),
        measured,
        training={},
        findings=Findings(
            [
                Verdict("T2.b", "LPIPS falls", "order", "mini", "inconclusive", "no rows"),
                Verdict("T2.d", "large is better", "order", "mini", "holds", "by 1", "paper", "inconclusive", "by 0"),
                Verdict("x2", "bit for bit", "structure", "mini", "holds", "exact", by="harness"),
            ],
            {"lpips": [Effect("branch at base", DIFFERENCE, DESIGNS), Effect("interaction", MISSING, MISSING)]},
        ),
    )
    main, paper, effects, hole, apart, details, claims, checks = grids(to_markdown(shown))
    assert [line[0] for line in main[2:]] == ["StableDiffusion", "Ours (base) w/ mask ‡"]
    assert main[3][1:] == ["–"]
    assert paper[2:] == [["StableDiffusion", "0.255"], ["Ours (base) w/ mask ‡", "0.137"]]
    assert effects[2:] == [
        ["branch at base", "the measured networks", "-0.2500 [-0.3500, -0.1500]"],
        ["branch at base", "all training seeds", "-0.2000 [-0.5000, 0.1000]"],
    ]
    assert hole[2:] == [["StableDiffusion", "0.4000 ± 0.0100"]]
    assert apart[2:] == [["Dec(Enc(x)) †", "0.2000 ± 0.0100"]]
    assert [line[0] for line in details[2:]] == ["StableDiffusion", "Dec(Enc(x))"]
    assert claims[2:] == [
        ["T2.b", "LPIPS falls", "mini", "inconclusive", "–", "no rows"],
        ["T2.d", "large is better", "mini", "holds", "inconclusive", r"by 1 \| design: by 0"],
    ]
    assert checks[2:] == [["x2", "bit for bit", "mini", "holds", "–", "exact"]]
    assert "no rows" not in printed(shown)


@pytest.mark.parametrize(("effective", "short"), [(5.0, False), (4.9, True)])
def test_every_number_reports_its_effective_sources(effective: float, short: bool) -> None:
    found = Measurement(0.5, 0.01, 8, 6, spread=Spread(0.01, 6, effective, 4.0, 0.0))
    said = number_as_json("lpips", found, None)
    assert (said["sources"], said["effective_sources"], said["interval_too_short"]) == (6, effective, short)
    unknown = number_as_json("lpips", Measurement(0.5, None, 8, 1), None)
    assert (unknown["effective_sources"], unknown["interval_too_short"]) == (None, False)


def test_a_number_decided_by_few_sources_has_a_mark_and_a_note() -> None:
    whole = table()
    assert (list(few_sources_note(whole)), "§" in to_markdown(whole)) == ([], False)
    few = Spread(0.0123, 6, 4.9, 4.0, 0.3)
    vanilla, mine, pasted = whole.rows
    short = replace(vanilla, measured={**vanilla.measured, "lpips": replace(vanilla.measured["lpips"], spread=few)})
    unsure = replace(mine.measured["pre_error"], ratio=replace(RATIO, spread=few))
    for rows, cell in (
        ((short, mine, pasted), r"0\.5000 ± 0\.0123 §"),
        (
            (vanilla, replace(mine, measured={**mine.measured, "pre_error": unsure}), pasted),
            r"÷ 1\.67 \[\d\.\d+, \d\.\d+\] §",
        ),
    ):
        marked = replace(whole, rows=rows)
        assert re.search(cell, to_markdown(marked))
        (note,) = few_sources_note(marked)
        assert note.startswith("§ marks a number whose variance comes from fewer than 5 effective sources")


def test_an_unbounded_ratio_is_labelled() -> None:
    unbounded = Measurement(62.0, n=8, sources=6, stderr_reason=UNBOUNDED)
    whole = table()
    mine = whole.rows[1]
    wide = replace(mine.measured["pre_error"], ratio=unbounded)
    rows = (whole.rows[0], replace(mine, measured={**mine.measured, "pre_error": wide}), whole.rows[2])
    assert "÷ 62 [no bound]" in to_markdown(replace(whole, rows=rows))


@pytest.mark.parametrize("width", [40, 60, 80, 90, 100, 110, 120, 160, 300])
def test_a_terminal_of_any_width_cuts_no_number(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_table(table("Ours (large) w/ mask"), console, verbose=False)
    lines = console.file.getvalue().split("\n")  # type: ignore[attr-defined]
    assert len(lines) <= 40
    assert max(map(len, lines)) <= width
    shown = " ".join(lines)
    for head, number in (("FID", "–"), ("Pre_error [1e-5]", "3,333.33 ± 100.00"), ("to Stable", "÷ 1.67 [1.41, 1.92]")):
        left_out = "do not fit" in shown and head in " ".join(shown.partition("do not fit")[2].split())
        assert left_out or number in shown
    assert "Ours" in shown


def test_only_requested_parts_are_printed() -> None:
    def printed(verbose: bool) -> str:
        console = Console(file=io.StringIO(), width=120)
        print_table(table(), console, verbose=verbose)
        return str(console.file.getvalue())  # type: ignore[attr-defined]

    assert "Measured on little." not in printed(verbose=False)
    assert "Measured on little." in printed(verbose=True)
    assert "Claims of the paper" in printed(verbose=False)


def test_the_width_follows_columns_and_is_fixed_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "97")
    assert terminal().width == 97
    monkeypatch.setenv("COLUMNS", "7")
    assert terminal().width == 40
    monkeypatch.delenv("COLUMNS")
    assert terminal().width == 160


def test_only_a_difference_that_rounds_to_zero_keeps_its_sign() -> None:
    """The sign of a bound says on which side of 0 it lies."""
    style = style_of("psnr")
    assert style is not None
    tiny = Difference(-0.001, 0.001, (-0.002, -0.0001), 0.04, sources=6, effective_sources=40.0, freedom=5.0)
    assert change_shown(tiny, style) == "-0.00 [-0.00, -0.00]"
    assert measured_shown(Measurement(-0.001), style) == "0.00"
