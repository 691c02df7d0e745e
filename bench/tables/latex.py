r"""Output of tables as LaTeX files.

A file of the function `latex` can be compiled alone, or be included in another document by `\input`. The first lines of
the file are a preamble, which LaTeX skips inside another document. That document must then load the packages that the
preamble names. Each grid starts a new float. A grid that is too wide for the page at a readable font size is split by
columns.

A file of the function `one_tabular` has only one float and no preamble, so it cannot be compiled alone.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence

from bench.tables.grid import DIFFERS, Grid

__all__ = ["escaped", "fits_article", "latex", "one_tabular"]

SIZES = {"footnotesize": 124, "scriptsize": 142}
"""Number of characters of a typical table that fit into a width of 17 cm, by the font size.

Smaller font sizes are not used, because they are hard to read.
"""
MOST = max(SIZES.values())
ONE_COLUMN, BOTH_COLUMNS = 48, 102
"""Numbers of characters of a typical table that fit into the width of one column, and into the width of both columns.

They are for LaTeX's class `article` with the option `twocolumn`, and for the font size `normalsize`, which the text of
an article has.
"""
TEXT_SIZES = {"normalsize": 1.0, "small": 0.91, "footnotesize": 0.82}
"""Width of a character divided by its width at `normalsize`, by the font size."""
HEAD = 10
"""Width in characters to which the heading of a narrow column is folded; a wider column has a wider heading."""
SEPARATION = 2
"""Space between two columns, in characters."""
LINES = 60
"""Largest number of lines on a page, including the lines of headings."""
HEADING = 4
"""Number of lines that the heading of a grid needs, with the space around it."""
OPENING = r"""% Compiles as it is. In another document, \input it; the preamble needs the packages named here.
\expandafter\ifx\csname @nodocument\endcsname\relax
\let\asymbenchend\relax
\else
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{adjustbox,amssymb,booktabs}
\usepackage[a4paper,margin=2cm]{geometry}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\begin{document}
\def\asymbenchend{\end{document}}
\fi
"""
CLOSING = "\\asymbenchend\n"
MINUS = "\N{MINUS SIGN}"

_CHARACTERS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    "±": r"$\pm$", "×": r"$\times$", "÷": r"$\div$", "·": r"$\cdot$", "†": r"$^\dagger$", "‡": r"$^\ddagger$",
    "§": r"\S{}",
    "≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$", "→": r"$\rightarrow$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "∞": r"$\infty$",
    "°": r"\textdegree{}", "²": r"$^2$", "³": r"$^3$", "µ": r"$\mu$", "…": r"\ldots{}",
    "–": r"\textendash{}", "—": r"\textemdash{}", MINUS: "$-$", "\N{NO-BREAK SPACE}": "~",
    "\N{LEFT SINGLE QUOTATION MARK}": r"\textquoteleft{}", "\N{RIGHT SINGLE QUOTATION MARK}": r"\textquoteright{}",
    "“": r"\textquotedblleft{}", "”": r"\textquotedblright{}", "✓": r"$\checkmark$", "✗": r"\textbf{no}",
}  # fmt: skip
_PLAIN = re.compile(r"[ !-~À-ÖØ-öø-ÿ]")
"""Pattern of the characters that LaTeX's T1 encoding has and that need no replacement from `_CHARACTERS`."""


def escaped(text: str) -> str:
    """Return a text on one line, escaped for LaTeX.

    A hyphen that is the sign of a number becomes a minus sign. A character that LaTeX's fonts do not have becomes its
    Unicode number, such as `(U+4E00)`. A single quotation mark between two letters becomes an apostrophe. If the text
    starts with `[` or `*`, an empty group precedes it. Otherwise LaTeX would read this character as an argument of the
    line break at the end of the previous line.
    """
    line = unicodedata.normalize("NFC", " ".join(text.split()))
    line = re.sub(r"(?<![\w.)-])-(?=[\d.])", MINUS, line)
    shown = "".join(_CHARACTERS.get(sign) or (sign if _PLAIN.fullmatch(sign) else _number(sign)) for sign in line)
    shown = re.sub(r"(?<=[^\W\d_])\\textquotesingle\{\}(?=[^\W\d_])", "'", shown)
    shown = re.sub(r"([-,])(?=\1)", r"\1{}", shown)  # T1 would join the two characters
    return f"{{}}{shown}" if shown.startswith(("[", "*")) else shown


def _number(sign: str) -> str:
    return f"(U+{ord(sign):04X})"


