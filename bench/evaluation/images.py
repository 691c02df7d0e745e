"""The images that the rows of a table make.

The module returns the images of a few items for a figure, or saves the images of all items as files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.data.encoding import write_picture
from bench.data.items import Item
from bench.data.names import file_stem
from bench.data.prepared import Items
from bench.evaluation.batch_size import Batches
from bench.evaluation.sampling import Sampling
from bench.evaluation.scoring import unit_interval
from bench.generation.method import Method
from bench.metrics.known_region import to_uint8
from bench.runtime.progress import Progress

__all__ = ["images_of", "save_images"]


def images_of(
    methods: Mapping[str, Method], sampling: Sampling, items: Items, latents: Sequence[str], places: Sequence[int]
) -> tuple[list[Item], dict[str, npt.NDArray[np.uint8]]]:
    """Make the images of some items with every method.

    Args:
        methods: method of each row.
        sampling: sampling stage, which reads the latents.
        items: all items of the run.
        latents: store key of the latents of each block.
        places: indices of the N chosen items.

    Returns:
        The chosen items, and for each row its images of these items, uint8 N×S×S×3, converted as for saved files.
    """
    chosen, size = items.pick(places), next(items.blocks())[1]
    if not methods:
        return chosen, {}
    chosen_latents: dict[int, dict[str, npt.NDArray[Any]]] = {}
    for block, there in groupby(sorted(places), lambda place: place // size):
        arrays = sampling.latents_of(latents[block])
        chosen_latents |= {place: {name: of[place % size].copy() for name, of in arrays.items()} for place in there}

    def saved(part: Sequence[int]) -> dict[str, npt.NDArray[np.uint8]]:
        found = [chosen_latents[places[number]] for number in part]
        arrays = {name: np.stack([one[name] for one in found]) for name in found[0]}
        batch, _ = sampling.batch([chosen[number] for number in part], arrays)
        images = {row: to_uint8(unit_interval(method(batch)), rounding="truncate") for row, method in methods.items()}
        return {row: pixels.permute(0, 2, 3, 1).cpu().numpy() for row, pixels in images.items()}

    parts = list(Batches(sampling.batch_size).over(range(len(chosen)), saved))
    return chosen, {row: np.concatenate([part[row] for part in parts]) for row in methods}


def save_images(
    out: Path, methods: Mapping[str, Method], sampling: Sampling, items: Items, latents: Sequence[str]
) -> None:
    """Write every method's image of every item, and the items themselves, as PNG files.

    The image of a row is `images/ROW/ITEM.png`. The true image is `items/image/ITEM.png`; it is not written for items
    without a picture. The mask, in which the hole is white, is `items/mask/ITEM.png`; it is not written if the run
    generates whole images. ITEM is the item's id, which `file_stem` changes if it cannot be a file name.

    Args:
        out: folder of the run.
        methods: method of each row.
        sampling: sampling stage, which reads the latents.
        items: all items of the run.
        latents: store key of the latents of each block.
    """
    masked = items.manifest["masks"] != "whole"
    with Progress("save images", len(items)) as progress:
        for start in range(0, len(items), sampling.batch_size):
            places = range(start, min(start + sampling.batch_size, len(items)))
            chosen, images = images_of(methods, sampling, items, latents, places)
            folders = {Path("images") / row: pictures for row, pictures in images.items()}
            if all(item.pictured for item in chosen):
                folders[Path("items/image")] = np.stack([item.image for item in chosen])
            if masked:
                folders[Path("items/mask")] = np.stack([255 * item.mask for item in chosen])
            for folder, pictures in folders.items():
                for item, picture in zip(chosen, pictures, strict=True):
                    path = out / folder / f"{file_stem(item.id)}.png"
                    for parent in (path.parent.parent, path.parent):
                        parent.mkdir(exist_ok=True)
                    write_picture(path, picture)
            progress.advance(len(places))
