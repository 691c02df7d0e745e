"""Tests of LaTeX: labels are printed as they are, and every document compiles."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.tables.grid import Grid
from bench.tables.latex import escaped, latex

LIGATURES = {"\x1b": "ff", "\x1c": "fi", "\x1d": "fl", "\x1e": "ffi", "\x1f": "ffl"}
"""Characters that pdftotext reads from T1 fonts without names of glyphs."""
ALLOWED = 1.0
"""Points by which a line may reach beyond the margin."""


def compiled(folder: Path, text: str) -> str:
    """Compile a document in the folder, and return its log."""
    (folder / "document.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "document.tex"],
        cwd=folder,
        capture_output=True,
        timeout=120,
    )
    log = (folder / "document.log").read_text(errors="replace")
    assert done.returncode == 0, "\n".join(log[log.find("\n!") :].splitlines()[:12])
    return log


def overfull(log: str) -> list[float]:
    """Return the points by which lines and floats are too large."""
    found = re.findall(r"Overfull \\[hv]box \((\d+\.\d+)pt|Float too large for page by (\d+\.\d+)pt", log)
    return [float(wide or high) for wide, high in found]


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b 5 % & #1 {x} $", r"a\_b 5 \% \& \#1 \{x\} \$"),
        (r"\end ~^", r"\textbackslash{}end \textasciitilde{}\textasciicircum{}"),
        ("-8.28 [-11.1, -5.4] 1e-5 a-1 2026-01", r"$-$8.28 [$-$11.1, $-$5.4] 1e-5 a-1 2026-01"),
        ("a--b,,c", "a-{}-b,{},c"),
        ("the paper's 'own' 5'", r"the paper's \textquotesingle{}own\textquotesingle{} 5\textquotesingle{}"),
        ("two\n\nlines\tin one", "two lines in one"),
        ("é is e\N{COMBINING ACUTE ACCENT}", "é is é"),
        ("中\0", "(U+4E2D)(U+0000)"),
    ],
)
def test_every_special_character_is_escaped(text: str, expected: str) -> None:
    assert escaped(text) == expected


@pytest.mark.blackbox
def test_a_wide_grid_is_split_by_columns_and_a_long_one_by_lines() -> None:
    heads = ["Method", *(f"metric {index}" for index in range(12))]
    grid = Grid(heads, [["a row", *["1,000.00 ± 10.00"] * 12]] * 130, best=frozenset({(0, 1), (100, 12)}))
    text = latex("title", [grid], [])
    tabulars = text.split(r"\toprule")[1:]
    assert all(sum(part.count(f"metric {index} ") for part in tabulars) == 3 for index in range(12))
    lines = [part.count("a row") for part in tabulars]
    assert max(lines) < 60
    assert sum(lines) == 130 * len(tabulars) / 3
    assert text.count(r"\textbf{1,000.00}") == 2
    assert text.count(", continued}") == len(tabulars) - 1


@pytest.mark.blackbox
@pytest.mark.slow
def test_a_wide_and_long_grid_fits_its_pages(tmp_path: Path) -> None:
    heads = ["Method", *(f"a metric with a long name, {index}" for index in range(12))]
    grid = Grid(heads, [["StableDiffusion, pasted back", *["1,000.00 ± 10.00 *"] * 12]] * 130)
    assert overfull(compiled(tmp_path, latex("title", [grid], ["a note " * 300]))) == []


@pytest.mark.blackbox
@pytest.mark.slow
def test_a_document_prints_every_label_unchanged(tmp_path: Path) -> None:
    plain = [chr(code) for code in range(33, 127)]
    draw = random.Random(0)
    labels = [sign * count for sign in plain for count in (1, 2, 3)]
    labels += ["".join(draw.choices("\\%&_{}~^#$<>|-,'`\"[]*!?abc", k=draw.randint(1, 20))) for _ in range(300)]
    labels += ["[a] b", "*", r"\input{/etc/passwd}", r"\\", "%", "^^41", "``'' ,, -- --- << >> ?` !`"]
    shown = [label for label in labels if label.strip()]
    heads = ["Label", " ".join(f"[{label}]" for label in labels[-20:])]
    compiled(tmp_path, latex("a & b_c", [Grid(heads, [[label, "|"] for label in shown])], ["50 % of a_b"]))
    subprocess.run(["pdftotext", "-layout", "document.pdf"], cwd=tmp_path, check=True)
    printed = (tmp_path / "document.txt").read_text()
    for glyph, letters in LIGATURES.items():
        printed = printed.replace(glyph, letters)
    found = [line.strip().removesuffix("|").strip() for line in printed.splitlines() if line.strip().endswith("|")]
    assert found == shown


@pytest.mark.property
@pytest.mark.slow
def test_any_unicode_character_compiles(tmp_path: Path) -> None:
    blocks = [
        range(0xA0, 0x250),
        range(0x370, 0x400),
        range(0x2000, 0x2070),
        range(0x2190, 0x2300),
        range(0x4E00, 0x4E10),
    ]
    signs = [chr(code) for block in blocks for code in block] + [
        "\N{PILE OF POO}",
        "\0",
        "\x1b",
        "\N{ZERO WIDTH JOINER}",
    ]
    log = compiled(tmp_path, latex("é 中", [Grid(["Sign"], [[sign * 2] for sign in signs], left=1)], signs[:50]))
    assert "Missing character" not in log


@pytest.mark.blackbox
@pytest.mark.slow
def test_all_tables_compile_alone_and_in_one_document(tmp_path: Path) -> None:
    few = ["limit=16", "profile.fid_minimum=4", "device=cpu"]
    places = [f"paths.store={tmp_path / 'store'}", f"paths.data={tmp_path / 'data'}", f"out={tmp_path / 'out'}"]
    words = ["experiment=all_tables", *few, *places]
    subprocess.run([sys.executable, "-m", "bench", *words], check=True, capture_output=True)
    tables = sorted((tmp_path / "out").glob("*/table.tex"))
    assert {path.parent.name.partition("_")[0] for path in tables} == {f"table{number}" for number in range(1, 11)}
    for path in tables:
        assert [points for points in overfull(compiled(tmp_path, path.read_text())) if points > ALLOWED] == [], path
    inputs = "\n".join(rf"\input{{{path}}}\clearpage" for path in tables)
    packages = r"\usepackage[T1]{fontenc}\usepackage{adjustbox,amssymb,booktabs}"
    log = compiled(
        tmp_path, rf"\documentclass[twocolumn]{{article}}{packages}\begin{{document}}{inputs}\end{{document}}"
    )
    assert [points for points in overfull(log) if points > ALLOWED] == []
