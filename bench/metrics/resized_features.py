"""A measure of the features of a small network, for each way in which packages resize images for Inception.

These features show how the resize changes an FID, without the large Inception network. Values of this measure can be
compared only with each other, and not with published numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from bench.metrics.feature_measure import FeatureNetwork
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra, Measure
from bench.metrics.networks.inception_input import FLAVOURS

__all__ = ["ResizedFeatures"]


class ResizedFeatures(Measure):
    """A measure of the features of resized images, with one array for each way to resize.

    Each array has the name of its way to resize, such as `lama`.
    """

    def __init__(self, network: FeatureNetwork, side: int, flavours: Sequence[str] = tuple(FLAVOURS)) -> None:
        """Set the network and the ways to resize.

        Args:
            network: feature network in evaluation mode.
            side: height and width of the resized images, in pixels.
            flavours: names of one or more ways to resize: `lama`, `torchfidelity` or `clean`.

        Raises:
            ValueError: a flavour is unknown, there is no flavour, or the side is below 1.
        """
        if not flavours or not set(flavours) <= set(FLAVOURS):
            raise ValueError(
                f"flavours: expected some of {', '.join(FLAVOURS)}, found {', '.join(flavours) or 'an empty list'}"
            )
        if side < 1:
            raise ValueError(f"side: expected 1 or more, found {side}")
        self.network, self.side = network, side
        self.flavours = {name: FLAVOURS[name] for name in flavours}
        self.protocol: Mapping[str, Any] = {
            "image": "uint8 RGB, truncated",
            "features": "means of the last level",
            "flavours": {name: {"resize": flavour.resize(side)} for name, flavour in self.flavours.items()},
            "version": 1,
        }

    def to(self, device: torch.device | str) -> Self:
        self.network.to(device)
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, None]:
        return self._features(truth), None

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: None, extra: Extra) -> Arrays:
        return self._features(to_uint8(image, rounding="truncate"))

    def _features(self, image: Tensor) -> Arrays:
        with torch.inference_mode():
            prepared = torch.cat([flavour.prepare(image, self.side) for flavour in self.flavours.values()])
            features = self.network.maps(prepared)[-1].mean((2, 3)).float()
            return dict(zip(self.flavours, features.chunk(len(self.flavours)), strict=True))
