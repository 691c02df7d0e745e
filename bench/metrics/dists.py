"""DISTS: deep image structure and texture similarity, with weights from files on this machine.

The definition is that of Ding, Ma, Wang and Simoncelli, "Image quality assessment: unifying structure and texture
similarity" (2020), and of its program dingkeyan93/DISTS at 1267d8c (DISTS_pytorch/DISTS_pt.py). The backbone is
torchvision's `vgg16-397923af.pth`. The learned weights of the channels are in the installed package torchmetrics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import BadInputError
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra, Measure
from bench.metrics.networks.local_weights import misfit, read_tensors

__all__ = ["DISTSMeasure", "DISTSNetwork", "Statistics", "channel_weights"]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of each channel of ImageNet's pictures, in [0, 1]."""
TAPS, POOLS = (3, 8, 15, 22, 29), (4, 9, 16, 23)
"""Indices of torchvision's layers after which features are taken, and of the poolings that L2 pooling replaces."""
WINDOW = (0.25, 0.5, 0.25)
"""Weights of L2 pooling along one axis: a Hann window of five points without its zeros."""
CHANNELS = (3, 64, 128, 256, 512, 512)
"""Number of channels of each level. The first level is the image itself."""
CONSTANT = 1e-6
"""Constant that keeps both similarities finite."""
PACKAGE, FILE = "torchmetrics", "functional/image/dists_models/weights.pt"
SHA256 = "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218"
"""SHA-256 of the learned weights. torchmetrics 1.9.0 and the authors' package DISTS_pytorch 0.1 have the same file."""
SIDE = 256
"""Length of the shorter side, in pixels, to which the authors' program reduces larger images."""


@dataclass(frozen=True)
class Statistics:
    """The features of a batch at one level, divided into their means and their deviations from the means."""

    means: Tensor
    """Means over all positions, B×C×1×1."""
    deviations: Tensor
    """Features minus their means, B×C×h×w."""

    @classmethod
    def of(cls, features: Tensor) -> Statistics:
        """Compute the statistics of features B×C×h×w."""
        means = features.mean((2, 3), keepdim=True)
        return cls(means, features - means)


