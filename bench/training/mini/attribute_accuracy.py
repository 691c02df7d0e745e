"""Accuracy of generated pictures: how often a classifier recognises the attributes that the pictures should show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from bench.data.mini.scenes import COLOURS, SHAPES, SIDE, TEXTURES
from bench.models.feature_network import FeatureNetwork

__all__ = ["ATTRIBUTES", "accuracies", "box_crops"]

ATTRIBUTES: dict[str, tuple[str, ...]] = {"texture": TEXTURES, "shape": SHAPES, "colour": tuple(COLOURS)}
"""Names of the classes of each attribute, in the order of the classifier's outputs (`bench.training.mini.features`)."""
CLASSIFIED_AT_ONCE = 128
AROUND = 1.5
"""Side of the square crop around a box, divided by the longer side of the box."""


@torch.no_grad()
def accuracies(
    network: FeatureNetwork, pictures: Tensor, wanted: Sequence[Mapping[str, str]], *, ending: str = ""
) -> dict[str, float]:
    """Return, for each attribute, the fraction of pictures in which the classifier recognises the expected class.

    An attribute that no picture is expected to show is left out. A classifier that guessed at random would be right for
    about one picture in eight or nine.

    Args:
        network: the classifier, on the pictures' device.
        pictures: B×3×H×W in [-1, 1].
        wanted: one mapping for each picture, from attributes to expected classes. A picture counts only for the
            attributes that its mapping contains.
        ending: text that is added to the names `accuracy_ATTRIBUTE` of the results.
    """
    logits = [network(batch) for batch in torch.split(pictures, CLASSIFIED_AT_ONCE)]
    figures = {}
    for attribute, names in ATTRIBUTES.items():
        found = torch.cat([batch[attribute] for batch in logits]).argmax(1).tolist()
        right = [
            names[index] == want[attribute] for index, want in zip(found, wanted, strict=True) if attribute in want
        ]
        if right:
            figures[f"accuracy_{attribute}{ending}"] = sum(right) / len(right)
    return figures


def box_crops(pictures: Tensor, boxes: Sequence[tuple[int, int, int, int]], *, side: int) -> Tensor:
    """Cut out one square around a box of each picture, and return the squares as B×3×S×S.

    A square that would cross the edge of the picture is moved until it lies inside.

    Args:
        pictures: B×3×R×R.
        boxes: left, top, right and bottom of each picture's box, in a unit in which the picture's side is `SIDE`.
        side: side S to which the squares are scaled.
    """
    resolution = pictures.shape[-1]
    crops = []
    for picture, box in zip(pictures, boxes, strict=True):
        left, top, right, bottom = (place * resolution / SIDE for place in box)
        size = min(resolution, round(AROUND * max(right - left, bottom - top)))
        x, y = (
            min(max(0, round((low + high - size) / 2)), resolution - size)
            for low, high in ((left, right), (top, bottom))
        )
        crop = picture[None, :, y : y + size, x : x + size]
        crops.append(functional.interpolate(crop, size=(side, side), mode="bilinear", align_corners=False))
    return torch.cat(crops)
