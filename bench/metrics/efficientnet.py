"""A measure with EfficientNet-Lite0, a network that was trained on ImageNet's photographs and needs no download.

The measure's values can be compared only with other values of the same network. In particular, the distances are
neither FID, which uses Inception, nor LPIPS, which uses VGG16 or AlexNet and learned heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra, Measure
from bench.metrics.networks.efficientnet import FEATURES, PACKAGE, SHA256, SIDE, STAGES, load_efficientnet
from bench.metrics.perceptual import perceptual_distance

__all__ = ["EfficientNetMeasure", "prepared"]

POOLED = tuple(stage.channels for stage in STAGES[-3:])
"""Numbers of channels of the stages whose pooled maps are saved."""
MEAN, DEVIATION = 127.0, 128.0
"""Mean and standard deviation of grey levels with which the network was trained (tensorflow/tpu,
models/official/efficientnet/lite/efficientnet_lite_builder.py). timm uses 127.5 for both."""


class EfficientNetMeasure(Measure):
    """A measure that saves pooled features of several depths, and the distance `perceptual_efficientnet`.

    The features are `pooled_112`, `pooled_192`, `pooled_320` and `pooled_1280`, named after their numbers of channels.
    The first three are means of the maps of a stage over all positions. The last ones are the features from which the
    network classifies.

    The distance compares the maps of all seven stages. At every position, the vector of a stage's channels is divided
    by its Euclidean length. The squared differences are summed over channels, and averaged over positions and stages.
    The distance is therefore in [0, 4], and 0 for equal pictures. It resembles LPIPS (Zhang et al., 2018, eq. 1), but
    it has no weights that were fitted to the judgements of people.
    """

    protocol: Mapping[str, Any] = {
        "image": "uint8 RGB, truncated",
        "resize": f"whole picture to {SIDE}×{SIDE}, bicubic (a = -0.5) in float with antialiasing, clipped to [0, 255]",
        "range": f"(x - {MEAN:g}) / {DEVIATION:g}",
        "network": f"EfficientNet-Lite0, ImageNet weights of {PACKAGE}, SHA-256 {SHA256}",
        "features": f"means over positions of stages with {', '.join(map(str, POOLED))} channels; last {FEATURES}",
        "distance": f"{len(STAGES)} stages, unit length, squared differences, mean over stages, no learned heads",
        "version": 1,
    }

    def __init__(self) -> None:
        """Load the network from the package that the extra `pretrained` installs.

        Raises:
            BadInputError: the file in the package is missing, or it is another one.
            ModuleNotFoundError: the package is not installed. `bench.errors.outcome` has a message for this error.
        """
        self.network = load_efficientnet()

    def to(self, device: torch.device | str) -> Self:
        self.network.to(device)
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, list[Tensor]]:
        with torch.inference_mode():
            stages = self.network.stages(prepared(truth))
            return self._features(stages), stages

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: list[Tensor], extra: Extra) -> Arrays:
        with torch.inference_mode():
            stages = self.network.stages(prepared(to_uint8(image, rounding="truncate")))
            distance = perceptual_distance(stages, kept) / len(stages)
            return {"perceptual_efficientnet": distance.double(), **self._features(stages)}

    def _features(self, stages: list[Tensor]) -> dict[str, Tensor]:
        pooled = {f"pooled_{stage.shape[1]}": stage.mean((2, 3)) for stage in stages[-len(POOLED) :]}
        return {**pooled, f"pooled_{FEATURES}": self.network.features(stages[-1])}


def prepared(image: Tensor) -> Tensor:
    """Resize and normalise images for the network.

    Both sides are scaled to `SIDE` pixels, also if the image is not square. The filter is Pillow's bicubic one: it is
    widened when an image is made smaller, so that no detail is aliased. Grey levels stay unrounded numbers.

    Args:
        image: images B×3×H×W uint8.

    Returns:
        Images B×3×224×224 float32 in about [-1, 1].
    """
    levels = image.contiguous().float()  # the memory layout would change the last digits
    resized = functional.interpolate(levels, (SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True)
    return (resized.clamp(0, 255) - MEAN) / DEVIATION
