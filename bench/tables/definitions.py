"""The meaning of each metric, mark and verdict, as the page of a run and the site of the documentation show it.

The texts are in `definitions.yaml`. A metric with the ending of a variant, of a bin of mask area, of a turn or of a
class of heights takes the texts of the metric without this ending, and a sentence for each ending is added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from bench.metrics.names import HOLE_ONLY, MetricName
from bench.runtime.own_yaml import read_own_yaml

__all__ = ["Definition", "MeasurePage", "definition_of", "mark_meanings", "measure_pages", "scopes", "verdict_meanings"]

ENDING = re.compile(r"(?P<metric>.+?)(_(?P<height>\d+)px)?(_turn_(?P<turn>\d+))?")
"""Pattern of a name without its variant and its bin: the metric, a class of heights, and a turn of repeated edits."""
FIELDS = ("definition", "range", "sees", "misses", "sure")
"""Names of the texts of a metric."""


@dataclass(frozen=True)
class Definition:
    """The meaning of one metric, in sentences of plain text. A name in backquotes is a name of a file or of a key."""

    metric: str
    """Full name of the metric, such as `fid_hole_only_40_50`."""
    measure: str
    """Name of the measure to which the metric belongs; metrics of one measure share a page. It is a valid file name."""
    definition: str
    """One or two sentences that say how the number is computed."""
    range: str
    """Possible values in the unit of the tables, and which of them are good."""
    sees: str
    """Differences between images to which the metric reacts."""
    misses: str
    """Differences between images to which the metric does not react, and other reasons not to trust it alone."""
    sure: str
    """The way in which the uncertainty is estimated, and the number of items that is needed."""


@dataclass(frozen=True)
class MeasurePage:
    """A measure with all its metrics, which share a page of the documentation."""

    name: str
    title: str
    about: str
    """Sentences on what the metrics have in common, such as the network and the preparation of the images."""
    code: Sequence[str]
    """Paths of the modules that compute the metrics, from the root of the repository."""
    pages: Sequence[str]
    """Names of further pages about the measure in the folder `docs`."""
    metrics: Mapping[str, Definition]
    """Definitions by the name of the metric, without the endings of variants, bins, turns and heights."""


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = read_own_yaml(Path(__file__).with_suffix(".yaml"))
    return data


@cache
def measure_pages() -> Mapping[str, MeasurePage]:
    """Return all measures by their names, in the order in which a reader should meet them.

    Raises:
        ValueError: a metric lacks one of its texts.
    """
    return {
        name: MeasurePage(
            name,
            found["title"],
            found["about"],
            tuple(found["code"]),
            tuple(found["pages"]),
            {
                metric: Definition(metric, name, **_texts(metric, {**found, **(own or {})}))
                for metric, own in found["metrics"].items()
            },
        )
        for name, found in _data()["measures"].items()
    }


@cache
def definition_of(metric: str) -> Definition | None:
    """Return the definition of a metric; None for a metric that this project does not define, such as a user's own.

    Args:
        metric: full name of the metric, or name of a cost of a row. The name may end with a variant, a bin of mask
            area, a turn of repeated edits, or a class of heights of letters, such as `fid_hole_only_40_50` or
            `lpips_turn_3`.
    """
    known = {name: one for page in measure_pages().values() for name, one in page.metrics.items()}
    if metric in known:
        return known[metric]
    name = MetricName.parse(metric)
    ending = ENDING.fullmatch(name.metric)
    if ending is None or ending["metric"] not in known:
        return None
    if ending["height"] and not ending["metric"].startswith(("text_accuracy_", "text_ned_")):
        return None
    found, sentences = known[ending["metric"]], _data()["derived"]
    added = [sentences[name.variant]] if name.variant else []
    if ending["height"]:
        added.append(sentences["height"].format(height=ending["height"]))
    if ending["turn"]:
        added.append(sentences["turn"].format(turn=ending["turn"]))
    sure, misses = [found.sure], [found.misses]
    if name.bin is not None:
        added.append(sentences["bin"].format(low=name.bin[0], high=name.bin[1]))
        sure.append(sentences["bin_sure"])
    if name.variant == HOLE_ONLY:
        misses.insert(0, sentences["hole_only_misses"])
    return replace(
        found,
        metric=metric,
        definition=" ".join([found.definition, *added]),
        misses=" ".join(misses),
        sure=" ".join(sure),
    )


def mark_meanings() -> Mapping[str, str]:
    """Return the meaning of each mark in a table, by the mark, such as `±`. The mark of bold numbers is `bold`."""
    return dict(_data()["marks"])


def verdict_meanings() -> Mapping[str, str]:
    """Return the meaning of each verdict, by its words. The scope of the run follows the words `not judged on`."""
    return dict(_data()["verdicts"])


def scopes() -> Mapping[str, str]:
    """Return the meaning of each scope of a verdict, by the scope."""
    return dict(_data()["scopes"])


def _texts(metric: str, found: Mapping[str, Any]) -> dict[str, str]:
    missing = [field for field in FIELDS if not found.get(field)]
    if missing:
        raise ValueError(
            f"definitions.yaml: {metric}: expected the texts {', '.join(FIELDS)}, found none for {', '.join(missing)}"
        )
    return {field: _text(found[field]) for field in FIELDS}


def _text(found: str | Sequence[str]) -> str:
    return found if isinstance(found, str) else " ".join(found)
