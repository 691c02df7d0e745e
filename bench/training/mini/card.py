"""The text of the mini models' card: how they were made, and how much their results vary between training seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.runtime.files import write_atomically
from bench.runtime.strict_json import read_json
from bench.tables.build import style_of
from bench.tables.seeds import CARD, RowSeeds, SeedStudy

__all__ = ["CARD_TEXT", "card_text", "write_card_text"]

CARD_TEXT = "CARD.md"
HEADLINES = ("fid", "lpips", "pre_error", "clip_score", "inception_score")
"""Metrics for which the card shows how much they vary between training seeds; `seeds.json` has every metric."""


def write_card_text(folder: Path) -> None:
    """Write `CARD.md` anew from `card.json` and `seeds.json`, which are in the same folder."""
    card = read_json(folder / CARD)
    write_atomically(folder / CARD_TEXT, card_text(card, SeedStudy.read(folder)))


def card_text(card: Mapping[str, Any], study: SeedStudy) -> str:
    """Return the card as Markdown.

    Args:
        card: content of `card.json`.
        study: study of training seeds, with the metrics of the tables for each training. It may have no tables.
    """
    lines = [*_head(card), *_parts(card), "", *_development(card), "", *_tables(study), "", "SHA-256:", "", "```"]
    lines += [f"{sha}  {path}" for path, sha in card["sha256"].items()]
    return "\n".join([*lines, "```", ""])


def _head(card: Mapping[str, Any]) -> list[str]:
    source = card["source"]
    return [
        "# The mini profile's models",
        "",
        "Small models, trained by this project on drawn scenes and on photographs that scikit-image ships. They exist "
        "so that every line of the harness runs on a CPU; they say nothing about Stable Diffusion.",
        "",
        f"- Made by: `{card['command']}`",
        f"- Packed by: commit {source['commit']}{', with local changes' if source['dirty'] else ''}",
        f"- Shipped: {card['shipped']}; half precision, {card['bytes'] / 1e6:.1f} MB",
        f"- torch {card['versions']['torch']}, diffusers {card['versions']['diffusers']}",
        "",
        "Values whose names end in `_train` are measured on training pictures, and all other values on the "
        "development split. This split shares no scene, word or photograph with the split of the tables. "
        "The networks were measured before their weights were rounded to half precision. 'Recipes tried' counts every "
        "recipe that was measured on the development split, the chosen one included.",
        "",
    ]


def _parts(card: Mapping[str, Any]) -> Iterator[str]:
    yield "| part | steps | minutes | threads | commit | recipes tried | values |"
    yield "| --- | ---: | ---: | ---: | --- | ---: | --- |"
    for name, made in card["parts"].items():
        figures = ", ".join(f"{figure} {value:.4g}" for figure, value in made["figures"].items())
        tried = card["recipes_tried"].get(name, "not counted")
        minutes = made["seconds"] / 60
        commit = f"{(made['source']['commit'] or 'unknown')[:10]}{' with changes' if made['source']['dirty'] else ''}"
        yield f"| {name} | {made['steps']} | {minutes:.1f} | {made['threads']} | {commit} | {tried} | {figures} |"


def _development(card: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that show how results on the development split vary between training seeds."""
    if not card["seeds"]:
        yield "On the development split, every part was measured with one training seed: its spread is not known."
        return
    yield "The next table shows the spread between training seeds on the development split, the shipped one first:"
    yield ""
    yield "| part | metric | values | standard deviation |"
    yield "| --- | --- | --- | ---: |"
    for name, runs in card["seeds"].items():
        for figure, values in runs.items():
            if figure != "seeds":
                shown = ", ".join(f"{value:.4g}" for value in values)
                yield f"| {name} | {figure} | {shown} | {statistics.stdev(values):.2g} |"


def _tables(study: SeedStudy) -> Iterator[str]:
    """Yield the lines that show how the metrics of the tables vary between training seeds."""
    if not study.tables:
        yield "In the tables, every decoder was measured with one training seed: its spread is not known."
        return
    yield (
        "The next table shows the spread between training seeds in the paper's tables: mean ± standard deviation (not "
        "the standard error that ± means in the tables) over the trainings of a row's decoder, all measured on the "
        "same items and latents. [seeds.json](seeds.json) has every metric of every "
        "training. A value without ± rests on the shipped training alone. The shipped weights are rounded to half "
        "precision; further trainings start from the shipped vanilla decoder and are measured as they were trained."
    )
    yield ""
    titles = [style.heading() for metric in HEADLINES if (style := style_of(metric)) is not None]
    yield f"| table | row | training seeds | {' | '.join(titles)} |"
    yield f"| ---: | --- | --- | {' | '.join('---:' for _ in titles)} |"
    for number, table in sorted(study.tables.items()):
        for key, row in table.rows.items():
            seeds = ", ".join(str(training.seed) for training in row.trainings)
            shown = " | ".join(_spread(row, metric) for metric in HEADLINES)
            yield f"| {number} | {key} | {seeds} | {shown} |"


def _spread(row: RowSeeds, metric: str) -> str:
    """Return the text "mean ± standard deviation" of a metric over a row's trainings, in the unit of the tables.

    The text is the mean alone if there is only one training, and a dash if there is no value.
    """
    style = style_of(metric)
    values = [training.metrics[metric] for training in row.trainings if metric in training.metrics]
    if style is None or not values:
        return "–"
    mean = f"{statistics.fmean(values) * style.scale:.{style.decimals + 1}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values) * style.scale:.2g}"
