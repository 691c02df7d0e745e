"""Functions that write Table 7 or 8 as Markdown, CSV, LaTeX and HTML, and print it on the terminal."""

from __future__ import annotations

from dataclasses import replace

import pandas
from rich.console import Console

from bench.runtime.text import csv_text
from bench.tables.architecture import ArchitectureTable
from bench.tables.grid import Grid, html_page, markdown, print_grid, print_notes
from bench.tables.latex import latex

__all__ = ["frame", "layer_grids", "print_table", "renderings", "to_csv", "to_html", "to_latex", "to_markdown"]

PARTS = {"branch": "Condition", "main": "Main"}
"""Name that the paper gives to each part of a decoder."""


def frame(table: ArchitectureTable) -> pandas.DataFrame:
    """Return the table as a data frame with one line for each row.

    Each row compares a layer of the live decoder, which this project's code builds, with a layer in the paper's list.
    If one of the two does not have the layer, its values in this row are None.
    """
    lines = []
    for row in table.rows:
        line: dict[str, object] = {"part": row.part, "level": str(row.level)}
        for prefix, side in (("", row.live), ("paper_", row.paper)):
            line |= {f"{prefix}layer": side and side.layer, f"{prefix}output": side and side.size}
        lines.append({**line, "agrees": row.agrees})
    return pandas.DataFrame(lines)


def to_csv(table: ArchitectureTable) -> str:
    """Return the data frame that `frame` returns, as comma-separated values."""
    return csv_text(frame(table))


def _layers(table: ArchitectureTable) -> Grid:
    heads = ["Branch", "l-th", "Layer", "Output (live)", "Paper: layer", "Paper: output", "agrees"]
    lines = []
    for row in table.rows:
        cells = [PARTS[row.part], str(row.level)]
        for side in (row.live, row.paper):
            cells += ["–", "–"] if side is None else [side.layer, side.size]
        lines.append([*cells, "✓" if row.agrees else "✗"])
    return Grid(heads, lines, len(heads))


def _costs(table: ArchitectureTable) -> Grid:
    heads = ["Decoder", "blending", "branch", "parameters", "TFLOP", "peak activations [MiB]"]
    lines = [
        [
            decoder["name"],
            decoder["blending"] or "–",
            decoder["branch"] or "–",
            f"{decoder['parameters']:,}",
            f"{decoder['tera_flop']:.3f}",
            f"{decoder['peak_activation_bytes'] / 2**20:,.0f}",
        ]
        for decoder in table.decoders
    ]
    return Grid(heads, lines, 3, title="costs")


def _claims(table: ArchitectureTable) -> Grid:
    heads = ["Claim", "verdict", "evidence"]
    return Grid(heads, [[claim["text"], claim["verdict"], claim["evidence"]] for claim in table.claims], len(heads))


def _caption(table: ArchitectureTable) -> str:
    return f"Table {table.number}, {table.label}: {table.title}"


def layer_grids(table: ArchitectureTable) -> list[Grid]:
    """Return two grids: the layers compared with the paper's layers, and the costs of the decoders."""
    return [_layers(table), _costs(table)]


def _grids(table: ArchitectureTable) -> list[Grid]:
    return [*layer_grids(table), _claims(table)]


def renderings(table: ArchitectureTable) -> dict[str, str]:
    """Return the content of the table's file in each format. The keys are the suffixes: md, csv, tex and html."""
    return {"md": to_markdown(table), "csv": to_csv(table), "tex": to_latex(table), "html": to_html(table)}


def to_markdown(table: ArchitectureTable) -> str:
    """Return the layers, costs, claims and notes as one section in GitHub's Markdown."""
    return markdown(_caption(table), _grids(table), table.notes)


def to_html(table: ArchitectureTable) -> str:
    """Return the layers, costs, claims and notes as one HTML page without scripts."""
    return html_page(_caption(table), _grids(table), table.notes)


def to_latex(table: ArchitectureTable) -> str:
    """Return the layers, costs and notes as a complete LaTeX file.

    The claims are left out, because their evidence consists of long sentences.
    """
    title = f"The paper's Table {table.number}, {table.label}: {table.title}"
    return latex(title, layer_grids(table), table.notes)


def print_table(table: ArchitectureTable, console: Console, *, verbose: bool = True) -> None:
    """Print the costs of the decoders and the verdicts on the claims.

    Args:
        table: typed table.
        console: console on which the table is printed.
        verbose: True to print also the layers, the evidence of the claims, and the notes.
    """
    layers, costs, claims = _grids(table)
    if verbose:
        print_grid(layers, _caption(table), console)
    print_grid(costs, "" if verbose else _caption(table), console)
    print_grid(claims if verbose else replace(claims, heads=claims.heads[:2]), "", console)
    if verbose:
        print_notes(table.notes, console)
