"""Tables as text: Markdown, HTML and the terminal; `bench.tables.latex` has LaTeX."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "DIFFERS",
    "STYLE",
    "Grid",
    "html_page",
    "html_table",
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
DIFFERS = "*"
"""Ends a cell that differs from the reference row's."""


@dataclass(frozen=True)
class Grid:
    """A heading for each column and a line for each row."""

    heads: list[str]
    lines: list[list[str]]
    left: int = 1
    """Columns set to the left; the others are numbers, set to the right."""
    title: str = ""
    """What it shows, where that is not what its page is of."""
    best: frozenset[tuple[int, int]] = frozenset()
    """Line and column of cells whose value is set in bold."""

    def parts(self, line: int, column: int) -> tuple[str, str]:
        """A cell as what is set in bold, and the rest; the former is empty where nothing is."""
        cell = self.lines[line][column]
        if (line, column) not in self.best:
            return "", cell
        value, space, rest = cell.partition(" ")
        return value, space + rest


def markdown(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """One section of GitHub's Markdown."""
    parts = [f"## {title}"]
    for grid in grids:
        rule = ["---"] * grid.left + ["---:"] * (len(grid.heads) - grid.left)
        shown = [[_markdown(*grid.parts(line, column)) for column in range(len(grid.heads))] for line in _lines(grid)]
        heads = [_markdown("", head) for head in grid.heads]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *shown)))
    parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _lines(grid: Grid) -> range:
    return range(len(grid.lines))


def _markdown(bold: str, text: str) -> str:
    """A cell on one line, in which no bar or tag is taken for one."""
    shown = re.sub(r"<(?=[\w/!?])", "&lt;", " ".join(text.split())).replace("|", "\\|")
    return f"**{bold}** {shown}".strip() if bold else shown


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
    heads = _html_line([("", head) for head in grid.heads], "th", grid.left)
    lines = [[grid.parts(line, column) for column in range(len(grid.heads))] for line in _lines(grid)]
    return "\n".join(["<table>", heads, *(_html_line(line, "td", grid.left) for line in lines), "</table>"])


def _html_line(cells: Sequence[tuple[str, str]], tag: str, left: int) -> str:
    opening = [f"<{tag}>"] * left + [f'<{tag} class="r">'] * (len(cells) - left)
    shown = [f"{start}{_html(*cell)}</{tag}>" for start, cell in zip(opening, cells, strict=True)]
    return f"<tr>{''.join(shown)}</tr>"


def _html(bold: str, text: str) -> str:
    return (f"<strong>{html.escape(bold)}</strong>" if bold else "") + html.escape(text)


def terminal() -> Console:
    """The terminal, never narrower than printed tables are."""
    return Console(width=max(LEAST_WIDTH, Console().width))


def print_grid(grid: Grid, title: str, console: Console) -> None:
    """On the terminal; long cells are folded."""
    shown = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for index, head in enumerate(grid.heads):
        shown.add_column(Text(head), justify="left" if index < grid.left else "right", overflow="fold")
    for line in _lines(grid):
        cells = [grid.parts(line, column) for column in range(len(grid.heads))]
        shown.add_row(*(Text.assemble((bold, "bold"), text) for bold, text in cells))
    console.print(shown)


def print_notes(notes: Sequence[str], console: Console) -> None:
    """One line each, below the tables."""
    for note in notes:
        console.print(Text(f"- {note}"))