def latex(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """Return the content of a LaTeX file with a `table*` float for each grid; a large grid may need several floats.

    If there are notes, a further float with the notes follows the first float.

    Args:
        title: start of each float's caption; the title of the grid follows it.
        grids: grids in the order of the file.
        notes: notes, one line each.
    """
    floats = []
    for grid in grids:
        caption = f"{title}: {grid.title}" if grid.title else title
        for place, tabulars in enumerate(_pages(grid)):
            heading = rf"\caption{{{escaped(caption)}{', continued' if place else ''}}}"
            tabular = "\n\\par\\medskip\n".join(map(_tabular, tabulars))
            floats.append("\n".join([r"\centering", heading, r"\smallskip", r"\setlength{\tabcolsep}{4pt}", tabular]))
    if notes:
        floats.insert(1, "\n".join([r"\footnotesize\raggedright", *(rf"{escaped(note)}\par" for note in notes)]))
    shown = ["\\begin{table*}[!htbp]\n" + text + "\n\\end{table*}" for text in floats]
    return OPENING + "\n" + "\n\n".join(shown) + "\n" + CLOSING


def one_tabular(grid: Grid, caption: str, label: str) -> str:
    r"""Return a LaTeX float with one table, for `\input` in a paper. It needs the packages booktabs and amssymb.

    If the table at `normalsize` fits into one column of a two-column article, it is placed in one column. Otherwise it
    spans both columns. If it is too wide for both columns at `normalsize`, it has the font size `small`. If it is too
    wide at this size as well, it has the font size `footnotesize`, even if it does not fit then either.

    Args:
        grid: the table.
        caption: caption, which is escaped.
        label: label for `\ref`, which is not escaped.
    """
    width = _total_width(grid)
    float_name, most = ("table", ONE_COLUMN) if width <= ONE_COLUMN else ("table*", BOTH_COLUMNS)
    size = next((size for size, share in TEXT_SIZES.items() if width * share <= most), [*TEXT_SIZES][-1])
    return "\n".join(
        [
            rf"\begin{{{float_name}}}[t]",
            r"\centering",
            rf"\caption{{{escaped(caption)}}}",
            rf"\label{{{label}}}",
            r"\smallskip",
            rf"\{size}\setlength{{\tabcolsep}}{{4pt}}",
            *_lines_of_tabular(grid),
            rf"\end{{{float_name}}}",
            "",
        ]
    )


def fits_article(grid: Grid) -> bool:
    """Return True if a grid at `normalsize` fits into the width of both columns of a two-column article."""
    return _total_width(grid) <= BOTH_COLUMNS


def _pages(grid: Grid) -> Iterator[list[Grid]]:
    """Split a grid into smaller grids, and yield one list of them for each float.

    The grids of one float together have at most as many lines as fit on a page.
    """
    page: list[Grid] = []
    for part in _split(grid):
        if page and sum(len(other.lines) + HEADING for other in page) + len(part.lines) + HEADING > LINES:
            yield page
            page = []
        page.append(part)
    yield page


def _split(grid: Grid) -> Iterator[Grid]:
    """Split a grid by columns and by lines, so that each part fits on a page, and yield the parts.

    Each part repeats the left-aligned columns.
    """
    widths = [_width(grid, column) for column in range(len(grid.heads))]
    first = list(range(grid.left))
    groups, chosen = [], list(first)
    for column in range(grid.left, len(grid.heads)):
        if len(chosen) > len(first) and sum(widths[one] for one in [*chosen, column]) > MOST:
            groups.append(chosen)
            chosen = list(first)
        chosen.append(column)
    for group in [*groups, chosen]:
        for start in range(0, len(grid.lines), LINES - HEADING):
            lines = range(start, min(start + LINES - HEADING, len(grid.lines)))
            yield Grid(
                [grid.heads[column] for column in group],
                [[grid.lines[line][column] for column in group] for line in lines],
                grid.left,
                best=frozenset(
                    (line - start, group.index(column))
                    for line, column in grid.best
                    if line in lines and column in group
                ),
            )


def _width(grid: Grid, column: int) -> int:
    """Return the width in characters of a column, including the gap after the column."""
    return max(_longest(grid, column), *map(len, _folded(grid, column))) + SEPARATION


def _total_width(grid: Grid) -> int:
    return sum(_width(grid, column) for column in range(len(grid.heads)))


def _longest(grid: Grid, column: int) -> int:
    return max((len(line[column].removesuffix(f" {DIFFERS}")) for line in grid.lines), default=0)


def _folded(grid: Grid, column: int) -> list[str]:
    """Return the heading of a column, folded into lines."""
    width = max(_longest(grid, column), HEAD)
    return textwrap.wrap(grid.heads[column], width, break_long_words=False) or [""]


def _tabular(grid: Grid) -> str:
    width = _total_width(grid)
    size = next((size for size, most in SIZES.items() if width <= most), "scriptsize")
    return "\n".join(
        [rf"\begin{{adjustbox}}{{max width=\linewidth}}\{size}", *_lines_of_tabular(grid), r"\end{adjustbox}"]
    )


def _lines_of_tabular(grid: Grid) -> list[str]:
    """Return the lines of a `tabular` environment with the rules of booktabs."""
    sides = "l" * grid.left + "r" * (len(grid.heads) - grid.left)
    heads = []
    for column, side in enumerate(sides):
        folded = r" \\ ".join(map(escaped, _folded(grid, column)))
        inner = rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}{folded}\end{{tabular}}"
        heads.append(inner if r" \\ " in folded else folded)
    lines = [[_cell(*grid.parts(line, column)) for column in range(len(grid.heads))] for line in range(len(grid.lines))]
    return [
        rf"\begin{{tabular}}{{@{{}}{sides}@{{}}}}",
        r"\toprule",
        *_rows([heads]),
        r"\midrule",
        *_rows(lines),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _rows(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    for line in lines:
        yield " & ".join(line) + r" \\"


def _cell(bold: str, text: str) -> str:
    """Return the text of one cell of a table as LaTeX.

    A star at the end of the text takes no width, so that the numbers in a column stay aligned.

    Args:
        bold: part of the text that is bold; may be empty.
        text: rest of the text.
    """
    differs = text.endswith(f" {DIFFERS}")
    shown = escaped(text.removesuffix(f" {DIFFERS}"))
    if bold:
        shown = rf"\textbf{{{escaped(bold)}}} {shown}".strip()
    return rf"{shown}\rlap{{{DIFFERS}}}" if differs else shown
