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
from bench.tables.verdicts import NOT_JUDGED

__all__ = ["Meaning", "Meanings"]

NETWORK = re.compile(r" \([^()]+ features\)")
"""Pattern of the part of a heading that names the feature network."""
MINUS = re.compile(r", minus .*")
"""Pattern of the end of a heading of differences from the reference row."""
COSTS = {
    "parameters": "parameters",
    "tera_flop": "TFLOP",
    "peak_activation_bytes": "peak activations [MiB]",
    "half_life": "Half-life of the known region",
}
"""Heading of each number that tables have no style for, by its name in the definitions."""
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
    """Names of the metrics by their headings, without the names of feature networks."""
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
        shown = [titles[plain] for head in heads if (plain := _plain(head)) in titles]
        found = {}
        for name in dict.fromkeys([*shown, *further]):
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
            {title: name for title, name in titles.items() if name in found},
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


def _plain(head: str) -> str:
    """Return a heading without the name of the feature network, and without the reference row of a difference."""
    return MINUS.sub("", NETWORK.sub("", head))
