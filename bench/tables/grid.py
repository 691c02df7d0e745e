"""Tables of text, and their output as Markdown, as HTML and on the terminal. `bench.tables.latex` writes LaTeX."""

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
"""Widths of printed tables in characters.

The first is the smallest width, even if the terminal is narrower. The second is used if there is neither a terminal nor
the environment variable COLUMNS.
"""
LEAST_WORDS = 14
"""Smallest width in characters of a left-aligned column whose texts are folded."""
BETWEEN = 3
"""Number of characters that each column needs in addition to its texts."""
STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2em;color-scheme:light dark}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .7em;text-align:left;"
    "border-bottom:1px solid #8886}.r{text-align:right}"
)
DIFFERS = "*"
"""Mark after a value that differs from the reference row's value at the 95 % level."""


@dataclass(frozen=True)
class Grid:
    """A table of texts, with a heading for each column and a line for each row."""

    heads: list[str]
    lines: list[list[str]]
    left: int = 1
    """Number of left-aligned columns at the start. All further columns contain numbers and are right-aligned."""
    title: str = ""
    """Title of the grid; empty if the title of the page suffices."""
    best: frozenset[tuple[int, int]] = frozenset()
    """Index of the line and of the column of each text whose value is bold."""

    def parts(self, line: int, column: int) -> tuple[str, str]:
        """Return the two parts of one text: the bold part before the first space, and the rest.

        If no part of the text is bold, the first part is empty and the second part is the whole text.
        """
        cell = self.lines[line][column]
        if (line, column) not in self.best:
            return "", cell
        value, space, rest = cell.partition(" ")
        return value, space + rest


def markdown(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """Return one section in GitHub's Markdown, with the title, the grids as tables, and the notes as a list."""
    parts = [f"## {_markdown('', title)}"]
    for grid in grids:
        rule = ["---"] * grid.left + ["---:"] * (len(grid.heads) - grid.left)
        shown = [[_markdown(*grid.parts(line, column)) for column in range(len(grid.heads))] for line in _lines(grid)]
        heads = [_markdown("", head) for head in grid.heads]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *shown)))
    parts.append("\n".join(f"- {_note(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _note(text: str) -> str:
    """Return a note on one line. The start of every HTML tag is escaped, so that Markdown shows it as text."""
    return re.sub(r"<(?=[\w/!?])", "&lt;", one_line(text))


def _lines(grid: Grid) -> range:
    return range(len(grid.lines))


def _markdown(bold: str, text: str) -> str:
    """Return the text of one cell of a table as Markdown, on one line.

    Args:
        bold: part of the text that is bold; may be empty. Nothing is escaped in it.
        text: rest of the text. Bars and the start of every HTML tag are escaped in it.
    """
    shown = re.sub(r"<(?=[\w/!?])", "&lt;", one_line(text)).replace("|", "\\|")
    return f"**{one_line(bold)}** {shown}".strip() if bold else shown


def html_page(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """Return one HTML page without scripts, which contains the title, the grids as tables, and the notes as a list."""
    parts = [f"<h1>{_html('', title)}</h1>", *(html_table(grid) for grid in grids)]
    parts.append("<ul>" + "".join(f"<li>{_html('', note)}</li>\n" for note in notes) + "</ul>")
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{_html("", title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def html_table(grid: Grid) -> str:
    """Return a grid as one `<table>` element of HTML."""
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
    """Return the console on which tables are printed.

    The console is as wide as the environment variable COLUMNS says, or else as wide as the terminal, but at least 40
    characters. If there is neither this variable nor a terminal, the console is 160 characters wide.
    """
    console = Console(highlight=False)
    known = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return Console(width=max(LEAST_WIDTH, console.width) if known else PLAIN_WIDTH, highlight=False)


def print_grid(grid: Grid, title: str, console: Console) -> None:
    """Print a grid. Columns that do not fit on the console are left out, and a line below the grid names them.

    The first two columns are never left out. Texts in left-aligned columns are folded if necessary; numbers are never
    folded.

    Args:
        grid: grid.
        title: line above the grid; empty for none.
        console: console on which the grid is printed.
    """
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
        console.print(Text(f"These columns do not fit into the width of the terminal: {left_out}."))


def _on_lines(text: str) -> str:
    """Return the text of a cell with numbers after `one_line` was applied to each of its lines.

    The line breaks, and a space at the start of the text, are preserved.
    """
    head = " " if text.startswith(" ") else ""
    return head + "\n".join(one_line(line) for line in text.split("\n"))


def _widths(grid: Grid, width: int) -> list[int]:
    """Return the width in characters of each column that fits, starting from the left.

    The first two columns are always included. Each column first gets its smallest width. The remaining room then widens
    the columns one after another, starting from the left. No column becomes wider than its longest text or heading.

    Args:
        grid: grid.
        width: width of the console in characters.
    """
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
    """Return the width in characters of the widest line of text in a column, without the heading."""
    shown = one_line if column < grid.left else _on_lines
    cells = [shown(row[column]) for row in grid.lines]
    return max((cell_len(line) for cell in cells for line in cell.split("\n")), default=0)


def _full(grid: Grid, column: int) -> int:
    """Return the smallest width in characters at which neither the heading nor the texts of a column are folded."""
    return max(_cells(grid, column), cell_len(one_line(grid.heads[column])))


def _least(grid: Grid, column: int) -> int:
    """Return the smallest width of a column in characters.

    A right-aligned column is wide enough for its numbers and for the words of its heading. A left-aligned column need
    not be wider than `LEAST_WORDS`, because its texts can be folded.
    """
    widest = _cells(grid, column)
    word = max((cell_len(word) for word in one_line(grid.heads[column]).split()), default=1)
    return max(min(widest, LEAST_WORDS), min(word, LEAST_WORDS)) if column < grid.left else max(widest, word)


def print_notes(notes: Sequence[str], console: Console) -> None:
    """Print the notes, one line each, below the tables."""
    for note in notes:
        console.print(Text(f"- {one_line(note)}"))
