"""Tables as text in the formats that people paste: Markdown, HTML, LaTeX and the terminal."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "STYLE",
    "Grid",
    "html_page",
    "html_table",
    "latex_table",
    "markdown",
    "print_grid",
    "print_notes",
    "terminal",
]

LEAST_WIDTH = 108
"""Of printed tables, in characters."""
STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2em;color-scheme:light dark}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .7em;text-align:left;"
    "border-bottom:1px solid #8886}.r{text-align:right}"
)
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "÷": r"$\div$", "–": "--",
        "†": r"$^\dagger$", "×": r"$\times$", "<": r"$<$", ">": r"$>$", "✓": r"$\checkmark$", "✗": r"\textbf{no}",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """A heading for each column and a line for each row."""

    heads: list[str]
    lines: list[list[str]]
    left: int = 1
    """Columns set to the left; the others are numbers, set to the right."""


def markdown(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """One section of GitHub's Markdown."""
    parts = [f"## {title}"]
    for grid in grids:
        rule = ["---"] * grid.left + ["---:"] * (len(grid.heads) - grid.left)
        parts.append("\n".join(_markdown_line(line) for line in (grid.heads, rule, *grid.lines)))
    parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def html_page(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """One page without scripts."""
    parts = [f"<h1>{html.escape(title)}</h1>", *(html_table(grid) for grid in grids)]
    parts.append("<ul>" + "".join(f"<li>{html.escape(note)}</li>\n" for note in notes) + "</ul>")
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def html_table(grid: Grid) -> str:
    """One `<table>`."""
    lines = [_html_line(grid.heads, "th", grid.left), *(_html_line(line, "td", grid.left) for line in grid.lines)]
    return "\n".join(["<table>", *lines, "</table>"])


def _html_line(cells: Sequence[str], tag: str, left: int) -> str:
    opening = [f"<{tag}>"] * left + [f'<{tag} class="r">'] * (len(cells) - left)
    shown = [f"{start}{html.escape(cell)}</{tag}>" for start, cell in zip(opening, cells, strict=True)]
    return f"<tr>{''.join(shown)}</tr>"


def latex_table(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """One `table*`, the notes as comments; the preamble needs `booktabs`, `graphicx` and `amssymb`."""
    lines = [r"\begin{table*}", r"\centering", rf"\caption{{{title.translate(_LATEX)}}}"]
    for grid in grids:
        columns = "l" * grid.left + "r" * (len(grid.heads) - grid.left)
        lines += [r"\resizebox{\textwidth}{!}{%", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
        lines += [_latex_line(grid.heads), r"\midrule", *(_latex_line(line) for line in grid.lines)]
        lines += [r"\bottomrule", r"\end{tabular}}", r"\par\medskip"]
    lines[-1] = r"\end{table*}"
    return "\n".join([*(f"% {note}" for note in notes), *lines]) + "\n"


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"


def terminal() -> Console:
    """The terminal, never narrower than printed tables are."""
    return Console(width=max(LEAST_WIDTH, Console().width))


def print_grid(grid: Grid, title: str, console: Console) -> None:
    """On the terminal; long cells are folded."""
    shown = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for index, head in enumerate(grid.heads):
        shown.add_column(Text(head), justify="left" if index < grid.left else "right", overflow="fold")
    for line in grid.lines:
        shown.add_row(*(Text(cell) for cell in line))
    console.print(shown)


def print_notes(notes: Sequence[str], console: Console) -> None:
    """One line each, below the tables."""
    for note in notes:
        console.print(Text(f"- {note}"))
