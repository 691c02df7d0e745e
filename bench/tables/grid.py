"""Tables as text in Markdown, HTML and on the terminal; `bench.tables.latex` writes LaTeX."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.runtime.text import one_line

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

LEAST_WIDTH, PLAIN_WIDTH = 40, 160
"""Width of printed tables in characters: on the narrowest terminal, and if there is neither a terminal nor COLUMNS."""
LEAST_WORDS = 14
"""Smallest width in characters to which a column of words is folded."""
BETWEEN = 3
"""Number of characters that a column needs in addition to its cells."""
STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2em;color-scheme:light dark}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .7em;text-align:left;"
    "border-bottom:1px solid #8886}.r{text-align:right}"
)
DIFFERS = "*"
"""Mark at the end of a cell that differs from the reference row."""


@dataclass(frozen=True)
class Grid:
    """A table of texts, with a heading for each column and a line for each row."""

    heads: list[str]
    lines: list[list[str]]
    left: int = 1
    """Number of left-aligned columns; the other columns are numbers and right-aligned."""
    title: str = ""
    """Title of the grid, if it differs from that of its page."""
    best: frozenset[tuple[int, int]] = frozenset()
    """Line and column of each cell whose value is bold."""

    def parts(self, line: int, column: int) -> tuple[str, str]:
        """Return the bold part of a cell and the rest; the bold part is empty if nothing is bold."""
        cell = self.lines[line][column]
        if (line, column) not in self.best:
            return "", cell
        value, space, rest = cell.partition(" ")
        return value, space + rest


def markdown(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """Return a title, grids and notes as one section of GitHub's Markdown."""
    parts = [f"## {_markdown('', title)}"]
    for grid in grids:
        rule = ["---"] * grid.left + ["---:"] * (len(grid.heads) - grid.left)
        shown = [[_markdown(*grid.parts(line, column)) for column in range(len(grid.heads))] for line in _lines(grid)]
        heads = [_markdown("", head) for head in grid.heads]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *shown)))
    parts.append("\n".join(f"- {_note(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _note(text: str) -> str:
    """Return a note on one line, in which the start of any HTML tag is escaped."""
    return re.sub(r"<(?=[\w/!?])", "&lt;", one_line(text))


def _lines(grid: Grid) -> range:
    return range(len(grid.lines))


def _markdown(bold: str, text: str) -> str:
    """Return a cell on one line, in which bars and the start of any HTML tag are escaped."""
    shown = re.sub(r"<(?=[\w/!?])", "&lt;", one_line(text)).replace("|", "\\|")
    return f"**{one_line(bold)}** {shown}".strip() if bold else shown


def html_page(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """Return a title, grids and notes as one HTML page without scripts."""
    parts = [f"<h1>{_html('', title)}</h1>", *(html_table(grid) for grid in grids)]
    parts.append("<ul>" + "".join(f"<li>{_html('', note)}</li>\n" for note in notes) + "</ul>")
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{_html("", title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def html_table(grid: Grid) -> str:
    """Return a grid as one `<table>`."""
    heads = _html_line([("", head) for head in grid.heads], "th", grid.left)
    lines = [[grid.parts(line, column) for column in range(len(grid.heads))] for line in _lines(grid)]
    return "\n".join(["<table>", heads, *(_html_line(line, "td", grid.left) for line in lines), "</table>"])


def _html_line(cells: Sequence[tuple[str, str]], tag: str, left: int) -> str:
    opening = [f"<{tag}>"] * left + [f'<{tag} class="r">'] * (len(cells) - left)
    shown = [f"{start}{_html(*cell)}</{tag}>" for start, cell in zip(opening, cells, strict=True)]
    return f"<tr>{''.join(shown)}</tr>"


def _html(bold: str, text: str) -> str:
    space = " " if bold and text.startswith(" ") else ""
    shown = space + html.escape(one_line(text))
    return (f"<strong>{html.escape(one_line(bold))}</strong>" if bold else "") + shown


def terminal() -> Console:
    """Return the console on which tables are printed: as wide as COLUMNS or the terminal, or of a fixed width."""
    console = Console(highlight=False)
    known = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return Console(width=max(LEAST_WIDTH, console.width) if known else PLAIN_WIDTH, highlight=False)


def print_grid(grid: Grid, title: str, console: Console) -> None:
    """Print a grid; only words are folded, and columns that do not fit are left out and named below it."""
    widths = _widths(grid, console.width)
    fitting = len(widths)
    shown = Table(box=box.SIMPLE_HEAD)
    for index, (head, width) in enumerate(zip(grid.heads, widths, strict=False)):
        side: Literal["left", "right"] = "left" if index < grid.left else "right"
        shown.add_column(Text(one_line(head)), justify=side, overflow="fold", width=width)
    for line in _lines(grid):
        cells = [grid.parts(line, column) for column in range(fitting)]
        words = [Text(one_line(bold + text)) for bold, text in cells[: grid.left]]
        numbers = [Text.assemble((one_line(bold), "bold"), _on_lines(text)) for bold, text in cells[grid.left :]]
        shown.add_row(*words, *numbers)
    if title:
        console.print(Text(one_line(title)))
    if grid.heads:
        console.print(shown)
    if fitting < len(grid.heads):
        left_out = ", ".join(one_line(head) for head in grid.heads[fitting:])
        console.print(Text(f"No room for: {left_out}."))


def _on_lines(text: str) -> str:
    """Return a number with its line breaks; each line is converted by `one_line`."""
    head = " " if text.startswith(" ") else ""
    return head + "\n".join(one_line(line) for line in text.split("\n"))


def _widths(grid: Grid, width: int) -> list[int]:
    """Return the width in characters of each column that fits, from the left, and divide the remaining room."""
    widths, used = [], 1
    for column in range(len(grid.heads)):
        least = _least(grid, column)
        used += least + BETWEEN
        if used > width and column > min(grid.left, 1):
            used -= least + BETWEEN
            break
        widths.append(least)
    for column, least in enumerate(widths):
        more = min(max(_full(grid, column) - least, 0), max(width - used, 0))
        widths[column] += more
        used += more
    return widths


def _cells(grid: Grid, column: int) -> int:
    """Return the width of the widest cell in characters."""
    shown = one_line if column < grid.left else _on_lines
    cells = [shown(row[column]) for row in grid.lines]
    return max((cell_len(line) for cell in cells for line in cell.split("\n")), default=0)


def _full(grid: Grid, column: int) -> int:
    """Return the width in characters at which nothing is folded."""
    return max(_cells(grid, column), cell_len(one_line(grid.heads[column])))


def _least(grid: Grid, column: int) -> int:
    """Return the smallest width of a column in characters, at which no number and no word of a heading is folded."""
    widest = _cells(grid, column)
    word = max((cell_len(word) for word in one_line(grid.heads[column]).split()), default=1)
    return max(min(widest, LEAST_WORDS), min(word, LEAST_WORDS)) if column < grid.left else max(widest, word)


def print_notes(notes: Sequence[str], console: Console) -> None:
    """Print the notes, one line each, below the tables."""
    for note in notes:
        console.print(Text(f"- {one_line(note)}"))
