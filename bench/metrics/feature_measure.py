"""Stand-ins for the feature networks of the paper's metrics on one small network: distances, features and classes.

Their numbers are comparable with nothing but themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra
from bench.metrics.perceptual import perceptual_distance

__all__ = ["FeatureMeasure", "FeatureNetwork"]


class FeatureNetwork(Protocol):
    """A network with feature maps, of images B×3×H×W in [-1, 1], and a head for each of some attributes."""

    @property
    def heads(self) -> Any:
        """By name, what makes logits B×K of features B×d, the means over the last map."""

    def maps(self, image: Tensor) -> list[Tensor]:
        """Feature maps B×C×h×w of every level, finest first."""

    def to(self, device: torch.device | str) -> Any: ...


class FeatureMeasure:
    """Keeps `lpips`, or what it is named, `features` and, of images, `log_probabilities` of their class.

    A class is a combination of the attributes, taken as independent given the image: its probability is the product.
    """

    def __init__(
        self, network: FeatureNetwork, heads: Sequence[str] = ("texture", "shape"), name: str = "lpips"
    ) -> None:
        """Take the network.

        Args:
            network: in evaluation mode.
            heads: attributes that make up the class, the first varying slowest; none for no classes.
            name: of the distance; one of its own where another measure keeps `lpips`.

        Raises:
            ValueError: the network has no head of such a name.
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
            return {"features": _pooled(maps).cpu().numpy()}, maps

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: list[Tensor], extra: Extra) -> Arrays:
        with torch.inference_mode():
            maps = self._maps(to_uint8(image, rounding="truncate"))
            features = _pooled(maps)
            arrays = {self.name: perceptual_distance(maps, kept).double(), "features": features}
            if self.heads:
                arrays["log_probabilities"] = self._log_probabilities(features)
            return {name: values.cpu().numpy() for name, values in arrays.items()}

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
