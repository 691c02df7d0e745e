"""Three ways to resize an image to Inception's 299 pixels or to another side, each that of a package that reports FID.

- `lama` is the way of the paper's inpainting evaluation and of pytorch-fid: advimman/lama at 786f593,
  saicinpainting/evaluation/losses/fid/inception.py.
- `torchfidelity`: toshas/torch-fidelity at 0.4.0, interpolate_compat_tensorflow.py.
- `clean`: GaParmar/clean-fid at 0.1.35, resize.py (Parmar et al., "On aliased resizing and surprising subtleties in GAN
  evaluation", 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from bench.metrics.networks.inception import SIDE

__all__ = ["FLAVOURS", "Flavour", "clean", "lama", "tensorflow_resize", "torchfidelity"]


def lama(image: Tensor, side: int = SIDE) -> Tensor:
    """Resize images B×3×H×W uint8 to B×3×side×side in [-1, 1], bilinearly between pixel centres, not antialiased."""
    x = functional.interpolate(image.float() / 255, (side, side), mode="bilinear", align_corners=False, antialias=False)
    return 2 * x - 1


def torchfidelity(image: Tensor, side: int = SIDE) -> Tensor:
    """Resize images B×3×H×W uint8 to B×3×side×side in [-1, 1), bilinearly like TensorFlow 1, not antialiased."""
    return (tensorflow_resize(image, side) - 128) / 128


def clean(image: Tensor, side: int = SIDE) -> Tensor:
    """Resize images B×3×H×W uint8 to B×3×side×side in [-1, 1) with Pillow's antialiased bicubic filter.

    Each channel is resized in float and clipped. Pillow works on the CPU; the result is moved back to the images'
    device.
    """
    resized = np.empty((len(image), 3, side, side), np.float32)
    for index, channels in enumerate(image.cpu().numpy()):
        for channel, values in enumerate(channels):
            # Pillow opens float32 pixels in mode F, which it neither rounds nor clips.
            one = Image.fromarray(values.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)
            resized[index, channel] = np.asarray(one)
    return (torch.from_numpy(resized).clamp_(0, 255).to(image.device) - 128) / 128


def tensorflow_resize(image: Tensor, side: int = SIDE) -> Tensor:
    """Resize images B×C×H×W of any real type to B×C×side×side float32 of the same range, like TensorFlow 1.

    Output pixel i lies at i · H / side, counted from the centre of the first pixel. Beyond the centre of the last
    pixel, the value of the last pixel is used.
    """
    count, channels, height, width = image.shape
    above, below, down = _between(height, side, image.device)
    left, right, across = _between(width, side, image.device)
    resized = torch.empty(count, channels, side, side, device=image.device)
    for place, one in enumerate(image):  # one image at a time, so that its rows stay in the cache
        rows = torch.lerp(one.index_select(1, above).float(), one.index_select(1, below).float(), down[:, None])
        torch.lerp(_columns(rows, left), _columns(rows, right), across, out=resized[place])
    return resized


def _between(length: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each output, the indices of the pixels before and after it, and its fractional position between."""
    places = torch.arange(side, device=device) * torch.tensor(length / side)  # in float32, like TensorFlow
    before = places.long()
    return before, (before + 1).clamp_max(length - 1), places - before


def _columns(rows: Tensor, chosen: Tensor) -> Tensor:
    if rows.device.type == "cpu":  # NumPy is twice as fast on the CPU
        return torch.from_numpy(np.take(rows.numpy(), chosen.numpy(), 2))
    return rows.index_select(2, chosen)


@dataclass(frozen=True)
class Flavour:
    """A way to resize images, with its description for the protocol."""

    prepare: Callable[..., Tensor]
    """Function that resizes images B×3×H×W uint8 to Inception's side, or to another side if it is given."""
    protocol: Mapping[str, str]

    def resize(self, side: int) -> str:
        """Return the protocol's description of the resize to another side."""
        return f"{self.protocol['resize'].removesuffix(str(SIDE))}{side}"


FLAVOURS: Mapping[str, Flavour] = {
    "lama": Flavour(
        lama,
        {"resize": "float in [0, 1], bilinear between pixels' centres, no antialiasing, 299", "range": "2x - 1"},
    ),
    "torchfidelity": Flavour(
        torchfidelity,
        {
            "resize": "bilinear of TensorFlow 1, from pixels' corners, no antialiasing, 299",
            "range": "(x - 128) / 128",
            "logits": "1008, without the bias",
        },
    ),
    "clean": Flavour(
        clean,
        {
            "resize": "Pillow's bicubic with antialiasing, each channel in float, not rounded, 299",
            "range": "(x - 128) / 128",
        },
    ),
}
"""Flavours by name."""
