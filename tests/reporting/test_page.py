"""Tests of the report's page: it is complete, escaped, self-contained and limited in size."""

import base64
import hashlib
import math
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest

from bench.config.schema import Row, TableSpec
from bench.metrics.protocol import Protocol
from bench.metrics.spread import Spread
from bench.metrics.summary import Measurement
from bench.metrics.uncertainty import Difference
from bench.reporting.choice import ComparedRows, choose, drawn
from bench.reporting.cost_plot import costs_of
from bench.reporting.gallery import fill
from bench.reporting.index import Entry, Index, Judged, index_page
from bench.reporting.page import (
    LIMIT,
    Page,
    command,
    duration_shown,
    first_line,
    report_page,
    verdict_counts,
    write_report,
)
from bench.reporting.page_table import TableCell
from bench.tables.build import Findings, Table, TableDesign, build_table
from bench.tables.definitions import definition_of
from bench.tables.grid import Grid
from bench.tables.headlines import Headline
from bench.tables.render import further_grids
from bench.tables.verdicts import Verdict
from tests.helpers.sheets import LPIPS
from tests.reporting.explored import FILES, LABELS, explored_page
from tests.reporting.test_gallery import Noise, filled

pytestmark = pytest.mark.blackbox

EVIL = '<script>alert("x")</script>'
DIFFERENCE = Difference(-0.25, 0.05, (-0.35, -0.15), 1e-7, sources=6, effective_sources=5.5, freedom=5.0)
SHA = "ab" * 32

SPREAD = Spread(0.0123, 6, 5.5, 5.0, 0.0)


def table(rows: int = 2, label: str = EVIL) -> Table:
    lines = {"row0": Row("StableDiffusion", {}, published={2: "StableDiffusion"})}
    lines |= {f"row{number}": Row(f"{label} {number}", {}) for number in range(1, rows)}
    own = {
        "fid": Measurement(None, reason="8 items, too few"),
        "lpips": Measurement(
            0.25, 0.0123, 8, 6, None, Measurement(2.0), DIFFERENCE, 2e-7, spread=Spread(0.0123, 6, 5.5, 5.0, 0.0)
        ),
        "pre_error": Measurement(0.02, 1e-3, 8, 6, ratio=Measurement(5 / 3)),
        "pre_sse01": Measurement(321.5, 10.0, 8, 6),
    }
    return build_table(
        TableDesign(
            TableSpec(2, EVIL, ["fid", "lpips", "pre_error"], reference="row0", readings=["pre_sse01"]),
            lines,
            profile="mini",
            features="small",
        ),
        {name: own if name != "row0" else {"lpips": Measurement(0.5, 0.01, 8, 6)} for name in lines},
        training={},
        notes=[f"a note {EVIL}"],
        findings=Findings(
            [Verdict("T2.a", f"claims {EVIL}", "order", "mini", "holds", f"evidence {EVIL}; more of it")]
        ),
    )


def facts(**changed: object) -> dict[str, object]:
    return {
        "experiment": "table2_inpaint_imagenet",
        "overrides": ["experiment=table2_inpaint_imagenet", "row=[a,b]", EVIL],
        "device": "cpu",
        "threads": 2,
        "seed": 3,
        "custom": ["limit=8"],
        "weights": {"a/weights.safetensors": SHA},
        "manifest": "cd" * 32,
        "dropped": [f"dropped{number}" for number in range(50_000)],
        "broken": {EVIL: "cannot be read"},
        "seconds": {"sample": 30.0, "score": 10.0},
        "latents": {"sampled": 5, "stored": 7},
        "source": {"commit": "0123456789", "dirty": True},
        "hardware": {"machine": "x86_64"},
        "versions": {"python": "3.11", "torch": None},
        "lineage": {"row1": {"data": EVIL}},
        **changed,
    }