class DISTSNetwork(nn.Module):
    """A network that computes DISTS between two batches: image i is compared with image i of the other batch."""

    mean: Tensor
    std: Tensor
    window: Tensor

    def __init__(self, backbone: str | Path, weights: tuple[Tensor, Tensor]) -> None:
        """Load the backbone.

        Args:
            backbone: path of torchvision's weights of VGG16 for ImageNet, a state dict in a `.pth` file.
            weights: weights of the textures and of the structures of all levels' channels, 1475 values each.

        Raises:
            BadInputError: the file is missing or contains another network.
        """
        super().__init__()
        import torchvision.models  # imported here, because no other code of a run needs it

        path, what = Path(backbone), "torchvision's VGG16"
        tensors = read_tensors(path, what)
        with torch.device("meta"):
            self.layers = torchvision.models.vgg16(weights=None).features[: TAPS[-1] + 1]
        prefix = "features."
        try:
            self.layers.load_state_dict(
                {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}, assign=True
            )
        except RuntimeError as error:
            raise misfit(path, what, error) from None
        total = sum(part.double().sum() for part in weights)
        self.textures, self.structures = (nn.ParameterList(_by_level(part.double() / total)) for part in weights)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)
        axis = torch.tensor(WINDOW)
        self.register_buffer("window", (axis[:, None] * axis)[None, None], persistent=False)
        self.eval().requires_grad_(False)

    def levels(self, image: Tensor) -> Iterator[Statistics]:
        """Yield the statistics of images B×3×H×W float32 in [0, 1], for each of six levels."""
        yield Statistics.of(image)
        x = (image - self.mean) / self.std
        for index, layer in enumerate(self.layers):
            x = self._pooled(x) if index in POOLS else layer(x)
            if index in TAPS:
                yield Statistics.of(x)

    def _pooled(self, x: Tensor) -> Tensor:
        """Return the square roots of the squares' means under a 3×3 window, at every second position."""
        window = self.window.expand(x.shape[1], -1, -1, -1)
        return (functional.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()

    def between(self, image: Tensor, levels: list[Statistics]) -> Tensor:
        """Return the B distances between images and a batch whose statistics `levels` returned, float64 in [0, 2].

        The distance of equal images is exactly 0.

        Args:
            image: images B×3×H×W float32 in [0, 1].
            levels: statistics of the images to compare with, for each level.
        """
        distance = torch.zeros(len(image), dtype=torch.float64, device=image.device)
        for place, (one, other) in enumerate(zip(self.levels(image), levels, strict=True)):
            x, y = one.means.double().flatten(1), other.means.double().flatten(1)
            texture = (x - y).square() / (x.square() + y.square() + CONSTANT)
            apart = (one.deviations - other.deviations).square().mean((2, 3)).double()
            spread = one.deviations.square().mean((2, 3)) + other.deviations.square().mean((2, 3))
            structure = apart / (spread.double() + CONSTANT)
            distance = distance + texture @ self.textures[place] + structure @ self.structures[place]
        return distance


def _by_level(weights: Tensor) -> list[Tensor]:
    """Divide 1475 weights into those of each level's channels."""
    starts = np.cumsum((0, *CHANNELS))
    return [weights.flatten()[start : start + count] for start, count in zip(starts, CHANNELS, strict=False)]


def channel_weights(file: Path | None = None) -> tuple[Tensor, Tensor]:
    """Read the learned weights of DISTS: those of the textures (alpha) and of the structures (beta), 1475 values each.

    Args:
        file: path of the file; None for the file in the installed package torchmetrics.

    Raises:
        BadInputError: the file is missing, or its SHA-256 is not that of the published weights.
    """
    what = "the learned weights of DISTS (torchmetrics 1.8 or newer)"
    spec = find_spec(PACKAGE)
    path = Path(str(spec.origin)).parent / FILE if file is None and spec is not None else Path(file or FILE)
    tensors = read_tensors(path, what, SHA256)
    return tensors["alpha"], tensors["beta"]


class DISTSMeasure(Measure):
    """A measure of `dists` between the whole images of a row and the true images, or of `dists_known`.

    For `dists_known`, the true pixels replace the pixels of the hole first, so that only known pixels can differ. Both
    use the images truncated to 8 bits. `dists_known` is NaN for an item without a known pixel.
    """

    def __init__(self, backbone: str | Path, side: int | None = SIDE, *, known: bool = False) -> None:
        """Load the backbone as `DISTSNetwork` does, and the learned weights from the package torchmetrics.

        Args:
            backbone: path of torchvision's weights of VGG16.
            side: length in pixels to which the shorter side of larger images is reduced, as in the authors' program;
                None to measure images at their own size, as torchmetrics and piq do.
            known: True to measure `dists_known` in place of `dists`.

        Raises:
            BadInputError: a file is missing or contains something else, or `side` is below 1.
        """
        if side is not None and side < 1:
            raise BadInputError(f"side: expected 1 or more, or null, found {side}")
        self.network, self.side, self.known = DISTSNetwork(backbone, channel_weights()), side, known
        self.sees_hole = not known
        resize = "at the items' own size"
        if side is not None:
            resize = f"shorter side of larger images reduced to {side}, Pillow's bilinear with antialiasing and 8 bits"
        self.protocol: Mapping[str, Any] = {
            "image": f"uint8 RGB, truncated; {'the truth in the hole; ' if known else ''}{resize}",
            "network": "VGG16 with L2 pooling, learned weights of DISTS",
            "version": 1,
        }

    def to(self, device: torch.device | str) -> Self:
        self.network.to(device)
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, list[Statistics]]:
        with torch.inference_mode():
            return {}, list(self.network.levels(self._prepared(truth)))

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: list[Statistics], extra: Extra) -> Arrays:
        with torch.inference_mode():
            saved = to_uint8(image, rounding="truncate")
            if not self.known:
                return {"dists": self.network.between(self._prepared(saved), kept)}
            hole = mask > 0
            found = self.network.between(self._prepared(torch.where(hole, truth, saved)), kept)
            return {"dists_known": found.masked_fill(hole.flatten(1).all(1), torch.nan)}

    def _prepared(self, image: Tensor) -> Tensor:
        """Resize images B×3×H×W uint8, and return them as float32 in [0, 1] on the same device."""
        height, width = image.shape[-2:]
        if self.side is None or min(height, width) <= self.side:
            return image.float() / 255
        short = min(height, width)
        size = (int(self.side * width / short), int(self.side * height / short))
        resized = [
            np.array(Image.fromarray(one).resize(size, Image.Resampling.BILINEAR))
            for one in image.cpu().permute(0, 2, 3, 1).numpy()
        ]
        return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).to(image.device).float() / 255
