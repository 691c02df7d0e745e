"""The meanings of the metrics, marks and verdicts on a page, which the page shows in a list and beside each of them.

The texts come from `bench.tables.definitions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from bench.metrics.names import HOLE_ONLY
from bench.tables.build import Styles, style_of
from bench.tables.definitions import definition_of, mark_meanings, verdict_meanings
from bench.tables.grid import Grid
from bench.tables.verdicts import NOT_JUDGED

__all__ = ["Meaning", "Meanings"]

NETWORK = re.compile(r" \([^()]+ features\)")
"""Pattern of the part of a heading that names the feature network."""
MINUS = re.compile(r", minus .*")
"""Pattern of the end of a heading of differences from the reference row."""
BIN = re.compile(r", (\d+)–(\d+) % masked")
"""Pattern of the part of a heading that names a bin of mask area."""
COSTS = {
    "parameters": "parameters",
    "tera_flop": "TFLOP",
    "peak_activation_bytes": "peak activations [MiB]",
    "half_life": "Half-life of the known region",
}
"""Heading of each number that tables have no style for, by its name in the definitions."""
SIGNS = {
    "bold": re.compile(r"(?!)"),
    "[ ]": re.compile(r"\["),
    "p": re.compile(r"\bp [=<] "),
    "–": re.compile(r"(^| )–( |$)"),
}
"""Pattern by which a mark is found in the texts of cells, if it is not the mark itself. Bold is no text."""
RATIO = re.compile(r"(error )?to .+|ratio")
"""Pattern of the heading of a column of ratios."""


@dataclass(frozen=True)
class Meaning:
    """The meaning of one metric, mark or verdict. A name in backquotes is a name of a file or of a key."""

    id: str
    """Identifier of the element of the page that contains the texts."""
    name: str
    """Title of the metric, the mark itself, or the words of the verdict."""
    first: Sequence[str]
    """Sentences that the page shows beside the name."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Further sentences by their headings, which only the list shows."""


@dataclass(frozen=True)
class Meanings:
    """The meanings that a page needs."""

    metrics: Mapping[str, Meaning]
    """Meanings by the full name of the metric."""
    heads: Mapping[str, str]
    """Names of the metrics by their headings on the page, as `_plain` shortens them."""
    marks: Mapping[str, Meaning]
    verdicts: Mapping[str, Meaning]

    @classmethod
    def of(cls, heads: Iterable[str], metrics: Iterable[str], styles: Styles) -> Self:
        """Return the meanings for a page.

        Args:
            heads: headings of all tables on the page.
            metrics: further metrics on the page, by their full names.
            styles: style of each metric, by its name without endings.
        """
        further = list(dict.fromkeys(metrics))
        titles: dict[str, str] = {}
        for name in dict.fromkeys([*styles, *(f"{name}_{HOLE_ONLY}" for name in styles), *further]):
            style = style_of(name, styles)
            if style is not None:
                titles |= {style.title: name, style.heading(): name}
        titles |= {title: name for name, title in COSTS.items()}
        named = {plain: name for plain in map(_plain, heads) if (name := _metric_of(plain, titles))}
        found = {}
        for name in dict.fromkeys([*named.values(), *further]):
            known, style = definition_of(name), style_of(name, styles)
            if known is not None:
                found[name] = Meaning(
                    f"meaning-{name}",
                    COSTS.get(name, name) if style is None else style.heading(),
                    (known.definition, f"{known.range.rstrip('.')}."),
                    {"sees": known.sees, "misses": known.misses, "how sure": known.sure},
                )
        return cls(
            found,
            named,
            {
                mark: Meaning(f"mark-{number}", mark, (f"{text[:1].upper()}{text[1:]}.",))
                for number, (mark, text) in enumerate(mark_meanings().items())
            },
            {
                words: Meaning(f"verdict-{words.replace(' ', '-')}", words, (f"{text[:1].upper()}{text[1:]}.",))
                for words, text in verdict_meanings().items()
            },
        )

    def of_metric(self, name: str) -> str:
        """Return the identifier of a metric's meaning; an empty text if there is none."""
        return self.metrics[name].id if name in self.metrics else ""

    def of_mark(self, mark: str) -> str:
        """Return the identifier of a mark's meaning; an empty text if there is none."""
        return self.marks[mark].id if mark in self.marks else ""

    def of_verdict(self, words: str) -> str:
        """Return the identifier of a verdict's meaning; an empty text if there is none."""
        known = NOT_JUDGED if words.startswith(NOT_JUDGED) else words
        return self.verdicts[known].id if known in self.verdicts else ""

    def of_head(self, head: str) -> str:
        """Return the identifier of the meaning of a table's heading; an empty text if there is none."""
        return self.of_metric(self.heads.get(_plain(head), "")) or (self.of_mark("÷") if RATIO.fullmatch(head) else "")

    def signs_in(self, grids: Iterable[Grid]) -> list[str]:
        """Return the marks that occur in the numbers of some tables and have a meaning."""
        text = " ".join(cell for grid in grids for line in grid.lines for cell in line[grid.left :])
        return [mark for mark in self.marks if (SIGNS.get(mark) or re.compile(re.escape(mark))).search(text)]


def _metric_of(plain: str, titles: Mapping[str, str]) -> str:
    """Return the full name of the metric of a heading; an empty text for another heading.

    Args:
        plain: heading, as `_plain` shortens it.
        titles: name of each metric without a bin, by its heading.
    """
    area = BIN.search(plain)
    if area is None:
        return titles.get(plain, "")
    name = titles.get(BIN.sub("", plain), "")
    return name and f"{name}_{area[1]}_{area[2]}"


def _plain(head: str) -> str:
    """Return a heading without the name of the feature network, and without the reference row of a difference."""
    return MINUS.sub("", NETWORK.sub("", head))
