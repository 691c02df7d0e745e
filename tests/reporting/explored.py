"""A page with a table of five rows, whose numbers, marks, order and best rows are known."""

from dataclasses import replace

from bench.config.schema import Row, TableSpec
from bench.metrics.spread import Spread
from bench.metrics.summary import EXACT, Measurement
from bench.metrics.uncertainty import Difference
from bench.reporting.page import Page, first_line
from bench.runtime.not_available import NotAvailable
from bench.tables.build import Findings, Table, TableDesign, build_table
from bench.tables.comparisons import PairDifference
from bench.tables.render import further_grids
from bench.tables.verdicts import Verdict
from tests.reporting.test_gallery import Noise, filled

__all__ = ["FILES", "LABELS", "explored_page", "explored_table"]

LABELS = {
    "first": "StableDiffusion",
    "base": "Ours (base) w/ mask",
    "large, 2": "Ours (large) w/ mask",
    "pasted": "Mine",
    "cited": "Ours (base) w/o mask",
}
"""Labels of the rows by their keys. A key may contain any sign, such as a comma."""
VALUES: dict[str, tuple[float | None, float | None, float | None]] = {
    "first": (80.5, 0.5, 0.00288),
    "base": (41.25, 0.25, 4e-5),
    "large, 2": (9.75, 0.125, 3.5e-5),
    "pasted": (None, 0.375, 0.0),
    "cited": (None, None, None),
}
"""FID, LPIPS and Pre_error of each row; None where nothing was measured. The row `cited` has only printed numbers."""
FILES = (
    "table.csv", "table.tex", "table_main.tex", "table.md", "records.parquet", "influences.parquet", "results.json",
    "run.json", "manifest.json", "figures/rows.pdf", "figures/rows.png",
)  # fmt: skip


def _measured(row: str, metric: str, value: float | None) -> Measurement:
    if value is None:
        return Measurement(None, reason="8 items, too few")
    few = (row, metric) == ("base", "pre_error")
    spread = Spread(abs(value) / 20, 6, 4.5 if few else 5.5, 5.0, 0.0)
    found = Measurement(value, abs(value) / 20, 8, 6, spread=spread)
    if row == "first":
        return found
    reference = VALUES["first"][("fid", "lpips", "pre_error").index(metric)]
    assert reference is not None
    moved = value - reference
    apart = Difference(moved, 0.01, (moved - 0.02, moved + 0.02), 1e-7, 6, 5.5, 5.0)
    ratio = Measurement(reference / value, spread=spread) if value else EXACT
    return replace(found, difference=apart, p_holm=1e-6 if row != "pasted" else 0.2, ratio=ratio)


def _pairs() -> list[PairDifference]:
    """Return one pair for each kind of finding, in LPIPS."""
    clear = Difference(-0.125, 0.01, (-0.15, -0.1), 1e-7, 6, 5.5, 5.0)
    unclear = Difference(0.125, 0.1, (-0.1, 0.35), 0.3, 6, 5.5, 5.0)
    return [
        PairDifference("base", "first", "lpips", replace(clear, value=-0.25), 0.001),
        PairDifference("large, 2", "first", "lpips", clear, 0.2),
        PairDifference("pasted", "first", "lpips", replace(clear, effective_sources=3.0), 0.001),
        PairDifference("large, 2", "base", "lpips", clear, 0.012),
        PairDifference("pasted", "base", "lpips", unclear, None),
        PairDifference("pasted", "large, 2", "lpips", clear, None),
        PairDifference("large, 2", "base", "fid", NotAvailable("8 items, too few"), None),
    ]


def explored_table() -> Table:
    """Return the table. The row `large, 2` is the best one by LPIPS."""
    rows = {key: Row(label, {} if key != "cited" else None) for key, label in LABELS.items()}
    rows["first"].published[2] = "StableDiffusion"
    rows["cited"] = Row(LABELS["cited"], None, published={2: LABELS["cited"]}, cited=True)
    names = ("fid", "lpips", "pre_error")
    return build_table(
        TableDesign(
            TableSpec(2, "Inpainting", [*names], reference="first"), rows, profile="mini", features="mini"
        ),
        {
            key: {name: _measured(key, name, value) for name, value in zip(names, values, strict=True)}
            for key, values in VALUES.items()
            if key != "cited"
        },
        training={},
        findings=Findings(
            [
                Verdict("T2.a", "LPIPS falls", "order", "mini", "holds", "it does"),
                Verdict("T2.b", "FID falls by 2", "size", "mini", "not judged on mini", "sizes are the paper's"),
            ],
            best={"lpips": "large, 2", "lpips_hole_only": "base"},
            pairs=_pairs(),
        ),
    )  # fmt: skip


def explored_page(**changed: object) -> Page:
    """Return the page, with some of its facts changed."""
    table = explored_table()
    facts: dict[str, object] = {
        "experiment": "table2_inpaint_imagenet",
        "profile": "mini",
        "started": "2026-11-30T18:05:09+01:00",
        "overrides": ["experiment=table2_inpaint_imagenet", "limit=8"],
        "device": "cpu",
        "threads": 2,
        "seed": 0,
        "items": 1234,
        "weights": {},
        "manifest": "cd" * 32,
        "dropped": [],
        "broken": {},
        "seconds": {"sample": 60.0, "score": 15.2},
        "source": {"commit": "0123456789", "dirty": False},
        "hardware": {"machine": "x86_64", "cpu": "A processor", "processors": 2, "system": "Linux"},
        "versions": {"python": "3.11"},
        **changed,
    }
    images = Noise(16, 4)
    images.rows = [key for key in LABELS if key != "cited"]
    return Page(
        "Table 2. Inpainting",
        "profile mini",
        first_line("mini"),
        facts,
        table=table,
        grids=further_grids(table),
        claims=table.claims,
        gallery=replace(filled(images, images.rows, 5), labels={key: LABELS[key] for key in images.rows}),
        files=FILES,
    )
