"""A measure with a small network that replaces the large feature networks of the paper's metrics.

The measure's values can be compared only with other values of the same small network, and not with published numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra, Measure
from bench.metrics.perceptual import perceptual_distance

__all__ = ["FeatureMeasure", "FeatureNetwork"]


class FeatureNetwork(Protocol):
    """The interface of a network that computes feature maps of images and classifies attributes of them.

    The images are B×3×H×W in [-1, 1].
    """

    @property
    def heads(self) -> Any:
        """Mapping from the name of each attribute to the module that classifies this attribute.

        A module computes logits B×K from features B×d. The features are the means of the last feature map over all
        positions.
        """

    def maps(self, image: Tensor) -> list[Tensor]:
        """Return the feature maps B×C×h×w of all levels, from the finest to the coarsest."""

    def to(self, device: torch.device | str) -> Any: ...


class FeatureMeasure(Measure):
    """A measure that saves three arrays: the distance `lpips`, the `features`, and the `log_probabilities` of classes.

    A class is a combination of one value of each attribute. The attributes are treated as independent for a given
    image. The probability of a class is therefore the product of the probabilities of its attributes' values.
    """

    def __init__(
        self, network: FeatureNetwork, heads: Sequence[str] = ("texture", "shape"), name: str = "lpips"
    ) -> None:
        """Set the network.

        Args:
            network: network in evaluation mode.
            heads: names of the attributes that form a class. In the order of the classes, the first attribute varies
                slowest. If `heads` is empty, there are no classes, and no `log_probabilities` are returned.
            name: name of the array with the distance. Replace the default if another measure of the run already uses
                the name `lpips`.

        Raises:
            ValueError: the network has no head for one of the attributes.
        """
        unknown = [name for name in heads if name not in network.heads]
        if unknown:
            raise ValueError(f"heads: expected some of {', '.join(network.heads)}, found {', '.join(unknown)}")
        self.network, self.heads, self.name = network, tuple(heads), name
        self.protocol: Mapping[str, Any] = {
            "image": "uint8 RGB, truncated, at the items' own size",
            "features": "means of the last level",
            "lpips": "all levels, unit length, no learned heads (w = 1)",
            "classes": list(heads),
            "version": 1,
        }

    def to(self, device: torch.device | str) -> Self:
        self.network.to(device)
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, list[Tensor]]:
        with torch.inference_mode():
            maps = self._maps(truth)
            return {"features": _pooled(maps)}, maps

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: list[Tensor], extra: Extra) -> Arrays:
        with torch.inference_mode():
            maps = self._maps(to_uint8(image, rounding="truncate"))
            features = _pooled(maps)
            arrays = {self.name: perceptual_distance(maps, kept).double(), "features": features}
            if self.heads:
                arrays["log_probabilities"] = self._log_probabilities(features)
            return arrays

    def _maps(self, image: Tensor) -> list[Tensor]:
        return self.network.maps(image.float() / 127.5 - 1)

    def _log_probabilities(self, features: Tensor) -> Tensor:
        joint = features.new_zeros(len(features), 1)
        for name in self.heads:
            one = self.network.heads[name](features).log_softmax(1)
            joint = (joint[:, :, None] + one[:, None, :]).flatten(1)
        return joint


def _pooled(maps: list[Tensor]) -> Tensor:
    return maps[-1].mean((2, 3)).float()