def page(rows: int = 2, *, side: int = 16, known: bool = True) -> Page:
    whole = table(rows)
    images = Noise(side, rows, known=known)
    gallery = filled(images, images.rows, 5)
    labels = {row.key: row.label for row in whole.rows}
    costs = {row.key: {"seconds_per_image": 0.25, "parameters": 2e6, "tera_flop": 0.5} for row in whole.rows}
    return Page(
        f"Table 2. {EVIL}",
        "profile mini",
        first_line("mini"),
        facts(),
        table=whole,
        grids=further_grids(whole),
        claims=whole.claims,
        notes=whole.notes,
        protocols={"lpips": Protocol.of({"network": EVIL}), "fid": Protocol.of({"network": EVIL})},
        gallery=replace(gallery, labels=labels),
        costs=costs_of(whole, costs, sampling=0.75, steps=25),
    )


class Reader(HTMLParser):
    """Collect the addresses that a browser would load and the text that a reader would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.scripts = 0
        self.words: list[str] = []
        self.stack: list[str] = []
        self.ids: list[str] = []
        self.without_alt = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.stack.append(tag)
        self.scripts += tag == "script"
        self.without_alt += tag == "img" and not given.get("alt")
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.loaded += [
            str(given[name]) for name in ("src", "href", "srcset", "action", "data", "poster") if name in given
        ]
        assert not [name for name in given if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self.stack[-1:] != ["script"] and self.stack[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_a_number_decided_by_few_sources_is_marked_as_too_short_an_interval() -> None:
    whole = page()
    assert whole.table is not None
    words = "few sources decide this number, so its interval is too short"
    assert words not in report_page(whole)
    row = whole.table.rows[1]
    few = replace(row.measured["lpips"], spread=Spread(0.0123, 6, 4.9, 4.0, 0.3))
    rows = (whole.table.rows[0], replace(row, measured={**row.measured, "lpips": few}))
    assert words in report_page(replace(whole, table=replace(whole.table, rows=rows)))


def test_the_page_contains_every_part_of_the_run() -> None:
    text = Reader(report_page(page())).text
    for words in (
        "Profile mini : small models and data made by this project: compare these numbers only with each other",
        "0.2500 ± 0.0123",
        "95 %: 0.2184 to 0.2816",
        "8 items of 6 sources, 5.5 effective sources",
        "minus StableDiffusion: \N{MINUS SIGN}0.2500 [\N{MINUS SIGN}0.3500, \N{MINUS SIGN}0.1500] (unadjusted), "
        "p < 0.001 (Holm)",
        "÷ 1.67",
        "8 items, too few",
        "0.255",  # the paper's LPIPS
        "T2.a holds scope: mini",
        "The best, the median and the worst of 5",
        "2,000,000",
        "25.0%",
        "Sampling an image took 750 ms in 25 steps",
        "30.0 s 75 %",
        "5 latents were sampled, 7 found in the store",
        "0123456789 , with changes that are not committed",
        SHA,
        "cd" * 32,
        "50000 because all their masks were rejected (dropped0, dropped1,",
        "1 broken",
        "lpips, fid",
        "limit=8",
    ):
        assert words in text
    assert "dropped20" not in text  # the manifest lists them all
    assert command(["experiment=x", "row=[a,b]"]) == "python -m bench experiment=x 'row=[a,b]'"
    assert "python -m bench experiment=table2_inpaint_imagenet 'row=[a,b]'" in text


def test_the_code_and_the_size_of_own_rows_are_shown() -> None:
    code = {"name": "own.Decoder", "file": "own.py", "sha256": SHA, "package": None}
    sizes = {"parameters": 1234567, "tera_flop": None, "unknown": {"tera_flop": "PyTorch counted nothing"}}
    own = {"row1": {"code": [code], "imports": {"helper.py": "cd" * 32}, **sizes}}
    words = Reader(report_page(replace(page(), facts=facts(own_rows=own)))).words
    for shown in ("own.Decoder: own.py", SHA, "helper.py, which is imported", "1,234,567"):
        assert shown in words
    assert "unknown: PyTorch counted nothing" in words


def test_shown_text_is_escaped() -> None:
    found = page()
    html = report_page(found)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in html
    assert "a &lt;b&gt;cat&lt;/b&gt;" in report_page(page(known=False))  # a caption
    assert Reader(html).scripts == 1


def test_nothing_is_loaded_from_anywhere() -> None:
    html = report_page(replace(page(), files=FILES))
    reader = Reader(html)
    assert {name for name in reader.loaded if not name.startswith(("data:", "#"))} == {*FILES}
    assert {name[1:] for name in reader.loaded if name.startswith("#")} <= set(reader.ids)
    assert not re.search(r"https?:|url\(|@import", html)
    script = re.search(r"<script>(.*)</script>", html, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in html


def test_pictures_and_sections_have_names() -> None:
    reader = Reader(report_page(page()))
    assert reader.without_alt == 0
    assert len(reader.ids) == len(set(reader.ids))


def test_text_to_image_shows_captions_and_no_errors() -> None:
    html = report_page(page(known=False))
    text = Reader(html[: html.index('<section id="meanings"')]).text
    assert "the caption's own picture" in text
    assert "a <b>cat</b>" in text
    assert "error outside the mask" not in text
    assert not re.search(r"\bhole\b", text)


def test_parts_that_a_run_does_not_have_are_left_out() -> None:
    bare = facts(manifest=None, seconds={"all": 1.0}, weights={}, source={"commit": None, "dirty": None})
    for name in ("dropped", "broken", "lineage", "latents"):
        del bare[name]
    text = Reader(report_page(Page("Table 7", "at the paper's sizes", "no images", bare))).text
    assert "none: nothing is measured on items" in text
    assert "unknown, because the code was not run from a git checkout" in text
    assert "Gallery" not in text
    assert "Quality" not in text


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "side"), [(12, 512), (400, 64)])
def test_the_page_stays_below_its_limit(rows: int, side: int) -> None:
    html = report_page(page(rows, side=side))
    assert len(html.encode()) <= LIMIT
    assert html.count("<article") >= 1


def test_items_are_left_out_of_a_page_that_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = page(3)
    size = len(report_page(whole).encode())
    monkeypatch.setattr("bench.reporting.page.LIMIT", size - 1)
    html = report_page(whole)
    assert whole.gallery is not None
    assert 0 < html.count("<article") < len(whole.gallery.items)
    assert f"of the {whole.gallery.wanted} chosen items fit into this page" in html


# --- the table that a reader explores ---


def inside(html: str, element: str) -> list[str]:
    """Return the HTML of each element of one kind, without nested elements of this kind."""
    return re.findall(rf"<{element}\b.*?</{element}>", html, re.DOTALL)


def test_only_the_best_value_of_a_column_is_bold_in_tables() -> None:
    tables = "".join(inside(report_page(explored_page()), "table"))
    assert re.findall(r"<(?:b|strong)\b[^>]*>(.*?)</", tables) == ["0.1250"]
    grid = Grid(["Method", "LPIPS"], [["a", "0.2 ± 0.1"], ["b", "0.1 ± 0.1 *"]], best=frozenset({(1, 1)}))
    tables = "".join(inside(report_page(replace(explored_page(), table=None, grids=[grid])), "table"))
    assert "<b>0.1</b> ± 0.1 *" in tables
    assert tables.count("<b>") == 1


def test_the_reference_row_is_marked_by_a_word() -> None:
    heads = [cell for cell in inside(report_page(explored_page()), "th") if 'scope="row"' in cell]
    assert [LABELS["first"] in cell for cell in heads if "reference</span>" in cell] == [True]


def overview(found: Page) -> str:
    """Return the text of the facts below the title."""
    html = report_page(found)
    return Reader(html[html.index('class="overview"') : html.index("<nav")]).text


def test_the_time_the_machine_and_the_number_of_items_stand_below_the_title() -> None:
    text = overview(explored_page())
    for words in (
        "began 2026-11-30 17:05 UTC",
        "took 1 min 15 s",
        "machine cpu, A processor, x86_64, Linux",
        "profile mini",
        "items 1,234",
    ):
        assert words in text


def test_a_run_that_computes_nothing_names_only_the_machine() -> None:
    assert "machine A processor, x86_64, Linux" in overview(explored_page(device="meta"))


def test_a_run_of_an_older_version_shows_the_facts_that_it_has() -> None:
    text = overview(explored_page(started=None, items=None, profile=None, seconds={}))
    assert "machine cpu" in text
    assert not re.search("began|took|items|profile", text)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (360_000, "100 h 0 min"),
    ],
)
def test_a_duration_is_shown_in_two_units(seconds: float, shown: str) -> None:
    assert duration_shown(seconds) == shown


def test_the_page_offers_only_files_that_the_run_has(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for name in ("table.csv", "records.parquet", "figures/b.png", "figures/b.pdf", "figures/a.png", "figures/x.json"):
        (tmp_path / name).touch()
    write_report(tmp_path, explored_page())
    loaded = Reader((tmp_path / "report.html").read_text(encoding="utf-8")).loaded
    assert [name for name in loaded if not name.startswith(("data:", "#"))] == [
        "table.csv", "records.parquet", "run.json", "figures/a.png", "figures/b.png", "figures/b.pdf",
    ]  # fmt: skip


def test_the_link_to_a_file_works_for_each_name(tmp_path: Path) -> None:
    name = b"a#b?c%41 d::e\"'\xff.png"
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / os.fsdecode(name)).touch()
    write_report(tmp_path, explored_page())
    loaded = Reader((tmp_path / "report.html").read_text(encoding="utf-8")).loaded
    assert unquote_to_bytes(next(one for one in loaded if one.startswith("figures/"))) == b"figures/" + name


def test_a_single_row_has_items_that_are_drawn_by_seed() -> None:
    images = Noise(16, 1)
    values = {"row0": {"lpips": np.arange(5.0)}}
    rows = ComparedRows(values, [LPIPS], {"row0": "The only row"}, "row0")
    assert choose(rows) == []
    gallery = fill(drawn(5, 0), images, rows, of=5)
    text = report_page(replace(page(), gallery=gallery))
    assert text.count("<article") == 5
    assert "No row can be compared with The only row item by item, so the items are drawn" in text
    assert "The best, the median and the worst" not in text
    assert "data-filters hidden" not in text  # the choice of a row and a metric would hide all drawn items


@pytest.mark.parametrize(
    ("order", "shown"),
    [(math.inf, "Infinity"), (-math.inf, "-Infinity"), (math.nan, ""), (None, ""), (-0.5, "-0.5"), (1e-9, "1e-09")],
)
def test_each_number_has_a_place_in_the_order_unless_it_is_missing(order: float | None, shown: str) -> None:
    assert TableCell(order=order).order_shown == shown


def test_each_metric_mark_and_verdict_has_a_meaning_on_the_page() -> None:
    html = report_page(explored_page())
    reader, table = Reader(html), inside(html, "table")[0]
    for metric in ("fid", "lpips", "pre_error"):
        assert f'href="#meaning-{metric}"' in table
        assert definition_of(metric).definition.split("`")[0] in reader.text  # type: ignore[union-attr]
    linked = set(re.findall(r'<a class="[^"]*" href="#([^"]*)" data-meaning[^>]*>([^<]*)</a>', html))
    words = {text for _, text in linked}
    assert words >= {"±", "bold", "*", "÷", "§", "†", "‡", "95 %", "p", "1 holds", "holds", "not judged on mini", "?"}
    assert {name for name, _ in linked} <= set(reader.ids)


def test_a_metric_without_a_definition_has_no_sign_for_its_meaning() -> None:
    words = ["LPIPS", "turn 1", "FID, hole only", "Mine", "FID, 40–50 % masked (mini features)", "Mine, 40–50 % masked"]
    grid = Grid(words, [["a", "1", "2", "3", "4", "5"]])
    heads = inside(report_page(replace(explored_page(), table=None, grids=[grid])), "th")[: len(words)]
    found = [re.findall('href="#([^"]*)"', head) for head in heads]
    assert found == [["meaning-lpips"], [], ["meaning-fid_hole_only"], [], ["meaning-fid_40_50"], []]


def test_a_page_without_a_main_table_explains_the_signs_of_its_tables() -> None:
    grid = Grid(["LPIPS", "turn 1", "turn 2"], [["a* p = 1 †", "0.2 ± 0.1 §", "-0.1 [-0.2, 0.1]"], ["b", "–", "2"]])
    html = report_page(replace(explored_page(), table=None, grids=[grid]))
    key = html[html.index('class="lead key"') : html.index('class="scroll"')]
    assert re.findall("data-meaning>([^<]*)<", key) == ["±", "§", "–", "[ ]"]


def test_the_key_names_only_signs_that_the_table_has() -> None:
    html = report_page(explored_page())
    key = Reader(html[html.index('class="lead key"') : html.index("data-controls")]).text
    assert "÷ 2 means that the error of StableDiffusion is twice this row's" in key
    assert "‡ marks a row that the paper copied from elsewhere" in key
    assert "of its column (in FID (mini features) and Pre_error [1e-5], no row is);" in key
    whole = page()
    html = report_page(replace(whole, table=replace(whole.table, reference="")))  # type: ignore[type-var]
    key = Reader(html[html.index('class="lead key"') : html.index("data-controls")]).text
    assert "sum of squares over known values, no row is);" in key
    assert not re.search("[÷‡*]", key)


def test_a_difference_of_two_rows_shows_only_what_its_data_show() -> None:
    html = report_page(explored_page())
    lines = [Reader(line).text for line in inside(html[html.index('class="grid pairs"') :], "tr")[1:]]
    moved = "-0.2500 [-0.1500, -0.1000]".replace("-", "\N{MINUS SIGN}")
    better = f"{LABELS['base']} minus StableDiffusion {moved} p = 0.001 {LABELS['base']} is better"
    assert [line.removeprefix("LPIPS (mini features) ") for line in lines if line.startswith("LPIPS")][:1] == [better]
    assert [line.rpartition("] ")[2] for line in lines if line.startswith("LPIPS")][1:] == [
        "p = 0.200 undecided after the adjustment",
        "§ p = 0.001 undecided: few sources decide it",
        f"p = 0.012 {LABELS['large, 2']} is better",
        "– undecided: the rows may be equal",
        "– the interval excludes 0, but this pair has no adjusted p-value",
    ]
    assert lines[0] == f"FID (mini features) {LABELS['large, 2']} minus {LABELS['base']} – – 8 items, too few"


def test_an_exact_ratio_is_the_largest_and_a_missing_number_has_no_place_in_the_order() -> None:
    rows = inside(inside(report_page(explored_page()), "tbody")[0], "tr")
    orders = [re.findall(r'data-order="([^"]*)"', row) for row in rows]
    assert orders[1][1] == "0.25"
    assert orders[3] == ["", "0.375", "0.0", "Infinity"]
    assert orders[4] == [""] * 4
    assert "the error of StableDiffusion is 72 times this row&#39;s" in rows[1]
    assert "this row&#39;s error is exactly 0" in rows[3]


def test_the_worst_item_of_a_row_is_named_beside_its_number() -> None:
    found = explored_page()
    assert found.gallery is not None
    worst = {pick.row: item.id for item in found.gallery.items for pick in item.picks if pick.rank == "worst"}
    rows = inside(inside(report_page(found), "tbody")[0], "tr")
    assert len(worst) == 3
    for row, item in worst.items():
        said = rf"worst item by the difference to StableDiffusion: {item} \([+\N{{MINUS SIGN}}]\d"
        assert re.search(said, rows[[*LABELS].index(row)])


# --- costs -----------------------------------------------------------------------------------------------------------


def test_quality_against_cost_has_one_scale_for_each_measure_and_lists_its_values() -> None:
    found = page(6).costs
    assert found is not None
    for line in found.plots.lines:
        assert [plot.x.title for plot in line] == [
            "parameters [millions]", "TFLOP an image", "decoding [ms an image]",
        ]  # fmt: skip
        assert len({plot.title for plot in line}) == len({plot.y for plot in line}) == 1
    columns = zip(*found.plots.lines, strict=True)
    assert [len({plot.x for plot in column}) for column in columns] == [1, 1, 1]
    assert found.metrics == tuple(line[0].title for line in found.plots.lines)
    assert all(len(line.cells) == 4 + len(found.metrics) for line in found.lines)
    assert [line.number for line in found.lines] == [str(number) for number in range(1, 7)]


def test_unmeasured_costs_are_shown_as_dashes() -> None:
    assert costs_of(table(), {}, sampling=None, steps=None) is None
    found = costs_of(table(), {"row1": {"seconds_per_image": 0.5}}, sampling=None, steps=None)
    assert found is not None
    assert found.lines[0].cells == ("–", "–", "500", "–")
    assert found.plots.lines == ()
    assert "is unknown" in found.sampling


# --- index -----------------------------------------------------------------------------------------------------------


def test_the_index_links_to_reports_and_shows_how_each_ended() -> None:
    numbers = (Headline("Pre_error", "Mine", "÷ 84 [74, 96]", "better", "Theirs"), f"a sentence {EVIL}")
    counts = verdict_counts(["holds"] * 2)
    entries = [
        Entry("one", "done", False, link="one/report.html", headline=numbers, counts=counts, seconds=1.5),
        Entry("two", EVIL, True, about="The second"),
    ]
    html = index_page(Index("All", "2 experiments", entries, profile="profile mini", first_line=first_line("mini")))
    reader = Reader(html)
    assert [name for name in reader.loaded if not name.startswith("data:")] == ["one/report.html"]
    for words in ("2 holds", "1.5 s", EVIL, "The second", "two", "compare these numbers only with each other"):
        assert words in reader.text
    for words in ("Pre_error ÷ 84 [74, 96]", "better", "Mine compared with Theirs", f"a sentence {EVIL}"):
        assert words in reader.text
    assert "Each line compares the best row of a column with the table's reference row." in reader.text
    assert "<script>alert" not in html


def test_the_index_shows_the_failed_numbers_of_the_gate_and_folds_the_others() -> None:
    grid = Grid(["verdict", "row"], [["regression", f"worse {EVIL}"]], left=2)
    passed = Grid(["verdict", "row"], [["pass", "alike"]], left=2)
    found = Judged(
        "regression", "bad", "regression: 1 worse", "new is compared with old", [("table2", grid)], ["half the items"],
        [("table3", passed)], ["a note"], ["gate.md"],
    )  # fmt: skip
    html = index_page(Index("All", "1 experiment", [Entry("one", "done", False)], judged=found))
    reader = Reader(html)
    for words in ("Gate:", "regression: 1 worse", "new is compared with old", "table2", "half the items", "gate.md"):
        assert words in reader.text
    assert "<script>alert" not in html
    before, folded, after = html.partition("<details>")
    assert "worse &lt;script" in before
    assert "table3" in after
    assert "gate-title" not in index_page(Index("All", "1 experiment", [Entry("one", "done", False)]))
    assert folded
