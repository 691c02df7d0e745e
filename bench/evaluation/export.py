"""The stage `export`, which writes the items of an experiment as files, so that another program can make predictions.

The method `baselines.predictions.Predictions` reads the pictures that the other program makes. The picture of an item
must have the same file name as the exported pictures of the item.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.config.overrides import command, group_of, key_of, setting
from bench.data.encoding import write_picture
from bench.data.items import Item
from bench.data.listing import NOTES
from bench.data.names import file_stem
from bench.data.prefetch import ReadAhead
from bench.data.prepared import Items
from bench.evaluation.measure import check_data, prepare
from bench.evaluation.setup import Setup
from bench.results.export_folder import export_folder
from bench.results.run_folder import Results
from bench.results.write import write_manifest
from bench.runtime.distributed import World
from bench.runtime.files import write_atomically
from bench.runtime.progress import Progress

__all__ = ["GREY", "export"]

Pixels = npt.NDArray[np.uint8]

GREY = 128
"""Level of the hole in masked pictures.

The input of Stable Diffusion's inpainting model is 0 in the hole, in the range [-1, 1]. This is the level 127.5, and no
whole number is nearer to it than 128.
"""
DESCRIPTIONS = {
    "truth": "the true picture of each item, RGB with 8 bits. Use it only outside the hole.",
    "masks": "the mask of each item: white (255) is the hole, black (0) is known.",
    "masked": f"the true picture with the grey level {GREY} in the hole. Stable Diffusion's inpainting model gets 0 "
    "there in the range [-1, 1], which is the level 127.5.",
    "exemplars": "the picture of the content to paint into the hole, in its own size.",
    "reference": "the true pictures with which the pictures of all programs are compared. No "
    "program gets them as its input. A picture "
    "with several captions is written once, under the name of its first item.",
}
"""For each folder of an export, the description in `README.txt`."""
CAPTIONS = ("id", "picture", "caption")
"""Columns of `captions.csv`."""


SOURCES = NOTES[0]
"""Name of the file that says from which source each true picture was made."""


@dataclass(frozen=True)
class _Exported:
    """The exported files of one item."""

    id: str
    name: str
    """Name of each file of the item below its folder, and of the picture that another program makes of the item."""
    folders: tuple[str, ...]
    """Names of the folders that have a file of the item."""
    caption: str


def export(setup: Setup) -> Results:
    """Prepare the items of an experiment, and write them into the folder `out`. No weights are needed for this.

    With several processes, only the first process writes. The others return at once.

    Returns:
        The folder, and the exit status 0. In a process other than the first, the path `.` replaces the folder.

    Raises:
        BadInputError: the data set is missing or wrong, or `out` contains other files.
    """
    if not World.here().is_main_process:
        return Results(Path(), 0)
    with Progress("check"):
        check_data(setup)
    with Progress("prepare"):
        items = prepare(setup)
    with export_folder(setup.config, items.hash) as folder:
        _write(folder, items, setup)
    out = Path(str(setup.config.out))
    print(f"{setup.config.name}: {len(items)} items are in {out}; {out / 'README.txt'} says how to score predictions")
    return Results(out, 0)


def _write(folder: Path, items: Items, setup: Setup) -> None:
    exported = []
    references, spans = set(items.references), list(items.blocks())
    with Progress("export", len(items)) as progress, ReadAhead(items, spans) as ahead:
        for span in spans:
            for place, item in zip(range(*span), ahead.read(span), strict=True):
                pictures = _pictures(item, whole=items.manifest["masks"] == "whole", reference=place in references)
                name = f"{file_stem(item.id)}.png"
                for kind, pixels in pictures.items():
                    path = folder / kind / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_picture(path, pixels)
                exported.append(_Exported(item.id, name, tuple(pictures), item.caption))
            progress.advance(span[1] - span[0])
    captioned = [one for one in exported if one.caption]
    if captioned:
        rows = [(one.id, one.name, one.caption) for one in captioned]
        write_atomically(folder / "captions.csv", _csv(CAPTIONS, rows))
        lines = [json.dumps(dict(zip(CAPTIONS, row, strict=True)), ensure_ascii=False) + "\n" for row in rows]
        write_atomically(folder / "captions.jsonl", "".join(lines))
    kinds = [kind for kind in DESCRIPTIONS if any(kind in one.folders for one in exported)]
    write_atomically(
        folder / "items.csv", _csv(["id", "source", "mask_area", "prediction", *kinds], _lines(items, exported, kinds))
    )
    if "truth" in kinds:  # `bench.score` reads the sources there
        sources = zip((one.name for one in exported), items.sources, strict=True)
        notes = [json.dumps({"file": name, "source": source}, ensure_ascii=False) + "\n" for name, source in sources]
        write_atomically(folder / "truth" / SOURCES, "".join(notes))
    write_manifest(folder, items)
    text = _readme(setup, len(items), kinds, captions=bool(captioned))
    write_atomically(folder / "README.txt", text)


def _pictures(item: Item, *, whole: bool, reference: bool) -> Mapping[str, Pixels]:
    """Return the pictures of an item that are exported. The key of a picture is the name of its folder.

    Args:
        item: the item.
        whole: True if the whole image is to be generated. Only the folder `reference` can then have a picture.
        reference: True if the true picture belongs to the true images with which Fréchet distances compare a row.
    """
    if whole:
        return {"reference": item.image} if reference else {}
    hole = item.mask[..., None] > 0
    pictures = {
        "truth": item.image,
        "masks": 255 * item.mask,
        "masked": np.where(hole, np.uint8(GREY), item.image),
    }
    return pictures if item.exemplar is None else {**pictures, "exemplars": item.exemplar}


def _lines(items: Items, exported: Sequence[_Exported], kinds: Sequence[str]) -> Iterator[list[Any]]:
    for line, one in zip(items.lines(), exported, strict=True):
        files = [f"{kind}/{one.name}" if kind in one.folders else "" for kind in kinds]
        yield [line["id"], line["source"], line["mask_area"], one.name, *files]


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _readme(setup: Setup, count: int, kinds: Sequence[str], *, captions: bool) -> str:
    """Return the content of `README.txt`, which describes each file and the command that scores predictions."""
    side = setup.config.profile.resolution
    words = [word for word in setup.overrides if key_of(word) != "stage" and group_of(word) != "baseline"]
    scoring = command(
        [
            *words,
            "baseline=predictions",
            setting("baseline.root", "PREDICTIONS"),
            setting("baseline.label", "My editor"),
        ]
    )
    contents = [f"{kind}/  {DESCRIPTIONS[kind]}" for kind in kinds]
    if captions:
        contents.append("captions.csv, captions.jsonl  the caption of each item, beside the name of its picture.")
    contents += [
        "items.csv  one line for each item: its id, its source, the share of its pixels that lie in the hole, the name "
        "that its prediction must have, and its files.",
        "manifest.json  the ordered list of the items with the SHA-256 of their pixels, as every run writes it.",
        "export.json  the experiment, its configuration, and the list of these files.",
    ]
    prompt = setup.resolved["generator"].get("prompt")
    lines = [
        f"These are the {count} items of the experiment {setup.config.name}, as files for any program.",
        "",
        *contents,
        "",
        f"Write one picture of {side}x{side} pixels for each item into another folder, under the name in the column "
        "prediction of items.csv. The item's own files have this name as well.",
        *([f'The generator of this experiment gets the prompt "{prompt}" for every item.'] if prompt else []),
        "",
        "This command scores the pictures in the folder PREDICTIONS as one row of the table. Relative paths start at "
        "the folder in which the export was started:",
        "",
        scoring,
        "",
        *(
            [
                "python -m bench.score --truth truth --mask masks --edited NAME=PREDICTIONS, started in this folder, "
                "scores them without a table. It reads the source of each item in truth/sources.jsonl.",
                "",
            ]
            if "truth" in kinds
            else []
        ),
    ]
    return "\n".join(lines)
